"""What happened: why each send event was (not) sent, what a restriction found, evaluating again; and a person's timeline."""

from typing import Any

from django.contrib.auth.models import User
from playwright.sync_api import Locator

from customers.models import Customer
from events.models import Occurrence
from tests.browser.conftest import Browse
from tests.browser.demo import Demo
from tests.browser.visitor import Visitor
from tests.factories import give_coins, make_integration, make_subscription

LIST = "/admin/events/occurrence/"


def verdict(visitor: Visitor, label: str) -> Locator:
    heading = visitor.page.get_by_role("heading", name=label, exact=True)
    return visitor.page.get_by_role("article").filter(has=heading)


class TestWhy:
    def test_each_send_event_has_its_verdict(self, demo: Demo, browse: Browse) -> None:
        visitor = browse(demo.owner)
        visitor.open(f"{LIST}{demo.reward.pk}/change/")
        for label, reading, said in (
            ("nector_walletreward_create → Klaviyo main account", "Sent", "It was accepted."),
            ("ledger_entry → Data warehouse", "Retrying", "Next try"),
            ("coins_earned → Newsletter", "Held", "Newsletter is off"),
            ("app_big_reward → Shop app", "Not matched", "Its restrictions did not hold."),
            ("app_big_reward → Shop app", "Not matched", "Does not hold: Coins is at least 100 (found: 55)"),
            ("app_big_reward → Shop app", "Not matched", "Holds: Wallet Transaction Types"),
        ):
            text = " ".join((verdict(visitor, label).text_content() or "").split())
            assert reading in text
            assert said in text
        assert visitor.complaints == []

    def test_what_could_not_be_evaluated_is_evaluated_again(
        self, editor: User, customer: Customer, browse: Browse
    ) -> None:
        make_subscription(make_integration(customer.store, name="Mailer"))
        give_coins(customer, 50)
        occurrence = Occurrence.objects.get(event_key="walletreward_create")
        occurrence.deliveries.all().delete()
        Occurrence.objects.filter(pk=occurrence.pk).update(error="walletreward_create: It could not be read.")
        visitor = browse(editor)
        visitor.open(LIST)
        visitor.choose("Kind", "Could not be evaluated")
        visitor.click("Narrow")
        visitor.click("Wallet Coins Rewarded")
        assert visitor.sees("Not all of it could be evaluated.")
        visitor.click("Evaluate again")
        assert visitor.sees("It was evaluated again: 1 delivery added.")
        assert occurrence.deliveries.count() == 1

    def test_a_viewer_reads_and_another_store_does_not(
        self, viewer: User, stranger: User, customer: Customer, browse: Browse
    ) -> None:
        give_coins(customer, 50)
        occurrence = Occurrence.objects.get(event_key="walletreward_create")
        Occurrence.objects.filter(pk=occurrence.pk).update(error="It could not be read.")
        address = f"{LIST}{occurrence.pk}/change/"
        visitor = browse(viewer)
        visitor.open(address)
        assert visitor.sees("Why was it (not) sent?")
        assert visitor.page.get_by_role("main").get_by_role("button").count() == 0
        elsewhere = browse(stranger)
        elsewhere.open(address)
        assert "Ada" not in elsewhere.text()


class TestTimeline:
    def test_what_happened_what_was_sent_and_why_not(self, demo: Demo, browse: Browse) -> None:
        visitor = browse(demo.owner)
        visitor.open(f"/admin/customers/customer/{demo.customer.pk}/change/")
        visitor.click("Timeline")
        story: Any = visitor.page.get_by_role("region", name="Timeline")
        newest = story.get_by_role("listitem").first.inner_text()
        for words in ("Retrying", "Held", "Sent", "app_big_reward → Shop app", "found: 55"):
            assert words in newest
        assert "Webhook refused it (answer 422)." in story.inner_text()
        assert visitor.complaints == []

    def test_another_store_cannot_reach_it(self, stranger: User, customer: Customer, browse: Browse) -> None:
        visitor = browse(stranger)
        visitor.open(f"{LIST}customer/{customer.pk}/")
        assert visitor.sees("There is no such customer in this store.")
