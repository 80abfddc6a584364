"""Creating and editing send events, as a store admin does it, by what is written on the screen."""

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from playwright.sync_api import Locator, expect

from customers.models import Customer, Store
from events.models import Subscription
from integrations.models import Integration
from tests.browser.conftest import Browse
from tests.browser.visitor import Visitor, grave_faults, looks
from tests.factories import give_coins, make_integration, make_subscription

EVENTS = "/admin/events/subscription/"
ADD = f"{EVENTS}add/"


def preview(visitor: Visitor) -> Locator:
    return visitor.page.get_by_role("complementary", name="Preview")


class TestCreating:
    def test_an_event_its_integration_and_what_must_hold(
        self, editor: User, ada: Customer, webhook: Integration, browse: Browse
    ) -> None:
        visitor = browse(editor)
        visitor.open("/admin/")
        visitor.click("Events")
        visitor.click("New send event")
        visitor.page.get_by_role("link", name="Wallet Coins Rewarded").click()
        page = visitor.page
        expect(page.get_by_role("group", name="Wallet Transaction Types").get_by_label("Reward")).to_be_checked()
        expect(page.get_by_role("group", name="Wallet Transaction Operations").get_by_label("Credited")).to_be_checked()
        visitor.fill("Name prefix optional", "nector_")
        visitor.fill("Name optional", "big_reward")
        expect(page.get_by_text("The tool sees it as nector_big_reward")).to_be_visible()
        visitor.fill("Coins", "100")
        expect(preview(visitor)).to_contain_text('"type": "nector_big_reward"')
        visitor.click("Save")
        saved = Subscription.objects.get()
        assert (saved.event_name, saved.integration, saved.enabled) == ("nector_big_reward", webhook, True)
        assert visitor.sees("only credited rewards of at least 100 coins")
        assert visitor.complaints == []

    def test_every_event_says_when_it_fires(self, editor: User, webhook: Integration, browse: Browse) -> None:
        visitor = browse(editor)
        visitor.open(ADD)
        events = visitor.page.get_by_role("region", name="Or choose an event")
        groups = events.get_by_role("heading", level=3).all_inner_texts()
        assert {"Coins", "Coupons", "Customers", "Orders"} <= set(groups)
        offered = [text.split("\n") for text in events.get_by_role("link").all_inner_texts()]
        assert [label for label, *sentence in offered if not " ".join(sentence).strip().endswith(".")] == []
        assert [label for label, *_ in offered].count("Wallet Coins Rewarded") == 1

    @pytest.mark.parametrize(
        ("recipe", "name", "restriction"),
        [
            ("Coins rewarded", "coins_rewarded", "Reward"),
            ("Coins redeemed", "coins_redeemed", "Redeem"),
            ("Coins expired", "coins_expired", "Expire"),
            ("Coupon created", "coupon_created", None),
        ],
    )
    def test_each_recipe(
        self, editor: User, webhook: Integration, browse: Browse, recipe: str, name: str, restriction: str | None
    ) -> None:
        visitor = browse(editor)
        visitor.open(ADD)
        visitor.page.get_by_role("link", name=re.compile(f"^{recipe} ")).click()
        expect(visitor.page.get_by_label("Name optional", exact=True)).to_have_value(name)
        if restriction:
            types = visitor.page.get_by_role("group", name="Wallet Transaction Types")
            expect(types.get_by_label(restriction, exact=True)).to_be_checked()

    def test_only_integrations_that_are_on_are_offered(
        self, editor: User, store: Store, webhook: Integration, browse: Browse
    ) -> None:
        make_integration(store, name="Asleep", enabled=False)
        make_integration(store, name="Awake")
        visitor = browse(editor)
        visitor.open(f"{ADD}?event=lead_create")
        offered = visitor.page.get_by_label("Integration", exact=True).get_by_role("option").all_inner_texts()
        assert {"Mailer", "Awake"} <= set(offered)
        assert "Asleep" not in offered
        expect(visitor.page.get_by_role("link", name=re.compile("[Cc]onnect"))).to_be_visible()

    def test_a_recipe_fills_in_restrictions_and_name(self, editor: User, webhook: Integration, browse: Browse) -> None:
        visitor = browse(editor)
        visitor.open(ADD)
        visitor.page.get_by_role("link", name="Coupon redeemed").click()
        expect(visitor.page.get_by_label("Name optional", exact=True)).to_have_value("coupon_redeemed")
        expect(visitor.page.get_by_role("checkbox", name="Redeemed", exact=True)).to_be_checked()
        visitor.click("Save")
        assert Subscription.objects.get().restrictions == [
            {"field": "coupon_status", "operator": "any_of", "value": ["redeemed"]}
        ]

    def test_another_event_keeps_what_was_entered_about_the_tool(
        self, editor: User, store: Store, webhook: Integration, browse: Browse
    ) -> None:
        make_integration(store, name="Other")
        visitor = browse(editor)
        visitor.open(f"{ADD}?event=lead_create")
        visitor.choose("Integration", "Other")
        visitor.fill("Name prefix optional", "shop_")
        visitor.page.get_by_text("Choose another").click()
        visitor.page.get_by_role("link", name="Coupon Is Created").click()
        expect(visitor.page.get_by_text("The tool sees it as shop_coupon_create")).to_be_visible()
        expect(visitor.page.get_by_label("Coupon Statuses: how to compare")).to_be_visible()
        visitor.click("Save")
        saved = Subscription.objects.get()
        assert (saved.event_key, saved.integration.name, saved.prefix) == ("coupon_create", "Other", "shop_")

    def test_in_two_steps_without_javascript(self, editor: User, webhook: Integration, browse: Browse) -> None:
        visitor = browse(editor, javascript=False)
        visitor.open(ADD)
        visitor.page.get_by_role("link", name="Coins redeemed").click()
        visitor.choose("Integration", "Mailer")
        visitor.fill("Name prefix optional", "shop_")
        visitor.page.get_by_text("More ways to restrict it").click()
        visitor.choose("Wallet balance: how to compare", "is between")
        visitor.fill("Wallet balance", "10")
        visitor.fill("Wallet balance: at most", "500")
        visitor.click("Save")
        saved = Subscription.objects.get()
        assert saved.event_name == "shop_coins_redeemed"
        assert saved.restrictions[-1] == {"field": "user_wallet_balance", "operator": "between", "value": [10, 500]}

    def test_what_is_wrong_is_said_where_it_was_entered(
        self, editor: User, webhook: Integration, browse: Browse
    ) -> None:
        visitor = browse(editor)
        visitor.open(f"{ADD}?event=walletreward_create")
        visitor.fill("Coins", "many")
        expect(preview(visitor)).to_contain_text("Coins: “many” is not a whole number.")
        visitor.click("Save")
        expect(visitor.page.get_by_role("alert")).to_contain_text("Nothing was saved yet.")
        expect(
            visitor.page.locator("#restrictions ~ *", has_text="Coins: “many” is not a whole number.")
        ).to_be_visible()
        expect(visitor.page.get_by_label("Coins", exact=True)).to_have_value("many")
        assert not Subscription.objects.exists()

    def test_without_an_integration_it_says_where_to_connect_one(self, editor: User, browse: Browse) -> None:
        visitor = browse(editor)
        visitor.open(f"{ADD}?event=lead_create")
        assert visitor.sees("No integration is connected and switched on yet")
        visitor.click("Connect an integration")
        visitor.page.wait_for_url("**/integrations/integration/add/**")

    def test_several_at_once(self, editor: User, webhook: Integration, browse: Browse) -> None:
        visitor = browse(editor)
        visitor.open(EVENTS)
        visitor.click("Several at once")
        for label in ("Coins redeemed", "Coupon Is Created", "Customer Is Created"):
            visitor.tick(label)
        visitor.fill("Name prefix optional", "shop_")
        visitor.click("Create them all")
        assert visitor.sees("3 send events to Mailer made, and on.")
        names = {send_event.event_name for send_event in Subscription.objects.all()}
        assert names == {"shop_coins_redeemed", "shop_coupon_create", "shop_lead_create"}


