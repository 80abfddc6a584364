"""The sweep puts right what the doctor finds, and nothing else."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from customers.models import Store
from events import healing, tasks
from events.models import Attempt, Delivery, Occurrence
from integrations.models import Integration
from tests.factories import make_customer, make_integration, make_subscription

pytestmark = pytest.mark.django_db


@pytest.fixture
def tool(store: Store) -> Integration:
    integration = make_integration(store)
    make_subscription(integration, "lead_create")
    return integration


@pytest.fixture
def delivery(tool: Integration, store: Store) -> Delivery:
    """One that is due."""
    make_customer(store)
    return Delivery.objects.get()


def after_the_sweep(delivery: Delivery) -> Delivery:
    tasks.sweep()
    delivery.refresh_from_db()
    assert [state.words for state in healing.IMPOSSIBLE if state.cure is not None and state.count()] == []
    return delivery


class TestHeal:
    @pytest.mark.parametrize(
        "changes", [{"claim": None, "leased_until": timezone.now()}, {"claim": uuid4()}], ids=["claim", "lease"]
    )
    def test_being_sent_by_nobody_it_is_given_back(self, delivery: Delivery, changes: dict[str, Any]) -> None:
        Delivery.objects.update(status="sending", **changes)
        after_the_sweep(delivery)
        assert (delivery.status, delivery.leased_until) == ("pending", None)
        assert Attempt.objects.get().outcome == "unknown", "nobody can say whether it arrived"

    def test_a_test_that_waits_has_failed(self, delivery: Delivery) -> None:
        Delivery.objects.update(is_test=True)
        after_the_sweep(delivery)
        assert (delivery.status, delivery.reason) == ("failed", "The test was interrupted before it was sent.")
        assert delivery.finished_at

    def test_without_a_send_event_it_is_cancelled(self, delivery: Delivery) -> None:
        Delivery.objects.update(subscription=None)
        after_the_sweep(delivery)
        assert (delivery.status, delivery.reason) == ("cancelled", "Its send event or its integration was deleted.")

    def test_for_something_deleted_it_is_cancelled(self, tool: Integration, delivery: Delivery) -> None:
        tool.subscriptions.update(archived_at=timezone.now())
        after_the_sweep(delivery)
        assert (delivery.status, delivery.reason) == ("cancelled", "Its send event or its integration was deleted.")
        assert delivery.finished_at

    def test_finished_without_a_time_it_gets_one(self, delivery: Delivery) -> None:
        Delivery.objects.update(status="sent")
        after_the_sweep(delivery)
        assert delivery.status == "sent"
        assert delivery.finished_at

    def test_whose_it_is_only_a_person_can_tell(self, other_store: Store, delivery: Delivery) -> None:
        Occurrence.objects.update(store=other_store)
        before = Delivery.objects.values().get()
        assert healing.heal() == 0
        assert Delivery.objects.values().get() == before

    @pytest.mark.parametrize(
        "changes",
        [
            {},
            {"status": "sending", "claim": uuid4(), "leased_until": timezone.now() + timedelta(days=365)},
            {"status": "sent", "finished_at": timezone.now()},
        ],
        ids=["pending", "sending", "sent"],
    )
    def test_what_is_well_is_left_alone(self, delivery: Delivery, changes: dict[str, Any]) -> None:
        Delivery.objects.update(**changes)
        before = Delivery.objects.values().get()
        assert healing.heal() == 0
        assert Delivery.objects.values().get() == before

    def test_each_is_told_to_the_operator(self, delivery: Delivery, caplog: pytest.LogCaptureFixture) -> None:
        Delivery.objects.update(status="sent")
        assert healing.heal() == 1
        assert "Deliveries finished without a time: 1, put right. Please report this as a bug." in caplog.messages


class TestQueries:
    def test_one_for_each_state(self, delivery: Delivery) -> None:
        with CaptureQueriesContext(connection) as queries:
            healing.heal()
        assert len(queries) == len([state for state in healing.IMPOSSIBLE if state.cure is not None])
