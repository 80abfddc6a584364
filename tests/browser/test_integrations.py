"""Integrations, as a store admin works with them: connect, verify, switch, look at the sandbox, change, delete."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User

from customers.models import Customer, Store
from events.sending import deliver
from integrations.models import Integration, SandboxRequest
from tests import factories
from tests.browser.conftest import Browse
from tests.browser.demo import sandbox_receiver
from tests.integrations.test_klaviyo import KEY as KLAVIYO_KEY
from tests.integrations.test_klaviyo import FakeKlaviyo
from tests.receiver import Answer, Receiver, running

LIST = "/admin/integrations/integration/"


@pytest.fixture
def sandbox(settings: Any) -> Iterator[str]:
    """The sandbox receiver, which integrations may call."""
    with sandbox_receiver() as host:
        settings.SANDBOX_ADDRESS, settings.ALLOWED_PRIVATE_HOSTS = host, frozenset({host})
        yield host


@pytest.fixture
def tool(settings: Any) -> Iterator[Receiver]:
    """A tool's server, which integrations may call."""
    with running() as server:
        settings.ALLOWED_PRIVATE_HOSTS = frozenset({server.host})
        yield server


def webhook(store: Store, tool: Receiver, **fields: Any) -> Integration:
    values = {"url": tool.url, "signing_secret": "whsec_" + "c2VjcmV0" * 4, "headers": ""}
    return factories.make_integration(store, values=values, **{"name": "Shop app", "enabled": False, **fields})


def page(integration: Integration) -> str:
    return f"{LIST}{integration.pk}/change/"


class TestConnecting:
    def test_the_sandbox_in_two_steps_then_verified_and_on(self, editor: User, sandbox: str, browse: Browse) -> None:
        visitor = browse(editor)
        visitor.open("/admin/")
        visitor.click("Integrations")
        visitor.click("Connect an integration")
        visitor.click("Sandbox")
        visitor.fill("Name", "To try it out")
        visitor.click("Connect")
        assert visitor.sees("To try it out is connected. Verify it, then switch it on.")
        visitor.click("Verify connection")
        assert visitor.sees("Sandbox accepted the connection (")
        visitor.click("Switch on")
        assert visitor.sees("To try it out is on.")
        assert visitor.sees("It is on: what matches is sent at once.")
        assert visitor.steps == 7
        assert visitor.complaints == []

    def test_klaviyo_tells_whose_account_it_is(self, editor: User, receiver: Receiver, browse: Browse) -> None:
        receiver.choose = FakeKlaviyo()
        visitor = browse(editor)
        visitor.open(f"{LIST}add/")
        visitor.click("Klaviyo")
        assert visitor.sees("with the scopes events:write and accounts:read")
        visitor.fill("Name", "Klaviyo main account")
        visitor.fill("Private API key", KLAVIYO_KEY + "9")
        visitor.fill("Host", f"http://{receiver.host}")
        visitor.choose("Primary selector", "E-mail")
        visitor.click("Connect")
        visitor.click("Verify connection")
        assert visitor.sees("Klaviyo refused the credentials (answer 401).")
        visitor.fill("Private API key stored", KLAVIYO_KEY)
        visitor.click("Save")
        visitor.click("Verify connection")
        assert visitor.sees("The account is Bean House GmbH.")
        visitor.click("Switch on")
        assert visitor.sees("It is on: what matches is sent at once.")
        assert visitor.page.get_by_label("Revision").input_value() == "2026-07-15"
        assert visitor.complaints == []

    def test_what_is_wrong_is_said_at_its_field(self, editor: User, browse: Browse) -> None:
        visitor = browse(editor)
        visitor.open(f"{LIST}add/?destination=klaviyo")
        visitor.fill("Private API key", "AbC123")
        visitor.click("Connect")
        assert visitor.sees("Nothing was saved: see what is said at the fields.")
        field = visitor.page.get_by_label("Private API key")
        assert field.evaluate("field => field.closest('.lo-field').innerText").count(
            "A private API key starts with pk_"
        )
        assert visitor.page.get_by_label("Name").get_attribute("aria-invalid") == "true"

    def test_it_cannot_be_switched_on_before_it_was_verified(self, store: Store, editor: User, browse: Browse) -> None:
        visitor = browse(editor)
        visitor.open(page(factories.make_integration(store, destination="sandbox", enabled=False)))
        visitor.click("Switch on")
        assert visitor.sees("Verify the connection first, then switch it on.")


