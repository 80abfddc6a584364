"""Orders: an order and its items are one fact, its statuses move by the rules, and its id is recorded once."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext

from customers.facts import Fact
from customers.models import Customer, Order, OrderItem, Store
from customers.refusals import Conflict, Refused
from tests import factories
from tests.concurrency import at_once

Heard = list[list[Fact]]

BEANS = {"product_id": "beans", "title": "Beans, 1 kg", "quantity": 2, "price": "19.95"}
CUP = {"title": "Cup", "price": 10}
LINES = [
    {"product_id": "beans", "title": "Beans, 1 kg", "quantity": 2, "price": "19.95"},
    {"product_id": None, "title": "Cup", "quantity": 1, "price": "10.00"},
]


def place(customer: Customer, *items: dict[str, Any], **fields: Any) -> Order:
    return Order.objects.place(
        store=customer.store, customer=customer, items=items, **{"reference_order_id": "1042", **fields}
    )


def titles(order: Order) -> list[str]:
    return [item.title for item in OrderItem.objects.filter(order=order)]


def said(heard: Heard) -> list[list[tuple[bool, dict[str, Any]]]]:
    return [[(fact.created, dict(fact.previous)) for fact in one] for one in heard]


class TestPlace:
    def test_an_order_and_its_items_are_one_fact(self, customer: Customer, heard: Heard) -> None:
        order = place(customer, BEANS, CUP, name="#1042")
        assert said(heard) == [[(True, {})]]
        stored = Order.objects.get()
        assert stored == order == heard[0][0].instance
        assert stored.lines == order.lines == LINES
        assert (stored.status, stored.financial_status, stored.delivery_status) == ("pending", "pending", "pending")
        assert str(stored) == "#1042"
        assert [str(item) for item in stored.items.all()] == ["2 × Beans, 1 kg", "1 × Cup"]
        assert {item.store for item in stored.items.all()} == {customer.store}

    def test_when_it_is_announced_its_items_are_there(self, customer: Customer) -> None:
        from customers.facts import facts

        seen: list[int] = []

        def count(**_: Any) -> None:
            seen.append(OrderItem.objects.count())

        facts.connect(count)
        try:
            place(customer, BEANS, CUP)
        finally:
            facts.disconnect(count)
        assert seen == [2]

    def test_the_amount_is_the_sum_unless_it_is_said(self, customer: Customer) -> None:
        assert place(customer, BEANS, CUP).amount == Decimal("49.90")
        assert place(customer, BEANS, reference_order_id="1043", amount="35.50").amount == Decimal("35.50")
        assert place(customer, reference_order_id="1044").amount == 0

    def test_its_currency_is_the_stores_unless_it_is_said(self, customer: Customer, other_store: Store) -> None:
        assert place(customer).currency == "EUR"
        assert place(customer, reference_order_id="1043", currency="USD").currency == "USD"
        assert place(factories.make_customer(other_store)).currency == "INR"

    def test_a_silent_one_says_so(self, customer: Customer, heard: Heard) -> None:
        place(customer, silent=True)
        assert heard[0][0].silent

    def test_each_id_is_recorded_once_in_a_store(self, customer: Customer, other_store: Store, heard: Heard) -> None:
        place(customer)
        place(factories.make_customer(other_store))
        heard.clear()
        with pytest.raises(Conflict) as refusal:
            place(customer, BEANS, reference_order_id=" 1042 ")
        assert str(refusal.value) == "An order with the id 1042 was already recorded in this store."
        assert (Order.objects.count(), OrderItem.objects.count(), heard) == (2, 0, [])

    @pytest.mark.django_db(transaction=True)
    def test_of_several_at_once_one_is_recorded(self, customer: Customer, heard: Heard) -> None:
        done = at_once(*[lambda: place(Customer.objects.select_related("store").get(), BEANS).pk] * 6)
        assert [type(end).__name__ for end in done].count("Conflict") == 5, done
        assert [order.lines for order in Order.objects.all()] == [LINES[:1]]
        assert len([one for one in heard if isinstance(one[0].instance, Order)]) == 1

    @pytest.mark.parametrize(
        ("items", "sentences"),
        [
            ([CUP, {"title": ""}], ["Item 2, title: This field cannot be blank."]),
            (
                [{"title": "Cup", "quantity": 0, "price": -1}],
                [
                    "Item 1, quantity: Ensure this value is greater than or equal to 1.",
                    "Item 1, price: Ensure this value is greater than or equal to 0.",
                ],
            ),
            ([{"title": "Cup", "price": "cheap"}], ["Item 1, price: “cheap” value must be a decimal number."]),
            ([CUP] * 501, ["An order has at most 500 items."]),
        ],
    )
    def test_an_item_that_cannot_be_is_named(
        self, customer: Customer, items: Sequence[dict[str, Any]], sentences: list[str], heard: Heard
    ) -> None:
        with pytest.raises(ValidationError) as refusal:
            place(customer, *items)
        assert refusal.value.message_dict == {"items": sentences}
        assert not Order.objects.exists()
        assert heard == []

    @pytest.mark.parametrize(
        ("field", "value", "sentence"),
        [
            ("status", "shipped", "Value 'shipped' is not a valid choice."),
            ("amount", -1, "Ensure this value is greater than or equal to 0."),
            ("currency", "XXA", "XXA is not a currency code (ISO 4217), such as EUR or INR."),
            ("reference_order_id", " ", "This field cannot be blank."),
        ],
    )
    def test_what_cannot_be_is_refused(self, customer: Customer, field: str, value: Any, sentence: str) -> None:
        with pytest.raises(ValidationError) as refusal:
            place(customer, **{field: value})
        assert refusal.value.message_dict == {field: [sentence]}

    def test_a_customer_of_another_store_is_none_of_this_one(self, customer: Customer, other_store: Store) -> None:
        with pytest.raises(ValidationError) as refusal:
            Order.objects.place(store=other_store, customer=customer, reference_order_id="1")
        assert refusal.value.message_dict == {"customer": ["This customer is not one of this store's."]}

    def test_the_number_of_items_changes_no_number_of_queries(self, customer: Customer) -> None:
        with CaptureQueriesContext(connection) as few:
            place(customer, CUP)
        with CaptureQueriesContext(connection) as many:
            place(customer, *[CUP] * 50, reference_order_id="1043")
        assert len(many) == len(few)


class TestBulkCreate:
    def test_orders_are_written_and_announced_with_their_items(self, customer: Customer, heard: Heard) -> None:
        orders = [Order(store=customer.store, customer=customer, reference_order_id=str(n)) for n in range(3)]
        for order in orders[:2]:
            order.contain([BEANS, CUP])
        Order.objects.bulk_create(orders)
        assert said(heard) == [[(True, {})] * 3]
        assert [len(order.lines) for order in Order.objects.order_by("reference_order_id")] == [2, 2, 0]


class TestWrite:
    def test_a_new_one_from_a_form(self, customer: Customer, heard: Heard) -> None:
        order = Order(store=customer.store, customer=customer, reference_order_id="1042", amount="12.5")
        order.full_clean()
        order.write(items=[CUP])
        assert said(heard) == [[(True, {})]]
        assert (titles(order), order.amount) == (["Cup"], Decimal("12.5"))

    def test_changed_items_and_columns_are_one_fact(self, customer: Customer, heard: Heard) -> None:
        order = place(customer, BEANS)
        heard.clear()
        order.amount = Decimal("49.90")
        order.write(items=[BEANS, CUP])
        assert said(heard) == [[(False, {"amount": Decimal("39.90"), "lines": LINES[:1]})]]
        assert order.lines == Order.objects.get().lines == LINES

    def test_changed_items_alone_are_one_too(self, customer: Customer, heard: Heard) -> None:
        order = Order.objects.get(pk=place(customer, BEANS, CUP).pk)
        heard.clear()
        order.write(items=[CUP])
        assert said(heard) == [[(False, {"lines": LINES})]]
        assert titles(order) == ["Cup"]

    def test_the_same_items_are_no_change(self, customer: Customer, heard: Heard) -> None:
        order = place(customer, BEANS, CUP)
        kept = [item.pk for item in order.items.all()]
        heard.clear()
        order.write(items=list(order.items.all()))
        order.write(items=[BEANS, CUP])
        order.write()
        assert heard == []
        assert [item.pk for item in order.items.all()] == kept

    def test_without_items_they_stay(self, customer: Customer, heard: Heard) -> None:
        order = place(customer, BEANS)
        heard.clear()
        order.name = "#1042"
        order.write()
        assert said(heard) == [[(False, {"name": ""})]]
        assert order.lines == LINES[:1]

    def test_what_is_refused_leaves_the_items(self, customer: Customer, heard: Heard) -> None:
        order = place(customer, BEANS)
        Order.objects.get().move(status="cancelled")
        heard.clear()
        order.status = "completed"
        with pytest.raises(Conflict, match=r"^This order is already cancelled\.$"):
            order.write(items=[CUP])
        assert titles(order) == ["Beans, 1 kg"]
        assert heard == []

    @pytest.mark.django_db(transaction=True)
    def test_items_changed_at_once_are_those_of_one_writer(self, customer: Customer, heard: Heard) -> None:
        place(customer, BEANS)
        heard.clear()

        def rewrite(number: int) -> None:
            Order.objects.get().write(items=[{"title": f"{number}"}] * number)

        assert at_once(*[lambda number=number: rewrite(number) for number in range(2, 7)]) == [None] * 5
        kept = titles(Order.objects.get())
        assert kept == [kept[0]] * int(kept[0])
        before = [fact.previous["lines"] for one in heard for fact in one]  # each saw what the one before it wrote
        assert sorted(len(lines) for lines in before) == sorted({1, 2, 3, 4, 5, 6} - {len(kept)})


class TestMove:
    @pytest.mark.parametrize(
        ("moved", "before"),
        [
            ({"status": "completed"}, {"status": "pending"}),
            ({"financial_status": "paid"}, {"financial_status": "pending"}),
            ({"delivery_status": "partially_delivered"}, {"delivery_status": "pending"}),
            (
                {"status": "refunded", "financial_status": "refunded"},
                {"status": "pending", "financial_status": "pending"},
            ),
        ],
    )
    def test_what_moved_is_announced(
        self, customer: Customer, heard: Heard, moved: dict[str, Any], before: dict[str, Any]
    ) -> None:
        order = place(customer)
        heard.clear()
        order.move(**moved)
        assert said(heard) == [[(False, before)]]

    def test_to_where_it_is_already_is_no_fact(self, customer: Customer, heard: Heard) -> None:
        order = place(customer)
        heard.clear()
        order.move(status="pending")
        order.move()
        assert heard == []

    def test_of_a_stale_row_nothing_else_is_written(self, customer: Customer) -> None:
        stale = place(customer)
        Order.objects.get().move(financial_status="paid")
        stale.move(status="completed")
        assert stale.financial_status == "paid"
        order = Order.objects.get()
        assert (order.status, order.financial_status) == ("completed", "paid")

    @pytest.mark.parametrize("over", ["cancelled", "refunded"])
    @pytest.mark.parametrize("status", ["pending", "processing", "completed", "unknown"])
    def test_what_is_over_never_comes_back(self, customer: Customer, over: str, status: str) -> None:
        order = place(customer)
        order.move(status=over)
        with pytest.raises(Conflict) as refusal:
            order.move(status=status)
        assert str(refusal.value) == f"This order is already {over}."
        assert order.status == Order.objects.get().status == over

    def test_a_cancelled_one_may_be_refunded(self, customer: Customer) -> None:
        order = place(customer)
        order.move(status="cancelled")
        order.move(status="refunded")
        with pytest.raises(Conflict, match=r"^This order is already refunded\.$"):
            order.move(status="cancelled")

    def test_a_status_that_there_is_not(self, customer: Customer, heard: Heard) -> None:
        order = place(customer)
        heard.clear()
        with pytest.raises(ValidationError) as refusal:
            order.move(delivery_status="lost")
        assert refusal.value.message_dict == {"delivery_status": ["Value 'lost' is not a valid choice."]}
        assert (order.delivery_status, heard) == ("pending", [])


class TestCounting:
    @pytest.mark.parametrize(
        ("status", "financial_status", "counts"),
        [
            ("pending", "pending", False),
            ("pending", "paid", True),
            ("processing", "partially_paid", False),
            ("completed", "pending", True),
            ("completed", "partially_refunded", True),
            ("completed", "refunded", False),
            ("cancelled", "paid", False),
            ("refunded", "paid", False),
            ("unknown", "paid", True),
            ("unknown", "pending", False),
        ],
    )
    def test_completed_or_paid_and_not_taken_back(
        self, customer: Customer, status: str, financial_status: str, counts: bool
    ) -> None:
        place(customer, status=status, financial_status=financial_status)
        assert Order.objects.counting().exists() is counts


class TestOrder:
    def test_a_form_is_told_at_the_field(self, customer: Customer) -> None:
        place(customer)
        again = Order(store=customer.store, customer=customer, reference_order_id="1042")
        with pytest.raises(Refused) as refusal:
            again.clean()
        assert refusal.value.message_dict == {
            "reference_order_id": ["An order with the id 1042 was already recorded in this store."]
        }

    def test_it_never_changes_hands(self, customer: Customer) -> None:
        order = place(customer)
        order.customer = factories.make_customer(customer.store)
        with pytest.raises(TypeError, match=r"^Order\.customer_id is never altered once it is written\.$"):
            order.save()

    def test_a_change_of_its_columns_needs_no_look_at_its_items(self, customer: Customer) -> None:
        order = Order.objects.get(pk=place(customer, BEANS).pk)
        order.name = "#7"
        order.save()
        assert Order.objects.get().name == "#7"

    def test_it_goes_with_its_customer(self, customer: Customer) -> None:
        place(customer, BEANS)
        customer.delete()
        assert not OrderItem.objects.exists()
