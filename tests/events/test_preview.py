"""The preview: the exact request that would go out, made of a recent event or of a sample, and nothing sent."""

import json
from typing import Any

import pytest

from customers.models import Customer, Store
from events import sending
from events.catalogue import EventType, event_type
from events.models import Occurrence
from events.preview import Preview, preview
from events.restrictions import Restriction, read_restrictions
from integrations.destinations.base import Skip
from integrations.models import Integration
from integrations.transcript import MASK
from tests.factories import give_coins, make_customer, make_subscription
from tests.receiver import Receiver

pytestmark = pytest.mark.django_db

KIND = event_type("walletreward_create")
AT_LEAST_100 = {"field": "wallettransaction_amount", "operator": "at_least", "value": 100}


def of(integration: Integration, *restrictions: dict[str, Any], kind: EventType = KIND) -> Preview:
    found = preview(
        kind=kind,
        integration=integration,
        event_name="app_reward",
        restrictions=read_restrictions(kind, [*restrictions]),
    )
    assert found is not None
    return found


def body(found: Preview) -> dict[str, Any]:
    """Of its one request."""
    (request,) = found.requests
    content: dict[str, Any] = json.loads(request.request_body)
    return content


class TestWhatItIsMadeOf:
    def test_the_newest_event_of_the_store(self, customer: Customer, integration: Integration) -> None:
        for coins in (50, 60):
            give_coins(customer, coins)
        found = of(integration)
        assert found.occurrence == Occurrence.objects.latest("id")
        assert body(found)["data"]["wallettransaction_amount"] == 60
        assert body(found)["data"]["event_sequence"] == found.occurrence.pk

    def test_the_newest_one_that_would_be_sent(self, customer: Customer, integration: Integration) -> None:
        for coins in (150, 50):
            give_coins(customer, coins)
        found = of(integration, AT_LEAST_100)
        assert body(found)["data"]["wallettransaction_amount"] == 150
        assert found.failing == []

    def test_the_newest_one_when_none_would_be(self, customer: Customer, integration: Integration) -> None:
        for coins in (50, 60):
            give_coins(customer, coins)
        found = of(integration, AT_LEAST_100)
        assert body(found)["data"]["wallettransaction_amount"] == 60
        assert [str(finding.restriction) for finding in found.failing] == ["Coins is at least 100"]

    def test_a_sample_about_a_customer_of_the_store_when_it_never_happened(
        self, customer: Customer, integration: Integration
    ) -> None:
        found = of(integration)
        assert found.occurrence is None
        data = body(found)["data"]
        assert (data["user_email"], data["wallettransaction_amount"]) == ("ada@example.com", 50)

    def test_nothing_without_event_and_customer(self, store: Store, integration: Integration) -> None:
        assert preview(kind=KIND, integration=integration, event_name="x", restrictions=[]) is None

    @pytest.mark.parametrize("column", [{"is_test": True}, {"error": "It could not be built."}])
    def test_neither_tests_nor_broken_ones(
        self, customer: Customer, integration: Integration, column: dict[str, Any]
    ) -> None:
        give_coins(customer, 60)
        Occurrence.objects.update(**column)
        assert of(integration).occurrence is None

    def test_none_of_another_store(self, other_store: Store, customer: Customer, integration: Integration) -> None:
        give_coins(make_customer(other_store), 60)
        assert of(integration).occurrence is None


class TestRequest:
    def test_it_is_the_one_that_is_sent(self, customer: Customer, integration: Integration, receiver: Receiver) -> None:
        make_subscription(integration, prefix="app_", name="reward")
        give_coins(customer, 60)
        (shown,) = of(integration).requests
        sending.deliver()
        (got,) = receiver.got
        assert (shown.request_method, shown.request_url) == (got.method, receiver.url)
        sent, previewed = got.json(), json.loads(shown.request_body)
        assert sent["type"] == previewed["type"] == "app_reward"
        assert sent["data"] == previewed["data"]

    def test_secrets_are_masked(self, customer: Customer, integration: Integration) -> None:
        (shown,) = of(integration).requests
        assert shown.request_headers["X-Token"] == MASK
        assert "a-long-secret-token" not in str(shown)

    def test_nothing_is_sent_and_nothing_recorded(
        self, customer: Customer, integration: Integration, receiver: Receiver
    ) -> None:
        before = Occurrence.objects.count()
        of(integration)
        assert (receiver.got, Occurrence.objects.count()) == ([], before)


class TestWhyThereIsNone:
    def sentence(self, integration: Integration) -> str:
        found = of(integration)
        assert found.requests == []
        return found.sentence

    def test_the_destination_is_gone(self, customer: Customer, integration: Integration) -> None:
        integration.destination = "removed"
        assert self.sentence(integration) == "There is no destination “removed” in this version."

    def test_its_secrets_cannot_be_read(self, customer: Customer, integration: Integration) -> None:
        integration.encrypted_secrets = "gAAAAABnonsense"
        assert "cannot be read" in self.sentence(integration)

    def test_the_customer_lacks_what_the_tool_looks_for(
        self, store: Store, integration: Integration, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from integrations.destinations.base import Selector

        make_customer(store, email=None, mobile="+4915112345678")
        monkeypatch.setattr(integration.kind, "selectors", (Selector.EMAIL,))
        assert self.sentence(integration) == "The customer has no e-mail, so this one would be skipped."

    @pytest.mark.parametrize(
        ("trouble", "sentence"),
        [
            (Skip("Nobody is told of samples."), "Nobody is told of samples."),
            (KeyError("colour"), "The destination itself failed: KeyError: 'colour'"),
        ],
    )
    def test_what_the_destination_says(
        self,
        customer: Customer,
        integration: Integration,
        monkeypatch: pytest.MonkeyPatch,
        trouble: Exception,
        sentence: str,
    ) -> None:
        def calls(*_: Any) -> Any:
            raise trouble

        monkeypatch.setattr(integration.kind, "calls", calls)
        assert self.sentence(integration) == sentence

    def test_the_findings_are_told_all_the_same(self, customer: Customer, integration: Integration) -> None:
        integration.destination = "removed"
        assert [finding.holds for finding in of(integration, AT_LEAST_100).findings] == [False]


def test_the_restrictions_are_those_entered(customer: Customer, integration: Integration) -> None:
    """Not those of a send event that is there already: the form is unsaved."""
    make_subscription(integration, "walletreward_create", AT_LEAST_100)
    entered: list[Restriction] = []
    found = preview(kind=KIND, integration=integration, event_name="x", restrictions=entered)
    assert found is not None
    assert found.findings == []
