"""What needs somebody of the store: each sentence with its cure; and the figures that it stands beside."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.utils import timezone

from customers.models import Customer, Store
from events.attention import attention, counted
from events.figures import health, points
from events.models import Delivery, Heartbeat, Lane, Notice, Occurrence, Subscription, Tally
from integrations.models import Integration
from tests import factories


@pytest.fixture
def send_event(store: Store) -> Subscription:
    return factories.make_subscription(factories.make_integration(store, name="Shop"))


def tally(send_event: Subscription, minute: datetime, **counts: Any) -> Tally:
    return Tally.objects.create(
        store=send_event.store, integration=send_event.integration, subscription=send_event, minute=minute, **counts
    )


def sentences(store: Store) -> list[str]:
    return [one.sentence for one in attention(store)]


class TestAttention:
    def test_nothing(self, send_event: Subscription, store: Store) -> None:
        assert attention(store) == []

    def test_another_store_does_not_hear_of_it(
        self, send_event: Subscription, customer: Customer, other_store: Store
    ) -> None:
        Lane.objects.update(closed="breaker")
        Occurrence.objects.update(error="broken")
        Store.objects.update(events_on=False)
        assert attention(other_store) == []

    def test_events_are_off_while_something_is_held(self, send_event: Subscription, store: Store) -> None:
        store.events_on = False
        store.save()
        assert attention(store) == []
        factories.make_customer(store, coins=5)
        assert sentences(store) == ["Events are off: 1 delivery is held."]

    def test_an_integration_was_switched_off_by_itself(self, send_event: Subscription, store: Store) -> None:
        factories.make_customer(store, coins=5)
        tool = send_event.integration
        Integration.objects.update(enabled=False, switched_off_reason="nothing succeeded")
        notice = Notice.objects.create(store=store, integration=tool, text="The integration Shop was switched off.")
        assert sentences(store) == ["The integration Shop was switched off."]
        notice.dismiss()
        assert sentences(store) == []

    def test_an_integration_is_off_while_something_waits_for_it(self, send_event: Subscription, store: Store) -> None:
        send_event.integration.switch_off()
        assert attention(store) == []
        factories.make_customer(store, coins=5)
        (one,) = attention(store)
        assert (one.sentence, one.action) == ("Shop is off: 1 delivery waits for it.", "Verify it")
        send_event.integration.note_check(good=True, sentence="It works.")
        assert [one.action for one in attention(store)] == ["Switch it on"]

    def test_a_lane_is_closed(self, send_event: Subscription, store: Store) -> None:
        Lane.objects.update(closed="credentials")
        assert sentences(store) == ["Shop is held: its credentials were refused."]
        send_event.integration.switch_off()
        assert sentences(store) == [], "then nothing is to be sent to it"

    def test_events_could_not_be_evaluated(self, send_event: Subscription, store: Store) -> None:
        factories.make_customer(store, coins=5)
        Occurrence.objects.filter(event_key="walletreward_create").update(error="A restriction does not fit.")
        (one,) = attention(store)
        assert one.sentence == "1 event could not be evaluated in full."
        assert one.url == "/admin/events/occurrence/?kind=attention"

    def test_deliveries_failed_in_the_last_day(self, send_event: Subscription, store: Store) -> None:
        tally(send_event, timezone.now() - timedelta(hours=25), failed=7)
        assert attention(store) == []
        tally(send_event, timezone.now() - timedelta(hours=2), failed=2)
        (one,) = attention(store)
        assert one.sentence == "2 deliveries failed in the last 24 hours."
        assert one.url == "/admin/events/delivery/?status=failed"

    def test_nobody_sends(self, send_event: Subscription, store: Store) -> None:
        factories.make_customer(store, coins=5)
        assert attention(store) == [], "it may be sent any moment"
        Delivery.objects.update(next_attempt_at=timezone.now() - timedelta(minutes=5))
        assert sentences(store) == [
            "1 delivery is due, but nothing is being sent: the cluster is not running. "
            "Tell whoever runs this installation."
        ]
        Heartbeat.objects.create(name="cluster", kind="supervisor")
        assert attention(store) == []

    def test_every_cure_is_a_page_that_answers(
        self, send_event: Subscription, store: Store, owner: User, signed_in: Any
    ) -> None:
        factories.make_customer(store, coins=5)
        Occurrence.objects.update(error="broken")
        tally(send_event, timezone.now() - timedelta(hours=2), failed=2)
        Lane.objects.update(closed="breaker")
        Notice.objects.create(store=store, integration=send_event.integration, text="Look.")
        other = factories.make_integration(store, enabled=False)
        Delivery.objects.update(integration=other)
        store.events_on = False
        store.save()
        found = attention(store)
        assert len(found) == 6
        client = signed_in(owner)
        assert {one.url: client.get(one.url).status_code for one in found} == {one.url: 200 for one in found}

    def test_many_are_not_counted_to_the_end(self) -> None:
        assert counted(1, "delivery is", "deliveries are") == "1 delivery is"
        assert counted(1234, "delivery is", "deliveries are") == "1,234 deliveries are"
        assert counted(10_000, "delivery is", "deliveries are") == "10,000 or more deliveries are"


class TestPoints:
    @time_machine.travel("2026-11-24T20:10:00Z", tick=False)
    def test_days_are_those_of_the_stores_clock(self, send_event: Subscription, store: Store) -> None:
        store.time_zone = "Asia/Kolkata"  # there it is 01:40 on the 25th
        tally(send_event, datetime(2026, 11, 24, 18, 29, tzinfo=UTC), sent=1)  # 23:59
        tally(send_event, datetime(2026, 11, 24, 18, 30, tzinfo=UTC), sent=2)  # 00:00
        days = points(store, days=30)
        assert len(days) == 30
        assert [(f"{point.start:%d %H:%M}", point.sent) for point in days[-2:]] == [("24 00:00", 1), ("25 00:00", 2)]
        hours = points(store, days=1)
        assert len(hours) == 24
        assert [(f"{point.start:%H:%M}", point.sent) for point in hours[-3:]] == [
            ("23:00", 1),
            ("00:00", 2),
            ("01:00", 0),
        ]

    @time_machine.travel("2026-03-29T10:00:00Z", tick=False)
    def test_the_day_on_which_the_clock_is_put_forward(self, send_event: Subscription, store: Store) -> None:
        store.time_zone = "Europe/Berlin"
        tally(send_event, datetime(2026, 3, 29, 1, 30, tzinfo=UTC), failed=3)  # 03:30, the hour after 01:00
        hours = points(store, days=1)
        assert len(hours) == len({point.start for point in hours}) == 24
        assert [(f"{point.start:%H}", point.failed) for point in hours if point.start.hour in (1, 2, 3)] == [
            ("01", 0),
            ("03", 3),
        ]


class TestHealth:
    def test_says_the_state_and_the_delay_in_words(self, send_event: Subscription, store: Store) -> None:
        latency = [0, 0, 0, 1, 8, 1, 0, 0, 0, 0, 0, 0]
        tally(
            send_event,
            timezone.now() - timedelta(hours=2),
            sent=9,
            tries=12,
            failed_tries=3,
            latency=latency,
        )
        (one,) = health(store)
        assert (one.sent, one.success, one.delay_words, one.state) == (9, 75, "under 500 ms", ("good", "On"))
        Lane.objects.update(closed="breaker")
        (one,) = health(store)
        assert one.state == ("bad", "Held")
        send_event.integration.switch_off()
        (one,) = health(store)
        assert one.state == ("idle", "Off")

    @pytest.mark.parametrize(
        ("bucket", "words"),
        [(0, "under 25 ms"), (5, "under 1 s"), (6, "under 2.5 s"), (9, "under 1 min"), (10, "under 60 min")],
    )
    def test_longer_delays(self, send_event: Subscription, store: Store, bucket: int, words: str) -> None:
        latency = [0] * 12
        latency[bucket] = 1
        tally(send_event, timezone.now() - timedelta(hours=2), sent=1, tries=1, latency=latency)
        (one,) = health(store)
        assert one.delay_words == words
