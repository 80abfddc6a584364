"""Sending: what goes out, what becomes of it, and that nobody is blocked by somebody else's trouble."""

import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from customers.models import Customer, Store
from events import claims, sending
from events.models import Attempt, Delivery, Exchange, Lane, Notice, Subscription, Tally
from events.models.delivery import DeliveryStatus, Outcome
from integrations import destinations
from integrations.destinations.base import Destination, Message, Selector, Skip, json_body
from integrations.http import Request
from integrations.models import Integration
from tests import factories
from tests.events.conftest import webhook
from tests.factories import give_coins, make_subscription
from tests.receiver import Answer, Receiver
from tests.trial import known_with

pytestmark = pytest.mark.django_db


def make_due(subscription: Subscription, customer: Customer, count: int = 1) -> list[Delivery]:
    """So many rewards, each a delivery of this send event."""
    for _ in range(count):
        give_coins(customer, 10)
    return list(Delivery.objects.filter(subscription=subscription).order_by("id"))


def again_now(delivery: Delivery) -> None:
    """Its next try is due, as if the time had passed."""
    Delivery.objects.filter(pk=delivery.pk).update(next_attempt_at=timezone.now() - timedelta(seconds=1))


class TestSent:
    def test_the_request_arrives_and_everything_is_logged(
        self, integration: Integration, customer: Customer, receiver: Receiver
    ) -> None:
        (delivery,) = make_due(make_subscription(integration, prefix="shop_", name="coins"), customer)
        assert sending.deliver() == 1
        (request,) = receiver.got
        assert request.json()["type"] == "shop_coins"
        assert request.json()["data"]["event_sequence"] == delivery.occurrence_id
        assert request.json()["data"]["user_wallet_balance"] == 10
        assert request.headers["webhook-id"] == str(delivery.pk)
        delivery.refresh_from_db()
        assert (delivery.status, delivery.tries, delivery.claim, delivery.reason) == (DeliveryStatus.SENT, 1, None, "")
        assert delivery.finished_at
        attempt = Attempt.objects.get()
        assert (attempt.number, attempt.outcome) == (1, Outcome.SENT)
        exchange = attempt.exchange
        assert exchange
        assert (exchange.response_status, exchange.response_body) == (200, "ok")
        assert "a-long-secret-token" not in str(Exchange.objects.values())
        tally = Tally.objects.get()
        assert (tally.sent, tally.tries, tally.failed_tries, sum(tally.latency), sum(tally.duration)) == (1, 1, 0, 1, 1)

    def test_many_are_sent_in_one_run(
        self, integration: Integration, customer: Customer, receiver: Receiver, settings: Any
    ) -> None:
        settings.SENDER_SLOTS = 4
        make_due(make_subscription(integration), customer, 30)
        assert sending.deliver(budget=60) == 30
        assert len({request.headers["webhook-id"] for request in receiver.got}) == 30
        assert set(Delivery.objects.values_list("status", flat=True)) == {"sent"}
        assert sum(Tally.objects.values_list("sent", flat=True)) == 30

    def test_what_waited_too_long_for_a_slot_is_given_back_without_a_try(
        self, integration: Integration, customer: Customer, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (delivery,) = make_due(make_subscription(integration), customer)
        monkeypatch.setattr(claims, "LEASE", timedelta(seconds=5))  # a call may take 10
        assert sending.deliver(budget=0.1) == 0
        delivery.refresh_from_db()
        assert (delivery.status, delivery.tries, delivery.claim) == ("pending", 0, None)
        assert not receiver.got
        assert not Attempt.objects.exists()

    @pytest.mark.postgresql
    def test_many_cost_hardly_more_queries_than_few(
        self, integration: Integration, customer: Customer, receiver: Receiver
    ) -> None:
        subscription = make_subscription(integration)
        counts = []
        for number in (2, 40):
            make_due(subscription, customer, number)
            with CaptureQueriesContext(connection) as queries:
                sending.deliver(budget=60)
            counts.append(len(queries))
        assert len(receiver.got) == 42
        assert counts[1] - counts[0] < 38, "each delivery has a query of its own"

    def test_what_dead_workers_left_is_seen_to_when_time_is_over(
        self, integration: Integration, customer: Customer, receiver: Receiver
    ) -> None:
        make_due(make_subscription(integration), customer, 3)
        claims.claim(free=8, slots=8, flying={})
        Delivery.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
        assert sending.deliver(budget=0) == 3
        assert len(receiver.got) == 3
        assert set(Delivery.objects.values_list("status", flat=True)) == {"sent"}

    def test_nothing_due_makes_no_call(self, integration: Integration, receiver: Receiver) -> None:
        assert sending.deliver() == 0
        assert receiver.got == []


class TestHeld:
    @pytest.mark.parametrize("switch", ["store", "integration", "subscription"])
    def test_a_switch_that_is_off_holds_what_is_pending(
        self, switch: str, store: Store, integration: Integration, customer: Customer, receiver: Receiver
    ) -> None:
        subscription = make_subscription(integration)
        (delivery,) = make_due(subscription, customer)
        rows: dict[str, tuple[Any, str]] = {
            "store": (store, "events_on"),
            "integration": (integration, "enabled"),
            "subscription": (subscription, "enabled"),
        }
        row, name = rows[switch]
        setattr(row, name, False)
        row.save()
        assert sending.deliver() == 0
        assert list(Delivery.objects.held()) == [delivery]
        setattr(row, name, True)
        row.save()
        assert not Delivery.objects.held().exists()
        assert sending.deliver() == 1

    def test_a_resend_and_a_cancel_change_what_is_sent(
        self, integration: Integration, customer: Customer, receiver: Receiver
    ) -> None:
        first, second = make_due(make_subscription(integration), customer, 2)
        first.cancel()
        assert (first.status, first.reason) == ("cancelled", "cancelled by an admin")
        assert sending.deliver() == 1
        first.resend()
        assert sending.deliver() == 1
        assert [request.headers["webhook-id"] for request in receiver.got] == [str(second.pk), str(first.pk)]


class TestRetried:
    def test_a_server_error_is_tried_again_later(
        self, integration: Integration, customer: Customer, receiver: Receiver
    ) -> None:
        (delivery,) = make_due(make_subscription(integration), customer)
        receiver.next.append(Answer(500, body=b"oh no"))
        assert sending.deliver() == 1
        delivery.refresh_from_db()
        assert (delivery.status, delivery.tries, delivery.reason) == ("pending", 1, "Webhook answered 500.")
        assert 7 <= (delivery.next_attempt_at - timezone.now()).total_seconds() <= 12
        assert list(Delivery.objects.retrying()) == [delivery]
        assert sending.deliver() == 0
        again_now(delivery)
        assert sending.deliver() == 1
        delivery.refresh_from_db()
        assert (delivery.status, delivery.tries) == ("sent", 2)
        assert [request.headers["webhook-id"] for request in receiver.got] == [str(delivery.pk)] * 2

    def test_after_five_retries_it_has_failed(
        self, integration: Integration, customer: Customer, receiver: Receiver
    ) -> None:
        (delivery,) = make_due(make_subscription(integration), customer)
        receiver.choose = lambda _: Answer(503)
        for _ in range(6):
            again_now(delivery)
            assert sending.deliver() == 1
        delivery.refresh_from_db()
        assert (delivery.status, delivery.tries) == ("failed", 6)
        assert delivery.reason == "Given up after 6 tries. Webhook answered 503."
        assert Tally.objects.get().failed == 1
        assert delivery.attempts.count() == 6

    def test_retry_after_holds_this_integration_alone(
        self, store: Store, integration: Integration, customer: Customer, receiver: Receiver
    ) -> None:
        other = webhook(store, receiver, "/other")
        make_due(make_subscription(integration), customer)
        receiver.choose = lambda request: Answer(429, {"Retry-After": "120"}) if request.path == "/events" else None
        sending.deliver()
        lane = Lane.objects.get(integration=integration)
        assert lane.not_before
        assert 110 < (lane.not_before - timezone.now()).total_seconds() < 121
        make_subscription(other, "lead_create")
        factories.make_customer(store)
        give_coins(customer, 1)  # one more for the waiting integration
        assert sending.deliver() == 1
        assert receiver.got[-1].path == "/other"
        assert Delivery.objects.held().count() == 2

    def test_too_many_requests_without_a_time_make_it_wait_a_moment(
        self, integration: Integration, customer: Customer, receiver: Receiver, settings: Any
    ) -> None:
        settings.SENDER_SLOTS = 1
        make_due(make_subscription(integration), customer, 5)
        receiver.choose = lambda _: Answer(429, {"Retry-After": "soon"})
        assert sending.deliver() == 1
        lane = Lane.objects.get()
        assert lane.not_before
        assert 5 < (lane.not_before - timezone.now()).total_seconds() < 10.1
        assert (lane.closed, lane.failures) == ("", 0), "to be asked to slow down is no failure"
        assert Delivery.objects.held().count() == 5

    def test_a_refusal_is_final(self, integration: Integration, customer: Customer, receiver: Receiver) -> None:
        (delivery,) = make_due(make_subscription(integration), customer)
        receiver.next.append(Answer(422))
        sending.deliver()
        delivery.refresh_from_db()
        assert (delivery.status, delivery.reason) == ("failed", "Webhook refused it (answer 422).")

    def test_nobody_listening_is_tried_again(self, store: Store, customer: Customer, receiver: Receiver) -> None:
        gone = webhook(store, receiver)
        (delivery,) = make_due(make_subscription(gone), customer)
        receiver.server.shutdown()
        receiver.server.server_close()
        sending.deliver()
        delivery.refresh_from_db()
        assert (delivery.status, delivery.tries) == ("pending", 1)
        exchange = Exchange.objects.get()
        assert exchange.response_status is None
        assert exchange.error

    def test_a_private_address_is_refused_for_good(
        self, integration: Integration, customer: Customer, receiver: Receiver, settings: Any
    ) -> None:
        settings.ALLOWED_PRIVATE_HOSTS = frozenset()
        (delivery,) = make_due(make_subscription(integration), customer)
        sending.deliver()
        delivery.refresh_from_db()
        assert delivery.status == "failed"
        assert receiver.got == []


class TestClosedLane:
    def test_refused_credentials_hold_all_and_use_up_no_try(
        self, integration: Integration, customer: Customer, receiver: Receiver, settings: Any
    ) -> None:
        settings.SENDER_SLOTS = 1
        deliveries = make_due(make_subscription(integration), customer, 3)
        receiver.choose = lambda _: Answer(401)
        assert sending.deliver() == 1
        assert Delivery.objects.held().count() == 3
        assert set(Delivery.objects.values_list("status", "tries")) == {("pending", 0)}
        assert Attempt.objects.get().outcome == Outcome.HELD
        lane = Lane.objects.get(integration=integration)
        assert lane.closed == "credentials"
        assert lane.probe_at
        assert 290 < (lane.probe_at - timezone.now()).total_seconds() < 301
        Lane.objects.update(probe_at=timezone.now() - timedelta(seconds=1))
        assert sending.deliver() == 1, "one delivery is the probe"
        receiver.choose = lambda _: None
        Lane.objects.update(probe_at=timezone.now() - timedelta(seconds=1))
        assert sending.deliver() == 3, "the probe succeeded and the lane is open"
        assert {row.pk for row in deliveries} == set(
            Delivery.objects.filter(status="sent").values_list("pk", flat=True)
        )

    def test_ten_failures_in_a_row_open_the_breaker(
        self, integration: Integration, customer: Customer, receiver: Receiver, settings: Any
    ) -> None:
        settings.SENDER_SLOTS = 1
        make_due(make_subscription(integration), customer, 12)
        receiver.choose = lambda _: Answer(500)
        assert sending.deliver(budget=60) == 10
        lane = Lane.objects.get()
        assert (lane.closed, lane.failures) == ("breaker", 10)
        assert Delivery.objects.held().count() == 12
        Lane.objects.update(probe_at=timezone.now() - timedelta(seconds=1))
        assert sending.deliver() == 1
        lane.refresh_from_db()
        assert lane.probes == 1
        assert set(Delivery.objects.values_list("tries", flat=True)) == {0, 1}, "the probe used up no try"

    def test_one_request_probes_and_its_success_closes_the_breaker(
        self, integration: Integration, customer: Customer, receiver: Receiver
    ) -> None:
        make_due(make_subscription(integration), customer, 12)
        Lane.objects.update(closed="breaker", failures=10, probe_at=timezone.now() - timedelta(seconds=1))
        receiver.next.append(Answer(500))
        assert sending.deliver() == 1
        assert len(receiver.got) == 1, "one request, though twelve are due"
        Lane.objects.update(probe_at=timezone.now() - timedelta(seconds=1))
        assert sending.deliver() == 12, "the probe was taken, and the others follow"
        lane = Lane.objects.get()
        assert (lane.closed, lane.failures, lane.probe_at) == ("", 0, None)

    def test_gone_switches_the_integration_off_with_a_notice(
        self, integration: Integration, customer: Customer, receiver: Receiver
    ) -> None:
        make_due(make_subscription(integration), customer)
        receiver.next.append(Answer(410))
        sending.deliver()
        integration.refresh_from_db()
        assert integration.enabled is False
        assert Notice.objects.get().text.startswith(f"The integration {integration.name} was switched off: ")
        assert Delivery.objects.held().count() == 1

    def test_a_day_of_failures_switches_it_off(
        self, integration: Integration, customer: Customer, receiver: Receiver
    ) -> None:
        make_due(make_subscription(integration), customer)
        Lane.objects.update(failing_since=timezone.now() - timedelta(hours=25), failing_tries=9)
        receiver.next.append(Answer(500))
        sending.deliver()
        integration.refresh_from_db()
        assert integration.enabled is False
        assert "has succeeded for 24 hours" in Notice.objects.get().text


class Picky(Destination):
    """Finds customers by mobile, messages them, and has ways to fail."""

    key = "picky"
    label = "Picky"
    selectors = (Selector.MOBILE, Selector.EMAIL)
    channel = "sms"
    trouble: str = ""
    seen_by: list[tuple[str, list[str]]] = []

    def calls(self, message: Message) -> Iterator[Request]:
        open_connections = [alias for alias in connections if getattr(connections[alias], "connection", None)]
        self.seen_by.append((threading.current_thread().name, open_connections))
        if self.trouble == "raise":
            raise ValueError("a bug")
        if self.trouble == "skip":
            raise Skip("Nothing to tell.")
        yield Request(url=self.settings["url"] + "/person", headers={}, body=json_body({"who": message.identifier}))
        yield Request(url=self.settings["url"], headers={}, body=json_body({"what": message.event_name}))


@pytest.fixture
def picky(store: Store, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> Integration:
    """An integration of a destination that exists for one test."""
    monkeypatch.setattr(destinations, "destinations", known_with(Picky))
    Picky.trouble, Picky.seen_by = "", []
    return factories.make_integration(
        store, destination="picky", values={"url": receiver.url}, primary_selector=Selector.MOBILE.value
    )


class TestDestination:
    def agree(self, customer: Customer) -> None:
        customer.consent_sms = True
        customer.save()

    def test_its_calls_are_made_in_order_and_the_first_failure_ends_them(
        self, picky: Integration, customer: Customer, receiver: Receiver
    ) -> None:
        self.agree(customer)
        make_due(make_subscription(picky, name="reward"), customer)
        sending.deliver()
        assert [request.json() for request in receiver.got] == [{"who": customer.mobile}, {"what": "reward"}]
        assert Exchange.objects.count() == 2
        receiver.next.append(Answer(400))
        give_coins(customer, 1)
        sending.deliver()
        assert len(receiver.got) == 3, "the event was not sent when the person was refused"

    def test_each_of_its_calls_counts_for_its_rate(
        self, picky: Integration, customer: Customer, receiver: Receiver
    ) -> None:
        self.agree(customer)
        picky.rate_limit = 1
        picky.save()
        make_due(make_subscription(picky), customer)
        sending.deliver()
        assert len(receiver.got) == 2
        assert Lane.objects.get(integration=picky).tokens == -1

    def test_its_threads_open_no_database_connection(
        self, picky: Integration, customer: Customer, receiver: Receiver
    ) -> None:
        self.agree(customer)
        make_due(make_subscription(picky), customer, 5)
        sending.deliver()
        assert len(Picky.seen_by) == 5
        assert all(name.startswith("slot") and used == [] for name, used in Picky.seen_by)

    def test_an_adapter_that_raises_loses_nothing_and_blocks_nobody(
        self, picky: Integration, integration: Integration, customer: Customer, receiver: Receiver
    ) -> None:
        self.agree(customer)
        Picky.trouble = "raise"
        (broken,) = make_due(make_subscription(picky), customer)
        make_subscription(integration, "lead_create")
        factories.make_customer(integration.store)
        sending.deliver()
        assert len(receiver.got) == 1, "the other integration's event went out"
        broken.refresh_from_db()
        assert (broken.status, broken.tries) == ("pending", 1)
        assert broken.reason == "The destination itself failed: ValueError: a bug"
        assert Lane.objects.get(integration=picky).failures == 0, "the lane is not to blame"

    @pytest.mark.parametrize(
        ("missing", "reason"),
        [
            ("mobile", "The customer has no mobile number, by which Picky finds customers."),
            ("consent", "The customer has not agreed to be reached by sms."),
            ("content", "Nothing to tell."),
        ],
    )
    def test_what_cannot_be_sent_is_skipped_with_the_reason(
        self, missing: str, reason: str, picky: Integration, customer: Customer, receiver: Receiver
    ) -> None:
        if missing == "mobile":
            customer.mobile = None
        if missing == "content":
            Picky.trouble = "skip"
        customer.consent_sms = missing != "consent"
        customer.save()
        (delivery,) = make_due(make_subscription(picky), customer)
        sending.deliver()
        delivery.refresh_from_db()
        assert (delivery.status, delivery.reason, delivery.tries) == ("skipped", reason, 0)
        assert receiver.got == []
        assert Tally.objects.get().skipped == 1

    def test_so_is_what_a_dead_worker_left_when_time_is_over(self, picky: Integration, customer: Customer) -> None:
        (delivery,) = make_due(make_subscription(picky), customer)
        claims.claim(free=8, slots=8, flying={})
        Delivery.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
        assert sending.deliver(budget=0) == 1
        delivery.refresh_from_db()
        assert (delivery.status, delivery.claim) == ("skipped", None)

    def test_one_that_is_gone_holds_its_deliveries_and_nobody_elses(
        self, store: Store, integration: Integration, customer: Customer, receiver: Receiver
    ) -> None:
        (delivery,) = make_due(make_subscription(integration), customer)
        Integration.objects.update(destination="pigeon")
        make_subscription(webhook(store, receiver), "lead_create")
        factories.make_customer(store)
        sending.deliver()
        assert len(receiver.got) == 1
        delivery.refresh_from_db()
        assert (delivery.status, delivery.tries) == ("pending", 0)
        assert delivery.reason == "There is no destination “pigeon” in this version."
        assert list(Delivery.objects.held()) == [delivery]

    def test_secrets_that_cannot_be_read_hold_its_deliveries(
        self, integration: Integration, customer: Customer, receiver: Receiver
    ) -> None:
        (delivery,) = make_due(make_subscription(integration), customer)
        Integration.objects.update(encrypted_secrets="not a token")
        sending.deliver()
        delivery.refresh_from_db()
        assert (delivery.status, delivery.tries) == ("pending", 0)
        assert delivery.reason.startswith("The stored secrets cannot be read")
        assert list(Delivery.objects.held()) == [delivery]


@pytest.mark.django_db(transaction=True)
class TestIsolation:
    def test_a_tool_that_hangs_does_not_keep_another_waiting(
        self, store: Store, customer: Customer, receiver: Receiver, settings: Any
    ) -> None:
        """It never holds more than three quarters of the slots; results of the others are written meanwhile."""
        settings.SENDER_SLOTS = 4
        gate = threading.Event()
        receiver.choose = lambda request: Answer(gate=gate) if request.path == "/slow" else None
        make_due(make_subscription(webhook(store, receiver, "/slow")), customer, 8)
        quick = make_subscription(webhook(store, receiver, "/quick"), "lead_create")
        for _ in range(8):
            factories.make_customer(store)

        def open_when_all_quick_ones_are_written() -> None:
            try:
                receiver.wait_for(11, seconds=60)
                while Delivery.objects.filter(subscription=quick, status="sent").count() < 8:
                    gate.wait(0.02)
                slow = [request for request in receiver.got if request.path == "/slow"]
                assert len(slow) == 3
                seen.append(True)
            finally:
                gate.set()
                connections.close_all()

        seen: list[bool] = []
        watcher = threading.Thread(target=open_when_all_quick_ones_are_written)
        watcher.start()
        assert sending.deliver(budget=60) == 16
        watcher.join()
        assert seen == [True]

    @pytest.mark.postgresql
    def test_a_sender_whose_time_is_over_goes_on_for_others_while_one_hangs(
        self, store: Store, customer: Customer, receiver: Receiver
    ) -> None:
        gate = threading.Event()
        receiver.choose = lambda request: Answer(gate=gate) if request.path == "/slow" else None
        make_due(make_subscription(webhook(store, receiver, "/slow")), customer, 2)
        quick = make_subscription(webhook(store, receiver, "/quick"), "lead_create")
        began = time.monotonic()

        def record_when_its_time_is_over() -> None:
            try:
                receiver.wait_for(2, seconds=60)
                while time.monotonic() < began + 1:
                    gate.wait(0.05)
                factories.make_customer(store)
                while not Delivery.objects.filter(subscription=quick, status="sent").exists():
                    if time.monotonic() > began + 8:  # the calls that hang are given up after 10 s
                        return
                    gate.wait(0.02)
                seen.append(True)
            finally:
                gate.set()
                connections.close_all()

        seen: list[bool] = []
        watcher = threading.Thread(target=record_when_its_time_is_over)
        watcher.start()
        assert sending.deliver(budget=1) == 3
        watcher.join()
        assert seen
