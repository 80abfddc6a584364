"""The events switch: what was held meanwhile is sent, or cancelled first, and nothing slips through."""

from datetime import timedelta

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from customers.models import Customer, Store
from events import sending, switching
from events.models import Delivery, WakeUp
from events.switching import Keep, Opened, switch_off, switch_on, waiting
from integrations.models import Integration
from tests.factories import give_coins, make_integration, make_subscription
from tests.receiver import Receiver


@pytest.fixture
def held(store: Store, customer: Customer) -> Store:
    """The store while its events are off, with three deliveries held: of now, of a day and of two days ago."""
    make_subscription(make_integration(store))
    switch_off(store)
    for days in (2, 1, 0):
        give_coins(customer, 50)
        newest = Delivery.objects.latest("id")
        Delivery.objects.filter(pk=newest.pk).update(recorded_at=Now() - timedelta(days=days, minutes=5))
    return store


def statuses() -> list[tuple[str, str]]:
    """What became of them, oldest first."""
    return list(Delivery.objects.order_by("id").values_list("status", "reason"))


@pytest.mark.django_db
class TestSwitchOff:
    def test_what_happens_is_recorded_and_held(self, held: Store) -> None:
        held.refresh_from_db()
        assert not held.events_on
        assert Delivery.objects.held().count() == waiting(held).count() == 3

    def test_of_this_store_alone(self, store: Store, other_store: Store) -> None:
        switch_off(store)
        other_store.refresh_from_db()
        assert other_store.events_on


@pytest.mark.django_db
class TestSwitchOn:
    def test_everything_that_is_held_goes(self, held: Store) -> None:
        assert switch_on(held) == Opened(released=3, cancelled=0)
        assert statuses() == [("pending", "")] * 3
        held.refresh_from_db()
        assert held.events_on
        assert not Delivery.objects.held().exists()
        assert Delivery.objects.due().count() == 3

    def test_only_what_is_newer(self, held: Store) -> None:
        assert switch_on(held, keep=Keep.NEWER, hours=36) == Opened(released=2, cancelled=1)
        reason = "older than 36 hours when events were switched on"
        assert statuses() == [("cancelled", reason), ("pending", ""), ("pending", "")]

    def test_nothing(self, held: Store) -> None:
        assert switch_on(held, keep=Keep.NONE) == Opened(released=0, cancelled=3)
        assert statuses() == [("cancelled", "discarded when events were switched on")] * 3
        assert Delivery.objects.filter(finished_at=None).count() == 0

    def test_what_is_discarded_is_cancelled_before_it_opens(self, held: Store) -> None:
        with CaptureQueriesContext(connection) as queries:
            switch_on(held, keep=Keep.NONE)
        updates = [one["sql"].split('"')[1] for one in queries.captured_queries if one["sql"].startswith("UPDATE")]
        assert updates[:2] == ["events_delivery", "customers_store"]

    def test_what_ended_stays_as_it_is(self, held: Store) -> None:
        Delivery.objects.update(status="failed", reason="It answered 400.")
        assert switch_on(held, keep=Keep.NONE) == Opened(released=0, cancelled=0)
        assert statuses() == [("failed", "It answered 400.")] * 3

    @pytest.mark.parametrize("keep", Keep.values)
    def test_another_store_is_not_concerned(self, held: Store, other_store: Store, keep: str) -> None:
        switch_off(other_store)
        Delivery.objects.update(store=other_store)
        assert switch_on(held, keep=keep) == Opened(released=0, cancelled=0)
        assert statuses() == [("pending", "")] * 3
        other_store.refresh_from_db()
        assert not other_store.events_on

    def test_what_another_switch_holds_stays_held(self, held: Store) -> None:
        Integration.objects.update(enabled=False)
        assert switch_on(held) == Opened(released=3, cancelled=0)
        assert Delivery.objects.held().count() == 3


@pytest.mark.django_db(transaction=True)
class TestAfterwards:
    def test_the_senders_are_woken(self, held: Store) -> None:
        WakeUp.objects.all().delete()
        switch_on(held)
        assert WakeUp.objects.filter(asked_at__isnull=False).exists()

    def test_what_was_held_arrives(self, store: Store, integration: Integration, customer: Customer) -> None:
        make_subscription(integration)
        switch_off(store)
        give_coins(customer, 50)
        sending.deliver()
        assert statuses() == [("pending", "")]
        switch_on(store)
        sending.deliver()
        assert statuses() == [("sent", "")]

    def test_what_was_discarded_never_does(
        self, store: Store, integration: Integration, customer: Customer, receiver: Receiver
    ) -> None:
        make_subscription(integration)
        switch_off(store)
        give_coins(customer, 50)
        switch_on(store, keep=Keep.NONE)
        give_coins(customer, 60)
        sending.deliver()
        assert [request.json()["data"]["wallettransaction_amount"] for request in receiver.got] == [60]

    def test_nothing_changes_when_it_cannot_open(self, held: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(_: Store) -> None:
            raise RuntimeError

        monkeypatch.setattr(switching, "waiting", fail)
        with pytest.raises(RuntimeError):
            switch_on(held, keep=Keep.NONE)
        held.refresh_from_db()
        assert not held.events_on
        assert statuses() == [("pending", "")] * 3
