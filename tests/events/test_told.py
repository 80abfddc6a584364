"""What happened, in words: each event's own sentence, out of its frozen payload."""

from typing import Any

import pytest

from customers.models import Coupon, Customer, Offer
from events.catalogue import event_types
from events.models import Occurrence
from tests.api_fixtures import a_referral, an_occurrence
from tests.factories import give_coins, make_customer

pytestmark = pytest.mark.django_db


def told(event_key: str) -> str:
    """Of the newest one of this event."""
    return Occurrence.objects.filter(event_key=event_key).latest("id").told


class TestTold:
    def test_coins(self, customer: Customer) -> None:
        customer.store.coin_name = "Beans"
        customer.wallet.record(type="reward", operation="cr", amount=1250, title="Order 4711")
        assert told("walletreward_create") == "1,250 Beans credited (reward): Order 4711"

    def test_coins_without_a_title(self, customer: Customer) -> None:
        give_coins(customer, 50)
        assert told("walletreward_create") == "50 Beans credited (reward)"

    @pytest.mark.parametrize(("ends", "status"), [("settle", "success"), ("cancel", "cancelled")])
    def test_pending_coins(self, customer: Customer, ends: str, status: str) -> None:
        entry, _ = customer.wallet.record(type="reward", operation="cr", amount=50, status="pending")
        getattr(entry, ends)()
        assert told("wallettransaction_update") == (f"50 Beans credited (reward). It was pending, and is now {status}")

    def test_a_redemption(self, customer: Customer, offer: Offer) -> None:
        give_coins(customer, 100)
        coupon, _ = offer.redeem(customer)
        assert told("walletreward_create") == "100 Beans debited (redeem): 5 off"
        assert told("coupon_create") == f"Coupon {coupon.code} for 100 Beans: 5 off"

    def test_a_coupon_that_was_given(self, customer: Customer) -> None:
        Coupon(store=customer.store, customer=customer, code="WELCOME").save()
        assert told("coupon_create") == "Coupon WELCOME"

    def test_a_coupon_that_changes(self, customer: Customer) -> None:
        coupon = Coupon(store=customer.store, customer=customer, code="WELCOME")
        coupon.save()
        coupon.redeem()
        assert told("coupon_update") == "Coupon WELCOME: redeemed"
        coupon.code = "HELLO"
        coupon.save()
        assert told("coupon_update") == "Coupon HELLO: changed"

    def test_somebody_joins(self, customer: Customer) -> None:
        assert told("lead_create") == "Ada joined"

    def test_somebody_changes(self, customer: Customer) -> None:
        customer.name = "Ada Lovelace"
        customer.country = "GB"
        customer.consent_email = True
        customer.save()
        assert told("lead_update") == (
            "Changed: customer name (Ada → Ada Lovelace), customer country (nothing → GB), agreed to e-mail (no → yes)"
        )

    def test_a_friend_is_brought_and_buys(self, customer: Customer, offer: Offer) -> None:
        customer.store.referral_offer = offer
        referral = a_referral(customer, make_customer(customer.store, name="Lea"))
        assert referral.coupon
        assert told("referral_create") == "Ada brought Lea"
        assert told("refereenotify_create") == f"Coupon {referral.coupon.code} for a friend of Ada"
        referral.complete()
        sentence = "Lea, brought by Ada, bought something: 200 Beans"
        assert told("referral_complete") == told("referrernotify_create") == sentence

    @pytest.mark.parametrize("payload", [{}, {"wallettransaction_amount": "plenty"}, {"user_name": None}])
    @pytest.mark.parametrize("key", [*event_types(), "latte_poured"])
    def test_nothing_is_said_where_nothing_can_be(self, customer: Customer, key: str, payload: dict[str, Any]) -> None:
        assert isinstance(an_occurrence(customer, event_key=key, payload=payload).told, str)

    def test_a_sample_has_its_words_too(self, customer: Customer) -> None:
        for kind in event_types().values():
            if kind.tell:
                payload = kind.example() | {"changed_fields": []}
                assert kind.in_words(payload)