class TestEditing:
    def test_a_duplicate_starts_with_everything_of_it(self, editor: User, webhook: Integration, browse: Browse) -> None:
        rich = {"field": "user_wallet_balance", "operator": "at_least", "value": 500}
        original = make_subscription(webhook, "lead_update", rich, prefix="shop_", name="changed")
        visitor = browse(editor)
        visitor.open(f"{EVENTS}{original.pk}/change/")
        visitor.click("Duplicate")
        expect(visitor.page.get_by_label("Wallet balance", exact=True)).to_have_value("500")
        visitor.click("Save")
        visitor.sees("shop_changed_copy")
        copy = Subscription.objects.exclude(pk=original.pk).get()
        assert (copy.event_name, copy.restrictions) == ("shop_changed_copy", original.restrictions)

    def test_deleting_says_what_will_happen(
        self, editor: User, ada: Customer, webhook: Integration, browse: Browse
    ) -> None:
        send_event = make_subscription(webhook)
        give_coins(ada, 5)
        give_coins(ada, 6)
        visitor = browse(editor)
        visitor.open(f"{EVENTS}{send_event.pk}/change/")
        visitor.click("Delete")
        assert visitor.sees("2 deliveries that are still pending are cancelled.")
        assert visitor.sees("Its history stays")
        visitor.click("Delete it")
        assert visitor.sees("Deleted: walletreward_create → Mailer. 2 pending deliveries were cancelled.")
        assert {delivery.status for delivery in send_event.deliveries.all()} == {"cancelled"}

    def test_a_viewer_reads_and_cannot_change(
        self, viewer: User, ada: Customer, webhook: Integration, browse: Browse
    ) -> None:
        send_event = make_subscription(
            webhook, "walletreward_create", {"field": "wallettransaction_amount", "operator": "at_least", "value": 100}
        )
        visitor = browse(viewer)
        visitor.open(EVENTS)
        expect(visitor.page.get_by_text("Switch off")).to_have_count(0)
        visitor.page.get_by_role("link", name="Wallet Coins Rewarded").click()
        assert visitor.sees("only if at most 100 coins".replace("most", "least"))
        for words in ("Save", "Delete", "Duplicate", "Send test event"):
            expect(visitor.page.get_by_text(words, exact=True)).to_have_count(0)
        assert visitor.page.goto(f"{visitor.address}{EVENTS}{send_event.pk}/delete/").status == 403  # type: ignore[union-attr]

    def test_another_stores_is_not_there(self, stranger: User, webhook: Integration, browse: Browse) -> None:
        send_event = make_subscription(webhook)
        visitor = browse(stranger)
        visitor.open(f"{EVENTS}{send_event.pk}/change/")
        visitor.page.wait_for_url("**/admin/")
        assert "walletreward_create" not in visitor.text().split("\n", 1)[1]


