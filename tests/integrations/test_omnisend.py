"""Omnisend: the exact request, a fake that refuses what Omnisend refuses, and its own way to say when to come back."""

import json
import re
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
from openapi_core.exceptions import OpenAPIError

from customers.models import Store
from integrations.calling import verify
from integrations.destinations.base import Judgement, Selector, Verdict
from integrations.destinations.omnisend import Omnisend
from integrations.http import Request
from tests.factories import make_integration
from tests.integrations.contracts import Contract
from tests.integrations.destination_cases import INTEGRATION_ID, PAYLOAD, DestinationCases, a_message
from tests.receiver import Answer, Received, Receiver

KEY = "0123456789abcdef01234567-AbCdEfGhIjKlMnOp"
GOOD = {"api_key": KEY, "version": "2026-03-15", "host": "https://api.omnisend.com"}

NOT_A_KEY = "An API key is one word of at least 16 characters."
RETIRED = "Omnisend has retired the version 2026-03-15 of its API: enter a newer one."


def said(status: int, title: str, detail: str, **more: Any) -> Answer:
    """A failure as Omnisend tells it (RFC 9457)."""
    problem = {
        "type": f"https://problems.omnisend.com/{title.lower().replace(' ', '-')}",
        "title": title,
        "status": status,
        "detail": detail,
        "instance": "urn:omnisend:request:00000000-0000-0000-0000-000000000001",
        **more,
    }
    return Answer(status, {"Content-Type": "application/json"}, json.dumps(problem).encode())


def invalid(field: str, message: str) -> Answer:
    errors = [{"field": field, "code": "invalid_format", "message": message}]
    return said(400, "Validation failed", "The request is invalid.", errors=errors)


BRAND = Answer(
    200,
    {"Content-Type": "application/json"},
    json.dumps({"brandID": "5c2f0d3e8653ed4f2cb3a1b5", "name": "Bean House", "currency": "EUR"}).encode(),
)


