"""Facts are announced once, inside their transaction, with what was there before; or not at all."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any

import pytest
from django.core import serializers
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction

from customers.facts import Fact, facts, together
from customers.models import Coupon, Customer, Offer, Store, Wallet, WalletTransaction
from tests import factories
from tests.concurrency import at_once

Heard = list[list[Fact]]


def said(heard: Heard) -> list[list[tuple[str, bool, dict[str, Any]]]]:
    """Of each announcement: model, created, previous."""
    return [[(type(fact.instance).__name__, fact.created, dict(fact.previous)) for fact in one] for one in heard]


class Undone(Exception):
    """Raised by a test to roll back."""


@contextmanager
def undone(block: Callable[[], AbstractContextManager[None]]) -> Iterator[None]:
    """Do it in such a block, then let that fail."""
    with suppress(Undone), block():
        yield
        raise Undone


class TestSave:
    def test_a_new_row_is_announced_once(self, store: Store, heard: Heard) -> None:
        customer = factories.make_customer(store)
        assert said(heard) == [[("Customer", True, {})]]
        assert heard[0][0].instance is customer
        assert not heard[0][0].silent

    def test_a_change_is_announced_with_the_values_before(self, customer: Customer, heard: Heard) -> None:
        customer.name = "Ada Lovelace"
        customer.email = "ADA@lovelace.example "
        customer.save()
        assert said(heard) == [[("Customer", False, {"name": "Ada", "email": "ada@example.com"})]]
        assert customer.email == "ada@lovelace.example"

    def test_a_save_that_changes_nothing_is_not_announced(self, customer: Customer, heard: Heard) -> None:
        customer.email = "Ada@Example.COM"
        customer.save()
        Customer.objects.get(pk=customer.pk).save(update_fields=["name"])
        assert heard == []

    def test_the_values_before_are_those_of_the_database(self, customer: Customer, heard: Heard) -> None:
        stale = Customer.objects.get(pk=customer.pk)
        customer.name = "Ada B."
        customer.save()
        stale.name = "Ada C."
        stale.save()
        assert said(heard) == [[("Customer", False, {"name": "Ada"})], [("Customer", False, {"name": "Ada B."})]]

    def test_update_fields_write_those_and_announce_the_row_as_it_is_stored(
        self, customer: Customer, heard: Heard
    ) -> None:
        stale = Customer.objects.get(pk=customer.pk)
        customer.consent_email = True
        customer.save()
        stale.name = "Ada B."
        stale.save(update_fields=["name"])
        assert said(heard)[1] == [("Customer", False, {"name": "Ada"})]
        announced = heard[1][0].instance
        assert isinstance(announced, Customer)
        assert announced.consent_email
        assert Customer.objects.get(pk=customer.pk).consent_email

    def test_a_row_loaded_in_part_is_announced_whole(self, customer: Customer, heard: Heard) -> None:
        part = Customer.objects.only("name", "store").get(pk=customer.pk)
        part.name = "Ada B."
        part.save()
        assert said(heard) == [[("Customer", False, {"name": "Ada"})]]

    def test_silent_facts_say_so(self, customer: Customer, heard: Heard) -> None:
        customer.name = "Ada B."
        customer.save(silent=True)
        assert [fact.silent for fact in heard[0]] == [True]

    def test_it_is_heard_inside_the_transaction(self, customer: Customer) -> None:
        inside = []

        def hear(**_: Any) -> None:
            inside.append(connection.in_atomic_block)

        facts.connect(hear)
        try:
            customer.name = "Ada B."
            customer.save()
        finally:
            facts.disconnect(hear)
        assert inside == [True]

    @pytest.mark.django_db(transaction=True)
    def test_a_receiver_that_raises_undoes_the_fact(self, customer: Customer) -> None:
        def raise_undone(**_: Any) -> None:
            raise Undone

        facts.connect(raise_undone)
        try:
            with pytest.raises(Undone):
                customer.wallet.record(type="reward", operation="cr", amount=10)
            with pytest.raises(Undone):
                factories.make_customer(customer.store, email="new@example.com")
        finally:
            facts.disconnect(raise_undone)
        assert not WalletTransaction.objects.exists()
        assert Wallet.objects.get().balance == 0
        assert Customer.objects.count() == 1

    def test_a_deleted_row_does_not_come_back(self, customer: Customer, heard: Heard) -> None:
        stale = Customer.objects.get(pk=customer.pk)
        customer.delete()
        stale.name = "Ada B."
        with pytest.raises(Customer.DoesNotExist):
            stale.save()
        assert not Customer.objects.exists()
        assert heard == []

    def test_a_new_row_never_writes_over_one_that_is_there(self, customer: Customer, heard: Heard) -> None:
        coupon = Coupon.objects.create(store=customer.store, customer=customer, code="FIRST")
        heard.clear()
        with pytest.raises(IntegrityError), transaction.atomic():
            Coupon(pk=coupon.pk, store=customer.store, customer=customer, code="SECOND").save()
        assert Coupon.objects.get().code == "FIRST"
        assert heard == []

    @pytest.mark.django_db(transaction=True)
    def test_two_changes_at_once_are_announced_one_after_the_other(self, customer: Customer, heard: Heard) -> None:
        def rename(name: str) -> None:
            row = Customer.objects.get(pk=customer.pk)
            row.name = name
            row.save(update_fields=["name"])

        names = [f"Ada {number}" for number in range(8)]
        assert at_once(*(lambda name=name: rename(name) for name in names)) == [None] * 8
        before = {fact.previous["name"] for one in heard for fact in one}
        # Each sees what the one before it wrote: the names form a chain from "Ada" to the last.
        assert before == {"Ada", *names} - {Customer.objects.get().name}


class TestBulkCreate:
    def test_it_is_announced_once_with_wallets_made(self, store: Store, heard: Heard) -> None:
        made = Customer.objects.bulk_create(
            Customer(store=store, email=f"Bulk{number}@example.com") for number in range(3)
        )
        assert said(heard) == [[("Customer", True, {})] * 3]
        assert Wallet.objects.filter(customer__in=made, store=store, balance=0).count() == 3
        assert made[0].wallet.balance == 0

    def test_identifiers_get_their_one_spelling(self, store: Store) -> None:
        Customer.objects.bulk_create([Customer(store=store, email="Eve@Example.com", mobile="01511 2345678")])
        eve = Customer.objects.get()
        assert (eve.email, eve.mobile, eve.external_id) == ("eve@example.com", "+4915112345678", None)
        assert Customer.objects.find(store=store, email="EVE@example.com") == eve

    def test_silent_ones_say_so(self, store: Store, heard: Heard) -> None:
        Customer.objects.bulk_create([Customer(store=store, external_id="1")], silent=True)
        assert heard[0][0].silent

    def test_nothing_is_announced_of_nothing(self, store: Store, heard: Heard) -> None:
        Customer.objects.bulk_create([])
        assert heard == []

    @pytest.mark.parametrize("more", [{"ignore_conflicts": True}, {"update_conflicts": True}])
    def test_conflicts_cannot_be_passed_over(self, store: Store, more: dict[str, Any]) -> None:
        with pytest.raises(TypeError, match=r"cannot ignore or update conflicts\.$"):
            Customer.objects.bulk_create([Customer(store=store, external_id="1")], **more)
        with pytest.raises(TypeError):
            Customer.objects.bulk_create([Customer(store=store, external_id="1")], None, True)


class TestUnheardWrites:
    def test_update_is_refused(self, customer: Customer) -> None:
        with pytest.raises(TypeError) as refusal:
            Customer.objects.filter(pk=customer.pk).update(name="Eve")
        assert str(refusal.value) == (
            "Customer rows are facts: update() would change them unheard. Save the rows, or use their methods."
        )
        with pytest.raises(TypeError):
            customer.coupons.update(code="X")
        with pytest.raises(TypeError):
            customer.wallet.transactions.update(amount=1)

    def test_bulk_update_is_refused(self, customer: Customer) -> None:
        with pytest.raises(TypeError):
            Customer.objects.bulk_update([customer], ["name"])

    def test_fixtures_stay_unheard(self, customer: Customer, heard: Heard) -> None:
        text = serializers.serialize("json", [customer, customer.wallet])
        Customer.objects.all().delete()
        for row in serializers.deserialize("json", text):
            row.save()
        assert Customer.objects.get(pk=customer.pk).wallet.balance == 0
        assert heard == []

    def test_deleting_an_offer_leaves_its_coupons(self, offer: Offer, heard: Heard) -> None:
        customer = factories.make_customer(offer.store, coins=100)
        coupon, _ = offer.redeem(customer)
        heard.clear()
        offer.delete()
        assert Coupon.objects.get(pk=coupon.pk).offer is None
        assert heard == []


class TestTogether:
    def test_facts_are_announced_at_once(self, store: Store, heard: Heard) -> None:
        with together():
            factories.make_customer(store)
            with together():
                factories.make_customer(store)
            assert heard == []
        assert said(heard) == [[("Customer", True, {}), ("Customer", True, {})]]

    @pytest.mark.django_db(transaction=True)
    def test_an_error_undoes_and_silences_all(self, store: Store, heard: Heard) -> None:
        with undone(together):
            factories.make_customer(store)
        assert not Customer.objects.exists()
        assert heard == []
        factories.make_customer(store)
        assert len(heard) == 1

    def test_what_a_savepoint_rolled_back_is_not_announced(self, store: Store, heard: Heard) -> None:
        with together():
            kept = factories.make_customer(store)
            with undone(transaction.atomic):
                factories.make_customer(store)
            with undone(together):
                factories.make_customer(store)
            with undone(transaction.atomic), together():
                factories.make_customer(store)
        assert [[fact.instance for fact in one] for one in heard] == [[kept]]

    @pytest.mark.django_db(transaction=True)
    def test_nothing_is_heard_of_a_transaction_that_rolls_back_before(self, store: Store) -> None:
        """What receivers wrote in it goes with it."""

        def write(**_: Any) -> None:
            Store.objects.create(name="written by a receiver")

        facts.connect(write)
        try:
            with undone(transaction.atomic):
                factories.make_customer(store)
                assert Store.objects.filter(name="written by a receiver").exists()
        finally:
            facts.disconnect(write)
        assert not Store.objects.filter(name="written by a receiver").exists()
        assert not Customer.objects.exists()

    @pytest.mark.django_db(transaction=True)
    def test_each_thread_waits_for_its_own(self, store: Store, heard: Heard) -> None:
        def make() -> None:
            with together():
                factories.make_customer(store)
                factories.make_customer(store)

        assert at_once(*[make] * 4) == [None] * 4
        assert [len(one) for one in heard] == [2] * 4


class TestUnalterable:
    def test_a_column_that_is_never_altered(self, offer: Offer) -> None:
        coupon, _ = offer.redeem(factories.make_customer(offer.store, coins=100))
        coupon.coin_amount = 1
        with pytest.raises(TypeError, match=r"^Coupon\.coin_amount is never altered once it is written\.$"):
            coupon.save()
        coupon.refresh_from_db()
        assert coupon.coin_amount == 100


def test_a_mobile_that_cannot_be_read_is_refused_by_save_too(store: Store) -> None:
    with pytest.raises(ValidationError) as refusal:
        Customer(store=store, mobile="call me").save()
    assert refusal.value.message_dict == {
        "mobile": ["call me is not a mobile number. Write it with its country code, such as +49 1511 2345678."]
    }
