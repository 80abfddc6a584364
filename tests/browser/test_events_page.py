"""The Events page: the switch on top, its question, and what each send event does."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from playwright.sync_api import expect

from customers.models import Customer, Store
from events.models import Delivery, Subscription, Tally
from events.switching import switch_off
from integrations.models import Integration
from tests.browser.conftest import Browse
from tests.browser.visitor import grave_faults, looks
from tests.factories import give_coins, make_integration, make_subscription

EVENTS = "/admin/events/subscription/"


@pytest.fixture
def send_event(store: Store) -> Subscription:
    return make_subscription(make_integration(store, name="Mailer"))


@pytest.fixture
def held(store: Store, customer: Customer, send_event: Subscription) -> int:
    """Three deliveries, recorded while events were off, one of them a day ago."""
    switch_off(store)
    for coins in (5, 6, 7):
        give_coins(customer, coins)
    oldest = Delivery.objects.order_by("id").values("pk")[:1]
    Delivery.objects.filter(pk__in=oldest).update(recorded_at=timezone.now() - timedelta(days=1))
    return 3


class TestSwitch:
    @pytest.mark.parametrize("javascript", [True, False])
    def test_switching_on_asks_about_what_is_held(
        self, editor: User, store: Store, held: int, browse: Browse, javascript: bool
    ) -> None:
        visitor = browse(editor, javascript=javascript)
        visitor.open(EVENTS)
        assert visitor.sees("Events are off: 3 are held.")
        assert visitor.sees("Nothing is lost meanwhile")
        visitor.click("Switch events on")
        assert visitor.sees("3 events are held, the oldest since")
        visitor.click("Switch events on")
        assert visitor.sees("Choose what shall become of what is held.")
        visitor.tick("Send only what is newer than ... hours, cancel the rest")
        visitor.fill("Hours", "12")
        visitor.click("Switch events on")
        assert visitor.sees("Events are on. 2 of what was held go out now. 1 was cancelled.")
        assert visitor.complaints == []
        store.refresh_from_db()
        assert store.events_on

    @pytest.mark.parametrize(
        ("choice", "said", "left"),
        [
            ("Send everything that is held", "Events are on. 3 of what was held go out now.", {"pending"}),
            ("Cancel everything that is held", "Events are on. 3 were cancelled.", {"cancelled"}),
        ],
    )
    def test_all_of_it_or_nothing(
        self, editor: User, held: int, browse: Browse, choice: str, said: str, left: set[str]
    ) -> None:
        visitor = browse(editor)
        visitor.open(f"{EVENTS}switch/")
        visitor.tick(choice)
        visitor.click("Switch events on")
        assert visitor.sees(said)
        assert {delivery.status for delivery in Delivery.objects.all()} == left

    def test_switching_off_is_one_click(self, editor: User, store: Store, browse: Browse) -> None:
        visitor = browse(editor)
        visitor.open(EVENTS)
        visitor.click("Switch events off")
        assert visitor.sees("Events are off: nothing is held yet.")
        visitor.click("Switch events on")
        assert visitor.sees("Events are on: what happens is sent at once.")

    def test_a_viewer_sees_it_and_who_can_help(self, viewer: User, store: Store, held: int, browse: Browse) -> None:
        visitor = browse(viewer)
        visitor.open(EVENTS)
        assert visitor.sees("Events are off: 3 are held.")
        assert visitor.sees("An editor or owner of this store can switch them on.")
        expect(visitor.page.get_by_role("button", name="Switch events on")).to_have_count(0)


class TestTabs:
    def test_basic_settings(self, editor: User, store: Store, send_event: Subscription, browse: Browse) -> None:
        visitor = browse(editor)
        visitor.open(EVENTS)
        visitor.click("Basic settings")
        assert visitor.sees("What every event says about your store")
        assert visitor.sees("Beans")
        visitor.click("Send events")
        assert visitor.sees("every one of them")


class TestSendEvents:
    def test_a_row_says_what_it_does_and_did(
        self, editor: User, customer: Customer, send_event: Subscription, browse: Browse
    ) -> None:
        large = {"field": "wallettransaction_amount", "operator": "at_least", "value": 100}
        rewards = {"field": "wallettransaction_type", "operator": "any_of", "value": ["reward"]}
        make_subscription(send_event.integration, "walletreward_create", rewards, large, prefix="shop_", name="big")
        give_coins(customer, 120)
        Delivery.objects.filter(event_name="shop_big").update(status="failed")
        big = send_event.integration.subscriptions.get(name="big")
        Tally.objects.create(
            store=big.store, integration=big.integration, subscription=big, minute=timezone.now(), sent=41
        )
        visitor = browse(editor)
        visitor.open(EVENTS)
        row = visitor.page.get_by_role("row").filter(has_text="shop_big")
        for words in ("Wallet Coins Rewarded", "Mailer", "only rewards of at least 100 coins", "41", "Failed"):
            expect(row).to_contain_text(words)

    def test_on_and_off_in_the_row(self, editor: User, send_event: Subscription, browse: Browse) -> None:
        visitor = browse(editor)
        visitor.open(EVENTS)
        visitor.page.get_by_role("button", name=f"Switch off: {send_event}").click()
        assert visitor.sees(f"Switched off: {send_event}")
        send_event.refresh_from_db()
        assert not send_event.enabled
        visitor.page.get_by_role("button", name=f"Switch on: {send_event}").click()
        assert visitor.sees(f"Switched on: {send_event}")

    def test_another_stores_are_not_there(self, stranger: User, send_event: Subscription, browse: Browse) -> None:
        visitor = browse(stranger)
        visitor.open(EVENTS)
        assert visitor.sees("No send event yet.")
        assert "Mailer" not in visitor.page.content()

    @looks
    def test_no_grave_fault_and_no_scrolling_sideways(
        self, editor: User, store: Store, held: int, browse: Browse, width: int, dark: bool
    ) -> None:
        visitor = browse(editor, width=width, dark=dark)
        for path in (EVENTS, f"{EVENTS}switch/", f"{EVENTS}basic/"):
            visitor.open(path)
            assert grave_faults(visitor.page) == [], path
            wider = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            assert visitor.page.evaluate(wider) == 0, path
        assert visitor.complaints == []


class TestNoIntegration:
    def test_the_list_leads_on(self, editor: User, store: Store, browse: Browse) -> None:
        visitor = browse(editor)
        visitor.open(EVENTS)
        assert visitor.sees("No send event yet.")
        visitor.click("New send event")
        assert visitor.sees("Start from a recipe")
        assert not Integration.objects.exists()