def fake(request: Received) -> Answer:
    """Answers as Omnisend does."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    if headers.get("omnisend-version") != "2026-03-15":
        return said(400, "Bad request", "The Omnisend-Version header is missing or unknown.")
    if headers.get("authorization") != f"Omnisend-API-Key {KEY}":
        return said(401, "Unauthorized", "Authentication is missing or invalid.")
    match request.method, request.path:
        case "GET", "/api/brands/current":
            return BRAND
        case "POST", "/api/events":
            return record(request.json())
    return said(404, "Not found", "There is no such resource.")


def record(event: dict[str, Any]) -> Answer:
    contact = event.get("contact", {})
    if not event.get("eventName"):
        return invalid("eventName", "Is required.")
    if event.get("origin") != "api":
        return invalid("origin", "Is required.")
    if UUID(event["eventID"]).version not in {4, 5, 6, 7}:
        return invalid("eventID", "Must be a UUID.")
    if datetime.fromisoformat(event["eventTime"]).tzinfo is None:
        return invalid("eventTime", "Must be RFC 3339.")
    if not contact.keys() & {"id", "email", "phone"}:
        return invalid("contact", "Must have an id, an email or a phone.")
    if "phone" in contact and not re.fullmatch(r"\+\d{7,14}", contact["phone"]):
        return invalid("contact.phone", "Must be a valid phone number.")
    return Answer(202, body=b"")


def of(**settings: str) -> Omnisend:
    return Omnisend({**GOOD, **settings}, integration_id=INTEGRATION_ID)


def request_of(**message: Any) -> Request:
    (request,) = of().calls(a_message(**{"selector": Selector.EMAIL, **message}))
    return request


class TestOmnisend(DestinationCases):
    destination = Omnisend
    accepted = Answer(202, body=b"")
    credentials_accepted = BRAND
    gone = Judgement(Verdict.GONE, RETIRED)
    problem = {"title": "Bad request", "detail": "The name is missing.", "status": 400}
    malformed = {
        "api_key": [("short", NOT_A_KEY), ("a key of several words", NOT_A_KEY), ("schlüssel-schlüssel", NOT_A_KEY)],
        "version": [("v5", "A version is a date, such as 2026-07-15.")],
        "host": [("api.omnisend.com", "The address must start with https:// or http://.")],
    }

    def settings_for(self, host: str) -> dict[str, Any]:
        return {**GOOD, "host": f"http://{host}"}

    def identifier_in(self, got: list[Received], selector: Selector) -> Any:
        name = {Selector.EMAIL: "email", Selector.MOBILE: "phone"}[selector]
        contact = got[-1].json()["contact"]
        assert contact.keys() == {name, "customProperties"}, "the chosen identifier, and no other"
        return contact[name]


class TestRequest:
    def test_exactly(self, receiver: Receiver) -> None:
        receiver.choose = fake
        message = a_message(selector=Selector.EMAIL)
        judgement, _ = TestOmnisend().deliver(of(host=f"http://{receiver.host}"), message)
        assert judgement == Judgement(Verdict.ACCEPTED)
        (request,) = receiver.got
        assert (request.method, request.path) == ("POST", "/api/events")
        assert request.headers["Authorization"] == f"Omnisend-API-Key {KEY}"
        assert request.headers["Omnisend-Version"] == "2026-03-15"
        assert request.headers["Content-Type"] == "application/json"
        assert request.json() == {
            "eventName": "coins_rewarded",
            "origin": "api",
            "eventID": str(message.id),
            "eventTime": "2026-06-01T10:15:00+00:00",
            "contact": {
                "email": "ada@example.com",
                "customProperties": {
                    "loyalty_balance": 120,
                    "loyalty_tier": "Gold",
                    "loyalty_referral_code": "ADA10",
                    "loyalty_as_of": "2026-06-01T10:15:00+00:00",
                },
            },
            "properties": dict(PAYLOAD),
        }

    def test_what_is_not_known_of_the_customer_is_left_out(self) -> None:
        payload = {"user_email": "ada@example.com", "user_tier": None, "user_wallet_balance": 0}
        assert json.loads(request_of(payload=payload).body)["contact"]["customProperties"] == {"loyalty_balance": 0}

    def test_a_minute_at_its_rate_with_a_second_saved_up_is_within_its_limit(self) -> None:
        from events.claims import BURST

        assert Omnisend.rate is not None
        assert Omnisend.rate * (60 + BURST) <= 400


class TestAnswers:
    def deliver(self, receiver: Receiver, **message: Any) -> Judgement:
        adapter = of(host=f"http://{receiver.host}")
        return TestOmnisend().deliver(adapter, a_message(**{"selector": Selector.EMAIL, **message}))[0]

    @pytest.mark.parametrize(
        ("wait", "seconds"), [(12, 12), (0, 0), (10**9, 86_400), ("7", 7), ("soon", None), (None, None)]
    )
    def test_when_to_come_back_stands_in_the_body(self, receiver: Receiver, wait: Any, seconds: float | None) -> None:
        receiver.next.append(said(429, "Rate limit exceeded", "Too many requests.", retryAfter=wait))
        reason = "Omnisend answered 429. It said: Too many requests."
        assert self.deliver(receiver) == Judgement(Verdict.RETRY, reason, seconds)

    def test_the_field_it_refuses_is_named(self, receiver: Receiver) -> None:
        receiver.choose = fake
        judgement = self.deliver(receiver, selector=Selector.MOBILE, payload={**PAYLOAD, "user_mobile": "12"})
        reason = "Omnisend refused it (answer 400). It said: contact.phone: Must be a valid phone number."
        assert judgement == Judgement(Verdict.REJECTED, reason)


@pytest.mark.django_db
class TestCheck:
    def check(self, store: Store, receiver: Receiver, **values: str) -> tuple[bool, str]:
        values = {**GOOD, "host": f"http://{receiver.host}", **values}
        found = verify(make_integration(store, destination="omnisend", values=values))
        return found.good, found.sentence

    def test_it_names_the_brand(self, store: Store, receiver: Receiver) -> None:
        receiver.choose = fake
        good, sentence = self.check(store, receiver)
        assert good
        assert sentence.startswith("Omnisend accepted the ")
        assert sentence.endswith(" The brand is Bean House.")

    def test_a_wrong_key_is_told_with_its_words(self, store: Store, receiver: Receiver) -> None:
        receiver.choose = fake
        sentence = "Omnisend refused the credentials (answer 401). It said: Authentication is missing or invalid."
        assert self.check(store, receiver, api_key="another-key-of-theirs") == (False, sentence)

    def test_a_retired_version_is_told(self, store: Store, receiver: Receiver) -> None:
        receiver.next.append(said(410, "Gone", "API version has been retired."))
        assert self.check(store, receiver) == (False, RETIRED)

    @pytest.mark.parametrize("body", [b"ok", b"{}", b"[]", b"7", b'{"name": ""}'])
    def test_somebody_else_who_answers_200_is_not_omnisend(self, store: Store, receiver: Receiver, body: bytes) -> None:
        receiver.next.append(Answer(200, body=body))
        sentence = "The answer names no brand: is this the host of Omnisend's API?"
        assert self.check(store, receiver) == (False, sentence)


class TestContract:
    """Against Omnisend's own description, re-typed and reduced, which openapi-core enforces."""

    @pytest.fixture
    def contract(self) -> Contract:
        return Contract("omnisend_2026-03-15_slice.json")

    @pytest.mark.parametrize("selector", Omnisend.selectors)
    def test_every_event_is_as_described(self, contract: Contract, selector: Selector) -> None:
        contract.check_request(request_of(selector=selector, payload={**PAYLOAD, "order_items": [{"quantity": 1}]}))

    @pytest.mark.parametrize("change", [{"eventName": 7}, {"properties": []}, {"contact": {"phone": "+" + "1" * 15}}])
    def test_what_it_does_not_describe_is_noticed(self, contract: Contract, change: dict[str, Any]) -> None:
        request = request_of()
        body = json.dumps({**json.loads(request.body), **change}).encode()
        with pytest.raises(OpenAPIError):
            contract.check_request(Request(url=request.url, headers=request.headers, body=body))

    def test_another_version_is_noticed(self, contract: Contract) -> None:
        (request,) = of(version="2026-03-16").calls(a_message(selector=Selector.EMAIL))
        with pytest.raises(OpenAPIError):
            contract.check_request(request)

    def test_the_check_is_as_described_and_so_are_the_answers_of_our_fake(self, contract: Contract) -> None:
        check, event = of().check_credentials(), request_of()
        contract.check_request(check)
        contract.check_answer(check, BRAND)
        contract.check_answer(check, said(401, "Unauthorized", "Authentication is missing or invalid."))
        contract.check_answer(event, Answer(202, body=b""))
        contract.check_answer(event, invalid("eventName", "Is required."))
        contract.check_answer(event, said(429, "Rate limit exceeded", "Too many requests.", retryAfter=12))
