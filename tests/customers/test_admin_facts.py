"""The screens of orders, reviews, referrals and tiers, each with its sentences."""

from typing import Any

import pytest
from django.contrib.auth.models import User

from customers.models import Customer, Offer, Order, Referral, Review, Store, Tier, Wallet
from events.models import Occurrence
from tests.api_fixtures import a_referral, a_review, an_order
from tests.customers.test_admin import SignIn, errors, said
from tests.factories import make_customer

pytestmark = pytest.mark.django_db

ORDERS = "/admin/customers/order/"
REVIEWS = "/admin/customers/review/"
REFERRALS = "/admin/customers/referral/"
TIERS = "/admin/customers/tier/"


def items(*lines: dict[str, Any], before: int = 0) -> dict[str, Any]:
    """The fields of the item rows of an order's page."""
    form: dict[str, Any] = {"items-TOTAL_FORMS": len(lines), "items-INITIAL_FORMS": before}
    for number, line in enumerate(lines):
        form |= {f"items-{number}-{name}": value for name, value in line.items()}
    return form


def order_form(customer: Customer, **more: Any) -> dict[str, Any]:
    return {
        "customer": str(customer.pk),
        "reference_order_id": "1042",
        "status": "pending",
        "financial_status": "pending",
        "delivery_status": "pending",
        "amount": "",
        "created_at_0": "2026-06-01",
        "created_at_1": "10:15:00",
        **more,
    }


def keys() -> list[str]:
    rows = Occurrence.objects.exclude(event_key__in=["lead_create", "lead_update"]).order_by("id")
    return [*rows.values_list("event_key", flat=True)]


BEANS = {"title": "Beans", "quantity": "2", "price": "19.95", "product_id": "beans"}


class TestOrders:
    def test_one_is_added_with_its_items_as_one_fact(self, editor: User, customer: Customer, signed_in: SignIn) -> None:
        body = order_form(customer) | items(BEANS, {"title": "Cup", "quantity": "1", "price": "10"})
        answer = signed_in(editor).post(f"{ORDERS}add/", body)
        assert answer.status_code == 302, errors(answer)
        order = Order.objects.get()
        assert (f"{order.amount:.2f}", order.currency, [line["title"] for line in order.lines]) == (
            "49.90",
            "EUR",
            ["Beans", "Cup"],
        )
        assert keys() == ["order_create"]
        assert len(Occurrence.objects.get(event_key="order_create").payload["order_items"]) == 2

    @pytest.mark.parametrize(
        ("more", "field", "sentence"),
        [
            ({"reference_order_id": ""}, "reference_order_id", "This field is required."),
            ({"amount": "-1"}, "amount", "Ensure this value is greater than or equal to 0."),
            ({"currency": "XYZ"}, "currency", "XYZ is not a currency code (ISO 4217), such as EUR or INR."),
        ],
    )
    def test_what_is_wrong_is_told_at_its_field(
        self, editor: User, customer: Customer, signed_in: SignIn, more: dict[str, str], field: str, sentence: str
    ) -> None:
        answer = signed_in(editor).post(f"{ORDERS}add/", order_form(customer, **more) | items(BEANS))
        assert errors(answer) == {field: [sentence]}
        assert not Order.objects.exists()

    def test_an_id_that_was_recorded_is_told_at_its_field(
        self, editor: User, customer: Customer, signed_in: SignIn
    ) -> None:
        an_order(customer)
        answer = signed_in(editor).post(f"{ORDERS}add/", order_form(customer) | items())
        sentence = "An order with the id 1042 was already recorded in this store."
        assert errors(answer) == {"reference_order_id": [sentence]}

    def test_its_items_change_with_it_as_one_fact(self, editor: User, customer: Customer, signed_in: SignIn) -> None:
        order = an_order(customer)
        item = order.items.get()
        lines = ({"id": str(item.pk), "title": "Tea", "quantity": "1", "price": "20"}, BEANS)
        body = order_form(customer, status="completed", amount="59.90", currency="EUR") | items(*lines, before=1)
        answer = signed_in(editor).post(f"{ORDERS}{order.pk}/change/", body)
        assert answer.status_code == 302, errors(answer)
        assert [line["title"] for line in Order.objects.get().lines] == ["Tea", "Beans"]
        assert keys() == ["order_create", "order_update"]
        changed = set(Occurrence.objects.get(event_key="order_update").payload["changed_fields"])
        assert {"order_status", "order_amount", "order_items"} <= changed

    def test_an_item_is_taken_out(self, editor: User, customer: Customer, signed_in: SignIn) -> None:
        order = an_order(customer)
        line = {"id": str(order.items.get().pk), "title": "Beans", "quantity": "1", "price": "20", "DELETE": "on"}
        body = order_form(customer, amount="20", currency="EUR") | items(line, before=1)
        signed_in(editor).post(f"{ORDERS}{order.pk}/change/", body)
        assert Order.objects.get().lines == []

    @pytest.mark.parametrize(
        ("action", "sentence", "status", "financial"),
        [
            ("complete", "The order is completed.", "completed", "pending"),
            ("pay", "The order is paid.", "pending", "paid"),
            ("cancel", "The order is cancelled.", "cancelled", "pending"),
        ],
    )
    def test_its_buttons(
        self,
        editor: User,
        customer: Customer,
        signed_in: SignIn,
        action: str,
        sentence: str,
        status: str,
        financial: str,
    ) -> None:
        order = an_order(customer)
        answer = signed_in(editor).post(f"{ORDERS}{order.pk}/do/{action}/")
        order = Order.objects.get()
        assert (said(answer), order.status, order.financial_status) == ([sentence], status, financial)

    def test_one_that_is_over_says_so(self, editor: User, customer: Customer, signed_in: SignIn) -> None:
        order = an_order(customer, status="cancelled")
        answer = signed_in(editor).post(f"{ORDERS}{order.pk}/do/complete/")
        assert said(answer) == ["This order is already cancelled."]

    def test_a_viewer_may_not(self, viewer: User, customer: Customer, signed_in: SignIn) -> None:
        order = an_order(customer)
        client = signed_in(viewer)
        assert client.post(f"{ORDERS}{order.pk}/do/complete/").status_code == 403
        assert client.post(f"{ORDERS}add/", order_form(customer) | items()).status_code == 403
        assert Order.objects.get().status == "pending"


