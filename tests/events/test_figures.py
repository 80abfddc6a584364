"""The figures of the screens: counted out of the tallies, on the store's clock."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from customers.models import Customer, Store
from events import figures
from events.figures import BEYOND, Health, median
from events.models import Delivery, Lane, Subscription, Tally
from events.models.lane import LATENCY_BUCKETS
from integrations.models import Integration
from tests.factories import give_coins, make_integration, make_store, make_subscription, make_tally

pytestmark = pytest.mark.django_db


@pytest.fixture
def tool(store: Store) -> Integration:
    return make_integration(store, name="Mailer")


def tally_at(integration: Integration, moment: datetime, **counts: Any) -> Tally:
    tally = make_tally(integration, **counts)
    Tally.objects.filter(pk=tally.pk).update(minute=moment)
    return tally


def latencies(**at: int) -> list[int]:
    """Counts by bucket: `latencies(b0=3)` are three of at most 25 ms."""
    return [at.get(f"b{place}", 0) for place in range(len(LATENCY_BUCKETS) + 1)]


class TestPoints:
    def test_a_day_has_an_hour_for_each_bar_without_gaps(self, store: Store) -> None:
        with time_machine.travel("2026-06-10T14:42:00Z", tick=False):
            found = figures.points(store, days=1)
        assert len(found) == 24
        assert found[-1].start == datetime(2026, 6, 10, 14, tzinfo=UTC)
        assert {later.start - earlier.start for earlier, later in itertools.pairwise(found)} == {timedelta(hours=1)}
        assert {(point.sent, point.failed, point.skipped) for point in found} == {(0, 0, 0)}

    def test_more_days_have_a_day_for_each(self, store: Store) -> None:
        with time_machine.travel("2026-06-10T14:42:00Z", tick=False):
            found = figures.points(store, days=30)
        assert len(found) == 30
        assert (found[0].start, found[-1].start) == (
            datetime(2026, 5, 12, tzinfo=UTC),
            datetime(2026, 6, 10, tzinfo=UTC),
        )

    @time_machine.travel("2026-06-10T14:42:00Z", tick=False)
    def test_the_minutes_of_an_hour_add_up(self, store: Store, tool: Integration) -> None:
        tally_at(tool, datetime(2026, 6, 10, 13, 0, tzinfo=UTC), sent=3, failed=1)
        tally_at(tool, datetime(2026, 6, 10, 13, 59, tzinfo=UTC), sent=2, skipped=4)
        tally_at(tool, datetime(2026, 6, 10, 14, 0, tzinfo=UTC), sent=1)
        tally_at(tool, datetime(2026, 6, 9, 14, 59, tzinfo=UTC), sent=100)  # a day and a minute ago
        *before, last_but_one, last = figures.points(store, days=1)
        assert (last_but_one.sent, last_but_one.failed, last_but_one.skipped) == (5, 1, 4)
        assert (last.sent, last.failed, last.skipped) == (1, 0, 0)
        assert sum(point.sent for point in before) == 0

    @pytest.mark.parametrize(
        ("zone", "today"),
        [("UTC", 3), ("Asia/Kolkata", 1), ("America/New_York", 3)],
    )
    def test_a_day_is_one_of_the_stores_own_clock(self, zone: str, today: int) -> None:
        """19:00 UTC is half past midnight in Kolkata and the afternoon in New York."""
        store = make_store(time_zone=zone)
        tool = make_integration(store)
        with time_machine.travel("2026-06-10T19:40:00Z", tick=False):
            for hour, day in ((19, 10), (18, 10), (23, 9), (5, 10)):
                tally_at(tool, datetime(2026, 6, day, hour, 10, tzinfo=UTC), sent=1)
            found = [point.sent for point in figures.points(store, days=7)]
        assert (found[-1], sum(found)) == (today, 4)

    def test_hours_of_a_zone_beside_the_full_hour(self) -> None:
        store = make_store(time_zone="Asia/Kolkata")
        tool = make_integration(store)
        with time_machine.travel("2026-06-10T14:42:00Z", tick=False):  # 20:12 in Kolkata
            tally_at(tool, datetime(2026, 6, 10, 14, 29, tzinfo=UTC), sent=1)
            tally_at(tool, datetime(2026, 6, 10, 14, 31, tzinfo=UTC), sent=2)
            *_, last_but_one, last = figures.points(store, days=1)
        assert (last_but_one.sent, last.sent) == (1, 2)

    @pytest.mark.parametrize(("days", "bars"), [(1, 24), (30, 30)])
    def test_nothing_is_lost_when_the_clocks_are_changed(self, days: int, bars: int) -> None:
        store = make_store(time_zone="Europe/Berlin")
        tool = make_integration(store)
        with time_machine.travel("2026-10-25T12:00:00Z", tick=False):  # the night before, 3:00 was 2:00 once more
            for hour in range(12):
                tally_at(tool, datetime(2026, 10, 25, hour, 30, tzinfo=UTC), sent=1)
            found = figures.points(store, days=days)
        assert len({point.start.astimezone(UTC) for point in found}) == bars
        assert sum(point.sent for point in found) == 12

    def test_only_of_this_store(self, store: Store, other_store: Store) -> None:
        make_tally(make_integration(other_store), sent=5)
        assert sum(point.sent for point in figures.points(store, days=1)) == 0


class TestHeld:
    def test_what_a_switch_holds(self, store: Store, customer: Customer, tool: Integration) -> None:
        make_subscription(tool)
        give_coins(customer, 50)
        assert figures.held(store) == 0
        Store.objects.update(events_on=False)
        store.refresh_from_db()
        assert figures.held(store) == 1

    def test_it_counts_so_far_and_no_further(
        self, store: Store, customer: Customer, tool: Integration, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(figures, "MANY", 2)
        make_subscription(tool)
        Integration.objects.update(enabled=False)
        for _ in range(3):
            give_coins(customer, 50)
        assert figures.held(store) == 2


class TestHealth:
    def test_the_last_24_hours_of_each(self, store: Store, tool: Integration) -> None:
        make_tally(tool, minutes=1, sent=6, tries=8, failed_tries=2, latency=latencies(b3=6))
        make_tally(tool, minutes=23 * 60, sent=2, tries=2, latency=latencies(b5=2))
        make_tally(tool, minutes=25 * 60, sent=100, tries=100, latency=latencies(b9=100))
        idle = make_integration(store, name="Newsletter")
        mailer, newsletter = figures.health(store)
        assert (mailer.integration, mailer.sent, mailer.tries, mailer.failed_tries) == (tool, 8, 10, 2)
        assert (mailer.success, mailer.delay_ms, mailer.delay_words) == (80, 250, "under 250 ms")
        assert (newsletter.integration, newsletter.success, newsletter.delay_words) == (idle, None, "")

    def test_one_by_itself_reads_the_same(self, store: Store, tool: Integration) -> None:
        make_tally(tool, sent=6, tries=8, failed_tries=2, latency=latencies(b3=6))
        make_tally(make_integration(store, name="Newsletter"), sent=1, tries=1, latency=latencies(b1=1))
        assert figures.health_of(tool) == figures.health(store)[0]

    def test_what_was_deleted_is_not_shown(self, store: Store, tool: Integration) -> None:
        tool.archive()
        assert figures.health(store) == []

    def test_a_closed_lane_says_why(self, store: Store, tool: Integration) -> None:
        Lane.objects.update(closed="credentials")
        (found,) = figures.health(store)
        assert (found.closed, found.state) == ("its credentials were refused", ("bad", "Held"))

    @pytest.mark.parametrize(
        ("columns", "state"),
        [
            ({}, ("good", "On")),
            ({"enabled": False}, ("idle", "Off")),
            ({"enabled": False, "switched_off_reason": "It answered 410."}, ("bad", "Off")),
        ],
    )
    def test_its_state(self, store: Store, tool: Integration, columns: dict[str, Any], state: tuple[str, str]) -> None:
        Integration.objects.update(**columns)
        assert figures.health(store)[0].state == state

    @pytest.mark.parametrize(
        ("delay_ms", "words"),
        [(None, ""), (25, "under 25 ms"), (2500, "under 2.5 s"), (60_000, "under 1 min"), (BEYOND, "over an hour")],
    )
    def test_the_delay_in_words(self, tool: Integration, delay_ms: int | None, words: str) -> None:
        health = Health(integration=tool, sent=0, tries=0, failed_tries=0, delay_ms=delay_ms, closed="")
        assert health.delay_words == words

    def test_as_many_queries_for_one_as_for_many(self, store: Store, tool: Integration) -> None:
        with CaptureQueriesContext(connection) as one:
            figures.health(store)
        for _ in range(5):
            make_tally(make_integration(store))
        with CaptureQueriesContext(connection) as many:
            assert len(figures.health(store)) == 6
        assert len(one) == len(many)


class TestMedian:
    @pytest.mark.parametrize(
        ("counts", "found"),
        [
            ([], None),
            ([latencies()], None),
            ([latencies(b0=1)], 25),
            ([latencies(b0=1, b2=1)], 25),
            ([latencies(b0=1, b2=2)], 100),
            ([latencies(b0=2), latencies(b2=3)], 100),
            ([latencies(b11=1)], BEYOND),
            ([[], latencies(b2=1)], 100),  # a minute in which nothing was counted
            ([[1, 0], latencies(b2=3)], 100),  # kept by a version with fewer buckets
        ],
    )
    def test_the_upper_bound_of_its_bucket(self, counts: list[list[int]], found: int | None) -> None:
        assert median(counts) == found


class TestOfSendEvents:
    def test_what_it_sent_in_7_days_and_its_newest_delivery(self, customer: Customer, tool: Integration) -> None:
        subscription = make_subscription(tool)
        make_tally(tool, minutes=60, sent=2)
        make_tally(tool, minutes=6 * 24 * 60, sent=3)
        make_tally(tool, minutes=8 * 24 * 60, sent=100)
        for _ in range(2):
            give_coins(customer, 50)
        newest = Delivery.objects.latest("id")
        Delivery.objects.filter(pk=newest.pk).update(tries=1)
        found = figures.of_send_events([subscription])[subscription.pk]
        assert (found.sent, found.last) == (5, newest)
        assert getattr(found.last, "reading", "") == "retrying"

    def test_a_test_is_no_delivery_of_it(self, customer: Customer, tool: Integration) -> None:
        subscription = make_subscription(tool)
        give_coins(customer, 50)
        Delivery.objects.update(is_test=True)
        found = figures.of_send_events([subscription])[subscription.pk]
        assert (found.sent, found.last) == (0, None)

    def test_two_queries_however_many_there_are(self, customer: Customer, tool: Integration) -> None:
        for number in range(5):
            make_subscription(tool, name=f"n{number}")
        give_coins(customer, 50)
        send_events = list(Subscription.objects.all())
        with CaptureQueriesContext(connection) as queries:
            found = figures.of_send_events(send_events)
        assert len(queries) == 2
        assert all(one.last for one in found.values())