class TestScreens:
    @pytest.fixture
    def paths(self, ada: Customer, webhook: Integration) -> list[str]:
        send_event = make_subscription(webhook)
        return [
            ADD,
            f"{ADD}?event=walletreward_create",
            f"{ADD}?event=order_update",
            f"{EVENTS}{send_event.pk}/change/",
            f"{EVENTS}{send_event.pk}/delete/",
            f"{EVENTS}several/",
            f"{EVENTS}catalogue/",
            f"{EVENTS}catalogue/walletreward_create/",
        ]

    @looks
    def test_no_grave_fault_and_no_scrolling_sideways(
        self, editor: User, paths: list[str], browse: Browse, width: int, dark: bool
    ) -> None:
        visitor = browse(editor, width=width, dark=dark)
        for path in paths:
            visitor.open(path)
            for more in visitor.page.get_by_text(re.compile("More ways to restrict|By what changed|Headers")).all():
                more.click()
            assert grave_faults(visitor.page) == [], path
            wider = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            assert visitor.page.evaluate(wider) == 0, path
        assert visitor.complaints == []

    def test_few_queries(self, editor: User, paths: list[str], signed_in: Any) -> None:
        client = signed_in(editor)
        for path in paths:
            with CaptureQueriesContext(connection) as queries:
                assert client.get(path).status_code == 200
            assert len(queries) <= 25, path


class TestEventDetails:
    def test_it_leads_from_the_form_to_fields_example_and_schema(
        self, editor: User, webhook: Integration, browse: Browse
    ) -> None:
        visitor = browse(editor)
        visitor.open(f"{ADD}?event=walletreward_create")
        visitor.click("Event details")
        expect(visitor.page.get_by_role("heading", name="Wallet Coins Rewarded")).to_be_visible()
        row = visitor.page.get_by_role("row", name=re.compile("wallettransaction_type"))
        expect(row).to_contain_text("one of reward, redeem, adjust, expire, revert")
        expect(row).to_contain_text("is one of, is none of")
        expect(visitor.page.get_by_label("An example payload")).to_contain_text('"user_name": "Asha Rao"')
        expect(visitor.page.get_by_label("JSON Schema of the payload")).to_contain_text('"title": "Coins"')
        assert visitor.complaints == []