class TestReviews:
    def test_one_is_added_verified_and_featured(self, editor: User, customer: Customer, signed_in: SignIn) -> None:
        client = signed_in(editor)
        client.post(f"{REVIEWS}add/", {"customer": str(customer.pk), "rating": "4", "title": "Good"})
        review = Review.objects.get()
        answer = client.post(f"{REVIEWS}{review.pk}/do/verify/")
        assert said(answer)[-1] == "The review is verified."
        client.post(f"{REVIEWS}{review.pk}/do/feature/")
        client.post(f"{REVIEWS}{review.pk}/do/hide/")
        review.refresh_from_db()
        assert (review.rating, review.is_verified, review.is_featured) == (4, True, False)
        assert keys() == ["review_create", "review_update", "review_update", "review_update"]

    def test_a_rating_is_from_1_to_5(self, editor: User, customer: Customer, signed_in: SignIn) -> None:
        answer = signed_in(editor).post(f"{REVIEWS}add/", {"customer": str(customer.pk), "rating": "6"})
        assert errors(answer)["rating"] == ["A rating is from 1 to 5."]

    def test_a_viewer_may_not(self, viewer: User, customer: Customer, signed_in: SignIn) -> None:
        review = a_review(customer)
        assert signed_in(viewer).post(f"{REVIEWS}{review.pk}/do/verify/").status_code == 403


class TestReferrals:
    @pytest.fixture(autouse=True)
    def setting(self, store: Store, customer: Customer, offer: Offer) -> None:
        store.referrer_coins, store.referee_coins, store.referral_offer = 200, 50, offer
        store.save()
        customer.referral_code = "ADA10"
        customer.save()

    @pytest.fixture
    def friend(self, store: Store) -> Customer:
        return make_customer(store, name="Lea")

    def test_one_is_started(self, editor: User, friend: Customer, signed_in: SignIn) -> None:
        answer = signed_in(editor).post(f"{REFERRALS}add/", {"customer": str(friend.pk), "referral_code": "ADA10"})
        referral = Referral.objects.get()
        assert referral.coupon
        assert said(answer) == [f"Ada brought Lea, who got the coupon {referral.coupon.code}."]

    def test_what_cannot_be_is_told_at_its_field(
        self, editor: User, customer: Customer, friend: Customer, signed_in: SignIn
    ) -> None:
        client = signed_in(editor)
        answer = client.post(f"{REFERRALS}add/", {"customer": str(friend.pk), "referral_code": "NO"})
        assert errors(answer) == {"referral_code": ["No customer of this store has the referral code NO."]}
        answer = client.post(f"{REFERRALS}add/", {"customer": str(customer.pk), "referral_code": "ADA10"})
        sentence = "Nobody can bring themselves: this is the customer's own code."
        assert errors(answer) == {"referral_code": [sentence]}
        a_referral(customer, friend)
        answer = client.post(f"{REFERRALS}add/", {"customer": str(friend.pk), "referral_code": "ADA10"})
        assert errors(answer) == {"customer": ["Lea was brought by Ada already."]}

    def test_a_store_without_the_setting_is_told_before(self, editor: User, store: Store, signed_in: SignIn) -> None:
        Store.objects.filter(pk=store.pk).update(referrer_coins=None)
        page = signed_in(editor).get(f"{REFERRALS}add/").content.decode()
        assert "There are no referrals in this store yet: set what they are worth in the settings first." in page

    def test_it_is_completed_after_a_look_at_who_gets_what(
        self, editor: User, customer: Customer, friend: Customer, signed_in: SignIn
    ) -> None:
        referral = a_referral(customer, friend)
        client = signed_in(editor)
        complete = f"{REFERRALS}{referral.pk}/complete/"
        assert complete in client.get(f"{REFERRALS}{referral.pk}/change/").content.decode()
        asked = client.get(complete).content.decode()
        assert "Ada gets 200 coins, and Lea 50 coins. This cannot be undone." in asked
        assert Referral.objects.get().status == "started"
        answer = client.post(complete)
        assert said(answer) == ["The referral is completed. Ada got 200 coins."]
        assert Wallet.objects.get(customer=customer).balance == 200
        assert complete not in client.get(f"{REFERRALS}{referral.pk}/change/").content.decode()
        answer = client.post(complete)
        assert errors(answer) == {"__all__": ["This referral is already completed."]}

    def test_a_viewer_may_not(self, viewer: User, customer: Customer, friend: Customer, signed_in: SignIn) -> None:
        referral = a_referral(customer, friend)
        client = signed_in(viewer)
        assert client.post(f"{REFERRALS}{referral.pk}/complete/").status_code == 403
        assert client.post(f"{REFERRALS}add/", {}).status_code == 403
        assert Referral.objects.get().status == "started"

    def test_the_settings_take_only_what_can_be(
        self, owner: User, store: Store, other_store: Store, signed_in: SignIn
    ) -> None:
        path = f"/admin/customers/store/{store.pk}/change/"
        facts = {"name": "Bean House", "coin_name": "Beans", "currency": "EUR", "country": "DE", "time_zone": "UTC"}
        client = signed_in(owner)
        answer = client.post(path, {**facts, "referrer_coins": "0"})
        assert errors(answer) == {"referrer_coins": ["Coins must be 1 or more."]}
        client.post(
            path, {**facts, "referrer_coins": "300", "tier_criterion": "order_count", "coins_expire_after": "6"}
        )
        store.refresh_from_db()
        assert (store.referrer_coins, store.referral_offer, store.tier_criterion, store.coins_expire_after) == (
            300,
            None,
            "order_count",
            6,
        )


