"""The API of send events: made, changed, tried and counted before anybody relies on them."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from customers.models import Customer, Store
from events import matching
from events.models import Delivery, Occurrence, Subscription
from integrations.models import Integration
from tests.api_fixtures import a_delivery, an_occurrence, problem, refusal
from tests.factories import make_integration, make_subscription
from tests.receiver import Answer, Receiver

pytestmark = pytest.mark.django_db

SEND_EVENTS = "/api/v1/send-events/"
INITIAL = [
    {"field": "wallettransaction_type", "operator": "any_of", "value": ["reward"]},
    {"field": "wallettransaction_operation", "operator": "any_of", "value": ["cr"]},
]
AT_LEAST_50 = {"field": "wallettransaction_amount", "operator": "at_least", "value": 50}


@pytest.fixture
def connected(store: Store) -> Integration:
    return make_integration(store, name="Shop hook")


@pytest.fixture
def send_event(connected: Integration) -> Subscription:
    return make_subscription(connected, "walletreward_create", AT_LEAST_50, prefix="shop_", name="coins")


def entered(integration: Integration, **more: Any) -> dict[str, Any]:
    return {"integration": str(integration.pk), "event_key": "walletreward_create", **more}


def rewarded(customer: Customer, amount: Any, *, days_ago: float = 1) -> Occurrence:
    moment = timezone.now() - timedelta(days=days_ago)
    payload = {"wallettransaction_amount": amount, "event_occurred_at": moment.isoformat()}
    return an_occurrence(customer, payload=payload, occurred_at=moment)


class TestCreate:
    def test_it_is_stored_and_shown(self, api: APIClient, store: Store, connected: Integration) -> None:
        response = api.post(SEND_EVENTS, entered(connected, prefix="shop_", restrictions=[AT_LEAST_50], enabled=False))
        row = Subscription.objects.get(store=store)
        assert response.status_code == 201
        assert response.json() == {
            "id": str(row.pk),
            "integration": str(connected.pk),
            "event_key": "walletreward_create",
            "prefix": "shop_",
            "name": "",
            "event_name": "shop_walletreward_create",
            "label": "shop_walletreward_create → Shop hook",
            "restrictions": [AT_LEAST_50],
            "enabled": False,
            "created_at": row.created_at.isoformat().replace("+00:00", "Z"),
        }
        assert row.versions.count() == 1

    def test_without_restrictions_it_begins_with_those_of_its_event(
        self, api: APIClient, connected: Integration
    ) -> None:
        assert api.post(SEND_EVENTS, entered(connected)).json()["restrictions"] == INITIAL
        assert api.post(SEND_EVENTS, entered(connected, restrictions=[])).json()["restrictions"] == []

    def test_another_spelling_of_the_event_is_taken(self, api: APIClient, connected: Integration) -> None:
        shown = api.post(SEND_EVENTS, entered(connected, event_key="wallettrasaction_update")).json()
        assert shown["event_key"] == "wallettransaction_update"

    @pytest.mark.parametrize(
        ("restriction", "field", "sentence"),
        [
            (
                {**AT_LEAST_50, "value": "many"},
                "restrictions",
                "Coins: “many” is not a whole number.",
            ),
            (
                {**AT_LEAST_50, "operator": "any_of"},
                "restrictions",
                "Coins cannot be compared by “any_of”; it can by: at_least, at_most, between.",
            ),
            (
                {**AT_LEAST_50, "field": "coupon_code"},
                "restrictions",
                "Wallet Coins Rewarded cannot be restricted by “coupon_code”.",
            ),
            (
                {"field": "wallettransaction_type", "operator": "any_of", "value": ["gift"]},
                "restrictions",
                "Wallet Transaction Types: “gift” is not one of reward, redeem, adjust, expire, revert.",
            ),
            ({"field": "user_tier", "operator": "any_of"}, "restrictions.0.value", "This field is required."),
            (
                {**AT_LEAST_50, "colour": "red"},
                "restrictions.0.colour",
                "There is no such field. The fields are: field, operator, value.",
            ),
            (
                {**AT_LEAST_50, "operator": "over"},
                "restrictions.0.operator",
                "“over” is not one of any_of, none_of, at_least, at_most, between, is, is_not, contains, starts_with, "
                "within_days, changed.",
            ),
        ],
    )
    def test_a_restriction_that_does_not_fit_is_refused_in_a_sentence(
        self, api: APIClient, connected: Integration, restriction: dict[str, Any], field: str, sentence: str
    ) -> None:
        response = api.post(SEND_EVENTS, entered(connected, restrictions=[restriction]))
        assert refusal(response)[::2] == (field, sentence)
        assert not Subscription.objects.exists()

    def test_an_unknown_event_is_refused_with_the_known_ones(self, api: APIClient, connected: Integration) -> None:
        field, code, sentence = refusal(api.post(SEND_EVENTS, entered(connected, event_key="walletreward")))
        assert (field, code) == ("event_key", "invalid_choice")
        assert sentence.startswith("“walletreward” is not one of ")

    def test_an_integration_that_was_deleted_is_not_there(self, api: APIClient, connected: Integration) -> None:
        connected.archive()
        assert refusal(api.post(SEND_EVENTS, entered(connected)))[:2] == ("integration", "does_not_exist")


class TestChange:
    def test_only_what_is_named_is_changed_and_a_version_is_kept(
        self, api: APIClient, send_event: Subscription
    ) -> None:
        response = api.patch(f"{SEND_EVENTS}{send_event.pk}/", {"restrictions": [], "enabled": False})
        assert response.status_code == 200
        send_event.refresh_from_db()
        assert (send_event.restrictions, send_event.enabled, send_event.name) == ([], False, "coins")
        assert send_event.versions.count() == 2

    def test_its_event_stays(self, api: APIClient, send_event: Subscription) -> None:
        response = api.patch(f"{SEND_EVENTS}{send_event.pk}/", {"event_key": "lead_create"})
        assert refusal(response) == ("event_key", "read_only", "This field cannot be set.")

    def test_restrictions_must_fit_its_event(self, api: APIClient, send_event: Subscription) -> None:
        wrong = [{"field": "coupon_status", "operator": "any_of", "value": ["issued"]}]
        field, _, sentence = refusal(api.patch(f"{SEND_EVENTS}{send_event.pk}/", {"restrictions": wrong}))
        assert (field, sentence) == ("restrictions", "Wallet Coins Rewarded cannot be restricted by “coupon_status”.")

    def test_what_is_stored_and_does_not_fit_any_more_is_told(self, api: APIClient, send_event: Subscription) -> None:
        Subscription.objects.update(restrictions=[{"field": "gone", "operator": "is", "value": "x"}])
        sentence = "Wallet Coins Rewarded cannot be restricted by “gone”."
        for response in (
            api.get(f"{SEND_EVENTS}{send_event.pk}/would-match/"),
            api.get(f"{SEND_EVENTS}{send_event.pk}/preview/"),
            api.post(f"{SEND_EVENTS}{send_event.pk}/test/", {"email": "ada@example.com"}),
        ):
            assert refusal(response) == ("restrictions", "does_not_fit", sentence)
        assert api.get(f"{SEND_EVENTS}{send_event.pk}/").status_code == 200


class TestDelete:
    def test_it_is_archived_and_what_was_pending_is_cancelled(
        self, api: APIClient, customer: Customer, send_event: Subscription
    ) -> None:
        delivery = a_delivery(an_occurrence(customer), send_event)
        response = api.delete(f"{SEND_EVENTS}{send_event.pk}/")
        assert (response.status_code, response.content) == (204, b"")
        assert problem(api.get(f"{SEND_EVENTS}{send_event.pk}/"), 404)
        assert problem(api.delete(f"{SEND_EVENTS}{send_event.pk}/"), 404)
        assert api.get(SEND_EVENTS).json()["results"] == []
        delivery.refresh_from_db()
        assert (delivery.status, delivery.reason) == ("cancelled", "the send event was deleted")
        send_event.refresh_from_db()
        assert send_event.archived_at


class TestList:
    @pytest.mark.parametrize(
        ("filters", "which"),
        [
            ({"event_key": "lead_create"}, "other"),
            ({"enabled": "true"}, "first"),
            ({"enabled": "false"}, "other"),
            ({"integration": "{integration}"}, "first"),
        ],
    )
    def test_they_are_found_by(
        self, api: APIClient, store: Store, send_event: Subscription, filters: dict[str, str], which: str
    ) -> None:
        other = make_subscription(make_integration(store), "lead_create", enabled=False)
        filters = {name: value.format(integration=send_event.integration_id) for name, value in filters.items()}
        shown = [row["id"] for row in api.get(SEND_EVENTS, filters).json()["results"]]
        assert shown == [str({"first": send_event, "other": other}[which].pk)]

    @pytest.mark.parametrize("rows", [1, 20])
    def test_it_takes_three_queries(
        self, api: APIClient, connected: Integration, django_assert_num_queries: Any, rows: int
    ) -> None:
        for _ in range(rows):
            make_subscription(connected)
        with django_assert_num_queries(3):
            assert len(api.get(SEND_EVENTS).json()["results"]) == rows


@pytest.mark.django_db(transaction=True)
class TestTest:
    """It calls a tool: outside any transaction, so these tests have none."""

    def test_it_is_sent_and_all_that_was_said_is_told(
        self, api: APIClient, customer: Customer, integration: Integration, receiver: Receiver
    ) -> None:
        send_event = make_subscription(integration, "walletreward_create", AT_LEAST_50, name="coins")
        response = api.post(f"{SEND_EVENTS}{send_event.pk}/test/", {"email": "Ada@example.com"})
        assert response.status_code == 200
        (request,) = receiver.got
        report = response.json()
        delivery = Delivery.objects.get(is_test=True)
        assert (report["delivered"], report["sentence"]) == (True, "Webhook accepted it.")
        assert report["delivery"] == str(delivery.pk) == request.headers["webhook-id"]
        assert delivery.subscription == send_event
        assert report["would_match"] is True
        assert report["findings"] == [
            {"restriction": "Coins is at least 50", "found": 50, "holds": True, "problem": ""}
        ]
        (call,) = report["calls"]
        assert (call["request_method"], call["response_status"], call["error"]) == ("POST", 200, "")
        assert call["request_url"].endswith("/events")
        assert '"type":"coins"' in call["request_body"]
        assert call["duration_ms"] >= 0
        assert "a-long-secret-token" not in response.content.decode()

    def test_a_tool_that_refuses_is_a_report_too(
        self, api: APIClient, customer: Customer, integration: Integration, receiver: Receiver
    ) -> None:
        receiver.next.append(Answer(400))
        send_event = make_subscription(integration)
        report = api.post(f"{SEND_EVENTS}{send_event.pk}/test/", {"email": "ada@example.com"}).json()
        assert report["delivered"] is False
        assert report["sentence"].startswith("Webhook refused it (answer 400).")
        assert [call["response_status"] for call in report["calls"]] == [400]

    def test_one_that_is_not_stored(
        self, api: APIClient, customer: Customer, integration: Integration, receiver: Receiver
    ) -> None:
        body = entered(integration, name="tried", restrictions=[{**AT_LEAST_50, "value": 1000}])
        report = api.post(f"{SEND_EVENTS}test/", {**body, "mobile": "01511 2345678"}).json()
        assert (report["delivered"], report["would_match"]) == (True, False)
        assert receiver.got[0].json()["type"] == "tried"
        assert not Subscription.objects.exists()
        assert Delivery.objects.get().subscription is None

    def test_with_an_idempotency_key_it_is_sent_once(
        self, api: APIClient, customer: Customer, integration: Integration, receiver: Receiver
    ) -> None:
        address = f"{SEND_EVENTS}{make_subscription(integration).pk}/test/"
        answers = [api.post(address, {"email": "ada@example.com"}, HTTP_IDEMPOTENCY_KEY="one") for _ in range(2)]
        assert answers[0].content == answers[1].content
        assert len(receiver.got) == 1

    @pytest.mark.parametrize(
        ("body", "field", "sentence"),
        [
            ({}, "email", "Give either an e-mail address or a mobile number."),
            (
                {"email": "ada@example.com", "mobile": "+4915112345678"},
                "email",
                "Give either an e-mail address or a mobile number.",
            ),
            ({"email": "eve@example.com"}, "email", "No customer of Bean House has the e-mail eve@example.com."),
            (
                {"mobile": "12"},
                "mobile",
                "12 is not a mobile number. Write it with its country code, such as +49 1511 2345678.",
            ),
        ],
    )
    def test_who_cannot_be_found_is_refused_at_the_field(
        self, api: APIClient, customer: Customer, send_event: Subscription, body: Any, field: str, sentence: str
    ) -> None:
        for address, more in ((f"{send_event.pk}/", {}), ("", entered(send_event.integration))):
            response = api.post(f"{SEND_EVENTS}{address}test/", {**body, **more})
            assert refusal(response)[::2] == (field, sentence)
        assert not Delivery.objects.exists()

    def test_an_unsaved_one_is_judged_by_the_same_rules(self, api: APIClient, connected: Integration) -> None:
        for action in ("test", "preview", "would-match"):
            response = api.post(
                f"{SEND_EVENTS}{action}/", entered(connected, restrictions=[{**AT_LEAST_50, "value": ""}])
            )
            assert refusal(response)[::2] == ("restrictions", "Coins: “” is not a whole number.")


class TestPreview:
    def test_the_exact_request_of_the_newest_event_with_secrets_masked(
        self, api: APIClient, customer: Customer, integration: Integration, receiver: Receiver
    ) -> None:
        occurrence = an_occurrence(customer, payload={"user_email": "ada@example.com", "wallettransaction_amount": 60})
        send_event = make_subscription(integration, "walletreward_create", AT_LEAST_50, name="coins")
        response = api.get(f"{SEND_EVENTS}{send_event.pk}/preview/")
        shown = response.json()
        assert (shown["occurrence"], shown["sentence"], shown["would_match"]) == (occurrence.pk, "", True)
        (request,) = shown["requests"]
        assert request["request_url"] == f"http://{receiver.host}/events"
        assert '"wallettransaction_amount":60' in request["request_body"]
        assert "a-long-secret-token" not in response.content.decode()
        assert receiver.got == []

    def test_without_such_an_event_it_is_made_of_a_sample(
        self, api: APIClient, customer: Customer, send_event: Subscription
    ) -> None:
        shown = api.post(f"{SEND_EVENTS}preview/", entered(send_event.integration, event_key="coupon_create")).json()
        assert shown["occurrence"] is None
        assert '"user_email":"ada@example.com"' in shown["requests"][0]["request_body"]

    def test_where_there_is_nobody_it_says_so(self, api: APIClient, send_event: Subscription) -> None:
        sentence = "There is neither such an event nor a customer of whom one could be made."
        assert refusal(api.get(f"{SEND_EVENTS}{send_event.pk}/preview/")) == ("", "nobody", sentence)


class TestWouldMatch:
    def test_it_counts_those_of_the_last_thirty_days(
        self, api: APIClient, customer: Customer, send_event: Subscription
    ) -> None:
        for amount, days_ago in ((60, 1), (60, 29), (10, 1), ("many", 1), (60, 31)):
            rewarded(customer, amount, days_ago=days_ago)
        shown = api.get(f"{SEND_EVENTS}{send_event.pk}/would-match/").json()
        since = shown.pop("since")
        assert shown == {
            "matched": 2,
            "total": 4,
            "unclear": 1,
            "complete": True,
            "sentence": "2 of 4 events",
        }
        assert since.startswith((timezone.now() - timedelta(days=30)).date().isoformat())

    def test_it_looks_back_as_far_as_is_asked(
        self, api: APIClient, customer: Customer, send_event: Subscription
    ) -> None:
        for days_ago in (1, 40, 89):
            rewarded(customer, 60, days_ago=days_ago)
        address = f"{SEND_EVENTS}{send_event.pk}/would-match/"
        assert [api.get(address, {"days": days}).json()["matched"] for days in (30, 60, 90)] == [1, 2, 3]

    @pytest.mark.parametrize(
        ("days", "sentence"),
        [
            ("0", "Ensure this value is greater than or equal to 1."),
            ("91", "Ensure this value is less than or equal to 90."),
            ("many", "A valid integer is required."),
        ],
    )
    def test_a_number_of_days_that_is_none_is_refused(
        self, api: APIClient, send_event: Subscription, days: str, sentence: str
    ) -> None:
        address = f"{SEND_EVENTS}{send_event.pk}/would-match/"
        assert refusal(api.get(address, {"days": days}))[::2] == ("days", sentence)

    def test_an_unknown_parameter_is_refused_with_the_known_one(self, api: APIClient, send_event: Subscription) -> None:
        sentence = "There is no such parameter. The known ones are: days."
        response = api.get(f"{SEND_EVENTS}{send_event.pk}/would-match/", {"day": "1"})
        assert refusal(response) == ("day", "unknown_parameter", sentence)

    def test_one_that_is_not_stored(self, api: APIClient, customer: Customer, connected: Integration) -> None:
        for amount, days_ago in ((60, 1), (10, 1), (60, 40)):
            rewarded(customer, amount, days_ago=days_ago)
        body = entered(connected, restrictions=[AT_LEAST_50])
        shown = api.post(f"{SEND_EVENTS}would-match/", {**body, "days": 90}).json()
        assert (shown["matched"], shown["total"]) == (2, 3)
        assert api.post(f"{SEND_EVENTS}would-match/", body).json()["sentence"] == "1 of 2 events"
        assert not Subscription.objects.exists()

    def test_when_time_was_short_it_says_so(
        self, api: APIClient, customer: Customer, send_event: Subscription, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(matching, "BUDGET", -1.0)
        rewarded(customer, 60)
        shown = api.get(f"{SEND_EVENTS}{send_event.pk}/would-match/").json()
        assert (shown["total"], shown["complete"]) == (0, False)
