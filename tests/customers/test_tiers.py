"""VIP tiers: who goes up when, how long a tier is held, and what takes it away before."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext

from customers.facts import Fact
from customers.models import Customer, Order, Store, Tier, TierChange, WalletTransaction
from events.models import Occurrence
from tests import factories
from tests.concurrency import at_once
from tests.customers.conftest import START

Heard = list[list[Fact]]


def with_tiers(store: Store, criterion: str, *, months: int | None = None, **tiers: int) -> None:
    """The store has these tiers (name=threshold) by this criterion."""
    store.tier_criterion, store.tier_months = criterion, months
    store.save()
    for name, threshold in (tiers or {"Silver": 100, "Gold": 500}).items():
        Tier.objects.create(store=store, name=name, threshold=threshold)


def earn(customer: Customer, coins: int, **fields: Any) -> WalletTransaction:
    entry, _ = customer.wallet.record(**{"type": "reward", "operation": "cr", "amount": coins, **fields})
    return entry


def buy(customer: Customer, amount: str, **fields: Any) -> Order:
    reference = f"{customer.orders.count()}"
    store = Store.objects.get(pk=customer.store_id)
    return Order.objects.place(
        **{
            "store": store,
            "customer": Customer.objects.get(pk=customer.pk),
            "reference_order_id": f"{customer.pk} {reference}",
            "amount": Decimal(amount),
            "financial_status": "paid",
            **fields,
        }
    )


def tier(customer: Customer) -> str | None:
    return Customer.objects.get(pk=customer.pk).tier


def changes(customer: Customer) -> list[tuple[str | None, str | None, str]]:
    """Before, after and direction of each change, in their order."""
    rows = TierChange.objects.filter(customer=customer).order_by("id")
    return [(row.previous_name, row.name, row.direction) for row in rows]


def review() -> int:
    judged = 0
    while found := Customer.objects.review_tiers():
        judged += found
    return judged


class TestGoingUp:
    def test_by_coins_earned(self, store: Store, customer: Customer) -> None:
        with_tiers(store, "coins_earned")
        earn(customer, 99)
        assert tier(customer) is None
        earn(customer, 1)
        assert tier(customer) == "Silver"
        earn(customer, 1000)
        assert tier(customer) == "Gold"
        assert changes(customer) == [(None, "Silver", "up"), ("Silver", "Gold", "up")]

    @pytest.mark.parametrize(
        ("entry", "counts"),
        [
            ({"type": "adjust"}, False),
            ({"type": "revert"}, False),
            ({"status": "pending"}, False),
            ({"source": "referral"}, True),
        ],
    )
    def test_only_effective_rewards_count_as_earned(
        self, store: Store, customer: Customer, entry: dict[str, Any], counts: bool
    ) -> None:
        with_tiers(store, "coins_earned")
        earn(customer, 100, **entry)
        earn(customer, 1)
        assert tier(customer) == ("Silver" if counts else None)

    def test_spending_takes_nothing_away(self, store: Store, customer: Customer) -> None:
        with_tiers(store, "coins_earned")
        earn(customer, 100)
        customer.wallet.record(type="redeem", operation="dr", amount=100)
        earn(customer, 1)
        assert tier(customer) == "Silver"

    def test_a_settled_reward_counts(self, store: Store, customer: Customer) -> None:
        with_tiers(store, "coins_earned")
        earn(customer, 100, status="pending").settle()
        assert tier(customer) == "Silver"

    def test_by_the_amount_spent(self, store: Store, customer: Customer) -> None:
        with_tiers(store, "amount_spent")
        buy(customer, "60")
        buy(customer, "1000", financial_status="pending")
        buy(customer, "1000", currency="USD")
        assert tier(customer) is None
        buy(customer, "40")
        assert tier(customer) == "Silver"
        customer.orders.get(amount=1000, currency="EUR").move(status="completed")
        assert tier(customer) == "Gold"

    def test_by_the_number_of_orders(self, store: Store, customer: Customer) -> None:
        with_tiers(store, "order_count", Silver=2, Gold=3)
        for expected in (None, "Silver", "Gold"):
            buy(customer, "1")
            assert tier(customer) == expected

    def test_orders_count_for_their_own_customer_and_criterion(self, store: Store, customer: Customer) -> None:
        with_tiers(store, "amount_spent")
        buy(factories.make_customer(store), "100")
        earn(customer, 100)
        assert tier(customer) is None

    def test_without_a_criterion_nobody_moves(self, store: Store, customer: Customer) -> None:
        Tier.objects.create(store=store, name="Silver", threshold=1)
        earn(customer, 100)
        buy(customer, "100")
        assert (tier(customer), review()) == (None, 0)


class TestEvents:
    def test_it_is_told_with_the_tier_before_and_not_as_an_update(self, store: Store, customer: Customer) -> None:
        with_tiers(store, "coins_earned", months=12)
        earn(customer, 100)
        reward, change = Occurrence.objects.order_by("id")[1:]
        assert (reward.event_key, reward.payload["user_tier"]) == ("walletreward_create", None)
        assert (change.event_key, change.payload["user_tier"]) == ("viptier_create", "Silver")
        assert (change.payload["tier_name"], change.payload["tier_previous_name"]) == ("Silver", None)

    def test_a_stale_customer_does_not_undo_it(self, store: Store, customer: Customer, heard: Heard) -> None:
        with_tiers(store, "coins_earned")
        stale = Customer.objects.get(pk=customer.pk)
        earn(customer, 100)
        heard.clear()
        stale.name = "Ada L."
        stale.save()
        assert (tier(customer), stale.tier) == ("Silver", "Silver")
        assert [dict(fact.previous) for one in heard for fact in one] == [{"name": "Ada"}]

    @pytest.mark.parametrize("criterion", ["coins_earned", "amount_spent"])
    def test_what_a_silent_import_brings_about_is_silent_too(
        self, store: Store, customer: Customer, criterion: str
    ) -> None:
        with_tiers(store, criterion)
        earn(customer, 100, silent=True)
        buy(customer, "100", silent=True)
        assert tier(customer) == "Silver"
        assert Occurrence.objects.get(event_key="viptier_create").silent


class TestHolding:
    def test_a_tier_is_held_for_its_months(
        self, store: Store, customer: Customer, wait: Callable[[float], None]
    ) -> None:
        with_tiers(store, "coins_earned", months=2)
        earn(customer, 100)
        held = Customer.objects.get()
        assert held.tier_since
        assert held.tier_since - START < timedelta(seconds=30)
        assert held.tier_counts_from == datetime(2025, 11, 15, tzinfo=UTC)
        assert held.tier_expires_at == datetime(2026, 3, 16, tzinfo=UTC)
        wait(59)  # 15 March
        earn(customer, 1)
        assert (tier(customer), review()) == ("Silver", 1)
        wait(1)
        assert (review(), tier(customer)) == (1, None)
        assert changes(customer) == [(None, "Silver", "up"), ("Silver", None, "down")]
        assert review() == 0

    def test_it_is_renewed_by_what_counted_lately(
        self, store: Store, customer: Customer, wait: Callable[[float], None]
    ) -> None:
        with_tiers(store, "coins_earned", months=2)
        earn(customer, 500)
        wait(30)
        earn(customer, 100)
        wait(31)
        assert (review(), tier(customer)) == (1, "Silver")
        assert Customer.objects.get().tier_expires_at == datetime(2026, 5, 18, tzinfo=UTC)
        wait(10)
        earn(customer, 100)
        wait(54)
        assert (review(), tier(customer)) == (1, "Silver")
        assert changes(customer) == [(None, "Gold", "up"), ("Gold", "Silver", "down")]

    def test_what_counted_before_the_months_lifts_nobody(
        self, store: Store, customer: Customer, wait: Callable[[float], None]
    ) -> None:
        with_tiers(store, "coins_earned", months=2)
        earn(customer, 99)
        wait(70)
        earn(customer, 99)
        assert tier(customer) is None

    def test_without_months_everything_counts_and_it_is_for_good(
        self, store: Store, customer: Customer, wait: Callable[[float], None]
    ) -> None:
        with_tiers(store, "coins_earned")
        earn(customer, 60)
        wait(1000)
        earn(customer, 40)
        wait(5000)
        review()
        assert tier(customer) == "Silver"
        assert Customer.objects.get().tier_expires_at is None


class TestTakenBack:
    def test_a_reverted_reward(self, store: Store, customer: Customer) -> None:
        with_tiers(store, "coins_earned")
        earn(customer, 500)
        earn(customer, 1, type="revert", operation="dr")
        assert tier(customer) == "Silver"
        assert changes(customer)[-1] == ("Gold", "Silver", "down")

    @pytest.mark.parametrize("over", [{"status": "cancelled"}, {"financial_status": "refunded"}])
    def test_an_order(self, store: Store, customer: Customer, over: dict[str, str]) -> None:
        with_tiers(store, "amount_spent")
        buy(customer, "100")
        order = buy(customer, "400")
        assert tier(customer) == "Gold"
        order.move(**over)
        assert tier(customer) == "Silver"

    def test_what_a_tier_was_reached_with_counts_as_long_as_it_is_held(
        self, store: Store, customer: Customer, wait: Callable[[float], None]
    ) -> None:
        """Six weeks later, when some of it was too long ago to reach the tier anew."""
        with_tiers(store, "amount_spent", months=2)
        buy(customer, "450")
        wait(45)
        order = buy(customer, "150")
        assert tier(customer) == "Gold"
        wait(45)
        order.move(status="completed")  # it counted already
        assert tier(customer) == "Gold"
        small = buy(customer, "1")
        small.move(status="cancelled")
        assert tier(customer) == "Gold"
        before = Customer.objects.get()
        order.move(status="refunded")  # 450 hold Silver until the time that Gold had
        after = Customer.objects.get()
        assert (after.tier, after.tier_since) == ("Silver", before.tier_since)
        assert after.tier_expires_at == before.tier_expires_at


class TestReview:
    def test_new_tiers_are_for_everybody_who_deserves_them(
        self, store: Store, clock: Any, wait: Callable[[float], None]
    ) -> None:
        rich, poor = factories.make_customer(store, coins=200), factories.make_customer(store)
        with_tiers(store, "coins_earned", Member=0, Silver=100)
        assert review() == 0  # the change may not be committed yet everywhere
        wait(0.001)
        assert review() == 2
        assert (tier(rich), tier(poor)) == ("Silver", "Member")
        assert review() == 0
        newcomer = factories.make_customer(store)
        assert (review(), tier(newcomer)) == (1, "Member")

    def test_a_changed_threshold(self, store: Store, customer: Customer, wait: Callable[[float], None]) -> None:
        with_tiers(store, "coins_earned")
        earn(customer, 100)
        wait(0.001)
        review()
        silver = Tier.objects.get(name="Silver")
        silver.threshold = Decimal(150)
        silver.save()
        wait(0.001)
        assert (review(), tier(customer)) == (1, None)

    def test_a_deleted_tier(self, store: Store, customer: Customer, wait: Callable[[float], None]) -> None:
        with_tiers(store, "coins_earned")
        earn(customer, 500)
        Tier.objects.filter(name="Gold").delete()
        wait(0.001)
        review()
        assert changes(customer)[-1] == ("Gold", "Silver", "down")
        Tier.objects.get().delete()
        wait(0.001)
        review()
        assert changes(customer)[-1] == ("Silver", None, "down")

    def test_another_criterion(self, store: Store, customer: Customer, wait: Callable[[float], None]) -> None:
        with_tiers(store, "coins_earned")
        earn(customer, 100)
        buy(customer, "500")
        store.tier_criterion = "amount_spent"
        store.save()
        wait(0.001)
        review()
        assert changes(customer)[-1] == ("Silver", "Gold", "up")

    def test_other_months(self, store: Store, customer: Customer, wait: Callable[[float], None]) -> None:
        with_tiers(store, "coins_earned")
        earn(customer, 100)
        store.tier_months = 12
        store.save()
        wait(0.001)
        review()
        held = Customer.objects.get()
        assert (held.tier, held.tier_expires_at) == ("Silver", datetime(2027, 1, 16, tzinfo=UTC))

    def test_a_renamed_tier_keeps_its_customers_without_an_event(
        self, store: Store, customer: Customer, heard: Heard
    ) -> None:
        with_tiers(store, "coins_earned")
        earn(customer, 100)
        heard.clear()
        silver = Tier.objects.get(name="Silver")
        silver.name = "Argent"
        silver.save()
        assert (tier(customer), heard) == ("Argent", [])
        earn(customer, 400)
        assert changes(customer)[-1] == ("Argent", "Gold", "up")

    def test_in_batches_with_a_constant_number_of_queries(self, store: Store, wait: Callable[[float], None]) -> None:
        for _ in range(8):
            factories.make_customer(store, coins=100)
        with_tiers(store, "coins_earned")
        wait(0.001)
        with CaptureQueriesContext(connection) as few:
            assert Customer.objects.review_tiers(most=2) == 2
        with CaptureQueriesContext(connection) as many:
            assert Customer.objects.review_tiers() == 6
        assert len(many) == len(few)
        assert TierChange.objects.count() == 8

    def test_each_store_by_its_own(
        self, store: Store, other_store: Store, customer: Customer, wait: Callable[[float], None]
    ) -> None:
        with_tiers(store, "coins_earned")
        stranger = factories.make_customer(other_store, coins=1000)
        earn(customer, 100)
        wait(0.001)
        assert review() == 1
        assert (tier(customer), tier(stranger)) == ("Silver", None)


class TestTier:
    @pytest.mark.parametrize(
        ("name", "threshold", "sentences"),
        [
            (" Silver", 7, {"name": ["Another tier of this store is called Silver."]}),
            ("Copper", 100, {"threshold": ["Silver has this threshold already."]}),
            ("Copper", -1, {"threshold": ["Ensure this value is greater than or equal to 0."]}),
        ],
    )
    def test_each_has_its_name_and_threshold(
        self, store: Store, other_store: Store, name: str, threshold: int, sentences: dict[str, list[str]]
    ) -> None:
        with_tiers(store, "coins_earned")
        with pytest.raises(ValidationError) as refusal:
            Tier(store=store, name=name, threshold=threshold).full_clean()
        assert refusal.value.message_dict == sentences
        Tier(store=other_store, name="Silver", threshold=100).full_clean()

    def test_a_change_reads_as_what_it_was(self) -> None:
        assert str(TierChange(name="Gold", previous_name="Silver")) == "Silver → Gold"
        assert str(TierChange(name=None, previous_name="Silver")) == "Silver → no tier"


@pytest.mark.django_db(transaction=True)
class TestAtOnce:
    def test_rewards_at_once_lift_once(self, store: Store, customer: Customer) -> None:
        with_tiers(store, "coins_earned")
        assert at_once(*[lambda: earn(Customer.objects.get(), 50).amount] * 8) == [50] * 8
        assert changes(customer) == [(None, "Silver", "up")]

    def test_orders_at_once_lift_once(self, store: Store, customer: Customer) -> None:
        with_tiers(store, "order_count", Silver=3, Gold=6)

        def order(number: int) -> str:
            buy(customer, "1", reference_order_id=str(number))
            return "placed"

        assert at_once(*[lambda number=number: order(number) for number in range(8)]) == ["placed"] * 8
        assert changes(customer) == [(None, "Silver", "up"), ("Silver", "Gold", "up")]

    def test_a_review_beside_rewards(self, store: Store) -> None:
        with_tiers(store, "coins_earned")
        Store.objects.update(tiers_changed_at=datetime(2026, 1, 1, tzinfo=UTC))
        customers = [factories.make_customer(store) for _ in range(4)]
        jobs = [lambda customer=customer: earn(customer, 100).amount for customer in customers]
        ends = at_once(*jobs, review, review)
        assert ends[:4] == [100] * 4
        assert [changes(customer) for customer in customers] == [[(None, "Silver", "up")]] * 4
