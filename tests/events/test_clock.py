"""A clock that was put back keeps nobody waiting for the time that passes twice; nobody is hurried otherwise."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_q.models import Schedule
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from customers.models import Customer, Store
from events import claims, clock, results
from events.models import Delivery, Lane
from events.models.delivery import DeliveryStatus
from events.supervisor import Supervisor
from integrations.models import Integration
from tests.factories import give_coins, make_integration, make_subscription

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


@pytest.fixture
def tool(store: Store) -> Integration:
    integration = make_integration(store)
    make_subscription(integration)
    return integration


@pytest.fixture
def delivery(tool: Integration, customer: Customer) -> Delivery:
    """One that is due."""
    give_coins(customer, 1)
    return Delivery.objects.get()


def planned(delivery: Delivery, when: datetime, **changes: Any) -> datetime:
    """When it is tried after the correction, if it was planned for this time."""
    Delivery.objects.filter(pk=delivery.pk).update(next_attempt_at=when, **changes)
    clock.correct()
    delivery.refresh_from_db()
    return delivery.next_attempt_at


class TestDeliveries:
    def test_what_was_recorded_while_it_was_ahead_is_due(self, delivery: Delivery) -> None:
        assert planned(delivery, timezone.now() + HOUR) <= timezone.now()

    @pytest.mark.parametrize("tries", range(4))
    def test_a_retry_waits_no_longer_than_its_schedule(self, delivery: Delivery, tries: int) -> None:
        """After four tries it is three hours, of which an hour more or less is noticed; after five it is most of a day."""
        wait = timedelta(seconds=results.RETRY_DELAYS[tries - 1]) if tries else timedelta()
        assert planned(delivery, timezone.now() + wait + HOUR, tries=tries) <= timezone.now()

    @settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(tries=st.integers(1, 5), chance=st.floats(0, 1))
    def test_a_retry_that_was_planned_rightly_is_left_alone(
        self, delivery: Delivery, tries: int, chance: float
    ) -> None:
        when = timezone.now() + timedelta(seconds=results.retry_delay(tries, chance=chance))
        assert planned(delivery, when, tries=tries) == when

    def test_what_the_tool_asked_for_is_kept(self, delivery: Delivery) -> None:
        when = timezone.now() + 5 * HOUR
        Lane.objects.update(not_before=when)
        assert planned(delivery, when, tries=1) == when

    def test_a_lease_is_no_longer_than_a_lease(self, delivery: Delivery) -> None:
        Delivery.objects.update(status=DeliveryStatus.SENDING, leased_until=timezone.now() + HOUR)
        clock.correct()
        delivery.refresh_from_db()
        assert delivery.leased_until is not None
        assert delivery.leased_until <= timezone.now() + claims.LEASE

    def test_a_lease_that_was_just_given_is_kept(self, delivery: Delivery) -> None:
        (claimed,) = claims.claim(free=1, slots=8, flying={}).deliveries
        delivery.refresh_from_db()
        before = delivery.leased_until
        assert clock.correct() == 0
        claimed.refresh_from_db()
        assert claimed.leased_until == before


class TestLanes:
    @pytest.mark.parametrize(
        ("name", "others"),
        [
            ("probe_at", {"closed": "breaker"}),
            ("probe_at", {"closed": "credentials"}),
            ("not_before", {}),
            ("tokens_at", {}),
            ("served_at", {}),
        ],
    )
    def test_none_waits_longer_than_its_rule(self, tool: Integration, name: str, others: dict[str, str]) -> None:
        Lane.objects.update(**{name: timezone.now() + 25 * HOUR}, **others)
        assert clock.correct() == 1
        assert getattr(Lane.objects.get(), name) <= timezone.now()

    @pytest.mark.parametrize(
        ("name", "wait", "others"),
        [
            ("probe_at", timedelta(minutes=10), {"closed": "breaker"}),
            ("probe_at", timedelta(hours=2), {"closed": "credentials"}),
            ("not_before", timedelta(days=1), {}),
        ],
    )
    def test_what_its_rule_says_is_left_alone(
        self, tool: Integration, name: str, wait: timedelta, others: dict[str, str]
    ) -> None:
        Lane.objects.update(**{name: timezone.now() + wait}, **others)
        assert clock.correct() == 0


class TestSchedules:
    def test_what_is_due_by_the_clock_goes_on(self) -> None:
        Schedule.objects.update(next_run=timezone.now() + HOUR)
        assert clock.correct() == Schedule.objects.count()
        assert all(one.next_run <= timezone.now() for one in Schedule.objects.all())

    def test_what_waits_for_its_turn_is_left_alone(self) -> None:
        for one in Schedule.objects.all():
            one.next_run = timezone.now() + timedelta(minutes=one.minutes)
            one.save()
        assert clock.correct() == 0


class TestSupervisor:
    def test_it_looks_now_and_then(self, delivery: Delivery, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Supervisor, "_restart", lambda *_: None)
        supervisor = Supervisor()
        Delivery.objects.update(next_attempt_at=timezone.now() + HOUR)
        supervisor.tick()
        delivery.refresh_from_db()
        assert delivery.next_attempt_at <= timezone.now()
        with CaptureQueriesContext(connection) as queries:
            supervisor.tick()
        assert not [one for one in queries if "next_run" in one["sql"]], "not each second"
