"""An integration: its secrets, its limits, its name, and what deleting leaves."""

import json
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import ValidationError
from django.core.serializers import serialize
from django.db import IntegrityError, transaction

from customers.models import Store
from integrations.destinations import UnknownDestination
from integrations.destinations.base import Selector
from integrations.destinations.webhook import Webhook
from integrations.encryption import SecretsUnreadable
from integrations.models import Integration, archived
from tests.factories import make_integration

pytestmark = pytest.mark.django_db

SECRET = "whsec_" + "c2VjcmV0" * 4
VALUES = {"url": "https://tool.example/a", "signing_secret": SECRET, "headers": "X-Token: hunter2"}


@pytest.fixture
def integration(store: Store) -> Integration:
    return make_integration(store, name="Main", values=VALUES)


class TestConfigure:
    def test_the_adapter_gets_all_of_it(self, integration: Integration) -> None:
        integration.refresh_from_db()
        adapter = integration.adapter()
        assert isinstance(adapter, Webhook)
        assert adapter.integration_id == integration.pk
        assert adapter.settings == VALUES

    def test_secrets_are_not_among_the_settings(self, integration: Integration) -> None:
        integration.refresh_from_db()
        assert integration.settings == {"url": "https://tool.example/a"}

    def test_nothing_that_renders_the_row_shows_a_secret(self, integration: Integration) -> None:
        row = Integration.objects.values().get()
        seen = f"{integration} {integration!r} {vars(integration)} {row} {serialize('json', [integration])}"
        assert "hunter2" not in seen
        assert SECRET not in seen
        assert SECRET.removeprefix("whsec_") not in seen

    @pytest.mark.parametrize("empty", ["", None])
    def test_a_secret_left_empty_is_kept(self, integration: Integration, empty: str | None) -> None:
        integration.configure({"url": "https://tool.example/b", "signing_secret": empty, "headers": empty})
        assert integration.adapter().settings == {**VALUES, "url": "https://tool.example/b"}

    def test_a_secret_entered_anew_replaces_it_alone(self, integration: Integration) -> None:
        integration.configure({**VALUES, "signing_secret": "", "headers": "X-Token: other"})
        assert integration.adapter().settings == {**VALUES, "headers": "X-Token: other"}

    def test_one_that_would_go_to_another_host_is_not(self, integration: Integration) -> None:
        elsewhere = {"url": "https://evil.example/a", "signing_secret": SECRET, "headers": ""}
        assert integration.secrets_to_enter(elsewhere) == {"signing_secret", "headers"}
        integration.configure(elsewhere)
        assert integration.adapter().settings == {"url": "https://evil.example/a", "signing_secret": SECRET}

    def test_without_an_address_nothing_goes_anywhere(self, integration: Integration) -> None:
        assert integration.secrets_to_enter({"url": ""}) == set()
        integration.configure({**VALUES, "url": ""})
        assert integration.secrets_to_enter(VALUES) == {"signing_secret", "headers"}, "no way round in two steps"

    def test_a_setting_that_is_no_secret_can_be_emptied(self, integration: Integration) -> None:
        integration.configure({**VALUES, "url": ""})
        assert integration.settings == {"url": ""}

    def test_it_is_written_only_when_saved(self, integration: Integration) -> None:
        integration.configure({**VALUES, "url": "https://tool.example/b"})
        assert Integration.objects.get().settings == {"url": "https://tool.example/a"}

    def test_secrets_of_a_lost_key_are_told_and_can_be_entered_anew(
        self, integration: Integration, settings: Any
    ) -> None:
        settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
        with pytest.raises(SecretsUnreadable, match=r"^The stored secrets cannot be read"):
            integration.adapter()
        integration.configure(VALUES)
        assert integration.adapter().settings == VALUES

    def test_a_destination_that_is_gone_is_told(self, integration: Integration) -> None:
        integration.destination = "removed"
        with pytest.raises(UnknownDestination, match=r"^There is no destination “removed” in this version\.$"):
            integration.adapter()


class TestSelector:
    def test_none_where_the_tool_needs_none(self, integration: Integration) -> None:
        assert integration.selector() is None

    @pytest.mark.parametrize("selector", list(Selector))
    def test_the_chosen_one_where_it_does(
        self, integration: Integration, monkeypatch: pytest.MonkeyPatch, selector: Selector
    ) -> None:
        monkeypatch.setattr(Webhook, "selectors", tuple(Selector))
        integration.primary_selector = selector.value
        assert integration.selector() is selector

    def test_a_person_chooses_it_by_its_name(self) -> None:
        assert [label for _, label in Integration._meta.get_field("primary_selector").flatchoices] == [
            "Customer id",
            "E-mail",
            "Mobile number",
        ]


