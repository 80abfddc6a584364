"""Klaviyo: the exact request, and a fake that refuses what Klaviyo refuses and forgets no unique_id."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from openapi_core.exceptions import OpenAPIError

from customers.models import Customer, Store
from events import sending
from events.models import Delivery
from integrations.calling import verify
from integrations.destinations.base import Judgement, Selector, Verdict
from integrations.destinations.klaviyo import Klaviyo
from integrations.http import Request
from tests.factories import give_coins, make_integration, make_subscription
from tests.integrations.contracts import Contract
from tests.integrations.destination_cases import INTEGRATION_ID, PAYLOAD, DestinationCases, a_message
from tests.receiver import Answer, Received, Receiver

KEY = "pk_0123456789abcdef0123456789abcdef01"
GOOD = {"api_key": KEY, "revision": "2026-07-15", "host": "https://a.klaviyo.com"}
JSON_API = "application/vnd.api+json"

NOT_A_KEY = "A private API key starts with pk_; the one of six characters is the public one."
NOT_A_VERSION = "A version is a date, such as 2026-07-15."


def said(status: int, detail: str, *, pointer: str = "/data", **headers: str) -> Answer:
    """An error as Klaviyo tells it (JSON:API)."""
    error = {
        "id": "4f739784-390b-4df3-acd8-6eb07d60e6b4",
        "code": "invalid",
        "title": "Invalid input.",
        "detail": detail,
        "source": {"pointer": pointer},
    }
    return Answer(status, {"Content-Type": JSON_API, **headers}, json.dumps({"errors": [error]}).encode())


ACCOUNT = Answer(
    200,
    {"Content-Type": JSON_API},
    json.dumps(
        {
            "data": [
                {
                    "type": "account",
                    "id": "AbC123",
                    "attributes": {
                        "test_account": False,
                        "contact_information": {
                            "default_sender_name": "Bean House",
                            "default_sender_email": "hello@beans.example",
                            "organization_name": "Bean House GmbH",
                            "street_address": {"city": "Berlin"},
                        },
                        "timezone": "Europe/Berlin",
                        "preferred_currency": "EUR",
                        "public_api_key": "AbC123",
                        "locale": "de-DE",
                    },
                    "links": {"self": "https://a.klaviyo.com/api/accounts/AbC123/"},
                }
            ]
        }
    ).encode(),
)


@dataclass
class FakeKlaviyo:
    """Answers as Klaviyo does; keeps what it recorded by profile, metric and unique_id."""

    events: dict[tuple[str, str, str], dict[str, Any]] = field(default_factory=dict)
    profiles: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __call__(self, request: Received) -> Answer:
        headers = {name.lower(): value for name, value in request.headers.items()}
        if not re.fullmatch(r"\d{4}-\d\d-\d\d", headers.get("revision", "")):
            return said(400, "The revision header is missing or malformed.")
        if headers.get("authorization") != f"Klaviyo-API-Key {KEY}":
            return said(401, "Missing or invalid private key.")
        match request.method, request.path:
            case "GET", "/api/accounts":
                return ACCOUNT
            case "POST", "/api/events":
                if headers.get("content-type") != JSON_API or headers.get("accept") != JSON_API:
                    return said(415, "Unsupported media type.")
                return self.record(request.json())
        return said(404, "Not found.")

    def record(self, body: Any) -> Answer:
        try:
            kind, event = body["data"]["type"], body["data"]["attributes"]
            metric, profile = event["metric"]["data"], event["profile"]["data"]
            name, person, properties = metric["attributes"]["name"], profile["attributes"], event["properties"]
        except (KeyError, TypeError) as missing:
            return said(400, f"{missing} is a required field.")
        if (kind, metric["type"], profile["type"]) != ("event", "metric", "profile"):
            return said(400, "Invalid resource type.")
        if not 0 < len(name) < 128:
            return said(400, "Metric name must be shorter than 128 characters.")
        if len(properties) > 400:
            return said(400, "An event has at most 400 properties.")
        time = datetime.fromisoformat(event["time"])
        if time.tzinfo is None or time.year <= 1990 or time > datetime.now(UTC) + timedelta(days=365):
            return said(400, "Invalid time.", pointer="/data/attributes/time")
        if "value" in event and not (
            isinstance(event["value"], float) and re.fullmatch("[A-Z]{3}", event["value_currency"])
        ):
            return said(400, "Invalid value.", pointer="/data/attributes/value")
        identifiers = {name: person[name] for name in ("email", "phone_number", "external_id") if person.get(name)}
        partial = {}
        if "phone_number" in identifiers and not re.fullmatch(r"\+[1-9]\d{7,14}", identifiers["phone_number"]):
            del identifiers["phone_number"]
            partial = {"X-Klaviyo-Partial-Failure": "phone_number"}
        if not identifiers:
            where = "/data/attributes/profile/data/attributes"
            return said(400, "A profile needs a valid email, phone_number or external_id.", pointer=where)
        who = next(iter(identifiers.values()))
        self.profiles.setdefault(who, {}).update({**identifiers, **person.get("properties", {})})
        unique = event.get("unique_id") or time.replace(microsecond=0).isoformat()
        self.events.setdefault((who, name, unique), event)
        return Answer(202, partial, b"")


@pytest.fixture
def klaviyo(receiver: Receiver) -> FakeKlaviyo:
    fake = FakeKlaviyo()
    receiver.choose = fake
    return fake


def of(**settings: str) -> Klaviyo:
    return Klaviyo({**GOOD, **settings}, integration_id=INTEGRATION_ID)


def request_of(**message: Any) -> Request:
    (request,) = of().calls(a_message(**{"selector": Selector.EMAIL, **message}))
    return request


def event_in(request: Request | Received) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(request.body)["data"]["attributes"]
    return event


class TestKlaviyo(DestinationCases):
    destination = Klaviyo
    accepted = Answer(202, body=b"")
    credentials_accepted = ACCOUNT
    problem = {"errors": [{"id": "1", "code": "invalid", "title": "Invalid.", "detail": "The name is missing."}]}
    malformed = {
        "api_key": [
            ("AbC123", NOT_A_KEY),
            ("pk_", NOT_A_KEY),
            ("Klaviyo-API-Key pk_0123", NOT_A_KEY),
            ("pk_0123 4567", NOT_A_KEY),
            ("pk_" + "a" * 200, "Ensure this value has at most 200 characters (it has 203)."),
        ],
        "revision": [
            ("latest", NOT_A_VERSION),
            ("20260715", NOT_A_VERSION),
            ("2026-13-01", NOT_A_VERSION),
            ("2026-7-1", NOT_A_VERSION),
        ],
        "host": [
            ("a.klaviyo.com", "The address must start with https:// or http://."),
            ("https://a.klaviyo.com?x=", "The address must not hold a ? or a #."),
            ("https://a.klaviyo.com/#", "The address must not hold a ? or a #."),
        ],
    }

    def settings_for(self, host: str) -> dict[str, Any]:
        return {**GOOD, "host": f"http://{host}"}

    def identifier_in(self, got: list[Received], selector: Selector) -> Any:
        names = {Selector.EMAIL: "email", Selector.EXTERNAL_ID: "external_id", Selector.MOBILE: "phone_number"}
        person = event_in(got[-1])["profile"]["data"]["attributes"]
        assert person.keys() == {names[selector], "properties"}, "the chosen identifier, and no other"
        return person[names[selector]]


class TestRequest:
    def test_exactly(self, receiver: Receiver, klaviyo: FakeKlaviyo) -> None:
        message = a_message(selector=Selector.EMAIL)
        judgement, _ = TestKlaviyo().deliver(of(host=f"http://{receiver.host}"), message)
        assert judgement == Judgement(Verdict.ACCEPTED)
        (request,) = receiver.got
        assert (request.method, request.path) == ("POST", "/api/events")
        ours = {name: request.headers[name] for name in ("Authorization", "revision", "Accept", "Content-Type")}
        assert ours == {
            "Authorization": f"Klaviyo-API-Key {KEY}",
            "revision": "2026-07-15",
            "Accept": JSON_API,
            "Content-Type": JSON_API,
        }
        profile = {
            "email": "ada@example.com",
            "properties": {
                "loyalty_balance": 120,
                "loyalty_tier": "Gold",
                "loyalty_referral_code": "ADA10",
                "loyalty_as_of": "2026-06-01T10:15:00+00:00",
            },
        }
        assert request.json() == {
            "data": {
                "type": "event",
                "attributes": {
                    "properties": dict(PAYLOAD),
                    "time": "2026-06-01T10:15:00+00:00",
                    "unique_id": str(message.id),
                    "metric": {"data": {"type": "metric", "attributes": {"name": "coins_rewarded"}}},
                    "profile": {"data": {"type": "profile", "attributes": profile}},
                },
            }
        }

    def test_an_order_has_its_amount_as_value(self) -> None:
        payload = {**PAYLOAD, "order_amount": "1249.90", "order_currency_code": "INR"}
        event = event_in(request_of(payload=payload))
        assert (event["value"], event["value_currency"]) == (1249.9, "INR")

    @pytest.mark.parametrize(
        "more",
        [
            {"coupon_value": "10.00", "coupon_value_type": "amount"},
            {"order_amount": None, "order_currency_code": "EUR"},
            {"order_amount": "12.00"},
            {"order_amount": "NaN", "order_currency_code": "EUR"},
            {"order_amount": "a lot", "order_currency_code": "EUR"},
            {"order_amount": [1], "order_currency_code": "EUR"},
        ],
    )
    def test_nothing_else_is_a_value(self, more: dict[str, Any]) -> None:
        assert event_in(request_of(payload={**PAYLOAD, **more})).keys().isdisjoint({"value", "value_currency"})

    def test_a_tier_that_was_lost_is_cleared_and_what_is_unknown_is_left_alone(self) -> None:
        payload = {"user_email": "ada@example.com", "user_tier": None}
        profile = event_in(request_of(payload=payload))["profile"]["data"]["attributes"]
        assert profile == {"email": "ada@example.com", "properties": {"loyalty_tier": None}}

    def test_another_revision_and_a_proxy_of_ones_own(self) -> None:
        form = Klaviyo.Settings({**GOOD, "revision": "2026-10-15", "host": "https://proxy.example/klaviyo/"})
        assert form.is_valid()
        (request,) = of(**form.cleaned_data).calls(a_message(selector=Selector.EMAIL))
        assert request.url == "https://proxy.example/klaviyo/api/events"
        assert request.headers["revision"] == "2026-10-15"

    def test_a_minute_at_its_rate_with_a_second_saved_up_is_within_klaviyos_limits(self) -> None:
        from events.claims import BURST

        assert Klaviyo.rate is not None
        assert Klaviyo.rate * (60 + BURST) <= 3500
        assert Klaviyo.rate * (1 + BURST) <= 350


class TestAnswers:
    def deliver(self, receiver: Receiver, **message: Any) -> Judgement:
        adapter = of(host=f"http://{receiver.host}")
        return TestKlaviyo().deliver(adapter, a_message(**{"selector": Selector.EMAIL, **message}))[0]

    def test_a_retry_is_recorded_once(self, receiver: Receiver, klaviyo: FakeKlaviyo) -> None:
        for _ in range(2):
            assert self.deliver(receiver).verdict == Verdict.ACCEPTED
        assert len(receiver.got) == 2
        assert len(klaviyo.events) == 1

    def test_two_deliveries_in_one_second_are_two_events(self, receiver: Receiver, klaviyo: FakeKlaviyo) -> None:
        for number in (1, 2):
            self.deliver(receiver, number=number)
        assert len(klaviyo.events) == 2

    def test_the_balance_is_on_the_profile(self, receiver: Receiver, klaviyo: FakeKlaviyo) -> None:
        self.deliver(receiver)
        assert klaviyo.profiles["ada@example.com"]["loyalty_balance"] == 120

    def test_a_mobile_number_it_does_not_take_is_refused_with_its_words(
        self, receiver: Receiver, klaviyo: FakeKlaviyo
    ) -> None:
        judgement = self.deliver(receiver, selector=Selector.MOBILE, payload={**PAYLOAD, "user_mobile": "12"})
        assert judgement == Judgement(
            Verdict.REJECTED,
            "Klaviyo refused it (answer 400). It said: A profile needs a valid email, phone_number or external_id.",
        )

    def test_what_it_ignored_is_told_although_the_event_was_taken(self, receiver: Receiver) -> None:
        receiver.next.append(Answer(202, {"X-Klaviyo-Partial-Failure": "phone_number"}, b""))
        assert self.deliver(receiver) == Judgement(
            Verdict.ACCEPTED, "Klaviyo took the event, but not the profile's phone_number."
        )

    def test_too_many_is_tried_again_when_it_says(self, receiver: Receiver) -> None:
        receiver.next.append(
            said(429, "Request was throttled. Expected available in 9 seconds.", **{"Retry-After": "9"})
        )
        assert self.deliver(receiver) == Judgement(
            Verdict.RETRY,
            "Klaviyo answered 429. It said: Request was throttled. Expected available in 9 seconds.",
            9,
        )

    def test_its_words_are_bounded_printable_and_without_the_key(self, receiver: Receiver) -> None:
        receiver.next.append(said(400, f"Not\n{KEY}\u202e <b>good</b>\0 " + "x" * 9000))
        reason = self.deliver(receiver).reason
        assert reason.startswith("Klaviyo refused it (answer 400). It said: Not •••••• <b>good</b> xxx")
        assert (len(reason), reason[-2:]) == (300, "x…")

    @pytest.mark.parametrize("body", [b"[" * 60_000, b'{"errors": 7}', b'{"errors": [[[[[["deep"]]]]]]}', b"\xff", b""])
    def test_an_error_that_says_nothing_is_told_without_words(self, receiver: Receiver, body: bytes) -> None:
        receiver.next.append(Answer(400, body=body))
        assert self.deliver(receiver).reason == "Klaviyo refused it (answer 400)."


@pytest.mark.django_db
class TestCheck:
    def test_it_names_the_account(self, store: Store, receiver: Receiver, klaviyo: FakeKlaviyo) -> None:
        values = {**GOOD, "host": f"http://{receiver.host}"}
        found = verify(make_integration(store, destination="klaviyo", values=values))
        assert found.good
        assert found.sentence.startswith("Klaviyo accepted the ")
        assert found.sentence.endswith(" The account is Bean House GmbH.")
        assert KEY not in str(found)

    def test_a_wrong_key_is_told_with_its_words(self, store: Store, receiver: Receiver, klaviyo: FakeKlaviyo) -> None:
        values = {**GOOD, "host": f"http://{receiver.host}", "api_key": "pk_wrong"}
        found = verify(make_integration(store, destination="klaviyo", values=values))
        assert (found.good, found.sentence) == (
            False,
            "Klaviyo refused the credentials (answer 401). It said: Missing or invalid private key.",
        )

    @pytest.mark.parametrize("body", [b"ok", b"{}", b'{"data": []}', b'{"data": [{"attributes": null}]}', b"[1]", b"7"])
    def test_somebody_else_who_answers_200_is_not_klaviyo(self, store: Store, receiver: Receiver, body: bytes) -> None:
        receiver.next.append(Answer(200, body=body))
        values = {**GOOD, "host": f"http://{receiver.host}"}
        found = verify(make_integration(store, destination="klaviyo", values=values))
        assert (found.good, found.sentence) == (
            False,
            "The answer names no account: is this the host of Klaviyo's API?",
        )


@pytest.mark.django_db
class TestDelivery:
    def test_a_reward_becomes_an_event_on_her_profile(
        self, store: Store, customer: Customer, receiver: Receiver, klaviyo: FakeKlaviyo
    ) -> None:
        values = {**GOOD, "host": f"http://{receiver.host}"}
        integration = make_integration(store, destination="klaviyo", values=values)
        make_subscription(integration, prefix="loyalty_", name="coins")
        give_coins(customer, 30)
        assert sending.deliver() == 1
        delivery = Delivery.objects.get()
        assert delivery.status == "sent"
        assert list(klaviyo.events) == [("ada@example.com", "loyalty_coins", str(delivery.pk))]
        assert klaviyo.profiles["ada@example.com"]["loyalty_balance"] == 30


class TestContract:
    """Against Klaviyo's own description (klaviyo/openapi, MIT), which openapi-core enforces."""

    @pytest.fixture
    def events(self) -> Contract:
        return Contract("klaviyo_create_event.json")

    @pytest.mark.parametrize("selector", list(Selector))
    def test_every_event_is_as_described(self, events: Contract, selector: Selector) -> None:
        payload = {**PAYLOAD, "order_amount": "12.50", "order_currency_code": "EUR", "order_items": [{"quantity": 1}]}
        events.check_request(request_of(selector=selector, payload=payload))

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda event: event.pop("metric"),
            lambda event: event.pop("profile"),
            lambda event: event["profile"]["data"].pop("type"),
            lambda event: event.update(value="12.50"),
            lambda event: event.update(properties=[]),
        ],
    )
    def test_what_it_does_not_describe_is_noticed(self, events: Contract, spoil: Callable[[Any], Any]) -> None:
        request = request_of()
        body = json.loads(request.body)
        spoil(body["data"]["attributes"])
        with pytest.raises(OpenAPIError):
            events.check_request(Request(url=request.url, headers=request.headers, body=json.dumps(body).encode()))

    def test_the_check_is_as_described_and_so_are_the_answers_of_our_fake(self, events: Contract) -> None:
        accounts, request = Contract("klaviyo_get_accounts.json"), of().check_credentials()
        accounts.check_request(request)
        accounts.check_answer(request, ACCOUNT)
        accounts.check_answer(request, said(401, "Missing or invalid private key."))
        events.check_answer(request_of(), Answer(202, body=b""))
        events.check_answer(request_of(), said(400, "Invalid time.", pointer="/data/attributes/time"))
