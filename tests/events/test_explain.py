"""Why it was (not) sent: each reading, judged by what the send event said when it happened."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from customers.models import Customer, Store
from events.explain import READINGS, Explanation, explain, explain_all, why_held
from events.models import Delivery, Lane, Occurrence, Subscription
from events.outbox import evaluate_again
from events.testing import recipient, send_test
from integrations.models import Integration
from tests.events.declaring import changed
from tests.factories import give_coins, make_integration, make_subscription

pytestmark = pytest.mark.django_db

MANY_COINS = {"field": "wallettransaction_amount", "operator": "at_least", "value": 100}
REWARDS = {"field": "wallettransaction_type", "operator": "any_of", "value": ["reward"]}
UNKNOWN = {"field": "colour", "operator": "is", "value": "red"}  # fitted an earlier version of the event


@pytest.fixture
def tool(store: Store) -> Integration:
    return make_integration(store, name="Mailer")


@pytest.fixture
def send_event(tool: Integration) -> Subscription:
    """Everything that happens to coins."""
    return make_subscription(tool, name="coins")


def happened(customer: Customer, coins: int = 50, **more: Any) -> Occurrence:
    """A reward."""
    give_coins(customer, coins, **more)
    return Occurrence.objects.latest("id")


def verdict(occurrence: Occurrence) -> Explanation:
    """The only one."""
    (found,) = explain(Occurrence.objects.get(pk=occurrence.pk))
    return found


def reading(occurrence: Occurrence) -> tuple[str, str]:
    found = verdict(occurrence)
    return found.reading, found.sentence


class TestOfADelivery:
    @pytest.mark.parametrize(
        ("columns", "expected"),
        [
            ({}, ("pending", "It is waiting for its turn.")),
            ({"tries": 1, "reason": "Mailer answered 503."}, ("retrying", "Mailer answered 503.")),
            ({"tries": 1}, ("retrying", "It is tried again later.")),
            ({"status": "sending"}, ("sending", "It is being sent.")),
            ({"status": "sent"}, ("sent", "It was accepted.")),
            (
                {"status": "skipped", "reason": "The customer has no e-mail."},
                ("skipped", "The customer has no e-mail."),
            ),
            ({"status": "skipped"}, ("skipped", "It was skipped.")),
            ({"status": "failed", "reason": "Mailer answered 400."}, ("failed", "Mailer answered 400.")),
            ({"status": "failed"}, ("failed", "It failed.")),
            ({"status": "cancelled", "reason": "cancelled by Mia"}, ("cancelled", "cancelled by Mia")),
            ({"status": "cancelled"}, ("cancelled", "It was cancelled.")),
        ],
    )
    def test_its_reading_and_its_reason(
        self, customer: Customer, send_event: Subscription, columns: dict[str, Any], expected: tuple[str, str]
    ) -> None:
        occurrence = happened(customer)
        Delivery.objects.update(**columns)
        assert reading(occurrence) == expected
        assert READINGS[expected[0]]
        found = verdict(occurrence)
        assert (found.label, found.delivery, found.subscription) == (
            "coins → Mailer",
            Delivery.objects.get(),
            send_event,
        )

    def test_when_it_is_tried_next(self, customer: Customer, send_event: Subscription) -> None:
        occurrence = happened(customer)
        soon = timezone.now() + timedelta(minutes=2)
        Delivery.objects.update(tries=1, next_attempt_at=soon)
        assert verdict(occurrence).next_try == soon
        Store.objects.update(events_on=False)
        assert verdict(occurrence).next_try is None

    def test_held_says_by_what(self, customer: Customer, send_event: Subscription) -> None:
        occurrence = happened(customer)
        Delivery.objects.update(tries=1, reason="Mailer answered 503.")
        Store.objects.update(events_on=False)
        Subscription.objects.update(enabled=False)
        assert reading(occurrence) == ("held", "Events are off in this store. The send event is off.")

    def test_its_findings_are_of_the_version_in_force(self, customer: Customer, tool: Integration) -> None:
        subscription = make_subscription(tool, "walletreward_create", REWARDS)
        occurrence = happened(customer)
        subscription.restrictions = [MANY_COINS]
        subscription.save()
        (finding,) = verdict(occurrence).findings
        assert (str(finding.restriction), finding.found_label, finding.holds) == (
            "Wallet Transaction Types is one of Reward",
            "Reward",
            True,
        )

    def test_its_label_is_that_of_its_recording(self, customer: Customer, send_event: Subscription) -> None:
        occurrence = happened(customer)
        send_event.name = "beans"
        send_event.save()
        assert verdict(occurrence).label == "coins → Mailer"


class TestWithoutADelivery:
    def test_its_restrictions_did_not_hold(self, customer: Customer, tool: Integration) -> None:
        make_subscription(tool, "walletreward_create", REWARDS, MANY_COINS)
        occurrence = happened(customer)
        assert reading(occurrence) == ("not_matched", "Its restrictions did not hold.")
        rewards, many = verdict(occurrence).findings
        assert (rewards.holds, many.holds, many.found_label) == (True, False, "50")
        assert verdict(occurrence).failed == [many]

    def test_it_was_off(self, customer: Customer, send_event: Subscription) -> None:
        send_event.switch(on=False)
        occurrence = happened(customer)
        send_event.switch(on=True)
        assert reading(occurrence) == ("off", "The send event was off when it happened.")

    def test_it_was_made_later(self, customer: Customer, tool: Integration) -> None:
        occurrence = happened(customer)
        make_subscription(tool)
        assert reading(occurrence) == ("later", "The send event was made later.")

    def test_it_was_imported_silently(self, customer: Customer, send_event: Subscription) -> None:
        occurrence = happened(customer, silent=True)
        assert reading(occurrence) == ("silent", "It was imported silently: recorded, and not sent.")

    def test_a_restriction_no_longer_fits_the_event(self, customer: Customer, tool: Integration) -> None:
        make_subscription(tool, "walletreward_create", UNKNOWN)
        occurrence = happened(customer)
        assert occurrence.error
        assert reading(occurrence) == (
            "unclear",
            "It could not be evaluated. Wallet Coins Rewarded cannot be restricted by “colour”.",
        )

    def test_a_value_could_not_be_read(self, customer: Customer, tool: Integration) -> None:
        make_subscription(tool, "walletreward_create", MANY_COINS)
        occurrence = happened(customer)
        Occurrence.objects.update(payload={**occurrence.payload, "wallettransaction_amount": "plenty"})
        assert reading(occurrence) == (
            "unclear",
            "It could not be evaluated. Coins: the value found, “plenty”, is not a whole number.",
        )

    def test_what_does_not_hold_settles_it_whatever_else_could_not_be_read(
        self, customer: Customer, tool: Integration
    ) -> None:
        redemptions = {**REWARDS, "value": ["redeem"]}
        make_subscription(tool, "walletreward_create", MANY_COINS, redemptions)
        occurrence = happened(customer)
        Occurrence.objects.update(payload={**occurrence.payload, "wallettransaction_amount": "plenty"})
        assert reading(occurrence)[0] == "not_matched"

    def test_the_payload_could_not_be_built(self, customer: Customer, send_event: Subscription) -> None:
        def broken(_: Any) -> dict[str, Any]:
            raise LookupError("no such drawer")

        with changed("walletreward_create", build=broken):
            occurrence = happened(customer)
        assert reading(occurrence) == (
            "unclear",
            "It could not be evaluated. The payload could not be built: LookupError: no such drawer",
        )
        assert evaluate_again(occurrence) == 1
        assert reading(occurrence)[0] == "pending"

    def test_what_failed_then_is_told_as_it_was_noted(self, customer: Customer, send_event: Subscription) -> None:
        occurrence = happened(customer)
        Delivery.objects.all().delete()
        Occurrence.objects.filter(pk=occurrence.pk).update(
            error="beans: ValueError: not this one\ncoins: KeyError: 'spoon'"
        )
        assert reading(occurrence) == ("unclear", "It could not be evaluated. KeyError: 'spoon'")

    def test_its_delivery_was_pruned(self, customer: Customer, send_event: Subscription) -> None:
        occurrence = happened(customer)
        Delivery.objects.all().delete()
        assert reading(occurrence) == ("gone", "It matched. What became of it is no longer kept.")

    def test_the_event_is_no_longer_in_the_catalogue(self, customer: Customer, send_event: Subscription) -> None:
        occurrence = happened(customer)
        Delivery.objects.all().delete()
        Occurrence.objects.filter(pk=occurrence.pk).update(event_key="latte_poured")
        Subscription.objects.update(event_key="latte_poured")
        assert reading(occurrence)[0] == "unclear"

    def test_by_the_version_in_force_and_under_its_name(self, customer: Customer, tool: Integration) -> None:
        subscription = make_subscription(tool, "walletreward_create", MANY_COINS, name="big")
        occurrence = happened(customer)
        subscription.name, subscription.restrictions = "any", []
        subscription.integration = make_integration(tool.store, name="Newsletter")
        subscription.save()
        found = verdict(occurrence)
        assert (found.reading, found.label) == ("not_matched", "big → Mailer")
        assert str(found.findings[0].restriction) == "Coins is at least 100"

    def test_what_was_deleted_before_has_no_verdict(self, customer: Customer, send_event: Subscription) -> None:
        send_event.archive()
        assert explain(happened(customer)) == []

    def test_what_was_deleted_since_has_one(self, customer: Customer, tool: Integration) -> None:
        subscription = make_subscription(tool, "walletreward_create", MANY_COINS)
        occurrence = happened(customer)
        subscription.archive()
        assert reading(occurrence)[0] == "not_matched"


class TestWhichSendEvents:
    def test_only_those_of_the_event(self, customer: Customer, tool: Integration) -> None:
        make_subscription(tool, "coupon_create")
        assert explain(happened(customer)) == []

    def test_only_those_of_the_store(self, customer: Customer, other_store: Store) -> None:
        make_subscription(make_integration(other_store))
        assert explain(happened(customer)) == []

    def test_deliveries_come_first(self, customer: Customer, tool: Integration) -> None:
        make_subscription(tool, "walletreward_create", MANY_COINS, name="a")
        make_subscription(tool, name="c")
        make_subscription(tool, name="b")
        assert [one.label for one in explain(happened(customer))] == ["b → Mailer", "c → Mailer", "a → Mailer"]

    def test_a_test_concerns_nobody_else(
        self, customer: Customer, integration: Integration, send_event: Subscription
    ) -> None:
        from events.catalogue import event_type

        send_test(
            kind=event_type("walletreward_create"),
            integration=integration,
            to=recipient(customer.store, email="ada@example.com"),
            event_name="trial",
            restrictions=[],
        )
        found = verdict(Occurrence.objects.get(is_test=True))
        assert (found.reading, found.subscription, found.label) == ("sent", None, f"trial → {integration.name}")


class TestQueries:
    def count(self, occurrences: list[Occurrence]) -> int:
        with CaptureQueriesContext(connection) as queries:
            explain_all(occurrences)
        return len(queries)

    def test_as_many_for_one_as_for_many(self, customer: Customer, tool: Integration) -> None:
        make_subscription(tool)
        one = [happened(customer)]
        few = self.count(one)
        for number in range(12):
            make_subscription(tool, "walletreward_create", *([MANY_COINS] if number % 2 else []), name=f"n{number}")
        many = [happened(customer, 10 * number) for number in range(1, 13)]
        assert few == self.count(many) == 4
        assert {len(verdicts) for verdicts in explain_all(many).values()} == {13}


class TestWhyHeld:
    def held(self) -> list[tuple[str, str, bool]]:
        delivery = Delivery.objects.with_reading().get()
        holds = why_held(delivery)
        assert bool(holds) == (getattr(delivery, "reading", "") == "held")
        return [(hold.sentence, hold.then, hold.at is not None) for hold in holds]

    @pytest.fixture(autouse=True)
    def delivery(self, customer: Customer, send_event: Subscription) -> Delivery:
        happened(customer)
        return Delivery.objects.get()

    def test_by_nothing(self) -> None:
        assert self.held() == []

    def test_by_the_store(self) -> None:
        Store.objects.update(events_on=False)
        assert self.held() == [("Events are off in this store.", "", False)]

    def test_by_its_send_event(self) -> None:
        Subscription.objects.update(enabled=False)
        assert self.held() == [("The send event is off.", "", False)]

    def test_by_its_integration(self) -> None:
        Integration.objects.update(enabled=False)
        assert self.held() == [("Mailer is off.", "", False)]

    def test_by_an_integration_that_was_switched_off_by_itself(self) -> None:
        Integration.objects.update(enabled=False, switched_off_reason="Mailer answered 410.")
        assert self.held() == [("Mailer is off: Mailer answered 410.", "", False)]

    @pytest.mark.parametrize(
        ("closed", "why"),
        [("breaker", "too many failures in a row"), ("credentials", "its credentials were refused")],
    )
    def test_by_its_lane(self, closed: str, why: str) -> None:
        Lane.objects.update(closed=closed, probe_at=Now())
        assert self.held() == [(f"Mailer is held, because {why}.", "It is tried with one delivery at", True)]

    def test_by_a_tool_that_asked_to_wait(self) -> None:
        Lane.objects.update(not_before=timezone.now() + timedelta(minutes=1))
        assert self.held() == [("Mailer asked to wait.", "It goes on at", True)]
        Lane.objects.update(not_before=timezone.now() - timedelta(minutes=1))
        assert self.held() == []

    def test_by_all_of_it(self) -> None:
        Store.objects.update(events_on=False)
        Subscription.objects.update(enabled=False)
        Integration.objects.update(enabled=False)
        Lane.objects.update(closed="breaker", not_before=timezone.now() + timedelta(minutes=1))
        assert len(self.held()) == 5