class TestVerifying:
    def test_a_check_that_fails_is_told_with_its_time(
        self, store: Store, editor: User, sandbox: str, browse: Browse, settings: Any
    ) -> None:
        settings.SANDBOX_ADDRESS = "127.0.0.1:9"  # nobody is there
        visitor = browse(editor)
        visitor.open(page(factories.make_integration(store, destination="sandbox")))
        visitor.click("Verify connection")
        assert visitor.sees("Not verified")
        assert visitor.sees("Checked on ")
        assert visitor.sees("It is on, but its last check failed: see what the tool said.")

    def test_where_the_tool_has_none_a_test_event_takes_its_place(
        self, store: Store, customer: Customer, editor: User, tool: Receiver, browse: Browse
    ) -> None:
        visitor = browse(editor)
        visitor.open(page(webhook(store, tool)))
        assert visitor.sees("Webhook cannot be asked whether the settings are right.")
        tool.next.append(Answer(500))
        visitor.click("Send test event")
        visitor.tick("Mobile")
        visitor.fill("E-mail address or mobile number", "0151 12345678")
        visitor.click("Send it now")
        assert visitor.sees("Webhook answered 500.")
        visitor.click("Send it now")
        assert visitor.sees("Shop app accepted a test event (")
        assert visitor.sees("That verifies the connection: it can be switched on now.")
        visitor.click("Go to Shop app")
        assert visitor.sees("Verified")
        visitor.click("Switch on")
        assert visitor.sees("Shop app is on.")
        assert [request.json()["data"]["user_name"] for request in tool.got] == ["Ada", "Ada"]

    def test_somebody_who_is_no_customer(self, store: Store, editor: User, tool: Receiver, browse: Browse) -> None:
        visitor = browse(editor)
        visitor.open(page(webhook(store, tool)))
        visitor.click("Send test event")
        visitor.fill("E-mail address or mobile number", "nobody@example.com")
        visitor.click("Send it now")
        assert visitor.sees("No customer of Bean House has the e-mail nobody@example.com.")
        assert tool.got == []


class TestSandbox:
    def test_what_it_received_can_be_inspected(self, store: Store, editor: User, browse: Browse) -> None:
        integration = factories.make_integration(store, destination="sandbox")
        for name, body in (
            ("old", '{"type":"coins_earned","data":{"user_name":"Ada"}}'),
            ("new", '{"type":"<b>bold</b>","data":{"user_name":"Eve","note":"<script>alert(1)</script>"}}'),
        ):
            SandboxRequest.objects.create(
                store=store, integration=integration, headers={"Webhook-Id": name}, body=body, answered=200
            )
        visitor = browse(editor)
        visitor.open(page(integration))
        received = visitor.page.get_by_role("region", name="What it received")
        assert received.get_by_text("<script>alert(1)</script>").is_visible(), "the newest is open, and only text"
        visitor.page.get_by_text("coins_earned", exact=True).click()
        assert visitor.page.get_by_text('"Ada"').is_visible()
        visitor.page.get_by_text("Headers", exact=True).last.click()
        assert visitor.page.get_by_text("old", exact=True).is_visible()
        assert visitor.complaints == []

    def test_what_comes_in_meanwhile_appears_by_itself(self, store: Store, viewer: User, browse: Browse) -> None:
        integration = factories.make_integration(store, destination="sandbox")
        visitor = browse(viewer)
        visitor.open(page(integration))
        assert visitor.sees("Nothing came in yet.")
        for name in ("first", "second"):
            body = f'{{"type":"{name}","data":{{}}}}'
            SandboxRequest.objects.create(store=store, integration=integration, body=body, answered=200)
            visitor.page.get_by_role("strong").filter(has_text=name).wait_for()
        received = visitor.page.get_by_role("region", name="What it received")
        assert received.get_by_role("strong").all_inner_texts() == ["second", "first"]
        assert received.get_by_text("Nothing came in yet.").count() == 0

    def test_it_can_be_told_how_to_answer(self, store: Store, editor: User, sandbox: str, browse: Browse) -> None:
        integration = factories.make_integration(store, destination="sandbox", name="Try it")
        visitor = browse(editor)
        visitor.open(page(integration))
        visitor.tick("Answer 429 with Retry-After")
        visitor.fill("Seconds", "7")
        visitor.click("Answer like this")
        assert visitor.sees("Try it does this from now on: answer 429 with retry-after, 7 s.")
        assert visitor.page.get_by_label("Answer 429 with Retry-After").is_checked()
        integration.sandbox_inbox.refresh_from_db()
        assert (integration.sandbox_inbox.behaviour, integration.sandbox_inbox.seconds) == ("busy", 7)

    @pytest.mark.parametrize(("behaviour", "answer"), [("Answer 500", "500"), ("Answer slowly", "200")])
    def test_and_then_does_so(
        self,
        store: Store,
        customer: Customer,
        editor: User,
        sandbox: str,
        browse: Browse,
        behaviour: str,
        answer: str,
    ) -> None:
        integration = factories.make_integration(store, destination="sandbox", name="Try it")
        visitor = browse(editor)
        visitor.open(page(integration))
        visitor.tick(behaviour)
        visitor.fill("Seconds", "1")
        visitor.click("Answer like this")
        visitor.click("Send test event")
        visitor.fill("E-mail address or mobile number", "ada@example.com")
        visitor.click("Send it now")
        assert visitor.sees(f"answered {answer} in")