class TestTiers:
    def test_one_is_added_changed_and_deleted(
        self, editor: User, store: Store, customer: Customer, signed_in: SignIn
    ) -> None:
        client = signed_in(editor)
        client.post(f"{TIERS}add/", {"name": "Silver", "threshold": "100"})
        tier = Tier.objects.get()
        Customer.objects.filter(pk=customer.pk).keep_books(tier="Silver")
        assert '<td class="field-members">1</td>' in client.get(TIERS).content.decode()
        client.post(f"{TIERS}{tier.pk}/change/", {"name": "Bronze", "threshold": "100"})
        customer.refresh_from_db()
        assert customer.tier == "Bronze"
        client.post(f"{TIERS}{tier.pk}/delete/", {"post": "yes"})
        assert not Tier.objects.exists()

    def test_what_is_taken_is_told_at_its_field(self, editor: User, store: Store, signed_in: SignIn) -> None:
        Tier.objects.create(store=store, name="Silver", threshold=100)
        client = signed_in(editor)
        answer = client.post(f"{TIERS}add/", {"name": "Silver", "threshold": "5"})
        assert errors(answer) == {"name": ["Another tier of this store is called Silver."]}
        answer = client.post(f"{TIERS}add/", {"name": "Gold", "threshold": "100"})
        assert errors(answer) == {"threshold": ["Silver has this threshold already."]}

    @pytest.mark.parametrize("rows", [1, 8])
    def test_the_list_costs_the_same_for_many(
        self, editor: User, store: Store, signed_in: SignIn, django_assert_max_num_queries: Any, rows: int
    ) -> None:
        for number in range(rows):
            Tier.objects.create(store=store, name=f"T{number}", threshold=number)
        client = signed_in(editor)
        with django_assert_max_num_queries(9):
            client.get(TIERS)


class TestCustomersPage:
    def test_it_shows_all_of_it(self, editor: User, store: Store, customer: Customer, signed_in: SignIn) -> None:
        friend = make_customer(store, name="Lea")
        an_order(customer, name="#1042")
        a_review(customer, title="My new favourite")
        a_referral(customer, friend)
        a_referral(make_customer(store, name="Eve"), customer)
        page = signed_in(editor).get(f"/admin/customers/customer/{customer.pk}/change/").content.decode()
        for shown in ("#1042", "My new favourite", ">Lea</a>", "Brought by Eve", "It never changed."):
            assert shown in page, shown

    @pytest.mark.parametrize(("base", "field"), [(ORDERS, "customer"), (REVIEWS, "customer"), (REFERRALS, "referrer")])
    def test_it_leads_to_the_rest(
        self, editor: User, store: Store, customer: Customer, signed_in: SignIn, base: str, field: str
    ) -> None:
        address = f"{base}?{field}__id__exact={customer.pk}"
        an_order(customer)
        a_review(customer)
        a_referral(customer)
        client = signed_in(editor)
        assert address in client.get(f"/admin/customers/customer/{customer.pk}/change/").content.decode()
        assert client.get(address).status_code == 200
