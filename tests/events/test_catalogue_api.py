"""The API of the catalogue."""

from typing import Any

import pytest
from django.test import Client
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from rest_framework.test import APIClient

from events.catalogue import event_types
from events.restrictions import operators_for
from tests.api_fixtures import problem, refusal

pytestmark = pytest.mark.django_db

EVENT_TYPES = "/api/v1/event-types/"


class TestList:
    def test_it_tells_every_event_in_words(self, api: APIClient) -> None:
        shown = api.get(EVENT_TYPES).json()
        assert list(shown) == ["results"]
        assert [kind["key"] for kind in shown["results"]] == list(event_types())
        (update,) = [kind for kind in shown["results"] if kind["key"] == "wallettransaction_update"]
        assert update == {
            "key": "wallettransaction_update",
            "aliases": ["wallettrasaction_update"],
            "label": "Wallet Transaction Is Updated",
            "group": "Coins",
            "fires_when": "Fires when a pending wallet transaction succeeds or is cancelled.",
        }

    @pytest.mark.parametrize("name", ["page_size", "cursor", "key"])
    def test_it_takes_no_parameter(self, api: APIClient, name: str) -> None:
        sentence = "There is no such parameter. This address takes none."
        assert refusal(api.get(EVENT_TYPES, {name: "1"})) == (name, "unknown_parameter", sentence)


class TestDetail:
    @pytest.mark.parametrize("key", sorted(event_types()))
    def test_the_example_fits_the_schema(self, api: APIClient, key: str) -> None:
        shown = api.get(f"{EVENT_TYPES}{key}/").json()
        Draft202012Validator.check_schema(shown["schema"])
        Draft202012Validator(shown["schema"], format_checker=Draft202012Validator.FORMAT_CHECKER).validate(
            shown["example"]
        )
        assert shown["example"]["event_key"] == key
        assert shown["schema"] == event_types()[key].schema()

    @pytest.mark.parametrize("key", sorted(event_types()))
    def test_it_tells_each_field_and_how_it_can_restrict(self, api: APIClient, key: str) -> None:
        kind = event_types()[key]
        shown = {field["name"]: field for field in api.get(f"{EVENT_TYPES}{key}/").json()["fields"]}
        assert list(shown) == list(kind.fields)
        for name, field in kind.fields.items():
            expected = [operator.key for operator in operators_for(field)] if name in kind.restrictable else []
            assert [operator["key"] for operator in shown[name]["operators"]] == expected

    def test_a_choice_field_tells_its_values(self, api: APIClient) -> None:
        shown = api.get(f"{EVENT_TYPES}walletreward_create/").json()
        fields = shown["fields"]
        assert shown["property_operators"] == []
        (operation,) = [field for field in fields if field["name"] == "wallettransaction_operation"]
        assert operation == {
            "name": "wallettransaction_operation",
            "label": "Wallet Transaction Operations",
            "help": "",
            "type": "choice",
            "nullable": False,
            "in_payload": True,
            "operators": [{"key": "any_of", "label": "is one of"}, {"key": "none_of", "label": "is none of"}],
            "choices": [{"value": "cr", "label": "Credited"}, {"value": "dr", "label": "Debited"}],
        }

    def test_what_is_worked_out_is_told_and_not_in_the_schema(self, api: APIClient) -> None:
        shown = api.get(f"{EVENT_TYPES}lead_create/").json()
        (has_email,) = [field for field in shown["fields"] if field["name"] == "user_has_email"]
        assert has_email["in_payload"] is False
        assert "user_has_email" not in shown["schema"]["properties"]
        assert "user_has_email" not in shown["example"]

    def test_it_tells_what_new_send_events_begin_with(self, api: APIClient) -> None:
        assert api.get(f"{EVENT_TYPES}walletreward_create/").json()["initial_restrictions"] == [
            {"field": "wallettransaction_type", "operator": "any_of", "value": ["reward"]},
            {"field": "wallettransaction_operation", "operator": "any_of", "value": ["cr"]},
        ]

    def test_another_spelling_leads_to_it(self, api: APIClient) -> None:
        assert api.get(f"{EVENT_TYPES}wallettrasaction_update/").json()["key"] == "wallettransaction_update"

    @pytest.mark.parametrize("key", ["nonsense", "%00", "ü"])
    def test_one_that_is_not_there(self, api: APIClient, key: str) -> None:
        assert problem(api.get(f"{EVENT_TYPES}{key}/"), 404)

    def test_it_is_only_read(self, api: APIClient) -> None:
        methods: list[Any] = [api.post, api.patch, api.put, api.delete]
        for method in methods:
            assert problem(method(f"{EVENT_TYPES}lead_create/", {}), 405)

    def test_it_asks_for_a_key(self) -> None:
        assert problem(Client().get(EVENT_TYPES), 401)
