"""Send test event: whom it is about, what came of it at once, and what to do next."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import expect

from customers.models import Customer, Store
from events.models import Delivery, Subscription
from events.switching import switch_off
from integrations.models import Integration
from tests.browser.conftest import Browse
from tests.browser.visitor import Visitor, grave_faults, looks
from tests.factories import make_customer, make_integration, make_subscription
from tests.receiver import Answer, Receiver, running

EVENTS = "/admin/events/subscription/"


@pytest.fixture
def tool(settings: Any) -> Iterator[Receiver]:
    """A tool's server that integrations may call."""
    with running() as server:
        settings.ALLOWED_PRIVATE_HOSTS = frozenset({server.host})
        yield server


@pytest.fixture
def mailer(store: Store, tool: Receiver) -> Integration:
    values = {"url": tool.url, "signing_secret": "whsec_" + "c2VjcmV0" * 4, "headers": "X-Token: a-long-secret-token"}
    return make_integration(store, name="Mailer", values=values)


@pytest.fixture
def send_event(mailer: Integration) -> Subscription:
    rich = {"field": "user_wallet_balance", "operator": "at_least", "value": 500}
    return make_subscription(mailer, "walletreward_create", rich)


def about(visitor: Visitor, address: str) -> None:
    """Enter whom it is about, and send."""
    visitor.fill("E-mail address or mobile number", address)
    visitor.click("Send it now")


class TestFromTheForm:
    def test_what_came_of_it_is_there_at_once(
        self, editor: User, customer: Customer, send_event: Subscription, tool: Receiver, browse: Browse
    ) -> None:
        switch_off(send_event.store)
        visitor = browse(editor)
        visitor.open(f"{EVENTS}{send_event.pk}/change/")
        visitor.click("Send test event")
        dialog = visitor.page.get_by_role("dialog", name="Send test event")
        about(visitor, "ada@example.com")
        expect(dialog).to_contain_text("Mailer accepted it in")
        expect(dialog).to_contain_text("Its restrictions would not hold; a test ignores them:")
        expect(dialog).to_contain_text("Wallet balance is at least 500, but here it is 0.")
        expect(dialog).to_contain_text("answered 200 in")
        expect(dialog).to_contain_text('"event_is_test": true')
        assert tool.got[0].json()["data"]["user_name"] == "Ada"
        assert Delivery.objects.get().subscription == send_event
        assert visitor.complaints == []

    def test_what_was_not_saved_is_tested(
        self, editor: User, customer: Customer, mailer: Integration, tool: Receiver, browse: Browse
    ) -> None:
        visitor = browse(editor)
        visitor.open(f"{EVENTS}add/?event=coupon_create")
        visitor.fill("Name optional", "fresh")
        visitor.click("Send test event")
        visitor.tick("Mobile")
        about(visitor, "01511 2345678")
        assert visitor.sees("Mailer accepted it in")
        assert tool.got[0].json()["type"] == "fresh"
        assert not Subscription.objects.exists()

    def test_what_is_wrong_in_the_form_is_told(
        self, editor: User, customer: Customer, mailer: Integration, tool: Receiver, browse: Browse
    ) -> None:
        visitor = browse(editor)
        visitor.open(f"{EVENTS}add/?event=walletreward_create")
        visitor.fill("Coins", "many")
        visitor.click("Send test event")
        about(visitor, "ada@example.com")
        alert = visitor.page.get_by_role("dialog").get_by_role("alert")
        expect(alert).to_contain_text("Nothing was sent.")
        expect(alert).to_contain_text("Coins: “many” is not a whole number.")
        assert tool.got == []

    def test_who_is_no_customer_is_told_with_where_to_add_one(
        self, editor: User, send_event: Subscription, other_store: Store, tool: Receiver, browse: Browse
    ) -> None:
        make_customer(other_store, email="eve@example.com")
        visitor = browse(editor)
        visitor.open(f"{EVENTS}{send_event.pk}/change/")
        visitor.click("Send test event")
        about(visitor, "eve@example.com")
        assert visitor.sees("No customer of Bean House has the e-mail eve@example.com.")
        expect(visitor.page.get_by_role("link", name="Add a customer")).to_be_visible()
        assert tool.got == []

    def test_refused_credentials_lead_to_the_integration(
        self, editor: User, customer: Customer, send_event: Subscription, tool: Receiver, browse: Browse
    ) -> None:
        tool.next.append(Answer(401, {"Content-Type": "application/json"}, b'{"error":"bad <b>key</b>"}'))
        visitor = browse(editor)
        visitor.open(f"{EVENTS}{send_event.pk}/change/")
        visitor.click("Send test event")
        about(visitor, "ada@example.com")
        assert visitor.sees("Webhook refused the credentials (answer 401).")
        assert visitor.sees("Mailer does not accept the credentials. Enter them again, and test again.")
        expect(visitor.page.get_by_label("Body of the answer")).to_contain_text('"bad <b>key</b>"')
        assert "a-long-secret-token" not in visitor.page.content()
        visitor.click("Enter the credentials")
        visitor.page.wait_for_url(f"**/integrations/integration/{send_event.integration_id}/change/")

    def test_without_javascript_on_a_page_of_its_own(
        self, editor: User, customer: Customer, mailer: Integration, tool: Receiver, browse: Browse
    ) -> None:
        visitor = browse(editor, javascript=False)
        visitor.open(f"{EVENTS}add/?recipe=coins_redeemed")
        visitor.fill("Name prefix optional", "shop_")
        visitor.click("Send test event")
        about(visitor, "nobody@example.com")
        assert visitor.sees("No customer of Bean House has the e-mail nobody@example.com.")
        about(visitor, "ada@example.com")
        assert visitor.sees("Mailer accepted it in")
        assert visitor.sees("shop_coins_redeemed → Mailer")
        assert [request.json()["type"] for request in tool.got] == ["shop_coins_redeemed"]


