"""The API of integrations: secrets go in and never come out, and nothing is on before its tool said yes."""

from typing import Any

import pytest
from django.test import override_settings
from rest_framework.test import APIClient

from customers.models import Customer, Store
from integrations.models import Integration
from integrations.serializers import IntegrationSerializer
from tests.api_fixtures import a_delivery, an_occurrence, problem, refusal
from tests.factories import make_integration, make_subscription
from tests.receiver import Answer, Receiver, running

pytestmark = pytest.mark.django_db

INTEGRATIONS = "/api/v1/integrations/"
SECRET = "whsec_" + "c2VjcmV0" * 4
SETTINGS = {"url": "https://shop.example/events", "signing_secret": SECRET, "headers": "X-Token: hush-hush-hush"}
HOOK = {"name": "Shop hook", "destination": "webhook", "settings": SETTINGS}
SANDBOX = {"name": "Trial", "destination": "sandbox"}
UNVERIFIED = ("enabled", "unverified", "Verify the connection first, then switch it on.")


def stored(api: APIClient, **more: Any) -> Integration:
    response = api.post(INTEGRATIONS, {**HOOK, **more})
    assert response.status_code == 201, response.content
    return Integration.objects.get(pk=response.json()["id"])


def switched_on(api: APIClient) -> Integration:
    """One whose tool said yes."""
    integration = stored(api)
    integration.note_check(good=True, sentence="Fine.")
    integration.switch_on()
    return integration


