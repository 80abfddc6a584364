"""Customers: coins given and spent, the ledger with its balance, coupons; by what is written on the screens."""

import pytest
from django.contrib.auth.models import User

from customers.models import Customer, Offer
from tests.browser.conftest import Browse
from tests.browser.visitor import grave_faults
from tests.factories import give_coins

LIST = "/admin/customers/customer/"


def page(customer: Customer) -> str:
    return f"{LIST}{customer.pk}/change/"


class TestCoins:
    def test_rewarded_then_redeemed(self, editor: User, customer: Customer, offer: Offer, browse: Browse) -> None:
        visitor = browse(editor)
        visitor.open("/admin/")
        visitor.click("Customers")
        visitor.fill("Search", "ada@example.com")
        visitor.click("Search")
        visitor.click("Ada")
        assert visitor.sees("Wallet: 0 Beans")
        visitor.click("Reward coins")
        visitor.fill("Coins", "0")
        visitor.click("Reward coins")
        assert visitor.sees("Coins must be 1 or more.")
        visitor.fill("Coins", "120")
        visitor.fill("Title", "For your patience")
        visitor.click("Reward coins")
        assert visitor.sees("Ada got 120 Beans and has 120 now.")
        visitor.click("Redeem an offer")
        visitor.choose("Offer", "5 off (100 coins)")
        visitor.click("Redeem")
        coupon = customer.coupons.get()
        assert visitor.sees(f"Ada got the coupon {coupon.code} for 100 Beans.")
        assert visitor.sees("Wallet: 20 Beans")
        ledger = visitor.page.get_by_role("region", name="Wallet: 20 Beans").get_by_role("row").all_inner_texts()
        assert [text.split("\t")[1:4] for text in ledger[1:]] == [
            ["Redeem: 5 off", "−100", "20"],
            ["Reward: For your patience", "+120", "120"],
        ]
        coupons = visitor.page.get_by_role("region", name="Coupons")
        assert "Issued" in coupons.get_by_role("row").last.inner_text()
        visitor.click("All transactions")
        assert visitor.sees("2 wallet transactions")
        assert visitor.complaints == []

    def test_too_few_coins_is_said(self, editor: User, customer: Customer, offer: Offer, browse: Browse) -> None:
        give_coins(customer, 99)
        visitor = browse(editor)
        visitor.open(page(customer))
        visitor.click("Redeem an offer")
        visitor.choose("Offer", "5 off (100 coins)")
        visitor.click("Redeem")
        assert visitor.sees("99")
        assert not customer.coupons.exists()


class TestLedger:
    @pytest.mark.parametrize("width", [1280, 390])
    def test_it_is_narrowed_above_the_table(
        self, editor: User, customer: Customer, offer: Offer, browse: Browse, width: int
    ) -> None:
        give_coins(customer, 120, title="For your patience")
        offer.redeem(customer)
        visitor = browse(editor, width=width)
        visitor.open("/admin/customers/wallettransaction/")
        filters = visitor.page.get_by_role("navigation", name="Filter")
        filters.get_by_text("Source: All").click()
        assert grave_faults(visitor.page) == []
        wider = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert visitor.page.evaluate(wider) == 0
        filters.get_by_text("Type: All").click()
        assert not filters.get_by_role("link", name="Sign-up").is_visible(), "one is open at a time"
        visitor.click("Redeem", inside=filters)
        assert visitor.sees("1 wallet transaction")
        assert visitor.page.get_by_text("For your patience").count() == 0
        assert filters.get_by_text("Type: Redeem").is_visible()
        visitor.click("Show all", inside=filters)
        assert visitor.sees("2 wallet transactions")
        assert visitor.complaints == []


class TestDeleting:
    def test_somebody_with_a_history_stays_and_it_says_what_to_do(
        self, owner: User, customer: Customer, browse: Browse
    ) -> None:
        give_coins(customer, 5)
        visitor = browse(owner)
        visitor.open(page(customer))
        visitor.click("Delete")
        assert visitor.sees("Ada has a history of coins, coupons, orders or reviews.")
        assert visitor.sees("To forget the person instead: on the customer's page empty the name")
        visitor.click("Back to Ada")
        assert visitor.sees("Wallet: 5 Beans")

    def test_somebody_without_one_is_deleted(self, owner: User, customer: Customer, browse: Browse) -> None:
        visitor = browse(owner)
        visitor.open(page(customer))
        visitor.click("Delete")
        assert visitor.sees("Delete Ada? This cannot be undone.")
        visitor.click("Delete it")
        assert visitor.sees("was deleted successfully.")
        assert not Customer.objects.exists()


class TestWhoMay:
    def test_a_viewer_only_reads(self, viewer: User, customer: Customer, browse: Browse) -> None:
        visitor = browse(viewer)
        visitor.open(page(customer))
        assert visitor.sees("Wallet: 0 Beans")
        main = visitor.page.get_by_role("main")
        assert main.get_by_role("textbox").count() == 0
        for words in ("Reward coins", "Redeem an offer", "Save"):
            assert main.get_by_text(words, exact=True).count() == 0

    def test_another_store_cannot_reach_it(self, stranger: User, customer: Customer, browse: Browse) -> None:
        visitor = browse(stranger)
        visitor.open(page(customer))
        assert "ada@example.com" not in visitor.page.content()