class TestLimits:
    @pytest.mark.parametrize(
        ("tools", "own", "holds"),
        [(None, None, None), (50.0, None, 50.0), (None, 5.0, 5.0), (50.0, 5.0, 5.0), (50.0, 500.0, 50.0)],
    )
    def test_the_lower_rate_holds(
        self,
        integration: Integration,
        monkeypatch: pytest.MonkeyPatch,
        tools: float | None,
        own: float | None,
        holds: float | None,
    ) -> None:
        monkeypatch.setattr(Webhook, "rate", tools)
        integration.rate_limit = own
        assert integration.calls_per_second == holds

    @pytest.mark.parametrize(("own", "holds"), [(None, 10), (3, 3), (10, 10), (1000, 10)])
    def test_the_lower_concurrency_holds(
        self, integration: Integration, monkeypatch: pytest.MonkeyPatch, own: int | None, holds: int
    ) -> None:
        monkeypatch.setattr(Webhook, "concurrency", 10)
        integration.concurrency_limit = own
        assert integration.calls_at_once == holds

    @pytest.mark.parametrize(
        ("field", "value", "sentence"),
        [
            ("rate_limit", 0, "Ensure this value is greater than or equal to 0.01."),
            ("rate_limit", 1e9, "Ensure this value is less than or equal to 100000."),
            ("concurrency_limit", 0, "Ensure this value is greater than or equal to 1."),
            ("concurrency_limit", 1001, "Ensure this value is less than or equal to 1000."),
        ],
    )
    def test_what_is_no_limit_is_refused(
        self, integration: Integration, field: str, value: float, sentence: str
    ) -> None:
        setattr(integration, field, value)
        with pytest.raises(ValidationError) as raised:
            integration.full_clean()
        assert raised.value.message_dict == {field: [sentence]}


class TestName:
    def test_another_one_of_the_store_is_refused_in_a_sentence(self, store: Store, integration: Integration) -> None:
        with pytest.raises(ValidationError) as raised:
            Integration(store=store, name="Main", destination="webhook").full_clean()
        assert raised.value.messages == ["Another integration of this store has this name."]

    def test_the_database_refuses_it_too(self, store: Store, integration: Integration) -> None:
        with pytest.raises(IntegrityError), transaction.atomic():
            Integration.objects.create(store=store, name="Main", destination="webhook")

    def test_other_stores_and_deleted_ones_do_not_count(
        self, store: Store, other_store: Store, integration: Integration
    ) -> None:
        make_integration(other_store, name="Main")
        integration.archive()
        again = make_integration(store, name="Main")
        assert Integration.objects.existing().filter(store=store).get() == again

    def test_a_destination_that_does_not_exist_is_refused(self, store: Store) -> None:
        with pytest.raises(ValidationError) as raised:
            Integration(store=store, name="Other", destination="telepathy").full_clean(validate_constraints=False)
        assert "Value 'telepathy' is not a valid choice." in raised.value.messages


class TestArchive:
    def test_it_is_off_and_its_row_stays(self, integration: Integration) -> None:
        integration.archive()
        integration.refresh_from_db()
        assert integration.enabled is False
        assert integration.archived_at
        assert not Integration.objects.existing().exists()
        assert json.dumps(integration.settings)

    def test_who_has_work_for_it_hears_of_it_in_the_same_transaction(self, integration: Integration) -> None:
        heard: list[tuple[Integration, bool, bool]] = []

        def hear(*, integration: Integration, **_: Any) -> None:
            atomic = transaction.get_connection().in_atomic_block
            heard.append((integration, atomic, Integration.objects.existing().exists()))

        archived.connect(hear, sender=Integration)
        try:
            integration.archive()
        finally:
            archived.disconnect(hear, sender=Integration)
        assert heard == [(integration, True, False)]

    @pytest.mark.django_db(transaction=True)
    def test_when_a_listener_fails_nothing_was_deleted(self, integration: Integration) -> None:
        def fail(**_: Any) -> None:
            raise RuntimeError("no")

        archived.connect(fail, sender=Integration)
        try:
            with pytest.raises(RuntimeError):
                integration.archive()
        finally:
            archived.disconnect(fail, sender=Integration)
        assert Integration.objects.existing().get().enabled is True
