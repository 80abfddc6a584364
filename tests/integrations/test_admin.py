"""The screens of integrations: connecting in two steps, secrets that stay secret, switching, deleting, and who may."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.messages import get_messages
from django.db import connections
from django.test import Client
from django.utils import timezone

from customers.models import Customer, Store
from events.models import Lane, Notice
from integrations.models import Integration, SandboxInbox, SandboxRequest
from tests import factories
from tests.receiver import Answer, Receiver

LIST = "/admin/integrations/integration/"
FUTURE = datetime(2100, 1, 1, tzinfo=UTC)
SECRET = "whsec_" + "c2VjcmV0" * 4


@pytest.fixture
def integration(store: Store) -> Integration:
    values = {"url": "https://shop.example/old", "signing_secret": SECRET, "headers": ""}
    return factories.make_integration(store, name="Shop", values=values)


@pytest.fixture
def client(editor: User, signed_in: Any) -> Client:
    browser: Client = signed_in(editor)
    return browser


def page(integration: Integration, part: str = "change") -> str:
    return f"{LIST}{integration.pk}/{part}/"


def entered(**changes: str) -> dict[str, str]:
    return {
        "name": "My shop",
        "settings-url": "https://shop.example/events",
        "settings-signing_secret": SECRET,
        "settings-headers": "",
        "rate_limit": "",
        "concurrency_limit": "",
        **changes,
    }


def said(answer: Any) -> list[str]:
    return [str(message) for message in get_messages(answer.wsgi_request)]


def errors(answer: Any) -> dict[str, list[str]]:
    found: dict[str, list[str]] = dict(answer.context["adminform"].form.errors)
    return found


class TestConnecting:
    def test_the_gallery_offers_every_tool(self, client: Client) -> None:
        shown = client.get(f"{LIST}add/").content.decode()
        assert "?destination=webhook" in shown
        assert "Sends each event as a signed JSON request to a URL of your own." in shown

    def test_a_tool_that_is_not_offered_leads_back_to_the_gallery(self, client: Client, settings: Any) -> None:
        settings.SANDBOX = False
        for key in ("sandbox", "nonsense"):
            assert "Step 1 of 2" in client.get(f"{LIST}add/?destination={key}").content.decode()

    def test_its_own_settings_and_their_help_are_asked_for(self, client: Client) -> None:
        shown = client.get(f"{LIST}add/?destination=webhook").content.decode()
        assert "Where events are sent, such as https://example.com/events." in shown
        assert 'value="whsec_' in shown, "a new signing secret is proposed"
        assert "primary_selector" not in shown, "a webhook finds nobody"

    def test_it_is_stored_encrypted_and_off(self, client: Client, store: Store) -> None:
        answer = client.post(f"{LIST}add/?destination=webhook", entered(**{"settings-headers": "X-Key: hush-hush"}))
        row = Integration.objects.get()
        assert answer["Location"] == page(row)
        assert said(answer) == ["My shop is connected. Verify it, then switch it on."]
        assert (row.store, row.destination, row.name, row.enabled) == (store, "webhook", "My shop", False)
        assert row.settings == {"url": "https://shop.example/events"}
        assert row.stored_secrets() == {"signing_secret": SECRET, "headers": "X-Key: hush-hush"}
        assert "hush" not in row.encrypted_secrets

    @pytest.mark.parametrize(
        ("field", "value", "sentence"),
        [
            ("name", "", "This field is required."),
            ("name", "Shop", "Another integration of this store has this name."),
            ("settings-url", "", "This field is required."),
            ("settings-signing_secret", "short", "A signing secret is whsec_ followed by 24 to 64 bytes in base64."),
            (
                "settings-headers",
                "nonsense",
                "Write each header as Name: value. Line 1 has no colon.",
            ),
            ("rate_limit", "0", "Ensure this value is greater than or equal to 0.01."),
        ],
    )
    def test_an_error_stands_at_its_field(
        self, client: Client, integration: Integration, field: str, value: str, sentence: str
    ) -> None:
        answer = client.post(f"{LIST}add/?destination=webhook", entered(**{field: value}))
        assert errors(answer) == {field: [sentence]}
        assert sentence in answer.content.decode()
        assert Integration.objects.count() == 1

    def test_a_name_of_another_store_is_free(self, client: Client, other_store: Store) -> None:
        factories.make_integration(other_store, name="My shop")
        assert client.post(f"{LIST}add/?destination=webhook", entered()).status_code == 302


class TestChanging:
    def test_secrets_are_never_rendered(self, client: Client, integration: Integration) -> None:
        integration.configure({"url": "https://a.example", "signing_secret": SECRET, "headers": "X-Key: hush-hush"})
        integration.save()
        shown = client.get(page(integration)).content.decode()
        assert "whsec_" not in shown
        assert "hush" not in shown
        assert shown.count("It is stored and never shown. Left empty, it stays as it is.") == 2

    def test_an_empty_secret_keeps_the_old_one(self, client: Client, integration: Integration) -> None:
        answer = client.post(page(integration), entered(**{"name": "Renamed", "settings-signing_secret": ""}))
        assert said(answer) == ["Renamed is saved."]
        integration.refresh_from_db()
        assert integration.settings == {"url": "https://shop.example/events"}
        assert integration.stored_secrets()["signing_secret"] == SECRET

    def test_a_new_secret_takes_its_place(self, client: Client, integration: Integration) -> None:
        new = "whsec_" + "bmV3bmV3" * 4
        client.post(page(integration), entered(**{"settings-signing_secret": new}))
        integration.refresh_from_db()
        assert integration.stored_secrets()["signing_secret"] == new

    def test_an_optional_secret_can_be_removed(self, client: Client, integration: Integration) -> None:
        integration.configure(
            {"url": "https://shop.example/a", "signing_secret": SECRET, "headers": "X-Key: hush-hush"}
        )
        integration.save()
        assert "Remove the stored custom headers" in client.get(page(integration)).content.decode()
        client.post(page(integration), entered(**{"settings-signing_secret": "", "forget-headers": "on"}))
        integration.refresh_from_db()
        assert integration.stored_secrets() == {"signing_secret": SECRET}

    @pytest.mark.parametrize(
        "url", ["https://evil.example/events", "http://shop.example/events", "https://shop.example:8443/events"]
    )
    @pytest.mark.parametrize("typed", ["", "  "])
    def test_a_stored_secret_goes_to_no_other_host(
        self, client: Client, integration: Integration, url: str, typed: str
    ) -> None:
        values = {"url": "https://shop.example/a", "signing_secret": SECRET, "headers": "X-Key: hush-hush"}
        integration.configure(values)
        integration.save()
        moved = {"settings-url": url, "settings-signing_secret": typed, "settings-headers": typed}
        answer = client.post(page(integration), entered(**moved))
        found = errors(answer)
        assert "Enter it again: the address now leads to another host." in found["settings-signing_secret"]
        assert found["settings-headers"] == ["Enter it again, or remove it: the address now leads to another host."]
        integration.refresh_from_db()
        assert integration.adapter().settings == values

    def test_entered_again_or_removed_it_may_move(self, client: Client, integration: Integration) -> None:
        integration.configure({"url": "https://a.example", "signing_secret": SECRET, "headers": "X-Key: hush-hush"})
        integration.save()
        answer = client.post(page(integration), entered(**{"forget-headers": "on"}))
        assert said(answer) == ["My shop is saved."]
        integration.refresh_from_db()
        assert integration.adapter().settings == {"url": "https://shop.example/events", "signing_secret": SECRET}

    def test_changed_settings_must_be_verified_anew(self, client: Client, integration: Integration) -> None:
        integration.note_check(good=True, sentence="Accepted.")
        unchanged = {"settings-url": integration.settings["url"], "settings-signing_secret": ""}
        client.post(page(integration), entered(**unchanged))
        integration.refresh_from_db()
        assert integration.verified_at, "a new name changes nothing about the connection"
        client.post(page(integration), entered())
        integration.refresh_from_db()
        assert [integration.verified_at, integration.check_result] == [None, ""]

    def test_a_destination_that_is_gone(self, client: Client, integration: Integration) -> None:
        Integration.objects.update(destination="gone")
        assert "This version has no destination “gone” any more" in client.get(page(integration)).content.decode()
        assert client.get(LIST).status_code == 200
        client.post(page(integration, "delete"), {"post": "yes"})
        assert not Integration.objects.existing().exists()


class TestSwitching:
    def switch(self, client: Client, integration: Integration, on: str) -> list[str]:
        answer = client.post(page(integration, "switch"), {"on": on})
        assert answer["Location"] == page(integration)
        integration.refresh_from_db()
        return said(answer)[-1:]

    def test_on_after_it_was_verified(self, client: Client, integration: Integration) -> None:
        integration.switch_off()
        assert self.switch(client, integration, "1") == ["Send a test event first, then switch it on."]
        assert not integration.enabled
        integration.note_check(good=True, sentence="Accepted.")
        assert self.switch(client, integration, "1") == ["Shop is on."]
        assert integration.enabled

    def test_off(self, client: Client, integration: Integration) -> None:
        assert self.switch(client, integration, "0") == ["Shop is off: what matches is recorded and held."]
        assert not integration.enabled

    def test_looking_there_switches_nothing(self, client: Client, integration: Integration) -> None:
        assert client.get(page(integration, "switch")).status_code == 405


class TestVerifying:
    @pytest.fixture
    def sandbox(self, store: Store, receiver: Receiver, settings: Any) -> Integration:
        """An integration whose tool has a check, at the receiver."""
        settings.SANDBOX_ADDRESS = receiver.host
        return factories.make_integration(store, destination="sandbox", name="Try it", enabled=False)

    def test_the_result_is_kept_with_its_time(self, client: Client, sandbox: Integration) -> None:
        answer = client.post(page(sandbox, "verify"))
        assert answer["Location"] == page(sandbox)
        sandbox.refresh_from_db()
        assert sandbox.verified_at == sandbox.checked_at
        assert said(answer) == [sandbox.check_result]
        assert re.fullmatch(r"Sandbox accepted the connection \(\d+ ms\)\.", sandbox.check_result)
        assert sandbox.check_result in client.get(page(sandbox)).content.decode()

    def test_a_check_that_fails_takes_the_verification_away(
        self, client: Client, sandbox: Integration, receiver: Receiver
    ) -> None:
        sandbox.note_check(good=True, sentence="It worked.")
        receiver.next.append(Answer(401))
        assert said(client.post(page(sandbox, "verify"))) == ["Sandbox refused the credentials (answer 401)."]
        sandbox.refresh_from_db()
        assert sandbox.verified_at is None
        assert sandbox.checked_at
        assert "Sandbox refused the credentials (answer 401)." in client.get(page(sandbox)).content.decode()

    def test_settings_that_changed_meanwhile_are_not_verified(self, sandbox: Integration) -> None:
        before = Integration.objects.get()
        sandbox.configure({"anything": "else"})
        sandbox.save()
        assert not before.note_check(good=True, sentence="It worked.")
        sandbox.refresh_from_db()
        assert sandbox.verified_at is None

    def test_any_text_may_stand_in_the_settings(self, sandbox: Integration) -> None:
        sandbox.settings = {"text": 'bücher 😀 "\\', "none": None, "yes": True, "list": [1, 2.5]}
        sandbox.save()
        assert Integration.objects.get().note_check(good=True, sentence="It worked.")

    def test_no_transaction_is_open_meanwhile(self, client: Client, sandbox: Integration, receiver: Receiver) -> None:
        ours = connections["default"]  # the receiver's thread has another one
        open_ones: list[int] = []
        receiver.choose = lambda _: open_ones.append(len(ours.savepoint_ids))
        client.post(page(sandbox, "verify"))
        assert open_ones == [0]


class TestMended:
    """What switching on and new settings do to what failed before."""

    def closed(self, integration: Integration) -> Lane:
        Lane.objects.filter(integration=integration).update(closed="breaker", failures=12)
        Notice.objects.create(store=integration.store, integration=integration, text="It was switched off.")
        return Lane.objects.get(integration=integration)

    def test_switching_on_opens_the_lane_and_settles_the_notices(self, integration: Integration) -> None:
        integration.switch_off()
        integration.note_check(good=True, sentence="It worked.")
        lane = self.closed(integration)
        integration.switch_on()
        lane.refresh_from_db()
        assert (lane.closed, lane.failures) == ("", 0)
        assert not Notice.objects.open().exists()

    def test_new_settings_open_the_lane_too(self, client: Client, integration: Integration) -> None:
        lane = self.closed(integration)
        client.post(page(integration), entered(**{"settings-signing_secret": "whsec_" + "bmV3bmV3" * 4}))
        lane.refresh_from_db()
        assert lane.closed == ""

    def test_a_new_name_does_not(self, client: Client, integration: Integration) -> None:
        lane = self.closed(integration)
        unchanged = {"settings-url": integration.settings["url"], "settings-signing_secret": ""}
        client.post(page(integration), entered(**unchanged))
        lane.refresh_from_db()
        assert lane.closed == "breaker"


class TestState:
    """What its page says on top."""

    def sentence(self, client: Client, integration: Integration) -> str:
        state = client.get(page(integration)).context["state"]
        return f"{state.word}: {state.sentence}"

    def test_of_itself(self, client: Client, integration: Integration) -> None:
        assert (
            self.sentence(client, integration) == "On: It is on, but its settings were never verified as they are now."
        )
        integration.note_check(good=True, sentence="It worked.")
        assert self.sentence(client, integration) == "On: It is on: what matches is sent at once."
        integration.switch_off()
        assert (
            self.sentence(client, integration)
            == "Off: It is off: what matches is recorded and held until you switch it on."
        )
        Integration.objects.update(switched_off_reason="nothing succeeded for 24 hours")
        assert self.sentence(client, integration) == (
            "Off: It was switched off, because nothing succeeded for 24 hours. What matches is recorded and held."
        )

    @pytest.mark.parametrize(
        ("fields", "sentence"),
        [
            (
                {"closed": "credentials"},
                "On: Its credentials were refused: all is held, but for one delivery now and then to see whether they "
                "work.",
            ),
            (
                {"closed": "breaker", "probe_at": FUTURE},
                "Held: Too many tries in a row failed: all is held, but for one delivery now and then to see whether "
                "it is back.",
            ),
            ({"not_before": FUTURE}, "Held: It asked to wait (Retry-After): everything is held until then."),
            ({"not_before": datetime(2020, 1, 1, tzinfo=UTC)}, "On: It is on: what matches is sent at once."),
            ({"failures": 1}, "On: It is sent to, but the last try failed."),
            ({"failures": 3}, "On: It is sent to, but the last 3 tries failed."),
        ],
    )
    def test_of_its_lane(self, client: Client, integration: Integration, fields: dict[str, Any], sentence: str) -> None:
        integration.note_check(good=True, sentence="It worked.")
        Lane.objects.update(**fields)
        assert self.sentence(client, integration) == sentence


class TestSandbox:
    @pytest.fixture
    def sandbox(self, store: Store) -> Integration:
        return factories.make_integration(store, destination="sandbox", name="Try it")

    def test_the_newest_requests_come_first_and_the_others_on_further_pages(
        self, client: Client, store: Store, sandbox: Integration
    ) -> None:
        for number in range(25):
            body = f'{{"type":"event_{number}","data":{{}}}}'
            SandboxRequest.objects.create(store=store, integration=sandbox, body=body, answered=200)
        inbox = client.get(page(sandbox)).context["inbox"]
        assert [one.event_name for one in inbox.requests] == [f"event_{number}" for number in range(24, 4, -1)]
        older = client.get(page(sandbox) + inbox.older).context["inbox"]
        assert [one.event_name for one in older.requests] == [f"event_{number}" for number in range(4, -1, -1)]
        assert (older.older, older.newest) == ("", False)

    @pytest.mark.parametrize("body", ["", "no json", "[1]", '{"data":[]}', '{"data":{"user_name":null}}', "[" * 5000])
    def test_anything_may_come_in(self, client: Client, store: Store, sandbox: Integration, body: str) -> None:
        SandboxRequest.objects.create(store=store, integration=sandbox, body=body, answered=200)
        assert "No event" in client.get(page(sandbox)).content.decode()

    def test_other_integrations_have_no_inbox(self, client: Client, integration: Integration) -> None:
        assert client.get(page(integration)).context["inbox"] is None
        assert client.post(page(integration, "behave"), {"behaviour": "error", "seconds": "5"}).status_code == 404

    def test_a_behaviour_that_is_none_is_refused(self, client: Client, sandbox: Integration) -> None:
        answer = client.post(page(sandbox, "behave"), {"behaviour": "explode", "seconds": "0"})
        assert said(answer) == [
            "Select a valid choice. explode is not one of the available choices. "
            "Ensure this value is greater than or equal to 1."
        ]
        assert not SandboxInbox.objects.exists()


class TestTestEvent:
    """A test event from the integration's own page."""

    @pytest.fixture
    def tool(self, store: Store, receiver: Receiver) -> Integration:
        values = {"url": receiver.url, "signing_secret": SECRET, "headers": ""}
        return factories.make_integration(store, values=values, name="Shop", enabled=False)

    def send(self, client: Client, tool: Integration) -> str:
        fields = {"tool": str(tool.pk), "mode": "email", "address": "ada@example.com"}
        shown: str = client.post("/admin/events/subscription/test/", fields).content.decode()
        tool.refresh_from_db()
        return shown

    def test_one_that_is_accepted_verifies_a_tool_without_a_check(
        self, client: Client, tool: Integration, customer: Customer
    ) -> None:
        assert "That verifies the connection: it can be switched on now." in self.send(client, tool)
        assert tool.verified_at
        assert tool.check_result.startswith("Shop accepted a test event (")
        tool.switch_on()

    def test_one_that_is_not_does_not(
        self, client: Client, tool: Integration, customer: Customer, receiver: Receiver
    ) -> None:
        receiver.next.append(Answer(404))
        self.send(client, tool)
        assert tool.verified_at is None
        assert tool.check_result.startswith("Webhook refused it (answer 404).")

    def test_where_the_tool_has_a_check_it_is_only_a_test(
        self, client: Client, store: Store, customer: Customer, receiver: Receiver, settings: Any
    ) -> None:
        settings.SANDBOX_ADDRESS = receiver.host
        sandbox = factories.make_integration(store, destination="sandbox", name="Try it")
        assert "Try it accepted it in " in self.send(client, sandbox)
        assert sandbox.verified_at is None

    @pytest.mark.parametrize("which", ["", "nonsense", "01890000-0000-7000-8000-000000000000"])
    def test_no_such_integration(self, client: Client, which: str) -> None:
        shown = client.get(f"/admin/events/subscription/test/?tool={which}").content.decode()
        assert "There is no such integration in this store." in shown

    def test_one_of_another_store(self, tool: Integration, stranger: User, signed_in: Any, receiver: Receiver) -> None:
        assert "There is no such integration in this store." in self.send(signed_in(stranger), tool)
        assert receiver.got == []


