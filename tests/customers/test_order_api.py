"""The API of orders, reviews and tiers."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from customers.models import Customer, Order, Review, Store, Tier
from events.models import Occurrence
from tests.api_fixtures import a_review, an_order, problem, refusal
from tests.factories import make_customer

pytestmark = pytest.mark.django_db

ORDERS = "/api/v1/orders/"
REVIEWS = "/api/v1/reviews/"
TIERS = "/api/v1/tiers/"
BEANS = {"product_id": "beans", "title": "Beans, 1 kg", "quantity": 2, "price": "19.95"}
CUP = {"product_id": "", "title": "Cup", "quantity": 1, "price": "10.00"}
PLACED = {"customer_email": "ada@example.com", "reference_order_id": "1042", "items": [BEANS, CUP]}


def keys() -> list[str]:
    return [*Occurrence.objects.exclude(event_key="lead_create").order_by("id").values_list("event_key", flat=True)]


class TestOrders:
    def test_one_is_recorded_with_its_items(self, api: APIClient, customer: Customer) -> None:
        response = api.post(ORDERS, {**PLACED, "name": "#1042", "status": "completed", "financial_status": "paid"})
        order = Order.objects.get()
        assert response.status_code == 201
        assert response.json() == {
            "id": str(order.pk),
            "customer": str(customer.pk),
            "reference_order_id": "1042",
            "name": "#1042",
            "status": "completed",
            "financial_status": "paid",
            "delivery_status": "pending",
            "amount": "49.90",
            "currency": "EUR",
            "items": [BEANS, CUP],
            "created_at": order.created_at.isoformat().replace("+00:00", "Z"),
        }
        assert api.get(f"{ORDERS}{order.pk}/").json() == response.json()
        assert keys() == ["order_create"]
        payload = Occurrence.objects.get(event_key="order_create").payload
        assert [item["title"] for item in payload["order_items"]] == ["Beans, 1 kg", "Cup"]

    def test_an_id_that_was_recorded_is_a_conflict(self, api: APIClient, customer: Customer) -> None:
        an_order(customer)
        sentence = "An order with the id 1042 was already recorded in this store."
        assert refusal(api.post(ORDERS, PLACED), 409) == ("reference_order_id", "taken", sentence)

    @pytest.mark.parametrize(
        ("more", "field", "sentence"),
        [
            ({"items": [{**BEANS, "quantity": 0}]}, "items.0.quantity", None),
            ({"items": [BEANS, {"price": "1"}]}, "items.1.title", "This field is required."),
            ({"items": [{**CUP, "colour": "red"}]}, "items.0.colour", None),
            ({"items": [CUP] * 501}, "items", "Ensure this field has no more than 500 elements."),
            ({"currency": "XYZ"}, "currency", "XYZ is not a currency code (ISO 4217), such as EUR or INR."),
            ({"amount": "-1"}, "amount", None),
            (
                {"status": "lost"},
                "status",
                "“lost” is not one of pending, processing, completed, cancelled, refunded, unknown.",
            ),
        ],
    )
    def test_what_is_wrong_is_told_at_its_field(
        self, api: APIClient, customer: Customer, more: dict[str, Any], field: str, sentence: str | None
    ) -> None:
        found, _, told = refusal(api.post(ORDERS, {**PLACED, **more}))
        assert found == field
        assert sentence in (None, told)
        assert not Order.objects.exists()

    def test_its_statuses_move_and_its_items_stay(self, api: APIClient, customer: Customer) -> None:
        order = an_order(customer)
        response = api.patch(f"{ORDERS}{order.pk}/", {"status": "completed", "delivery_status": "delivered"})
        shown = response.json()
        assert (shown["status"], shown["delivery_status"], shown["financial_status"]) == (
            "completed",
            "delivered",
            "pending",
        )
        assert [item["title"] for item in shown["items"]] == ["Beans"]
        assert keys() == ["order_create", "order_update"]
        changed = Occurrence.objects.get(event_key="order_update").payload["changed_fields"]
        assert sorted(changed) == ["order_delivery_status", "order_status"]

    def test_its_items_are_told_all_anew(self, api: APIClient, customer: Customer) -> None:
        order = an_order(customer)
        shown = api.patch(f"{ORDERS}{order.pk}/", {"items": [CUP], "amount": "10.00"}).json()
        assert (shown["items"], shown["amount"]) == ([CUP], "10.00")
        assert keys() == ["order_create", "order_update"]

    def test_one_that_is_over_never_comes_back(self, api: APIClient, customer: Customer) -> None:
        order = an_order(customer, status="cancelled")
        response = api.patch(f"{ORDERS}{order.pk}/", {"status": "completed"})
        assert refusal(response, 409) == ("status", "order_over", "This order is already cancelled.")
        assert api.patch(f"{ORDERS}{order.pk}/", {"status": "refunded"}).status_code == 200

    @pytest.mark.parametrize("field", ["customer", "reference_order_id", "created_at"])
    def test_whose_it_is_and_its_id_stay(self, api: APIClient, customer: Customer, field: str) -> None:
        response = api.patch(f"{ORDERS}{an_order(customer).pk}/", {field: "other"})
        assert refusal(response) == (field, "read_only", "This field cannot be set.")

    @pytest.mark.parametrize(
        "filters",
        [
            {"reference_order_id": "1042"},
            {"status": "completed"},
            {"financial_status": "paid"},
            {"delivery_status": "delivered"},
            {"customer": "{customer}"},
            {"created_at_after": "2026-01-01T00:00:00Z"},
        ],
    )
    def test_they_are_found_by(self, api: APIClient, customer: Customer, filters: dict[str, str]) -> None:
        found = an_order(customer, status="completed", financial_status="paid", delivery_status="delivered")
        an_order(make_customer(customer.store), reference_order_id="7", created_at="2025-01-01T00:00:00Z")
        filters = {name: value.format(customer=customer.pk) for name, value in filters.items()}
        assert [row["id"] for row in api.get(ORDERS, filters).json()["results"]] == [str(found.pk)]

    @pytest.mark.parametrize("rows", [1, 20])
    def test_a_list_takes_four_queries(
        self, api: APIClient, customer: Customer, django_assert_num_queries: Any, rows: int
    ) -> None:
        for number in range(rows):
            an_order(customer, reference_order_id=str(number), items=[BEANS, CUP])
        with django_assert_num_queries(4):
            assert len(api.get(ORDERS).json()["results"]) == rows


class TestReviews:
    def test_one_is_recorded(self, api: APIClient, customer: Customer) -> None:
        response = api.post(
            REVIEWS,
            {"customer_email": "ada@example.com", "rating": 4, "title": "Good", "reference_product_id": "beans"},
        )
        review = Review.objects.get()
        assert response.status_code == 201
        assert response.json() == {
            "id": str(review.pk),
            "customer": str(customer.pk),
            "rating": 4,
            "title": "Good",
            "description": "",
            "is_verified": False,
            "is_featured": False,
            "reference_product_id": "beans",
            "reference_product_source": "",
            "created_at": review.created_at.isoformat().replace("+00:00", "Z"),
        }
        assert keys() == ["review_create"]

    @pytest.mark.parametrize("rating", [0, 6, 10**9])
    def test_a_rating_is_from_1_to_5(self, api: APIClient, customer: Customer, rating: int) -> None:
        response = api.post(REVIEWS, {"customer": str(customer.pk), "rating": rating})
        assert refusal(response)[::2] == ("rating", "A rating is from 1 to 5.")

    def test_it_is_verified_and_featured(self, api: APIClient, customer: Customer) -> None:
        review = a_review(customer)
        shown = api.patch(f"{REVIEWS}{review.pk}/", {"is_verified": True, "is_featured": True}).json()
        assert (shown["is_verified"], shown["is_featured"], shown["rating"]) == (True, True, 5)
        assert keys() == ["review_create", "review_update"]

    @pytest.mark.parametrize("field", ["customer", "created_at"])
    def test_whose_it_is_stays(self, api: APIClient, customer: Customer, field: str) -> None:
        response = api.patch(f"{REVIEWS}{a_review(customer).pk}/", {field: "other"})
        assert refusal(response) == (field, "read_only", "This field cannot be set.")

    @pytest.mark.parametrize(
        "filters",
        [
            {"rating": "5"},
            {"is_verified": "true"},
            {"is_featured": "true"},
            {"reference_product_id": "beans"},
            {"customer": "{customer}"},
        ],
    )
    def test_they_are_found_by(self, api: APIClient, customer: Customer, filters: dict[str, str]) -> None:
        found = a_review(customer, is_verified=True, is_featured=True, reference_product_id="beans")
        a_review(make_customer(customer.store), rating=1)
        filters = {name: value.format(customer=customer.pk) for name, value in filters.items()}
        assert [row["id"] for row in api.get(REVIEWS, filters).json()["results"]] == [str(found.pk)]

    @pytest.mark.parametrize("rating", ["0", "6", "many", "1e400"])
    def test_a_rating_that_is_none_is_refused(self, api: APIClient, rating: str) -> None:
        assert problem(api.get(REVIEWS, {"rating": rating}), 400)[0]["field"] == "rating"


class TestTiers:
    def test_one_is_made_read_and_changed(self, api: APIClient, store: Store, customer: Customer) -> None:
        made = api.post(TIERS, {"name": " Silver ", "threshold": "100"})
        tier = Tier.objects.get(store=store)
        assert made.status_code == 201
        assert made.json() == {"id": str(tier.pk), "name": "Silver", "threshold": "100.00"}
        Customer.objects.filter(pk=customer.pk).keep_books(tier="Silver")
        changed = api.patch(f"{TIERS}{tier.pk}/", {"name": "Bronze"}).json()
        assert (changed["name"], Customer.objects.get(pk=customer.pk).tier) == ("Bronze", "Bronze")
        assert api.get(f"{TIERS}{tier.pk}/").json() == changed
        assert api.get(TIERS).json()["results"] == [changed]

    def test_a_moved_threshold_has_all_judged_anew(self, api: APIClient, store: Store) -> None:
        tier = Tier.objects.create(store=store, name="Silver", threshold=100)
        Store.objects.filter(pk=store.pk).update(tiers_changed_at=None)
        api.patch(f"{TIERS}{tier.pk}/", {"threshold": "50"})
        assert Store.objects.get(pk=store.pk).tiers_changed_at

    @pytest.mark.parametrize(
        ("body", "field", "sentence"),
        [
            ({"name": "Silver", "threshold": "5"}, "name", "Another tier of this store is called Silver."),
            ({"name": "Gold", "threshold": "100.00"}, "threshold", "Silver has this threshold already."),
            ({"name": "Gold", "threshold": "-1"}, "threshold", None),
            ({"name": "Gold", "threshold": "many"}, "threshold", None),
            ({"name": "", "threshold": "5"}, "name", "This field may not be blank."),
            ({"name": "x" * 81, "threshold": "5"}, "name", None),
            ({"threshold": "5"}, "name", "This field is required."),
            ({"name": "Gold", "threshold": "5", "colour": "red"}, "colour", None),
        ],
    )
    def test_what_is_wrong_is_told_at_its_field(
        self, api: APIClient, store: Store, body: dict[str, str], field: str, sentence: str | None
    ) -> None:
        Tier.objects.create(store=store, name="Silver", threshold=100)
        found, _, said = refusal(api.post(TIERS, body))
        assert found == field
        assert sentence in (None, said)
        assert Tier.objects.count() == 1

    def test_the_same_key_makes_one(self, api: APIClient, store: Store) -> None:
        body = {"name": "Silver", "threshold": "100"}
        answers = [api.post(TIERS, body, headers={"Idempotency-Key": "t-1"}) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [201, 201]
        assert Tier.objects.count() == 1