class TestSuggestions:
    def test_customers_of_the_store_while_typing(
        self, editor: User, customer: Customer, send_event: Subscription, other_store: Store, browse: Browse
    ) -> None:
        make_customer(customer.store, name="Adam", email="adam@example.com")
        make_customer(other_store, name="Adele", email="adele@example.com")
        visitor = browse(editor)
        visitor.open(f"{EVENTS}{send_event.pk}/change/")
        visitor.click("Send test event")
        field = visitor.page.get_by_label("E-mail address or mobile number", exact=True)
        field.press_sequentially("ad")
        offered = visitor.page.get_by_role("listbox", name="Customers").get_by_role("option")
        expect(offered).to_have_text(["ada@example.com Ada", "adam@example.com Adam"])
        field.press("ArrowDown")
        field.press("ArrowDown")
        field.press("Enter")
        expect(field).to_have_value("adam@example.com")
        field.fill("")
        visitor.tick("Mobile")
        field.press_sequentially("01511")
        expect(offered).to_have_text(["+4915112345678 Ada"])
        offered.click()
        expect(field).to_have_value("+4915112345678")
        field.fill("")
        field.press_sequentially("ad")
        expect(offered).to_have_text(["+4915112345678 Ada"])
        field.press("Escape")
        expect(offered).to_have_count(0)
        assert visitor.complaints == []


class TestFromTheList:
    @pytest.mark.parametrize("javascript", [True, False])
    def test_several_at_once(
        self,
        editor: User,
        customer: Customer,
        send_event: Subscription,
        tool: Receiver,
        browse: Browse,
        javascript: bool,
    ) -> None:
        make_subscription(send_event.integration, "coupon_create", name="second")
        make_subscription(send_event.integration, "lead_create", name="third")
        visitor = browse(editor, javascript=javascript)
        visitor.open(EVENTS)
        visitor.tick("Choose walletreward_create → Mailer")
        visitor.tick("Choose second → Mailer")
        visitor.click("Send test event")
        about(visitor, "ada@example.com")
        for label in ("walletreward_create → Mailer", "second → Mailer"):
            result = visitor.page.get_by_role("region", name=f"Result: {label}")
            expect(result).to_contain_text("Mailer accepted it in")
        assert {request.json()["type"] for request in tool.got} == {"walletreward_create", "second"}

    def test_none_chosen_is_told(
        self, editor: User, customer: Customer, send_event: Subscription, browse: Browse
    ) -> None:
        visitor = browse(editor)
        visitor.open(EVENTS)
        visitor.click("Send test event")
        about(visitor, "ada@example.com")
        assert visitor.sees("Choose at least one send event to test.")


class TestScreens:
    @looks
    def test_the_dialog_and_the_page_have_no_grave_fault(
        self,
        editor: User,
        customer: Customer,
        send_event: Subscription,
        tool: Receiver,
        browse: Browse,
        width: int,
        dark: bool,
    ) -> None:
        tool.next.append(Answer(500, body=b"down"))
        wider = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        visitor = browse(editor, width=width, dark=dark)
        visitor.open(f"{EVENTS}{send_event.pk}/change/")
        visitor.click("Send test event")
        about(visitor, "ada@example.com")
        assert visitor.sees("Webhook answered 500.")
        assert grave_faults(visitor.page) == []
        assert visitor.page.evaluate(wider) == 0
        visitor.open(f"{EVENTS}test/?send_event={send_event.pk}")
        about(visitor, "ada@example.com")
        assert visitor.sees("Mailer accepted it in")
        assert grave_faults(visitor.page) == []
        assert visitor.page.evaluate(wider) == 0
        assert visitor.complaints == []
