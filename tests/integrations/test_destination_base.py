"""What all destinations share: waiting times, a tool's own words, an order's amount, and the fields of their settings."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from integrations.destinations.base import Selector, retry_after, what_it_said
from integrations.fields import AddressField, HostField, VersionField
from tests.integrations.destination_cases import PAYLOAD, a_message

NOW = datetime(2026, 6, 1, 10, 15, tzinfo=UTC)


class TestRetryAfter:
    @pytest.mark.parametrize(
        ("value", "seconds"),
        [
            ("0", 0),
            (" 120 ", 120),
            ("86400", 86_400),
            ("86401", 86_400),
            ("9" * 5000, 86_400),
            ("Mon, 01 Jun 2026 10:16:30 GMT", 90),
            ("Mon, 01 Jun 2026 12:16:30 +0200", 90),
            ("Mon, 01 Jun 2026 10:16:30", 90),
            ("Monday, 01-Jun-26 10:16:30 GMT", 90),
            ("Sun, 31 May 2026 10:15:00 GMT", 0),
            ("Tue, 01 Jun 2027 10:15:00 GMT", 86_400),
        ],
    )
    def test_seconds_or_a_date_up_to_a_day(self, value: str, seconds: float) -> None:
        assert retry_after(value, now=NOW) == seconds

    @pytest.mark.parametrize(
        "value", [None, "", "soon", "-5", "1.5", "1e3", "٣", "²", "10 s", "Mon, 99 Jun 2026 10:15:00 GMT", ",", "\0"]
    )
    def test_nonsense_is_none(self, value: str | None) -> None:
        assert retry_after(value, now=NOW) is None


class TestWhatItSaid:
    @pytest.mark.parametrize(
        ("content", "said"),
        [
            ({"errors": [{"code": "invalid", "title": "Invalid input.", "detail": "No name."}]}, "No name."),
            ({"errors": [{"message": "No name.", "field": "name", "help": None}]}, "name: No name."),
            ({"title": "Bad Request", "status": 400, "detail": "No name.", "type": "about:blank"}, "No name."),
            ({"title": "Bad Request", "status": 400}, "Bad Request"),
            ({"detail": "See errors.", "errors": [{"field": "email", "message": "Missing."}]}, "email: Missing."),
            ({"error": {"type": "Authentication", "message": "Wrong key.", "request_id": "1"}}, "Wrong key."),
            ({"error": "invalid_token", "error_description": "Expired."}, "Expired."),
            ({"result": False, "message": "No name."}, "No name."),
            ({"errors": ["One.", "Two.", "Two.", "Three."]}, "One. Two."),
            (["One.", {"message": "Two."}], "One. Two."),
            ("  invalid_payload\n", "invalid_payload"),
        ],
    )
    def test_is_found_where_most_apis_put_it(self, content: Any, said: str) -> None:
        assert what_it_said(content) == said

    @pytest.mark.parametrize(
        "content",
        [None, 7, True, "", {}, [], {"errors": []}, {"message": ""}, {"detail": 5}, {"data": "x"}, [[[[["x"]]]]]],
    )
    def test_nothing_is_an_empty_text(self, content: Any) -> None:
        assert what_it_said(content) == ""


class TestMessage:
    @pytest.mark.parametrize("selector", list(Selector))
    def test_the_identifier_is_that_of_the_selector(self, selector: Selector) -> None:
        assert a_message(selector=selector).identifier == PAYLOAD[selector.value]

    def test_without_a_selector_or_a_value_there_is_none(self) -> None:
        assert a_message().identifier is None
        assert a_message(selector=Selector.EMAIL, payload={}).identifier is None

    def test_the_profile_is_how_the_customer_stands(self) -> None:
        assert a_message().profile == {
            "loyalty_balance": 120,
            "loyalty_tier": "Gold",
            "loyalty_referral_code": "ADA10",
            "loyalty_as_of": "2026-06-01T10:15:00+00:00",
        }
        assert a_message(payload={"user_tier": None}).profile == {"loyalty_tier": None}

    def test_revenue_is_the_orders_amount(self) -> None:
        payload = {"order_amount": "12.50", "order_currency_code": "EUR"}
        assert a_message(payload=payload).revenue == (Decimal("12.50"), "EUR")
        assert a_message().revenue is None


class TestFields:
    def test_an_address_is_taken_as_it_is(self) -> None:
        assert AddressField().clean(" https://tool.example/a?b=c ") == "https://tool.example/a?b=c"
        assert AddressField(required=False).clean("") == ""

    def test_a_host_loses_its_last_slash(self) -> None:
        assert HostField().clean("https://tool.example/proxy/") == "https://tool.example/proxy"
        assert HostField(required=False).clean("") == ""

    @pytest.mark.parametrize(
        ("address", "origin"),
        [
            ("HTTPS://Tool.example/a?b=c", "https://tool.example:443"),
            ("http://tool.example:8080", "http://tool.example:8080"),
            ("tool.example", ""),
            (None, ""),
        ],
    )
    def test_an_address_knows_whom_a_call_reaches(self, address: str | None, origin: str) -> None:
        assert AddressField().origin(address) == HostField().origin(address) == origin

    @pytest.mark.parametrize(
        ("field", "typed", "sentence"),
        [
            (AddressField(), "tool.example", "The address must start with https:// or http://."),
            (AddressField(), "", "This field is required."),
            (HostField(), "https://tool.example/?a=b", "The address must not hold a ? or a #."),
            (VersionField(), "2026-02-30", "A version is a date, such as 2026-07-15."),
            (VersionField(), "", "This field is required."),
        ],
    )
    def test_what_is_wrong_gets_its_sentence(self, field: Any, typed: str, sentence: str) -> None:
        with pytest.raises(ValidationError) as raised:
            field.clean(typed)
        assert raised.value.messages == [sentence]

    def test_a_version_is_a_date_that_exists(self) -> None:
        assert VersionField().clean("2026-07-15") == "2026-07-15"
        assert VersionField(required=False).clean("") == ""
