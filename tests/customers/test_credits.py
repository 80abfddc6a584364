"""Which coins are spent and which expire: the oldest first, and each when its own time or the store's is over."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from customers.facts import Fact
from customers.models import Customer, Store, Wallet, WalletTransaction
from events.models import Occurrence
from tests import factories
from tests.concurrency import at_once
from tests.customers.conftest import START


def give(customer: Customer, coins: int, **fields: Any) -> WalletTransaction:
    entry, _ = customer.wallet.record(type="reward", operation="cr", amount=coins, **fields)
    return entry


def spend(customer: Customer, coins: int) -> WalletTransaction:
    entry, _ = customer.wallet.record(type="redeem", operation="dr", amount=coins)
    return entry


def left(customer: Customer) -> list[int]:
    """What is left of each credit, the oldest first; and it sums to the balance."""
    credits = WalletTransaction.objects.filter(wallet__customer=customer, operation="cr").order_by("id")
    found = [credit.remaining for credit in credits]
    assert sum(found) == Wallet.objects.get(customer=customer).balance
    return found


def expired(customer: Customer) -> list[int]:
    entries = WalletTransaction.objects.filter(wallet__customer=customer, type="expire").order_by("id")
    return [entry.amount for entry in entries]


class TestSpend:
    def test_the_oldest_coins_are_spent_first(self, customer: Customer) -> None:
        for coins in (10, 20, 30):
            give(customer, coins)
        spend(customer, 15)
        assert left(customer) == [0, 15, 30]
        spend(customer, 15)
        assert left(customer) == [0, 0, 30]
        spend(customer, 30)
        assert left(customer) == [0, 0, 0]

    def test_a_pending_credit_is_as_old_as_its_settling(self, customer: Customer) -> None:
        pending = give(customer, 10, status="pending")
        give(customer, 20)
        assert left(customer) == [0, 20]
        pending.settle()
        assert pending.remaining == 10
        spend(customer, 20)
        assert left(customer) == [10, 0]

    def test_a_pending_debit_takes_when_it_is_settled(self, customer: Customer) -> None:
        give(customer, 20)
        debit, _ = customer.wallet.record(type="redeem", operation="dr", amount=5, status="pending")
        assert left(customer) == [20]
        debit.settle()
        assert left(customer) == [15]

    def test_of_very_many_credits_all_that_are_needed(self, customer: Customer) -> None:
        now = datetime.now(UTC)
        wallet = customer.wallet
        WalletTransaction.objects.bulk_create(
            WalletTransaction(
                store=wallet.store,
                wallet=wallet,
                type="reward",
                operation="cr",
                amount=1,
                remaining=1,
                balance_after=number,
                effective_at=now,
            )
            for number in range(1, 251)
        )
        Wallet.objects.update(balance=250)
        spend(customer, 245)
        assert left(customer) == [0] * 245 + [1] * 5

    def test_books_that_do_not_sum_keep_nobody_from_spending(
        self, customer: Customer, caplog: pytest.LogCaptureFixture
    ) -> None:
        Wallet.objects.update(balance=50)
        spend(customer, 20)
        assert Wallet.objects.get().balance == 30
        assert "The credits of a wallet do not sum to its balance: 20 coins were spent of nothing" in caplog.messages

    def test_the_database_itself_holds_what_is_left_within_the_credit(self, customer: Customer) -> None:
        credit, debit = give(customer, 10), spend(customer, 5)
        for entry, wrong in ((credit, 11), (credit, -1), (debit, 1)):
            with pytest.raises(IntegrityError), transaction.atomic():
                WalletTransaction.objects.filter(pk=entry.pk).keep_books(remaining=wrong)

    def test_what_is_left_is_no_fact(self, customer: Customer, heard: list[list[Fact]]) -> None:
        stale = give(customer, 10)
        spend(customer, 5)
        heard.clear()
        stale.save()  # knows 10 still
        assert (left(customer), stale.remaining, heard) == ([5], 5, [])
        with pytest.raises(TypeError, match=r"^WalletTransaction\.remaining is no fact: keep_books\(\) writes it\.$"):
            stale.save(update_fields=["remaining"])
        with pytest.raises(TypeError, match=r"^WalletTransaction\.amount is a fact: save\(\) announces it\.$"):
            WalletTransaction.objects.keep_books(amount=1)


class TestExpireCoins:
    def test_after_their_own_time(self, customer: Customer, wait: Callable[[float], None]) -> None:
        give(customer, 10, expires_at=START + timedelta(days=5))
        give(customer, 20)
        wait(4.9)
        assert Wallet.objects.expire_coins() == 0
        wait(0.2)
        assert Wallet.objects.expire_coins() == 1
        assert (left(customer), expired(customer)) == ([0, 20], [10])
        assert Wallet.objects.expire_coins() == 0

    def test_it_is_an_entry_of_the_ledger_and_a_fact(
        self, customer: Customer, wait: Callable[[float], None], heard: list[list[Fact]]
    ) -> None:
        give(customer, 10, expires_at=START)
        give(customer, 5, expires_at=START + timedelta(days=1))
        give(customer, 7)
        spend(customer, 2)
        heard.clear()
        wait(2)
        Wallet.objects.expire_coins()
        ((fact,),) = heard
        entry = WalletTransaction.objects.get(type="expire")
        assert (fact.instance, fact.created) == (entry, True)
        assert (entry.amount, entry.operation, entry.balance_after, entry.status) == (13, "dr", 7, "success")
        assert (entry.source, entry.title) == ("reminder", "Coins expired")
        payload = Occurrence.objects.latest("id").payload
        assert (payload["event_key"], payload["wallettransaction_type"]) == ("walletreward_create", "expire")
        assert payload["user_wallet_balance"] == 7

    def test_what_was_spent_does_not_expire(self, customer: Customer, wait: Callable[[float], None]) -> None:
        give(customer, 10, expires_at=START + timedelta(days=5))
        give(customer, 20)
        spend(customer, 12)
        wait(6)
        assert Wallet.objects.expire_coins() == 0
        assert (left(customer), expired(customer)) == ([0, 18], [])

    def test_newer_coins_may_expire_before_older_ones(self, customer: Customer, wait: Callable[[float], None]) -> None:
        give(customer, 10)
        give(customer, 20, expires_at=START + timedelta(days=5))
        spend(customer, 4)
        wait(6)
        Wallet.objects.expire_coins()
        assert (left(customer), expired(customer)) == ([6, 0], [20])

    def test_pending_and_cancelled_credits_never_do(self, customer: Customer, wait: Callable[[float], None]) -> None:
        give(customer, 10, status="pending", expires_at=START)
        give(customer, 10, status="pending", expires_at=START).cancel()
        wait(1)
        assert Wallet.objects.expire_coins() == 0

    @pytest.mark.parametrize(
        ("time_zone", "last_moment"),
        [("UTC", "2026-03-15T23:59:59+00:00"), ("America/Los_Angeles", "2026-03-16T06:59:59+00:00")],
    )
    def test_by_the_stores_setting_with_the_end_of_the_day(
        self, store: Store, customer: Customer, clock: Any, time_zone: str, last_moment: str
    ) -> None:
        give(customer, 10)
        store.coins_expire_after, store.time_zone = 2, time_zone
        store.save()
        clock.move_to(datetime.fromisoformat(last_moment))
        assert Wallet.objects.expire_coins() == 0
        clock.shift(timedelta(seconds=2))
        assert Wallet.objects.expire_coins() == 1
        assert expired(customer) == [10]

    def test_a_time_of_their_own_wins(self, store: Store, customer: Customer, wait: Callable[[float], None]) -> None:
        store.coins_expire_after = 2
        store.save()
        give(customer, 10, expires_at=START + timedelta(days=365))
        give(customer, 20)
        wait(100)
        Wallet.objects.expire_coins()
        assert (left(customer), expired(customer)) == ([10, 0], [20])

    def test_off_by_default(self, customer: Customer, wait: Callable[[float], None]) -> None:
        give(customer, 10)
        wait(4000)
        assert Wallet.objects.expire_coins() == 0

    def test_each_store_by_its_own_setting(
        self, store: Store, other_store: Store, wait: Callable[[float], None]
    ) -> None:
        short, long = factories.make_customer(store), factories.make_customer(other_store)
        for one, months in ((store, 2), (other_store, 12)):
            one.coins_expire_after = months
            one.save()
        give(short, 10)
        give(long, 20)
        wait(70)
        assert Wallet.objects.expire_coins() == 1
        assert Wallet.objects.expire_coins() == 0
        assert (expired(short), expired(long)) == ([10], [])
        wait(300)
        assert Wallet.objects.expire_coins() == 1
        assert expired(long) == [20]

    def test_in_batches_with_a_constant_number_of_queries(self, store: Store, wait: Callable[[float], None]) -> None:
        customers = [factories.make_customer(store) for _ in range(9)]
        for customer in customers:
            give(customer, 10, expires_at=START)
            give(customer, 10, expires_at=START)
        wait(1)
        with CaptureQueriesContext(connection) as few:
            assert Wallet.objects.expire_coins(most=4) == 2  # four credits, of two wallets
        with CaptureQueriesContext(connection) as many:
            assert Wallet.objects.expire_coins(most=14) == 7
        assert len(many) == len(few)
        assert [expired(customer) for customer in customers] == [[20]] * 9

    def test_a_wallet_with_wrong_books_never_goes_below_zero(
        self, customer: Customer, wait: Callable[[float], None]
    ) -> None:
        give(customer, 10, expires_at=START)
        Wallet.objects.update(balance=4)
        wait(1)
        Wallet.objects.expire_coins()
        assert (expired(customer), Wallet.objects.get().balance) == ([4], 0)
        assert Wallet.objects.expire_coins() == 0


class TestRunsOutAt:
    def test_by_its_own_time_or_the_stores_setting(self, store: Store, customer: Customer, clock: Any) -> None:
        own, other = give(customer, 10, expires_at=START), give(customer, 10)
        debit, pending = spend(customer, 5), give(customer, 5, status="pending")
        assert (own.runs_out_at, other.runs_out_at) == (START, None)
        store.coins_expire_after = 2
        store.save()
        ends = [WalletTransaction.objects.get(pk=entry.pk).runs_out_at for entry in (own, other, debit, pending)]
        assert ends == [START, datetime(2026, 3, 16, tzinfo=UTC), None, None]

    def test_a_reward_tells_when_its_coins_expire(self, store: Store, customer: Customer, clock: Any) -> None:
        store.coins_expire_after = 2
        store.save()
        give(customer, 10)
        assert Occurrence.objects.latest("id").payload["wallettransaction_expires_at"] == "2026-03-16T00:00:00+00:00"


@pytest.mark.django_db(transaction=True)
class TestAtOnce:
    def test_an_expiry_during_redemptions_one_wins(self, customer: Customer) -> None:
        give(customer, 100, expires_at=datetime.now(UTC) - timedelta(seconds=1))

        def expire() -> str:
            return f"expired {Wallet.objects.expire_coins()}"

        def redeem() -> str:
            Wallet.objects.get().record(type="redeem", operation="dr", amount=100)
            return "redeemed"

        ends = at_once(*[expire, redeem] * 4)
        won = [end for end in ends if end in ("expired 1", "redeemed")]
        assert len(won) == 1, ends
        assert {str(end) for end in ends if end not in won} <= {"expired 0", "Only 0 coins are in the wallet."}
        assert left(customer) == [0]
        assert [entry.amount for entry in WalletTransaction.objects.filter(operation="dr")] == [100]

    def test_expiries_at_once_write_off_once(self, store: Store) -> None:
        customers = [factories.make_customer(store) for _ in range(12)]
        for customer in customers:
            give(customer, 10, expires_at=datetime.now(UTC) - timedelta(seconds=1))

        def expire() -> int:
            done = 0
            while wallets := Wallet.objects.expire_coins(most=3):
                done += wallets
            return done

        counts = [end for end in at_once(*[expire] * 4) if isinstance(end, int)]
        assert len(counts) == 4
        counts.append(expire())  # what one left alone because another had it
        assert sum(counts) == 12
        assert [expired(customer) for customer in customers] == [[10]] * 12

    def test_credits_at_once_with_an_expiry_lose_nothing(self, customer: Customer) -> None:
        give(customer, 100, expires_at=datetime.now(UTC) - timedelta(seconds=1))

        def more() -> int:
            return give(Customer.objects.get(), 5).amount

        ends = at_once(*[more] * 6, *[Wallet.objects.expire_coins] * 2)
        assert ends[:6] == [5] * 6
        Wallet.objects.expire_coins()
        assert left(customer) == [0] + [5] * 6
        assert expired(customer) == [100]
