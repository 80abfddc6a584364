"""A reward within reach is told once, when the balance rises to it, and again only after it fell below."""

from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from customers.models import AvailableReward, Customer, Offer, Store, Tier, Wallet, WalletTransaction
from events.models import Occurrence
from tests import factories

pytestmark = pytest.mark.django_db


def earn(customer: Customer, coins: int, **fields: Any) -> WalletTransaction:
    entry, _ = customer.wallet.record(**{"type": "reward", "operation": "cr", "amount": coins, **fields})
    return entry


def spend(customer: Customer, coins: int) -> None:
    customer.wallet.record(type="redeem", operation="dr", amount=coins)


def reached() -> list[int]:
    """The balances with which it was told, in their order."""
    rows = Occurrence.objects.filter(event_key="rewardavailable_create").order_by("id")
    return [row.payload["user_wallet_balance"] for row in rows]


@pytest.fixture(autouse=True)
def offers(store: Store, offer: Offer) -> None:
    """Beside the one for 100 coins: a dearer one, a cheaper one that is off, and one of another store."""
    factories.make_offer(store, price=150)
    factories.make_offer(store, price=20, enabled=False)
    factories.make_offer(factories.make_store(), price=1)


class TestReached:
    def test_it_is_told_when_the_balance_rises_to_the_cheapest_offer(self, customer: Customer, offer: Offer) -> None:
        earn(customer, 99)
        assert reached() == []
        entry = earn(customer, 1)
        reward = AvailableReward.objects.get()
        assert (reward.customer, reward.offer, reward.price, reward.transaction) == (customer, offer, 100, entry)
        payload = Occurrence.objects.get(event_key="rewardavailable_create").payload
        assert (payload["reward_coin_amount"], payload["offer_name"], payload["user_wallet_balance"]) == (
            100,
            "5 off",
            100,
        )
        assert Occurrence.objects.latest("id").told == "Enough for 5 off: 100 Beans"

    def test_again_only_after_it_fell_below(self, customer: Customer) -> None:
        earn(customer, 120)
        earn(customer, 100)
        spend(customer, 100)
        earn(customer, 10)
        assert reached() == [120]
        spend(customer, 40)
        earn(customer, 10)
        assert reached() == [120, 100]

    def test_a_pending_entry_reaches_it_when_it_is_settled(self, customer: Customer) -> None:
        entry = earn(customer, 100, status="pending")
        assert reached() == []
        entry.settle()
        assert reached() == [100]

    @pytest.mark.parametrize(("amount", "expected"), [(49, []), (50, [50]), (100, [100])])
    def test_a_set_amount_counts_instead(
        self, store: Store, customer: Customer, amount: int, expected: list[int]
    ) -> None:
        Store.objects.filter(pk=store.pk).update(reward_available_at=50)
        earn(customer, amount)
        assert reached() == expected
        assert [row.offer for row in AvailableReward.objects.all()] == [None] * len(expected)

    def test_without_offers_there_is_nothing_to_reach(self, customer: Customer) -> None:
        Offer.objects.filter(store=customer.store).update(enabled=False)
        earn(customer, 1000)
        assert reached() == []

    def test_a_silent_import_is_silent(self, customer: Customer) -> None:
        earn(customer, 100, silent=True)
        assert Occurrence.objects.get(event_key="rewardavailable_create").silent

    def test_it_comes_after_what_brought_it_and_with_the_new_tier(self, store: Store, customer: Customer) -> None:
        Store.objects.filter(pk=store.pk).update(tier_criterion="coins_earned")
        Tier.objects.create(store=store, name="Gold", threshold=100)
        earn(customer, 100)
        told = Occurrence.objects.exclude(event_key="lead_create").order_by("id")
        assert [one.event_key for one in told] == ["walletreward_create", "viptier_create", "rewardavailable_create"]
        assert told[2].payload["user_tier"] == "Gold"

    def test_a_rollback_leaves_none(self, customer: Customer) -> None:
        earn(customer, 60)
        with transaction.atomic():
            earn(customer, 60)
            transaction.set_rollback(True)
        assert not AvailableReward.objects.exists()

    def test_it_goes_with_its_customer_and_outlives_its_offer(self, customer: Customer, offer: Offer) -> None:
        earn(customer, 100)
        offer.delete()
        assert AvailableReward.objects.get().offer is None
        customer.delete()
        assert not AvailableReward.objects.exists()


class TestQueries:
    def entries(self, store: Store, number: int) -> list[WalletTransaction]:
        """Unsaved entries that take effect, each of a wallet of its own."""
        found = []
        customers = [factories.make_customer(store) for _ in range(number)]
        for wallet in Wallet.objects.filter(customer__in=customers).locked():
            entry = WalletTransaction(
                store=store, wallet=wallet, type="reward", operation="cr", amount=100, fingerprint="x"
            )
            entry.take_effect(wallet)
            found.append(entry)
        return found

    @pytest.mark.parametrize("offers", [1, 20])
    def test_as_many_for_one_offer_as_for_twenty(self, store: Store, customer: Customer, offers: int) -> None:
        for price in range(offers):
            factories.make_offer(store, price=200 + price)
        with CaptureQueriesContext(connection) as captured:
            earn(customer, 10)
        assert sum('FROM "customers_offer"' in query["sql"] for query in captured) == 1

    def test_as_many_for_one_entry_as_for_many(self, store: Store, offer: Offer) -> None:
        def queries(number: int) -> int:
            entries = self.entries(store, number)
            with CaptureQueriesContext(connection) as captured:
                WalletTransaction.objects.bulk_create(entries)
            return len(captured)

        assert queries(1) == queries(30)
        assert AvailableReward.objects.count() == 31

    def test_a_debit_asks_nothing(self, customer: Customer) -> None:
        earn(customer, 100)
        with CaptureQueriesContext(connection) as captured:
            spend(customer, 10)
        assert not any("customers_offer" in query["sql"] for query in captured)
