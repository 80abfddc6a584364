"""Customers: coins given and spent, the ledger with its balance, coupons; by what is written on the screens."""

from django.contrib.auth.models import User

from customers.models import Customer, Offer
from tests.browser.conftest import Browse
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
