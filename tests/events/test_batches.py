"""Deliveries to a tool that takes several events in one call: claimed, sent, logged and limited as calls."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from customers.models import Customer, Store
from events import claims, sending
from events.models import Attempt, Delivery, Exchange, Lane, Tally
from integrations import destinations
from integrations.models import Integration
from tests import factories
from tests.factories import give_coins, make_subscription
from tests.integrations.batches import Crate
from tests.receiver import Answer, Received, Receiver
from tests.trial import known_with

pytestmark = pytest.mark.django_db


class SmallCrate(Crate):
    """Five events a call."""

    key = "small"
    batch_size = 5
    concurrency = 3


@pytest.fixture
def crate(store: Store, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> Integration:
    monkeypatch.setattr(destinations, "destinations", known_with(SmallCrate))
    receiver.choose = taken
    return factories.make_integration(store, destination=SmallCrate.key, values={"url": receiver.url})


def taken(request: Received) -> Answer:
    return Answer(200, body=json.dumps({"statuses": [200] * len(request.json()["events"])}).encode())


def make_due(integration: Integration, customer: Customer, count: int) -> list[Delivery]:
    subscription = make_subscription(integration)
    for _ in range(count):
        give_coins(customer, 10)
    return list(Delivery.objects.filter(subscription=subscription).order_by("id"))


def sizes(receiver: Receiver) -> list[int]:
    return sorted(len(request.json()["events"]) for request in receiver.got)


class TestSent:
    def test_several_in_one_call_which_is_logged_once(
        self, crate: Integration, customer: Customer, receiver: Receiver
    ) -> None:
        due = make_due(crate, customer, 12)
        assert sending.deliver(budget=60) == 12
        assert sizes(receiver) == [2, 5, 5]
        ids = [event["id"] for request in receiver.got for event in request.json()["events"]]
        assert sorted(ids) == sorted(str(row.pk) for row in due)
        assert set(Delivery.objects.values_list("status", "tries", "claim")) == {("sent", 1, None)}
        assert (Attempt.objects.count(), Exchange.objects.count()) == (12, 3)
        assert sum(Tally.objects.values_list("sent", flat=True)) == 12

    def test_each_ends_as_the_tool_said_of_it(self, crate: Integration, customer: Customer, receiver: Receiver) -> None:
        due = make_due(crate, customer, 3)
        receiver.choose = lambda _: None
        receiver.next.append(Answer(200, body=b'{"statuses": [200, 400, 503]}'))
        assert sending.deliver() == 3
        ends = {row.pk: (row.status, row.reason) for row in Delivery.objects.all()}
        assert [ends[row.pk] for row in due] == [
            ("sent", ""),
            ("failed", "Crate refused this one."),
            ("pending", "Crate was busy with it."),
        ]

    def test_a_refused_batch_comes_in_halves_and_only_the_guilty_one_fails(
        self, crate: Integration, customer: Customer, receiver: Receiver
    ) -> None:
        due = make_due(crate, customer, 5)
        guilty = str(due[3].pk)

        def answer(request: Received) -> Answer:
            ids = {event["id"] for event in request.json()["events"]}
            return Answer(422, body=b'{"message": "no such thing"}') if guilty in ids else taken(request)

        receiver.choose = answer
        assert sending.deliver() == 5
        assert set(Delivery.objects.exclude(pk=guilty).values_list("status", flat=True)) == {"sent"}
        failed = Delivery.objects.get(pk=guilty)
        assert (failed.status, failed.reason) == ("failed", "Crate refused it (answer 422). It said: no such thing")
        assert failed.attempts.get().exchange
        assert sizes(receiver) == [1, 1, 1, 2, 2, 3, 5]

    def test_one_whose_worker_died_goes_alone(self, crate: Integration, customer: Customer, receiver: Receiver) -> None:
        make_due(crate, customer, 3)
        claims.claim(free=8, slots=8, flying={})
        Delivery.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
        assert sending.deliver() == 3
        assert sizes(receiver) == [1, 1, 1]

    def test_at_most_once_holds_for_each_of_a_call(
        self, crate: Integration, customer: Customer, receiver: Receiver
    ) -> None:
        crate.at_most_once = True
        crate.save()
        make_due(crate, customer, 2)
        receiver.choose = lambda _: Answer(200, body=b"nothing that can be read")
        assert sending.deliver() == 2
        assert set(Delivery.objects.values_list("status", flat=True)) == {"failed"}


class TestLane:
    def test_a_failed_call_counts_once_however_many_events_it_carried(
        self, crate: Integration, customer: Customer, receiver: Receiver
    ) -> None:
        make_due(crate, customer, 10)
        receiver.choose = lambda _: Answer(503)
        assert sending.deliver() == 10
        lane = Lane.objects.get(integration=crate)
        assert (lane.failures, lane.failing_tries, lane.closed) == (2, 2, "")

    def test_a_call_of_which_the_tool_took_some_is_no_row_of_failures(
        self, crate: Integration, customer: Customer, receiver: Receiver
    ) -> None:
        make_due(crate, customer, 60)
        receiver.choose = lambda request: Answer(
            200, body=json.dumps({"statuses": [200] + [503] * (len(request.json()["events"]) - 1)}).encode()
        )
        assert sending.deliver(budget=60) == 60
        lane = Lane.objects.get(integration=crate)
        assert (lane.failures, lane.closed) == (1, "")

    def test_its_breaker_opens_after_as_many_calls_as_anybodys(
        self, crate: Integration, customer: Customer, receiver: Receiver
    ) -> None:
        make_due(crate, customer, 50)
        receiver.choose = lambda _: Answer(503)
        assert sending.deliver(budget=60) == 50
        lane = Lane.objects.get(integration=crate)
        assert (lane.failures, lane.closed) == (10, "breaker")


class TestClaim:
    def test_slots_and_limits_count_calls(self, crate: Integration, customer: Customer) -> None:
        make_due(crate, customer, 30)
        claim = claims.claim(free=2, slots=100, flying={})
        assert (len(claim.deliveries), claim.full) == (10, True)
        assert len({row.claim for row in claim.deliveries}) == 2
        assert len(claims.claim(free=8, slots=100, flying={}).deliveries) == 5, (
            "its limit is three calls at the same time"
        )
        assert claims.claim(free=8, slots=100, flying={}).deliveries == []

    def test_one_claim_takes_no_more_of_it_than_a_process_can_bear(
        self, crate: Integration, customer: Customer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(claims, "TOGETHER", 10)
        make_due(crate, customer, 12)
        claim = claims.claim(free=8, slots=100, flying={})
        assert (len(claim.deliveries), claim.full) == (10, True)
        claim = claims.claim(free=8, slots=100, flying={})
        assert (len(claim.deliveries), claim.full) == (2, False)

    def test_a_rate_counts_calls(self, crate: Integration, customer: Customer) -> None:
        make_due(crate, customer, 30)
        crate.rate_limit = 2
        crate.save()
        Lane.objects.update(tokens=0, tokens_at=timezone.now() - timedelta(seconds=0.6))
        assert len(claims.claim(free=8, slots=100, flying={}).deliveries) == 5
        assert claims.claim(free=8, slots=100, flying={}).deliveries == []

    def test_the_calls_of_a_batch_in_halves_are_counted_afterwards(
        self, crate: Integration, customer: Customer, receiver: Receiver
    ) -> None:
        crate.rate_limit = 2
        crate.save()
        due = make_due(crate, customer, 5)
        guilty = str(due[3].pk)
        receiver.choose = lambda request: Answer(422) if guilty.encode() in request.body else taken(request)
        sending.deliver()
        assert len(receiver.got) == 7
        assert -6 <= Lane.objects.get(integration=crate).tokens <= -5, "one was counted when it was claimed"
        give_coins(customer, 10)
        assert claims.claim(free=8, slots=100, flying={}).deliveries == []

    def test_the_probe_of_a_closed_lane_is_one_delivery(self, crate: Integration, customer: Customer) -> None:
        make_due(crate, customer, 8)
        Lane.objects.update(closed="breaker", probe_at=timezone.now() - timedelta(seconds=1))
        claim = claims.claim(free=8, slots=100, flying={})
        assert (len(claim.deliveries), claim.probed) == (1, frozenset({crate.pk}))

    def test_it_takes_turns_with_one_that_sends_singly(
        self, crate: Integration, customer: Customer, store: Store, receiver: Receiver
    ) -> None:
        single = factories.make_integration(
            store, values={"url": receiver.url, "signing_secret": "whsec_" + "c2VjcmV0" * 4}
        )
        make_subscription(single)
        make_due(crate, customer, 12)
        claim = claims.claim(free=4, slots=100, flying={})
        names = [row.integration_id for row in claim.deliveries]
        assert (names.count(crate.pk), names.count(single.pk)) == (10, 2)