class TestItsPage:
    def test_what_is_attached_and_what_went_wrong(
        self, store: Store, customer: Customer, viewer: User, tool: Receiver, browse: Browse
    ) -> None:
        integration = webhook(store, tool, enabled=True)
        factories.make_subscription(integration, name="coins_earned")
        tool.next.append(Answer(422))
        factories.give_coins(customer, 5)
        deliver()
        visitor = browse(viewer)
        visitor.open(page(integration))
        attached = visitor.page.get_by_role("region", name="Send events")
        assert attached.get_by_role("link", name="coins_earned").is_visible()
        errors = visitor.page.get_by_role("region", name="Errors of late")
        assert errors.get_by_text("Webhook refused it (answer 422).").is_visible()
        visitor.open(LIST)
        assert visitor.page.get_by_text("Shop app").first.is_visible()


class TestChanging:
    def test_a_secret_is_kept_and_never_shown(self, store: Store, editor: User, tool: Receiver, browse: Browse) -> None:
        integration = webhook(store, tool)
        visitor = browse(editor)
        visitor.open(page(integration))
        assert visitor.page.get_by_label("Signing secret").input_value() == ""
        visitor.fill("Name", "Renamed")
        visitor.click("Save")
        assert visitor.sees("Renamed is saved.")
        integration.refresh_from_db()
        assert integration.stored_secrets()["signing_secret"] == "whsec_" + "c2VjcmV0" * 4

    def test_a_stored_secret_goes_to_no_other_host(
        self, store: Store, editor: User, tool: Receiver, browse: Browse
    ) -> None:
        integration = webhook(store, tool)
        visitor = browse(editor)
        visitor.open(page(integration))
        visitor.fill("URL", "https://elsewhere.example/events")
        visitor.click("Save")
        assert visitor.sees("Nothing was saved: see what is said at the fields.")
        field = visitor.page.get_by_label("Signing secret")
        said = field.evaluate("field => field.closest('.lo-field').innerText")
        assert "Enter it again: the address now leads to another host." in said
        integration.refresh_from_db()
        assert integration.settings == {"url": tool.url}
        visitor.fill("Signing secret stored", "whsec_" + "bmV3bmV3" * 4)
        visitor.click("Save")
        assert visitor.sees("Shop app is saved.")

    def test_deleting_says_what_happens(self, store: Store, editor: User, tool: Receiver, browse: Browse) -> None:
        factories.make_subscription(webhook(store, tool))
        visitor = browse(editor)
        visitor.open(LIST)
        visitor.click("Shop app")
        visitor.click("Delete")
        assert visitor.sees("1 send event is deleted with it.")
        visitor.click("Delete it")
        assert visitor.sees("No tool is connected yet.")


class TestWhoMay:
    def test_a_viewer_only_reads(self, store: Store, viewer: User, tool: Receiver, browse: Browse) -> None:
        visitor = browse(viewer)
        visitor.open(LIST)
        assert visitor.page.get_by_role("link", name="Connect an integration").count() == 0
        visitor.open(page(webhook(store, tool)))
        assert visitor.sees("stored, never shown")
        main = visitor.page.get_by_role("main")
        assert main.get_by_role("button").all_inner_texts() == []
        assert main.get_by_role("textbox").count() == 0

    def test_another_store_is_not_reachable(self, store: Store, stranger: User, tool: Receiver, browse: Browse) -> None:
        integration = webhook(store, tool)
        visitor = browse(stranger)
        visitor.open(page(integration))
        assert "Shop app" not in visitor.text()