class TestCreate:
    def test_it_is_stored_and_its_secrets_are_never_shown(self, api: APIClient, store: Store) -> None:
        response = api.post(INTEGRATIONS, HOOK)
        row = Integration.objects.get(store=store)
        assert response.status_code == 201
        assert response.json() == {
            "id": str(row.pk),
            "name": "Shop hook",
            "destination": "webhook",
            "settings": {"url": "https://shop.example/events"},
            "secrets_set": ["headers", "signing_secret"],
            "primary_selector": "user_email",
            "rate_limit": None,
            "concurrency_limit": None,
            "enabled": False,
            "switched_off_reason": "",
            "has_check": False,
            "verified_at": None,
            "checked_at": None,
            "check_result": "",
            "created_at": row.created_at.isoformat().replace("+00:00", "Z"),
        }
        assert row.stored_secrets() == {"signing_secret": SECRET, "headers": "X-Token: hush-hush-hush"}
        for answer in (response, api.get(INTEGRATIONS), api.get(f"{INTEGRATIONS}{row.pk}/")):
            assert b"whsec_" not in answer.content
            assert b"hush" not in answer.content
        assert "hush" not in row.encrypted_secrets

    @pytest.mark.parametrize(
        ("settings", "field", "sentence"),
        [
            ({}, "settings.url", "This field is required."),
            ({"url": "ftp://x"}, "settings.url", None),
            ({"url": None}, "settings.url", "This field is required."),
            ({"signing_secret": "whsec_short"}, "settings.signing_secret", None),
            ({"headers": "no colon"}, "settings.headers", None),
            (
                {"colour": "red"},
                "settings.colour",
                "Webhook has no such setting. Its settings are: url, signing_secret, headers.",
            ),
            (
                {"url": {"a": "b"}},
                "settings.url",
                "Enter a text, a number, true or false, a list of texts, or null.",
            ),
            ({"url": "x" * 10_001}, "settings.url", "Ensure this field has no more than 10000 characters."),
            ({"url": "https://x\0"}, "settings.url", "Null characters are not allowed."),
        ],
    )
    def test_each_error_is_at_its_setting(
        self, api: APIClient, settings: dict[str, Any], field: str, sentence: str | None
    ) -> None:
        given = {**SETTINGS, **settings} if settings else {"signing_secret": SECRET}
        errors = {error["field"]: error for error in problem(api.post(INTEGRATIONS, {**HOOK, "settings": given}), 400)}
        assert list(errors) == [field]
        if sentence:
            assert errors[field]["message"] == sentence
        assert SECRET not in str(errors)
        assert not Integration.objects.exists()

    @pytest.mark.parametrize("settings", ["text", ["list"], None, 5])
    def test_settings_are_an_object(self, api: APIClient, settings: Any) -> None:
        assert problem(api.post(INTEGRATIONS, {**HOOK, "settings": settings}), 400)[0]["field"] == "settings"

    def test_where_nothing_is_given_it_has_what_its_destination_begins_with(self, api: APIClient) -> None:
        assert api.post(INTEGRATIONS, SANDBOX).json()["settings"] == {}

    def test_a_secret_that_nobody_would_know_is_not_made_up(self, api: APIClient) -> None:
        response = api.post(INTEGRATIONS, {**HOOK, "settings": {"url": "https://shop.example"}})
        assert refusal(response) == ("settings.signing_secret", "required", "This field is required.")

    def test_an_unknown_destination_is_refused_with_the_known_ones(self, api: APIClient) -> None:
        field, _, sentence = refusal(api.post(INTEGRATIONS, {**HOOK, "destination": "pigeon"}))
        assert field == "destination"
        assert sentence.startswith("“pigeon” is not one of ")

    def test_a_name_that_is_taken_is_refused(self, api: APIClient) -> None:
        stored(api)
        assert refusal(api.post(INTEGRATIONS, HOOK))[::2] == (
            "name",
            "Another integration of this store has this name.",
        )

    @pytest.mark.parametrize("rate", ["nan", "inf", 1e400, 0])
    def test_a_rate_is_a_number(self, api: APIClient, rate: Any) -> None:
        sent = '{"name": "Trial", "destination": "sandbox", "rate_limit": %s}' % (
            "1e400" if rate == 1e400 else f'"{rate}"'
        )
        response = api.generic("POST", INTEGRATIONS, sent, content_type="application/json")
        assert refusal(response)[0] == "rate_limit"

    def test_one_whose_tool_has_no_check_needs_a_test_event_first(self, api: APIClient) -> None:
        answer = api.post(INTEGRATIONS, {**HOOK, "enabled": True})
        assert refusal(answer, 409) == ("enabled", "unverified", "Send a test event first, then switch it on.")

    def test_one_whose_tool_has_one_needs_it(self, api: APIClient) -> None:
        assert refusal(api.post(INTEGRATIONS, {**SANDBOX, "enabled": True}), 409) == UNVERIFIED
        assert not Integration.objects.exists()


