"""Stories: of a delivery from its recording on, and of a person, newest event first."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from customers.models import Customer, Store
from events.models import Delivery, Occurrence
from events.story import happenings, story_of
from integrations.models import Integration
from tests.api_fixtures import an_attempt
from tests.factories import give_coins, make_integration, make_subscription

pytestmark = pytest.mark.django_db

MANY_COINS = {"field": "wallettransaction_amount", "operator": "at_least", "value": 100}


@pytest.fixture
def tool(store: Store) -> Integration:
    return make_integration(store, name="Mailer")


@pytest.fixture
def delivery(customer: Customer, tool: Integration) -> Delivery:
    make_subscription(tool)
    give_coins(customer, 50)
    return Delivery.objects.get()


def steps(delivery: Delivery) -> list[tuple[str, str, str]]:
    delivery.refresh_from_db()
    return [(step.title, step.outcome, step.detail) for step in story_of(delivery)]


def minutes(number: int) -> Any:
    return timezone.now() + timedelta(minutes=number)


class TestStoryOf:
    def test_it_begins_with_its_recording(self, delivery: Delivery) -> None:
        assert steps(delivery) == [("Recorded", "recorded", "")]

    def test_each_try_in_its_order(self, delivery: Delivery) -> None:
        an_attempt(delivery, number=2, outcome="sent", detail="", started_at=minutes(2))
        an_attempt(delivery, number=1, outcome="retry", detail="Webhook answered 503.", started_at=minutes(1))
        assert steps(delivery) == [
            ("Recorded", "recorded", ""),
            ("Try 1: to be tried again", "retry", "Webhook answered 503."),
            ("Try 2: sent", "sent", ""),
        ]
        assert story_of(delivery)[1].attempt == delivery.attempts.get(number=1)

    def test_who_sent_it_again(self, delivery: Delivery) -> None:
        user = User.objects.create_user("mia", first_name="Mia", last_name="Brandt")
        an_attempt(delivery, outcome="failed", detail="Webhook answered 400.", started_at=minutes(1))
        entry = LogEntry.objects.create(
            user=user,
            content_type=ContentType.objects.get_for_model(Delivery),
            object_id=str(delivery.pk),
            action_flag=CHANGE,
            change_message="Sent again",
        )
        LogEntry.objects.filter(pk=entry.pk).update(action_time=minutes(2))
        an_attempt(delivery, outcome="sent", detail="", started_at=minutes(3))
        assert [title for title, _, _ in steps(delivery)] == [
            "Recorded",
            "Try 1: failed",
            "Sent again by Mia Brandt",
            "Try 1: sent",
        ]

    @pytest.mark.parametrize(
        ("status", "reason"), [("skipped", "The customer has no e-mail."), ("cancelled", "cancelled by Mia")]
    )
    def test_how_it_ended_without_a_try(self, delivery: Delivery, status: str, reason: str) -> None:
        Delivery.objects.update(status=status, reason=reason, finished_at=minutes(1))
        assert steps(delivery) == [("Recorded", "recorded", ""), (status.capitalize(), status, reason)]

    def test_three_queries_at_most(self, delivery: Delivery) -> None:
        for number in range(1, 6):
            an_attempt(delivery, number=number)
        ContentType.objects.get_for_model(Delivery)
        with CaptureQueriesContext(connection) as queries:
            assert len(story_of(delivery)) == 6
        assert len(queries) == 2


class TestHappenings:
    def test_what_was_sent_and_what_was_not(self, customer: Customer, tool: Integration) -> None:
        make_subscription(tool, name="all")
        make_subscription(tool, "walletreward_create", MANY_COINS, name="many")
        give_coins(customer, 50)
        one, joined = happenings(list(Occurrence.objects.filter(customer=customer)))
        assert [verdict.label for verdict in one.sent] == ["all → Mailer"]
        assert [(verdict.label, verdict.reading) for verdict in one.unsent] == [("many → Mailer", "not_matched")]
        assert (joined.occurrence.event_key, joined.sent, joined.unsent) == ("lead_create", [], [])

    @pytest.mark.parametrize(
        ("statuses", "mark"),
        [
            (["sent", "sent"], "sent"),
            (["sent", "pending"], "pending"),
            (["failed", "sent"], "failed"),
            (["skipped", "cancelled"], ""),
        ],
    )
    def test_the_gravest_marks_it(self, customer: Customer, tool: Integration, statuses: list[str], mark: str) -> None:
        for _ in statuses:
            make_subscription(tool)
        give_coins(customer, 50)
        for delivery, status in zip(Delivery.objects.all(), statuses, strict=True):
            Delivery.objects.filter(pk=delivery.pk).update(status=status)
        assert happenings([Occurrence.objects.latest("id")])[0].mark == mark

    def test_nothing_happened(self, db: None) -> None:
        assert happenings([]) == []
