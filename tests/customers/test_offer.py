"""Offers and coupons: redeeming debits and gives in one transaction, once for each reference; a coupon is used once."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import DatabaseError, IntegrityError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from customers.facts import Fact, facts
from customers.models import Coupon, Customer, Offer, Store, Wallet, WalletTransaction
from customers.refusals import Conflict, Refused
from tests import factories
from tests.concurrency import at_once

ENDS: list[tuple[Callable[[Coupon], None], str]] = [
    (Coupon.redeem, "redeemed"),
    (Coupon.expire, "expired"),
    (Coupon.cancel, "cancelled"),
]


@pytest.fixture
def rich(store: Store) -> Customer:
    """A customer with 250 coins."""
    return factories.make_customer(store, coins=250)


def balance(customer: Customer) -> int:
    return Wallet.objects.get(customer=customer).balance


def refusal_of(offer: Offer, customer: Customer, **more: Any) -> dict[str, list[str]]:
    """What redeeming is refused with; nothing is written."""
    before = (balance(customer), WalletTransaction.objects.count(), Coupon.objects.count())
    with pytest.raises(Refused) as refusal:
        offer.redeem(customer, **more)
    assert (balance(customer), WalletTransaction.objects.count(), Coupon.objects.count()) == before
    return refusal.value.message_dict


class TestOffer:
    @pytest.mark.parametrize(
        ("facts", "sentences"),
        [
            ({"price": 0}, {"price": ["Ensure this value is greater than or equal to 1."]}),
            ({"value": -1}, {"value": ["Ensure this value is greater than or equal to 0."]}),
            ({"value": 101, "value_type": "percent"}, {"value": ["A discount in percent is 100 at most."]}),
            ({"coupon_days": 0}, {"coupon_days": ["Ensure this value is greater than or equal to 1."]}),
            ({"redirect_link": "javascript:alert(1)"}, {"redirect_link": ["Enter a valid URL."]}),
        ],
    )
    def test_says_what_is_wrong(self, store: Store, facts: dict[str, Any], sentences: dict[str, list[str]]) -> None:
        with pytest.raises(ValidationError) as refusal:
            Offer(store=store, **{"name": "5 off", "price": 100, "value": 5, **facts}).full_clean()
        assert {name: [*dict.fromkeys(said)] for name, said in refusal.value.message_dict.items()} == sentences

    def test_percent_goes_up_to_100(self, store: Store) -> None:
        Offer(store=store, name="All off", price=100, value=100, value_type="percent").full_clean()


class TestRedeem:
    def test_debits_and_gives_the_coupon(self, rich: Customer, offer: Offer) -> None:
        coupon, new = offer.redeem(rich, reference="cart-1")
        assert new
        entry = WalletTransaction.objects.get(type="redeem")
        assert (entry.operation, entry.amount, entry.balance_after, entry.title) == ("dr", 100, 150, "5 off")
        assert (entry.reference, entry.source, entry.status) == ("cart-1", "api", "success")
        coupon = Coupon.objects.get(pk=coupon.pk)
        assert (coupon.customer, coupon.offer, coupon.transaction) == (rich, offer, entry)
        assert (coupon.coin_amount, coupon.value, coupon.value_type) == (100, Decimal(5), "amount")
        assert (coupon.status, coupon.expires_at) == ("issued", None)
        assert len(coupon.code) == 12
        assert balance(rich) == 150

    def test_the_coupon_expires_as_the_offer_says(self, rich: Customer, store: Store) -> None:
        before = timezone.now()
        coupon, _ = factories.make_offer(store, coupon_days=30).redeem(rich)
        assert coupon.expires_at is not None
        assert before <= coupon.expires_at - timedelta(days=30) <= timezone.now()

    def test_both_are_announced_at_once(self, rich: Customer, offer: Offer, heard: list[list[Fact]]) -> None:
        coupon, _ = offer.redeem(rich)
        assert [[(fact.instance, fact.created) for fact in one] for one in heard] == [
            [(coupon.transaction, True), (coupon, True)]
        ]
        announced = heard[0][1].instance
        assert isinstance(announced, Coupon)
        assert announced.customer.wallet.balance == 150

    def test_the_same_reference_again_gives_the_same_coupon(
        self, rich: Customer, offer: Offer, heard: list[list[Fact]]
    ) -> None:
        coupon, _ = offer.redeem(rich, reference="cart-1")
        heard.clear()
        assert offer.redeem(rich, reference=" cart-1 ") == (coupon, False)
        assert balance(rich) == 150
        assert heard == []

    def test_also_when_the_offer_was_switched_off_and_the_coins_are_spent(self, rich: Customer, offer: Offer) -> None:
        coupon, _ = offer.redeem(rich, reference="cart-1")
        offer.redeem(rich)
        offer.enabled = False
        offer.price = 200
        offer.save()
        assert offer.redeem(rich, reference="cart-1") == (coupon, False)

    def test_without_a_reference_each_is_one_more(self, rich: Customer, offer: Offer) -> None:
        codes = {offer.redeem(rich, reference=reference)[0].code for reference in (None, "")}
        assert len(codes) == 2
        assert balance(rich) == 50

    def test_a_reference_used_otherwise_conflicts(self, rich: Customer, offer: Offer, store: Store) -> None:
        offer.redeem(rich, reference="cart-1")
        factories.give_coins(rich, 1, reference="order-1")
        sentence = "The reference {} was already used for another transaction of this store."
        other = factories.make_customer(store, coins=100)
        another = factories.make_offer(store, price=1)
        assert refusal_of(offer, other, reference="cart-1") == {"reference": [sentence.format("cart-1")]}
        assert refusal_of(another, rich, reference="cart-1") == {"reference": [sentence.format("cart-1")]}
        assert refusal_of(offer, rich, reference="order-1") == {"reference": [sentence.format("order-1")]}
        with pytest.raises(Conflict):
            offer.redeem(other, reference="cart-1")

    def test_a_coupon_that_was_deleted_conflicts(self, rich: Customer, offer: Offer) -> None:
        coupon, _ = offer.redeem(rich, reference="cart-1")
        coupon.delete()
        assert refusal_of(offer, rich, reference="cart-1") == {
            "reference": ["The coupon of the reference cart-1 was deleted."]
        }

    @pytest.mark.parametrize(
        ("coins", "price", "sentence"),
        [
            (0, 1, "5 off costs 1 coin. Only 0 coins are in the wallet."),
            (1, 100, "5 off costs 100 coins. Only 1 coin is in the wallet."),
            (99, 100, "5 off costs 100 coins. Only 99 coins are in the wallet."),
        ],
    )
    def test_needs_the_coins(self, store: Store, coins: int, price: int, sentence: str) -> None:
        offer = factories.make_offer(store, name="5 off", price=price)
        assert refusal_of(offer, factories.make_customer(store, coins=coins)) == {"customer": [sentence]}

    def test_pending_coins_are_not_there(self, customer: Customer, offer: Offer) -> None:
        factories.give_coins(customer, 100, status="pending")
        assert refusal_of(offer, customer)["customer"] == ["5 off costs 100 coins. Only 0 coins are in the wallet."]

    def test_an_offer_that_is_off(self, rich: Customer, offer: Offer) -> None:
        offer.enabled = False
        assert refusal_of(offer, rich) == {"offer": ["This offer is switched off."]}

    def test_a_customer_of_another_store(self, offer: Offer, other_store: Store) -> None:
        other = factories.make_customer(other_store, coins=100)
        assert refusal_of(offer, other) == {"customer": ["This customer is not one of this store's."]}

    def test_a_customer_who_was_deleted(self, rich: Customer, offer: Offer) -> None:
        Customer.objects.get(pk=rich.pk).delete()
        with pytest.raises(Refused, match=r"^This customer was deleted\.$"):
            offer.redeem(rich)

    def test_a_reference_that_is_too_long(self, rich: Customer, offer: Offer) -> None:
        with pytest.raises(ValidationError) as refusal:
            offer.redeem(rich, reference="x" * 121)
        assert refusal.value.message_dict == {
            "reference": ["Ensure this value has at most 120 characters (it has 121)."]
        }
        assert balance(rich) == 250

    @pytest.mark.django_db(transaction=True)
    def test_when_the_coupon_cannot_be_written_nothing_is_debited(self, rich: Customer, offer: Offer) -> None:
        Offer.objects.get(pk=offer.pk).delete()
        with pytest.raises(IntegrityError):
            offer.redeem(rich)
        assert balance(rich) == 250
        assert not WalletTransaction.objects.filter(type="redeem").exists()
        assert not Coupon.objects.exists()

    @pytest.mark.django_db(transaction=True)
    def test_a_receiver_that_raises_undoes_both(self, rich: Customer, offer: Offer) -> None:
        def fail(**_: Any) -> None:
            raise DatabaseError

        facts.connect(fail)
        try:
            with pytest.raises(DatabaseError):
                offer.redeem(rich)
        finally:
            facts.disconnect(fail)
        assert balance(rich) == 250
        assert not Coupon.objects.exists()


class TestCoupon:
    @pytest.fixture
    def coupon(self, rich: Customer, offer: Offer) -> Coupon:
        return offer.redeem(rich)[0]

    @pytest.mark.parametrize(("end", "status"), ENDS)
    def test_leaves_issued_and_says_so(
        self, coupon: Coupon, heard: list[list[Fact]], end: Callable[[Coupon], None], status: str
    ) -> None:
        heard.clear()
        end(coupon)
        assert Coupon.objects.get().status == coupon.status == status
        assert [[dict(fact.previous) for fact in one] for one in heard] == [[{"status": "issued"}]]

    @pytest.mark.parametrize(("end", "status"), ENDS)
    @pytest.mark.parametrize(("again", "_status"), ENDS)
    def test_only_once(
        self,
        coupon: Coupon,
        heard: list[list[Fact]],
        end: Callable[[Coupon], None],
        status: str,
        again: Callable[[Coupon], None],
        _status: str,
    ) -> None:
        stale = Coupon.objects.get()
        end(coupon)
        heard.clear()
        with pytest.raises(Conflict) as refusal:
            again(stale)
        assert refusal.value.message_dict == {"status": [f"This coupon is already {status}."]}
        assert Coupon.objects.get().status == status
        assert heard == []

    def test_a_stale_save_does_not_issue_it_again(self, coupon: Coupon) -> None:
        stale = Coupon.objects.get()
        coupon.redeem()
        with pytest.raises(Conflict, match=r"^This coupon is already redeemed\.$"):
            stale.save()
        assert Coupon.objects.get().status == "redeemed"

    def test_a_deleted_one_cannot_be_used(self, coupon: Coupon) -> None:
        Coupon.objects.get().delete()
        with pytest.raises(Conflict, match=r"^This coupon is already deleted\.$"):
            coupon.redeem()

    def test_a_given_one_costs_nothing(self, customer: Customer, heard: list[list[Fact]]) -> None:
        coupon = Coupon(store=customer.store, customer=customer, code="WELCOME5", value=5)
        coupon.full_clean()
        coupon.save()
        assert Coupon.objects.get().coin_amount == 0
        assert [[fact.instance for fact in one] for one in heard] == [[coupon]]

    def test_each_code_is_once_in_a_store(self, coupon: Coupon, rich: Customer, other_store: Store) -> None:
        with pytest.raises(ValidationError) as refusal:
            Coupon(store=rich.store, customer=rich, code=coupon.code).full_clean(validate_constraints=False)
        assert refusal.value.message_dict == {"code": [f"Another coupon of this store has the code {coupon.code}."]}
        other = factories.make_customer(other_store)
        Coupon(store=other_store, customer=other, code=coupon.code).full_clean()

    def test_customer_and_offer_are_the_stores(self, store: Store, offer: Offer, other_store: Store) -> None:
        other = factories.make_customer(other_store)
        with pytest.raises(ValidationError) as refusal:
            Coupon(store=store, customer=other).full_clean()
        assert refusal.value.message_dict == {"customer": ["This customer is not one of this store's."]}
        with pytest.raises(ValidationError) as refusal:
            Coupon(store=other_store, customer=other, offer=offer).full_clean()
        assert refusal.value.message_dict == {"offer": ["This offer is not one of this store's."]}


class TestExpireDue:
    @staticmethod
    def issue(customer: Customer, *, days: float | None, **fields: Any) -> Coupon:
        """A coupon that expires in so many days."""
        expires_at = None if days is None else timezone.now() + timedelta(days=days)
        return Coupon.objects.create(store=customer.store, customer=customer, expires_at=expires_at, **fields)

    def test_issued_ones_whose_time_is_over_expire_and_say_so(
        self, customer: Customer, heard: list[list[Fact]]
    ) -> None:
        over = [self.issue(customer, days=-2), self.issue(customer, days=-1)]
        for days in (1, None):
            self.issue(customer, days=days)
        self.issue(customer, days=-1).redeem()
        heard.clear()
        assert Coupon.objects.expire_due() == 2
        assert [[(fact.instance, fact.created, fact.previous) for fact in one] for one in heard] == [
            [(coupon, False, {"status": "issued"}) for coupon in over]
        ]
        assert sorted(Coupon.objects.values_list("status", flat=True)) == [
            *("expired", "expired", "issued", "issued", "redeemed")
        ]
        assert Coupon.objects.expire_due() == 0

    def test_in_batches_with_a_constant_number_of_queries(self, store: Store) -> None:
        for _ in range(8):
            self.issue(factories.make_customer(store), days=-1, offer=factories.make_offer(store))
        with CaptureQueriesContext(connection) as few:
            assert Coupon.objects.expire_due(most=2) == 2
        with CaptureQueriesContext(connection) as many:
            assert Coupon.objects.expire_due() == 6
        assert len(many) == len(few)

    @pytest.mark.django_db(transaction=True)
    def test_an_expiry_during_a_redemption_one_wins(self, customer: Customer, heard: list[list[Fact]]) -> None:
        self.issue(customer, days=-1)
        heard.clear()

        def redeem() -> str:
            Coupon.objects.get().redeem()
            return "redeemed"

        ends = at_once(*[redeem, lambda: f"expired {Coupon.objects.expire_due()}"] * 4)
        won = [end for end in ends if end in ("redeemed", "expired 1")]
        assert len(won) == len(heard) == 1, ends
        assert won[0].startswith(Coupon.objects.get().status)
