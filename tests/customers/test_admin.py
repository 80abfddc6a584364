"""The screens of the facts: giving and spending coins, settling, members and keys, each with its sentence."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.messages import get_messages
from django.test import Client

from customers.models import ApiKey, Coupon, Customer, Offer, Role, Store, StoreMembership, WalletTransaction
from customers.models.coins import WalletTransactionStatus
from tests.api_fixtures import a_coupon, an_entry
from tests.factories import give_coins, make_api_client, make_customer, make_member

pytestmark = pytest.mark.django_db

SignIn = Callable[[User], Client]


def said(answer: Any) -> list[str]:
    """The messages that the next page shows."""
    return [str(message) for message in get_messages(answer.wsgi_request)]


def errors(answer: Any) -> dict[str, list[str]]:
    """What the form on the page complains of."""
    form = answer.context_data.get("form") or answer.context_data["adminform"].form
    found: dict[str, list[str]] = form.errors
    return found


class TestCustomers:
    def page(self, customer: Customer, *more: str) -> str:
        return "/".join(["/admin/customers/customer", str(customer.pk), *more, ""])

    def test_coins_are_rewarded(self, editor: User, customer: Customer, signed_in: SignIn) -> None:
        answer = signed_in(editor).post(self.page(customer, "reward"), {"amount": "50", "title": "Thanks"})
        assert said(answer) == ["Ada got 50 Beans and has 50 now."]
        entry = WalletTransaction.objects.get()
        assert (entry.amount, entry.type, entry.source, entry.title) == (50, "reward", "manual", "Thanks")

    @pytest.mark.parametrize(
        ("amount", "sentence"),
        [
            ("0", "Coins must be 1 or more."),
            ("-5", "Coins must be 1 or more."),
            ("many", "Enter whole coins, such as 50."),
            (str(10**16), "That is more coins than a wallet can hold."),
        ],
    )
    def test_what_are_no_coins_is_told_at_the_field(
        self, editor: User, customer: Customer, signed_in: SignIn, amount: str, sentence: str
    ) -> None:
        answer = signed_in(editor).post(self.page(customer, "reward"), {"amount": amount, "title": "Thanks"})
        assert errors(answer) == {"amount": [sentence]}
        assert not WalletTransaction.objects.exists()

    def test_an_offer_is_redeemed(self, editor: User, customer: Customer, offer: Offer, signed_in: SignIn) -> None:
        give_coins(customer, 120)
        answer = signed_in(editor).post(self.page(customer, "redeem"), {"offer": str(offer.pk)})
        coupon = Coupon.objects.get()
        assert said(answer) == [f"Ada got the coupon {coupon.code} for 100 Beans."]

    def test_too_few_coins_are_told_on_the_page(
        self, editor: User, customer: Customer, offer: Offer, signed_in: SignIn
    ) -> None:
        give_coins(customer, 40)
        answer = signed_in(editor).post(self.page(customer, "redeem"), {"offer": str(offer.pk)})
        assert errors(answer) == {"__all__": ["5 off costs 100 coins. Only 40 coins are in the wallet."]}
        assert not Coupon.objects.exists()

    def test_a_taken_address_is_told_at_its_field(
        self, editor: User, store: Store, customer: Customer, signed_in: SignIn
    ) -> None:
        answer = signed_in(editor).post("/admin/customers/customer/add/", {"email": "ADA@example.com", "type": "vip"})
        assert errors(answer) == {"email": ["Another customer of this store has the e-mail ada@example.com."]}

    @pytest.mark.parametrize("action", ["reward", "redeem"])
    def test_a_viewer_may_not(
        self, viewer: User, customer: Customer, offer: Offer, signed_in: SignIn, action: str
    ) -> None:
        give_coins(customer, 100)
        answer = signed_in(viewer).post(self.page(customer, action), {"amount": "5", "offer": str(offer.pk)})
        assert answer.status_code == 403
        assert customer.wallet.transactions.count() == 1

    def test_its_page_costs_the_same_for_many_rows(
        self, editor: User, customer: Customer, signed_in: SignIn, django_assert_max_num_queries: Any
    ) -> None:
        for number in range(12):
            give_coins(customer, 10 + number)
            a_coupon(customer, code=f"CODE{number}")
        with django_assert_max_num_queries(40):
            page = signed_in(editor).get(self.page(customer, "change")).content.decode()
        assert "Wallet: 186 Beans" in page
        assert "CODE11" in page


class TestLedger:
    ADD = "/admin/customers/wallettransaction/add/"
    BODY = {"type": "adjust", "operation": "cr", "amount": "30", "status": "pending", "reference": "r-1"}

    def test_a_pending_entry_is_recorded_and_settled(self, editor: User, customer: Customer, signed_in: SignIn) -> None:
        client = signed_in(editor)
        answer = client.post(self.ADD, {**self.BODY, "customer": str(customer.pk)})
        assert said(answer) == ["Recorded +30 (adjust) for Ada."]
        entry = WalletTransaction.objects.get()
        answer = client.post(f"/admin/customers/wallettransaction/{entry.pk}/do/settle/")
        assert said(answer)[-1] == "The transaction took effect."
        customer.wallet.refresh_from_db()
        assert customer.wallet.balance == 30

    def test_a_reference_that_means_something_else_is_told_at_its_field(
        self, editor: User, customer: Customer, signed_in: SignIn
    ) -> None:
        an_entry(customer, reference="r-1")
        answer = signed_in(editor).post(self.ADD, {**self.BODY, "customer": str(customer.pk)})
        assert errors(answer) == {
            "reference": ["The reference r-1 was already used for another transaction of this store."]
        }

    def test_what_was_settled_meanwhile_says_so(self, editor: User, customer: Customer, signed_in: SignIn) -> None:
        entry = an_entry(customer, status=WalletTransactionStatus.PENDING)
        entry.settle()
        answer = signed_in(editor).post(f"/admin/customers/wallettransaction/{entry.pk}/do/cancel/")
        assert said(answer) == ["This transaction is already success."]

    def test_nobody_alters_an_entry(self, owner: User, customer: Customer, signed_in: SignIn) -> None:
        entry = an_entry(customer)
        client = signed_in(owner)
        page = f"/admin/customers/wallettransaction/{entry.pk}"
        assert client.post(f"{page}/change/", {"amount": "9999"}).status_code == 403
        assert client.post(f"{page}/delete/", {"post": "yes"}).status_code == 403


class TestCoupons:
    def test_one_is_given_and_redeemed(self, editor: User, customer: Customer, signed_in: SignIn) -> None:
        client = signed_in(editor)
        facts = {"code": "WELCOME", "type": "private", "source": "nector", "value_type": "percent", "value": "10"}
        answer = client.post(
            "/admin/customers/coupon/add/", {**facts, "customer": str(customer.pk), "minimum_order": "0"}
        )
        assert answer.status_code == 302, errors(answer)
        coupon = Coupon.objects.get()
        answer = client.post(f"/admin/customers/coupon/{coupon.pk}/do/redeem/")
        assert said(answer)[-1] == "The coupon is redeemed."
        answer = client.post(f"/admin/customers/coupon/{coupon.pk}/do/cancel/")
        assert said(answer)[-1] == "This coupon is already redeemed."


class TestMembers:
    ADD = "/admin/customers/storemembership/add/"

    def test_a_new_user_gets_a_password_that_is_shown_once(self, owner: User, store: Store, signed_in: SignIn) -> None:
        answer = signed_in(owner).post(self.ADD, {"email": "Eve@example.com", "role": "editor"})
        (sentence,) = said(answer)
        name, password = sentence.split(" is a member now. The password, shown only this once: ")
        assert name == "eve@example.com"
        user = User.objects.get(email="eve@example.com")
        assert user.check_password(password)
        assert StoreMembership.objects.get(user=user).role == Role.EDITOR

    def test_somebody_who_is_here_keeps_her_password(self, owner: User, other_store: Store, signed_in: SignIn) -> None:
        user = make_member(other_store, Role.OWNER, email="eve@example.com")
        answer = signed_in(owner).post(self.ADD, {"email": "eve@example.com", "role": "viewer"})
        assert said(answer) == [f"{user} is a member now."]

    def test_a_member_is_not_added_twice(self, owner: User, signed_in: SignIn) -> None:
        answer = signed_in(owner).post(self.ADD, {"email": owner.email, "role": "viewer"})
        assert errors(answer) == {"__all__": ["This user is a member already."]}

    def test_the_last_owner_stays(self, owner: User, store: Store, signed_in: SignIn) -> None:
        membership = StoreMembership.objects.get(user=owner)
        client = signed_in(owner)
        page = f"/admin/customers/storemembership/{membership.pk}"
        answer = client.post(f"{page}/change/", {"role": "viewer"})
        assert errors(answer) == {"role": ["A store needs at least one owner: make somebody else an owner first."]}
        assert client.post(f"{page}/delete/", {"post": "yes"}).status_code == 403
        make_member(store, Role.OWNER)
        assert client.post(f"{page}/delete/", {"post": "yes"}).status_code == 302

    @pytest.mark.parametrize("role", [Role.VIEWER, Role.EDITOR])
    def test_it_is_the_owners(self, store: Store, signed_in: SignIn, role: Role) -> None:
        client = signed_in(make_member(store, role))
        assert client.get(self.ADD).status_code == 403
        assert client.get("/admin/customers/apikey/add/").status_code == 403


class TestApiKeys:
    def test_a_key_is_shown_once_works_and_is_revoked(self, owner: User, signed_in: SignIn) -> None:
        client = signed_in(owner)
        answer = client.post("/admin/customers/apikey/add/", {"name": "Web shop"})
        key = said(answer)[0].removeprefix("The key of Web shop, shown only this once: ")
        app = make_api_client(key)
        assert app.get("/api/v1/customers/").status_code == 200
        row = ApiKey.objects.get()
        assert key in client.get("/admin/customers/apikey/").content.decode()
        assert key not in client.get(f"/admin/customers/apikey/{row.pk}/change/", follow=True).content.decode()
        client.post(f"/admin/customers/apikey/{row.pk}/do/revoke/")
        assert app.get("/api/v1/customers/").status_code == 401


class TestStore:
    def test_settings_lead_to_the_one_that_shows(self, editor: User, store: Store, signed_in: SignIn) -> None:
        answer = signed_in(editor).get("/admin/customers/store/")
        assert answer["Location"] == f"/admin/customers/store/{store.pk}/change/"

    def test_what_is_no_country_is_told_at_its_field(self, editor: User, store: Store, signed_in: SignIn) -> None:
        body = {"name": "Bean House", "coin_name": "Beans", "currency": "EUR", "country": "XX", "time_zone": "UTC"}
        answer = signed_in(editor).post(f"/admin/customers/store/{store.pk}/change/", body)
        assert errors(answer) == {"country": ["XX is not a country code (ISO 3166-1), such as DE or IN."]}

    def test_customers_are_found_by_what_identifies_them(
        self, editor: User, store: Store, customer: Customer, signed_in: SignIn
    ) -> None:
        make_customer(store, name="Bob", email="bob@example.com")
        for asked in ("ada@example.com", "+4915112345678", "Ad"):
            page = signed_in(editor).get("/admin/customers/customer/", {"q": asked}).content.decode()
            assert "ada@example.com" in page
            assert "bob@example.com" not in page
