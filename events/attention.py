"""What needs somebody of the store: each in a sentence, with the way to its cure."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlencode

from django.db.models import Sum
from django.db.models.functions import Now
from django.urls import reverse
from django.utils import timezone

from customers.models import Store
from events import heartbeat
from events.doctor import PATIENCE
from events.figures import MANY
from events.models import Delivery, Lane, Notice, Occurrence, Tally
from events.models.delivery import DeliveryStatus
from integrations.models import Integration

NOTICES = 5  # that show at once
_INTEGRATION = "admin:integrations_integration_change"


@dataclass(frozen=True, kw_only=True)
class Attention:
    """Something to see to: a tone of the stylesheet, a sentence, and the way to its cure where that is in the admin."""

    tone: str
    sentence: str
    action: str = ""
    url: str = ""


def counted(number: int, one: str, many: str) -> str:
    """Such as `1 delivery is`, `12 deliveries are`, `10,000 or more deliveries are`."""
    return f"{number:,}{' or more' if number >= MANY else ''} {one if number == 1 else many}"


def attention(store: Store) -> list[Attention]:
    """Everything that somebody of this store should see to, worst first."""
    return [found for question in _QUESTIONS for found in question(store)]


def _nobody_sends(store: Store) -> Iterator[Attention]:
    overdue = Delivery.objects.due().filter(
        store=store,
        next_attempt_at__lt=Now() - PATIENCE,
        integration__in=Lane.objects.passable().filter(store=store, closed="").values("integration"),
    )
    if (late := overdue.order_by()[:MANY].count()) and not heartbeat.alive("supervisor", within=PATIENCE):
        said = f"{counted(late, 'delivery is', 'deliveries are')} due, but nothing is being sent: the cluster is not running."
        yield Attention(tone="bad", sentence=f"{said} Tell whoever runs this installation.")


def _switch(store: Store) -> Iterator[Attention]:
    if not store.events_on and (held := Delivery.objects.held_in(store).order_by()[:MANY].count()):
        yield Attention(
            tone="wait",
            sentence=f"Events are off: {counted(held, 'delivery is', 'deliveries are')} held.",
            action="Go to the switch",
            url=reverse("admin:events_subscription_changelist"),
        )


def _notices(store: Store) -> Iterator[Attention]:
    for notice in Notice.objects.open().filter(store=store)[:NOTICES]:
        page = reverse(_INTEGRATION, args=[notice.integration_id]) if notice.integration_id else ""
        yield Attention(tone="bad", sentence=notice.text, action="Look at it", url=page)


def _closed(store: Store) -> Iterator[Attention]:
    lanes = Lane.objects.filter(store=store, integration__enabled=True, integration__archived_at=None)
    for lane in lanes.exclude(closed="").select_related("integration"):
        yield Attention(
            tone="bad",
            sentence=f"{lane.integration} is held: {lane.get_closed_display()}.",
            action="Check its settings",
            url=reverse(_INTEGRATION, args=[lane.integration_id]),
        )


def _off(store: Store) -> Iterator[Attention]:
    """Integrations that somebody left off while something waits for them; of the others a notice tells."""
    for integration in Integration.objects.existing().filter(store=store, enabled=False, switched_off_reason=""):
        rows = Delivery.objects.filter(integration=integration, status=DeliveryStatus.PENDING, is_test=False)
        if waiting := rows.order_by()[:MANY].count():
            yield Attention(
                tone="wait",
                sentence=f"{integration} is off: {counted(waiting, 'delivery waits', 'deliveries wait')} for it.",
                action="Switch it on" if integration.verified_at else "Verify it",
                url=reverse(_INTEGRATION, args=[integration.pk]),
            )


def _unclear(store: Store) -> Iterator[Attention]:
    if unclear := Occurrence.objects.filter(store=store).needing_attention().order_by()[:MANY].count():
        yield Attention(
            tone="bad",
            sentence=f"{counted(unclear, 'event', 'events')} could not be evaluated in full.",
            action="See which",
            url=_list("occurrence", kind="attention"),
        )


def _failed(store: Store) -> Iterator[Attention]:
    since = timezone.now() - timedelta(hours=24)
    failed = Tally.objects.filter(store=store, minute__gte=since).aggregate(Sum("failed"))["failed__sum"] or 0
    if failed:
        yield Attention(
            tone="bad",
            sentence=f"{counted(failed, 'delivery', 'deliveries')} failed in the last 24 hours.",
            action="See which",
            url=_list("delivery", status="failed"),
        )


def _list(model: str, **filters: str) -> str:
    return f"{reverse(f'admin:events_{model}_changelist')}?{urlencode(filters)}"


_QUESTIONS: tuple[Callable[[Store], Iterator[Attention]], ...] = (
    _nobody_sends,
    _switch,
    _notices,
    _closed,
    _off,
    _unclear,
    _failed,
)