class TestDeleting:
    def test_the_page_says_what_happens(self, client: Client, integration: Integration) -> None:
        factories.make_subscription(integration)
        factories.make_customer(integration.store, coins=5)
        shown = client.get(page(integration, "delete")).content.decode()
        assert "1 send event is deleted with it." in shown
        assert "1 pending delivery is cancelled." in shown
        assert "Its deliveries so far stay readable." in shown

    def test_it_is_archived(self, client: Client, integration: Integration) -> None:
        factories.make_subscription(integration)
        factories.make_customer(integration.store, coins=5)
        assert client.post(page(integration, "delete"), {"post": "yes"})["Location"] == LIST
        integration.refresh_from_db()
        assert integration.archived_at
        (delivery,) = integration.deliveries.all()
        assert (delivery.status, delivery.reason) == ("cancelled", "the integration was deleted")
        assert "Shop" not in client.get(LIST).content.decode().split("<h1>")[1]
        assert client.get(page(integration)).status_code == 302


class TestList:
    def test_says_what_each_does(self, client: Client, integration: Integration) -> None:
        factories.make_subscription(integration)
        factories.make_subscription(integration).archive()
        (row,) = client.get(LIST).context["rows"]
        assert (row["row"].send_events, row["row"].errors, row["state"].word) == (1, 0, "On")

    def test_counts_the_errors_of_the_last_day(self, client: Client, integration: Integration) -> None:
        from events.models import Tally

        subscription = factories.make_subscription(integration)
        now = timezone.now()
        for hours, errors in ((1, 2), (2, 3), (25, 100)):
            Tally.objects.create(
                store=integration.store,
                integration=integration,
                subscription=subscription,
                minute=now - timedelta(hours=hours),
                failed_tries=errors,
            )
        (row,) = client.get(LIST).context["rows"]
        assert (row["row"].send_events, row["row"].errors) == (1, 5)

    def test_an_empty_one_says_how_to_begin(self, client: Client) -> None:
        assert "No tool is connected yet." in client.get(LIST).content.decode()