class TestChange:
    def test_only_what_is_named_is_changed(self, api: APIClient) -> None:
        integration = stored(api)
        shown = api.patch(f"{INTEGRATIONS}{integration.pk}/", {"name": "Renamed", "rate_limit": 5}).json()
        assert (shown["name"], shown["rate_limit"], shown["secrets_set"]) == (
            "Renamed",
            5,
            ["headers", "signing_secret"],
        )
        integration.refresh_from_db()
        assert integration.stored_secrets()["signing_secret"] == SECRET

    def test_a_setting_that_is_left_out_stays(self, api: APIClient) -> None:
        integration = stored(api)
        api.patch(f"{INTEGRATIONS}{integration.pk}/", {"settings": {"url": "https://shop.example/new"}})
        integration.refresh_from_db()
        assert integration.settings == {"url": "https://shop.example/new"}
        assert integration.stored_secrets() == {"signing_secret": SECRET, "headers": "X-Token: hush-hush-hush"}

    def test_null_removes_one(self, api: APIClient) -> None:
        integration = stored(api)
        shown = api.patch(f"{INTEGRATIONS}{integration.pk}/", {"settings": {"headers": None}}).json()
        assert shown["secrets_set"] == ["signing_secret"]
        response = api.patch(f"{INTEGRATIONS}{integration.pk}/", {"settings": {"signing_secret": None}})
        assert refusal(response)[::2] == ("settings.signing_secret", "This field is required.")

    @pytest.mark.parametrize("given", [{}, {"headers": "  "}, {"signing_secret": SECRET}])
    def test_a_stored_secret_goes_to_no_other_host(self, api: APIClient, given: dict[str, Any]) -> None:
        integration = stored(api)
        moved = {"url": "https://evil.example/events", **given}
        response = api.patch(f"{INTEGRATIONS}{integration.pk}/", {"settings": moved})
        again = "Enter it again: the address now leads to another host."
        or_remove = "Enter it again, or remove it: the address now leads to another host."
        expected = {"settings.headers": or_remove, "settings.signing_secret": again}
        told = {error["field"]: error["message"] for error in problem(response, 400)}
        assert told == {name: words for name, words in expected.items() if given.get(name[9:]) != SECRET}
        integration.refresh_from_db()
        assert integration.adapter().settings == SETTINGS

    def test_given_again_or_removed_it_may_move(self, api: APIClient) -> None:
        integration = stored(api)
        moved = {"url": "https://new.example", "signing_secret": SECRET, "headers": None}
        assert api.patch(f"{INTEGRATIONS}{integration.pk}/", {"settings": moved}).status_code == 200
        integration.refresh_from_db()
        assert integration.adapter().settings == {"url": "https://new.example", "signing_secret": SECRET}

    def test_its_destination_stays(self, api: APIClient) -> None:
        integration = stored(api)
        response = api.patch(f"{INTEGRATIONS}{integration.pk}/", {"destination": "sandbox"})
        assert refusal(response) == ("destination", "read_only", "This field cannot be set.")

    def test_what_the_senders_noted_meanwhile_stays(self, api: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
        integration = switched_on(api)
        validate = IntegrationSerializer.validate

        def meanwhile(serializer: Any, attrs: Any) -> Any:
            Integration.objects.update(enabled=False, switched_off_reason="it answered 410")
            return validate(serializer, attrs)

        monkeypatch.setattr(IntegrationSerializer, "validate", meanwhile)
        shown = api.patch(f"{INTEGRATIONS}{integration.pk}/", {"name": "Renamed"}).json()
        assert (shown["enabled"], shown["switched_off_reason"]) == (False, "it answered 410")

    def test_one_whose_destination_is_gone_is_shown_and_says_so(self, api: APIClient) -> None:
        integration = stored(api)
        Integration.objects.update(destination="pigeon")
        shown = api.get(f"{INTEGRATIONS}{integration.pk}/").json()
        assert (shown["destination"], shown["has_check"]) == ("pigeon", False)
        response = api.patch(f"{INTEGRATIONS}{integration.pk}/", {"name": "Renamed"})
        assert refusal(response)[::2] == ("destination", "There is no destination “pigeon” in this version.")
        assert api.delete(f"{INTEGRATIONS}{integration.pk}/").status_code == 204


class TestSwitch:
    def test_off_and_on_again(self, api: APIClient) -> None:
        integration = switched_on(api)
        address = f"{INTEGRATIONS}{integration.pk}/"
        assert api.patch(address, {"enabled": False}).json()["enabled"] is False
        Integration.objects.update(switched_off_reason="it answered 410")
        shown = api.patch(address, {"enabled": True}).json()
        assert (shown["enabled"], shown["switched_off_reason"]) == (True, "")

    def test_not_on_before_its_tool_said_yes(self, api: APIClient) -> None:
        address = f"{INTEGRATIONS}{api.post(INTEGRATIONS, SANDBOX).json()['id']}/"
        assert refusal(api.patch(address, {"enabled": True, "name": "Renamed"}), 409) == UNVERIFIED
        shown = api.get(address).json()
        assert (shown["enabled"], shown["name"]) == (False, "Trial")
        Integration.objects.get().note_check(good=True, sentence="Fine.")
        assert api.patch(address, {"enabled": True}).json()["enabled"] is True

    def test_changed_settings_must_be_verified_anew(self, api: APIClient) -> None:
        integration = stored(api)
        integration.note_check(good=True, sentence="Fine.")
        address = f"{INTEGRATIONS}{integration.pk}/"
        assert api.patch(address, {"settings": {"url": SETTINGS["url"]}}).json()["verified_at"]
        assert api.patch(address, {"settings": {"url": "https://shop.example/new"}}).json()["verified_at"] is None


@pytest.mark.django_db(transaction=True)
class TestVerify:
    @pytest.fixture
    def tool(self) -> Any:
        with (
            running() as server,
            override_settings(SANDBOX_ADDRESS=server.host, ALLOWED_PRIVATE_HOSTS=frozenset({server.host})),
        ):
            yield server

    def test_it_asks_the_tool_and_tells_all_that_was_said(self, api: APIClient, store: Store, tool: Receiver) -> None:
        integration = make_integration(store, destination="sandbox", enabled=False)
        shown = api.post(f"{INTEGRATIONS}{integration.pk}/verify/").json()
        assert (shown["good"], shown["possible"]) == (True, True)
        assert shown["sentence"].startswith("Sandbox accepted the c")
        assert (shown["call"]["request_method"], shown["call"]["response_status"]) == ("GET", 200)
        assert api.get(f"{INTEGRATIONS}{integration.pk}/").json()["verified_at"]
        assert api.patch(f"{INTEGRATIONS}{integration.pk}/", {"enabled": True}).json()["enabled"] is True

    def test_a_tool_that_refuses(self, api: APIClient, store: Store, tool: Receiver) -> None:
        tool.next.append(Answer(401))
        integration = make_integration(store, destination="sandbox", enabled=False)
        shown = api.post(f"{INTEGRATIONS}{integration.pk}/verify/").json()
        assert (shown["good"], shown["possible"]) == (False, True)
        assert shown["sentence"].startswith("Sandbox refused the credentials (answer 401).")
        assert refusal(api.patch(f"{INTEGRATIONS}{integration.pk}/", {"enabled": True}), 409) == UNVERIFIED

    def test_one_that_has_no_check_says_so(self, api: APIClient, store: Store) -> None:
        integration = make_integration(store)
        shown = api.post(f"{INTEGRATIONS}{integration.pk}/verify/").json()
        assert shown == {
            "good": False,
            "possible": False,
            "sentence": "Webhook has no check of its own: send a test event instead.",
            "call": None,
        }


class TestDelete:
    def test_it_is_archived_with_its_send_events_and_what_was_pending_is_cancelled(
        self, api: APIClient, store: Store, customer: Customer
    ) -> None:
        integration = make_integration(store)
        send_event = make_subscription(integration)
        delivery = a_delivery(an_occurrence(customer), send_event)
        assert api.delete(f"{INTEGRATIONS}{integration.pk}/").status_code == 204
        assert problem(api.get(f"{INTEGRATIONS}{integration.pk}/"), 404)
        assert api.get(INTEGRATIONS).json()["results"] == []
        assert api.get("/api/v1/send-events/").json()["results"] == []
        delivery.refresh_from_db()
        assert (delivery.status, delivery.reason) == ("cancelled", "the integration was deleted")


class TestList:
    def test_they_are_found_by(self, api: APIClient, store: Store) -> None:
        hook = make_integration(store, enabled=False)
        sandbox = make_integration(store, destination="sandbox")
        for filters, row in (
            ({"destination": "webhook"}, hook),
            ({"destination": "sandbox"}, sandbox),
            ({"enabled": "true"}, sandbox),
            ({"enabled": "false"}, hook),
        ):
            assert [one["id"] for one in api.get(INTEGRATIONS, filters).json()["results"]] == [str(row.pk)]
