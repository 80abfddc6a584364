"""The events switch of a store: what opening it does with what was held meanwhile."""

from dataclasses import dataclass
from datetime import timedelta

from django.db import models, transaction
from django.db.models.functions import Now

from customers.models import Store
from events.models import Delivery
from events.models.delivery import DeliveryStatus
from events.waking import wake


class Keep(models.TextChoices):
    """What becomes of the deliveries that were held."""

    ALL = "all", "Send everything that is held"
    NEWER = "newer", "Send only what is newer than ... hours, cancel the rest"
    NONE = "none", "Cancel everything that is held"


@dataclass(frozen=True)
class Opened:
    """What switching on did."""

    released: int
    cancelled: int


def waiting(store: Store) -> models.QuerySet[Delivery]:
    """What is pending in this store: held while its switch is off."""
    return Delivery.objects.filter(store=store, status=DeliveryStatus.PENDING, is_test=False)


def switch_on(store: Store, *, keep: str = Keep.ALL, hours: int = 24) -> Opened:
    """Open the switch. What is discarded is cancelled first, so that none of it slips through."""
    with transaction.atomic():
        cancelled = 0
        rows = Delivery.objects.filter(store=store)
        if keep == Keep.NONE:
            cancelled = rows.cancel(reason="discarded when events were switched on")
        elif keep == Keep.NEWER:
            old = rows.filter(recorded_at__lt=Now() - timedelta(hours=hours))
            cancelled = old.cancel(reason=f"older than {hours} hours when events were switched on")
        Store.objects.filter(pk=store.pk).update(events_on=True)
        store.events_on = True
        released = waiting(store).count()
        transaction.on_commit(wake, robust=True)
    return Opened(released=released, cancelled=cancelled)


def switch_off(store: Store) -> None:
    """Close the switch: everything goes on being recorded, and is held. A call under way may finish."""
    Store.objects.filter(pk=store.pk).update(events_on=False)
    store.events_on = False
