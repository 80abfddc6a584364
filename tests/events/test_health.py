"""Health: the figures that operators see, on their own and as totals that only grow."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.db.models.functions import Now
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from customers.models import Customer, Store
from events import health, heartbeat, metrics, sending, totals
from events.models import Delivery, Heartbeat, Lane, Tally, Total
from events.models.lane import DURATION_BUCKETS, LATENCY_BUCKETS
from integrations.models import Integration
from tests.concurrency import at_once
from tests.factories import give_coins, make_customer, make_integration, make_subscription, make_tally
from tests.receiver import Answer, Receiver

pytestmark = pytest.mark.django_db

A_WHILE = timedelta(minutes=5)
LABELS = ("store", "integration", "outcome", "le")


@pytest.fixture
def tool(store: Store) -> Integration:
    """One with three deliveries that are due."""
    tool = make_integration(store, name="Mailer")
    make_subscription(tool, "lead_create")
    for _ in range(3):
        make_customer(store)
    return tool


def seen(integration: Integration) -> health.IntegrationHealth:
    return next(one for one in health.look().integrations if one.integration == integration)


class TestLook:
    def test_nothing_is_there(self, db: None) -> None:
        found = health.look()
        assert (found.clusters, found.due, found.held, found.in_flight, found.integrations) == (0, 0, 0, 0, [])
        assert found.oldest_due_seconds() is None

    def test_what_is_due_and_for_how_long(self, tool: Integration) -> None:
        first = Delivery.objects.earliest("id")
        Delivery.objects.filter(pk=first.pk).update(next_attempt_at=Now() - A_WHILE)
        Delivery.objects.filter(pk=Delivery.objects.latest("id").pk).update(next_attempt_at=Now() + A_WHILE, tries=1)
        found = health.look()
        assert (found.due, found.held) == (2, 0)
        assert 299 < (found.oldest_due_seconds() or 0) < 360
        assert found.oldest_due_seconds(of=found.integrations[0]) == found.oldest_due_seconds()

    def test_a_suspect_is_due_as_well(self, tool: Integration) -> None:
        Delivery.objects.update(suspect=True)
        assert health.look().due == 3

    @pytest.mark.parametrize("why", ["store", "integration", "send event", "lane", "Retry-After"])
    def test_what_is_held_is_not_due(self, store: Store, tool: Integration, why: str) -> None:
        if why == "store":
            Store.objects.update(events_on=False)
        elif why == "integration":
            Integration.objects.update(enabled=False)
        elif why == "send event":
            tool.subscriptions.update(enabled=False)
        elif why == "lane":
            Lane.objects.update(closed="breaker")
        else:
            Lane.objects.update(not_before=timezone.now() + A_WHILE)
        found = health.look()
        assert (found.due, found.held, found.oldest_due_seconds()) == (0, 3, None)
        assert Delivery.objects.held().count() == 3, "the same reading as everywhere"
        assert seen(tool).closed == ("too many failures in a row" if why == "lane" else "")

    def test_what_is_under_way(self, tool: Integration) -> None:
        first = Delivery.objects.earliest("id")
        Delivery.objects.filter(pk=first.pk).update(status="sending", claim=uuid4(), leased_until=Now() + A_WHILE)
        found = health.look()
        assert (found.due, found.in_flight) == (2, 1)

    def test_tests_do_not_count(self, tool: Integration) -> None:
        Delivery.objects.update(status="sending", is_test=True)
        assert health.look().in_flight == 0

    def test_success_over_5_minutes_and_24_hours(self, tool: Integration) -> None:
        for minutes, tries, failed in ((1, 10, 1), (3, 10, 0), (10, 5, 5), (60 * 25, 100, 100)):
            make_tally(tool, minutes=minutes, tries=tries, failed_tries=failed)
        one = seen(tool)
        assert (one.last_5_minutes, one.last_5_minutes.percent) == (health.Success(20, 1), 95)
        assert (one.last_24_hours, one.last_24_hours.percent) == (health.Success(25, 6), 76)
        assert health.Success().percent is None

    def test_clusters_and_senders_that_are_alive(self, db: None) -> None:
        for name, kind, age in (
            ("supervisor a 1", "supervisor", 1),
            ("supervisor b 1", "supervisor", 14),
            ("supervisor c 1", "supervisor", 16),
            ("supervisor d 1", "supervisor", -3600),  # of before the clock was put back
            ("sender a 2", "sender", 3),
        ):
            Heartbeat.objects.create(name=name, kind=kind, beat_at=timezone.now() - timedelta(seconds=age))
        found = health.look()
        assert (found.clusters, found.senders) == (2, 1)

    def test_a_deleted_integration_is_left_out(self, tool: Integration) -> None:
        tool.archive()
        assert health.look().integrations == []

    def test_as_many_queries_for_one_integration_as_for_ten(
        self, store: Store, tool: Integration, django_assert_num_queries: Any
    ) -> None:
        def ask() -> None:
            with django_assert_num_queries(8):
                health.look()

        ask()
        for _ in range(9):
            make_subscription(make_integration(store), "lead_create")
        make_customer(store)
        ask()


class TestHeartbeat:
    def test_one_from_the_future_is_no_sign_of_life(self, db: None) -> None:
        Heartbeat.objects.create(name="sender a 1", kind="sender")
        assert heartbeat.alive("sender", within=A_WHILE)
        Heartbeat.objects.update(beat_at=Now() + timedelta(hours=1))
        assert not heartbeat.alive("sender", within=A_WHILE)


class TestTotals:
    def settle(self, tool: Integration) -> None:
        for minutes in (11, 12, 5):
            make_tally(
                tool,
                minutes=minutes,
                sent=2,
                tries=3,
                failed_tries=1,
                latency=[1] * 12,
                latency_ms=700,
                duration=[2] * 11,
                duration_ms=900,
            )

    def test_they_are_everything_counted_before_and_after_adding_up(self, tool: Integration) -> None:
        self.settle(tool)
        for _ in range(3):
            (total,) = totals.now()
            assert (total.sent, total.tries, total.failed_tries) == (6, 9, 3)
            assert (total.latency, total.latency_ms) == ([3] * 12, 2100)
            assert (total.duration, total.duration_ms) == ([6] * 11, 2700)
            totals.add_up()
        stored = Total.objects.get()
        assert stored.sent == 4, "what is not settled stays out"

    def test_they_do_not_shrink_when_tallies_are_pruned(self, tool: Integration) -> None:
        make_tally(tool, minutes=60 * 24 * 100, sent=7)
        make_tally(tool, minutes=1, sent=1)
        call_command("prune", "--days=90")
        assert Tally.objects.count() == 1
        assert totals.now()[0].sent == 8

    def test_one_of_each_existing_integration(self, store: Store, tool: Integration) -> None:
        totals.add_up()
        newer = make_integration(store, name="Newer")
        make_tally(newer, sent=3)
        assert [(total.integration, total.sent) for total in totals.now()] == [(tool, 0), (newer, 3)]
        tool.archive()
        totals.add_up()
        assert [(total.integration, total.sent) for total in totals.now()] == [(newer, 3)]

    @pytest.mark.django_db(transaction=True)
    def test_adding_up_at_once_counts_nothing_twice(self, tool: Integration) -> None:
        self.settle(tool)
        assert at_once(*[totals.add_up] * 4) == [None] * 4
        assert Total.objects.get().sent == 4


class TestMetrics:
    def read(self) -> dict[str, float]:
        """Of each sample its value, by name and labels."""
        families = text_string_to_metric_families(metrics.exposition().decode())
        return {
            " ".join([sample.name, *(sample.labels[name] for name in LABELS if name in sample.labels)]): sample.value
            for family in families
            for sample in family.samples
        }

    def test_what_was_sent_is_counted_with_its_times(
        self, integration: Integration, customer: Customer, receiver: Receiver
    ) -> None:
        Integration.objects.update(name="Mailer")
        make_subscription(integration)
        for _ in range(3):
            give_coins(customer, 10)
        receiver.next.append(Answer(500))
        sending.deliver()
        shown = self.read()
        mine = "Bean House Mailer"
        assert shown[f"loyalty_deliveries_total {mine} sent"] == 2
        assert shown[f"loyalty_deliveries_total {mine} failed"] == 0
        assert shown[f"loyalty_tries_total {mine}"] == 3
        assert shown[f"loyalty_failed_tries_total {mine}"] == 1
        assert (
            shown[f"loyalty_latency_seconds_count {mine}"] == shown[f"loyalty_latency_seconds_bucket {mine} +Inf"] == 2
        )
        assert shown[f"loyalty_try_duration_seconds_count {mine}"] == 3
        tally = Tally.objects.get()
        assert shown[f"loyalty_latency_seconds_sum {mine}"] == tally.latency_ms / 1000 > 0
        assert shown[f"loyalty_try_duration_seconds_sum {mine}"] == tally.duration_ms / 1000 > 0

    def test_buckets_are_in_seconds_and_grow(self, tool: Integration) -> None:
        make_tally(tool, sent=12, latency=[1] * 12, duration=[1] * 11)
        shown = self.read()
        mine = "Bean House Mailer"
        for name, bounds in (("latency", LATENCY_BUCKETS), ("try_duration", DURATION_BUCKETS)):
            names = [*(float(bound / 1000) for bound in bounds), float("inf")]
            found = {
                float(key.rsplit(" ", 1)[1]): value
                for key, value in shown.items()
                if key.startswith(f"loyalty_{name}_seconds_bucket {mine}")
            }
            assert found == {bound: place + 1 for place, bound in enumerate(names)}

    def test_the_gauges(self, tool: Integration) -> None:
        Heartbeat.objects.create(name="supervisor a 1", kind="supervisor")
        Lane.objects.update(closed="credentials")
        shown = self.read()
        assert shown["loyalty_clusters"] == 1
        assert shown["loyalty_deliveries_due Bean House Mailer"] == 0
        assert shown["loyalty_deliveries_held Bean House Mailer"] == 3
        assert shown["loyalty_deliveries_in_flight Bean House Mailer"] == 0
        assert shown["loyalty_oldest_due_seconds Bean House Mailer"] == 0
        assert shown["loyalty_integration_closed Bean House Mailer"] == 1

    def test_a_deleted_one_of_the_same_name_does_not_clash(self, store: Store, tool: Integration) -> None:
        tool.archive()
        make_tally(make_integration(store, name="Mailer"), sent=1)
        assert self.read()["loyalty_deliveries_total Bean House Mailer sent"] == 1

    def test_names_of_any_kind(self, store: Store, tool: Integration) -> None:
        Integration.objects.update(name='Mail "er" \\ \n ü')
        assert 'loyalty_deliveries_due Bean House Mail "er" \\ \n ü' in self.read()
