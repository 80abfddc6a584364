"""Sets of deliveries, and what they have in common with each other."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from customers.models import Customer, Store
from customers.refusals import Conflict
from events.models import Delivery, Lane, Subscription
from integrations.models import Integration
from tests.factories import give_coins, make_customer, make_integration, make_subscription

pytestmark = pytest.mark.django_db

SWITCHES: dict[str, Callable[[], object]] = {
    "nothing": lambda: None,
    "the store": lambda: Store.objects.filter(name="Bean House").update(events_on=False),
    "a send event": lambda: Subscription.objects.filter(name="b").update(enabled=False),
    "an integration": lambda: Integration.objects.filter(name="Mailer").update(enabled=False),
    "a closed lane": lambda: Lane.objects.filter(integration__name="Shop").update(closed="breaker"),
    "a tool that asked to wait": lambda: Lane.objects.filter(integration__name="Shop").update(
        not_before=timezone.now() + timedelta(minutes=1)
    ),
    "a wait that is over": lambda: Lane.objects.filter(integration__name="Shop").update(
        not_before=timezone.now() - timedelta(minutes=1)
    ),
    "another store": lambda: Store.objects.filter(name="Tea House").update(events_on=False),
}


@pytest.fixture
def deliveries(store: Store, other_store: Store, customer: Customer) -> list[Delivery]:
    """Of three send events of two integrations, some tried before; and one of another store."""
    shop, mailer = make_integration(store, name="Shop"), make_integration(store, name="Mailer")
    for integration, name in ((shop, "a"), (shop, "b"), (mailer, "c")):
        make_subscription(integration, name=name)
    make_subscription(make_integration(other_store, name="Shop of tea"))
    for _ in range(2):
        give_coins(customer, 50)
    give_coins(make_customer(other_store), 50)
    for delivery in Delivery.objects.filter(occurrence=Delivery.objects.latest("id").occurrence_id - 2):
        Delivery.objects.filter(pk=delivery.pk).update(tries=1)
    Delivery.objects.filter(pk=Delivery.objects.earliest("id").pk).update(status="sent")
    return list(Delivery.objects.order_by("id"))


class TestReadings:
    @pytest.mark.parametrize("switch", SWITCHES)
    def test_every_way_to_ask_gives_the_same_answer(
        self, store: Store, deliveries: list[Delivery], switch: str
    ) -> None:
        SWITCHES[switch]()
        store.refresh_from_db()
        read: dict[str, set[object]] = {"held": set(), "retrying": set(), "pending": set(), "sent": set()}
        for delivery in Delivery.objects.with_reading():
            read[getattr(delivery, "reading", "")].add(delivery.pk)
        assert set(Delivery.objects.held().values_list("pk", flat=True)) == read["held"]
        assert set(Delivery.objects.retrying().values_list("pk", flat=True)) == read["retrying"]
        here = set(Delivery.objects.filter(store=store).values_list("pk", flat=True))
        assert set(Delivery.objects.held_in(store).values_list("pk", flat=True)) == read["held"] & here
        assert bool(read["held"] & here) == (switch not in ("nothing", "a wait that is over", "another store"))

    def test_a_test_is_never_held(self, store: Store, deliveries: list[Delivery]) -> None:
        Delivery.objects.update(is_test=True)
        Store.objects.update(events_on=False)
        store.refresh_from_db()
        assert not Delivery.objects.held_in(store).exists()
        assert not Delivery.objects.held().exists()


class TestRecordedSince:
    def test_to_the_moment(self, deliveries: list[Delivery]) -> None:
        moment = timezone.now() - timedelta(days=1)
        at, before, *_ = deliveries
        Delivery.objects.filter(pk=at.pk).update(recorded_at=moment)
        Delivery.objects.filter(pk=before.pk).update(recorded_at=moment - timedelta(milliseconds=1))
        assert set(Delivery.objects.recorded_since(moment)) == set(deliveries) - {before}

    def test_nothing_is_of_the_future(self, deliveries: list[Delivery]) -> None:
        assert not Delivery.objects.recorded_since(timezone.now() + timedelta(hours=2)).exists()


class TestRefuseResending:
    @pytest.mark.parametrize(
        ("columns", "sentence"),
        [
            ({"is_test": True}, "A test event is not sent again: send a new one."),
            ({"subscription": None}, "Its send event or integration was deleted, so it cannot be sent."),
            ({"status": "pending"}, "It is already waiting to be sent."),
            ({"status": "sending"}, "It is already waiting to be sent."),
        ],
    )
    def test_with_the_reason(self, deliveries: list[Delivery], columns: dict[str, object], sentence: str) -> None:
        Delivery.objects.filter(pk=deliveries[0].pk).update(**columns)
        delivery = Delivery.objects.get(pk=deliveries[0].pk)
        with pytest.raises(Conflict, match=sentence):
            delivery.refuse_resending()
        assert delivery not in Delivery.objects.resendable()

    @pytest.mark.parametrize("status", ["sent", "skipped", "failed", "cancelled"])
    def test_what_is_finished_is_not_refused(self, deliveries: list[Delivery], status: str) -> None:
        Delivery.objects.filter(pk=deliveries[0].pk).update(status=status)
        delivery = Delivery.objects.get(pk=deliveries[0].pk)
        delivery.refuse_resending()
        assert delivery in Delivery.objects.resendable()