class TestWhoMay:
    POSTS = ("verify", "switch", "delete", "change")

    def test_a_viewer_reads(self, integration: Integration, viewer: User, signed_in: Any) -> None:
        client = signed_in(viewer)
        for address in (LIST, page(integration)):
            shown = client.get(address).content.decode()
            assert "Shop" in shown
            for word in ("Switch o", "Save", "Delete", "Connect an integration", "Verify connection<"):
                assert word not in shown
        assert "stored, never shown" in client.get(page(integration)).content.decode()
        assert client.get(f"{LIST}add/").status_code == 403
        assert client.get(f"{LIST}add/?destination=webhook").status_code == 403

    @pytest.mark.parametrize("part", POSTS)
    def test_a_viewer_changes_nothing(self, integration: Integration, viewer: User, signed_in: Any, part: str) -> None:
        before = Integration.objects.values().get()
        assert signed_in(viewer).post(page(integration, part), entered(post="yes", on="0")).status_code == 403
        assert Integration.objects.values().get() == before

    @pytest.mark.parametrize("part", POSTS)
    def test_another_store_does_not_reach_it(
        self, integration: Integration, stranger: User, signed_in: Any, part: str
    ) -> None:
        before = Integration.objects.values().get()
        client = signed_in(stranger)
        assert client.post(page(integration, part), entered(post="yes", on="0")).status_code in (302, 404)
        assert Integration.objects.values().get() == before
        assert "Shop" not in client.get(LIST).content.decode()


class TestDestinationThatIsGone:
    @pytest.mark.parametrize("part", ["change", "verify", "switch", "behave", "delete", "history"])
    def test_no_page_of_it_breaks(self, client: Client, integration: Integration, part: str) -> None:
        Integration.objects.filter(pk=integration.pk).update(destination="pigeon")
        for answer in (client.get(page(integration, part)), client.post(page(integration, part), entered())):
            assert answer.status_code < 500

    def test_its_settings_are_not_overwritten(self, client: Client, integration: Integration) -> None:
        Integration.objects.filter(pk=integration.pk).update(destination="pigeon")
        before = Integration.objects.filter(pk=integration.pk).values().get()
        answer = client.post(page(integration), entered(), follow=True)
        assert said(answer) == ["Nothing was saved: its destination is not in this version."]
        assert Integration.objects.filter(pk=integration.pk).values().get() == before
