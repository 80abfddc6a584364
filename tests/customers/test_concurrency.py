"""Many writers at once, on real connections: exactly what is possible happens, and nobody hears of a locked database."""

import json
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.db import IntegrityError

from customers.models import Coupon, Customer, Offer, Store, Wallet, WalletTransaction
from customers.refusals import Conflict, Refused
from tests import factories
from tests.concurrency import at_once, processes_at_once

pytestmark = pytest.mark.django_db(transaction=True)

WRITERS = 8


def outcomes(*jobs: Callable[[], Any]) -> Counter[str]:
    """How many jobs ended how: by what they returned, or the name of what they raised."""
    done = at_once(*jobs)
    unexpected = [end for end in done if isinstance(end, Exception) and not isinstance(end, Refused)]
    assert unexpected == []
    return Counter(type(end).__name__ if isinstance(end, Exception) else str(end) for end in done)


def record(customer: Customer, **facts: Any) -> tuple[str, bool]:
    """From a wallet of this thread's own; the entry's id, and whether it is new."""
    wallet = Wallet.objects.get(customer=customer)
    entry, new = wallet.record(**{"type": "reward", "operation": "cr", "amount": 10, **facts})
    return str(entry.pk), new


def redeem(offer: Offer, customer: Customer, reference: str | None = None) -> tuple[str, bool]:
    coupon, new = Offer.objects.get(pk=offer.pk).redeem(Customer.objects.get(pk=customer.pk), reference=reference)
    return str(coupon.pk), new


def assert_books(store: Store) -> None:
    """Of every wallet: the balance is the sum, and balance_after chains in the order of effect."""
    for wallet in Wallet.objects.filter(store=store):
        balance = 0
        for entry in wallet.transactions.filter(status="success").order_by("effective_at"):
            balance += entry.amount if entry.operation == "cr" else -entry.amount
            assert entry.balance_after == balance >= 0
        assert wallet.balance == balance


class TestThreads:
    def test_every_reward_counts(self, customer: Customer) -> None:
        def many() -> str:
            for _ in range(5):
                record(customer)
            return "done"

        assert outcomes(*[many] * WRITERS) == {"done": WRITERS}
        assert Wallet.objects.get().balance == 10 * 5 * WRITERS
        assert_books(customer.store)

    def test_the_last_coins_are_spent_once(self, customer: Customer) -> None:
        record(customer, amount=35)
        spend = partial(record, customer, type="redeem", operation="dr")
        assert outcomes(*[lambda: spend()[1]] * WRITERS) == {"True": 3, "Refused": 5}
        assert Wallet.objects.get().balance == 5
        assert_books(customer.store)

    def test_the_last_coins_buy_one_coupon_each(self, customer: Customer, offer: Offer) -> None:
        record(customer, amount=3 * offer.price + 50)
        assert outcomes(*[lambda: redeem(offer, customer)[1]] * WRITERS) == {"True": 3, "Refused": 5}
        assert Wallet.objects.get().balance == 50
        coupons = Coupon.objects.all()
        assert len({coupon.code for coupon in coupons}) == len({coupon.transaction_id for coupon in coupons}) == 3
        assert_books(customer.store)

    def test_rewards_and_redemptions_between_each_other(self, customer: Customer, offer: Offer) -> None:
        rewards = [lambda: str(record(customer, amount=offer.price)[1])] * 4
        redemptions = [lambda: f"redeemed {redeem(offer, customer)[1]}"] * 4
        ends = outcomes(*rewards, *redemptions)
        assert ends["True"] == 4
        redeemed = ends["redeemed True"]
        assert ends["Refused"] == 4 - redeemed
        assert Coupon.objects.count() == redeemed
        assert Wallet.objects.get().balance == (4 - redeemed) * offer.price
        assert_books(customer.store)

    def test_one_reference_on_one_wallet_is_counted_once(self, customer: Customer) -> None:
        done = at_once(*[partial(record, customer, reference="order-1")] * WRITERS)
        entry = WalletTransaction.objects.get()
        assert Counter(map(str, done)) == {str((str(entry.pk), True)): 1, str((str(entry.pk), False)): WRITERS - 1}
        assert Wallet.objects.get().balance == 10

    def test_one_reference_with_other_bodies_is_counted_once(self, customer: Customer) -> None:
        jobs = [partial(record, customer, reference="order-1", amount=amount) for amount in range(1, WRITERS + 1)]
        assert outcomes(*[lambda job=job: job()[1] for job in jobs]) == {
            "True": 1,
            "Conflict": WRITERS - 1,
        }
        assert Wallet.objects.get().balance == WalletTransaction.objects.get().amount

    def test_one_reference_on_different_wallets_is_counted_once(self, store: Store) -> None:
        customers = [factories.make_customer(store) for _ in range(WRITERS)]
        jobs = [partial(record, customer, reference="order-1") for customer in customers]
        done = at_once(*jobs)
        assert sum(1 for end in done if isinstance(end, Conflict)) == WRITERS - 1, done
        refusal = next(end for end in done if isinstance(end, Conflict))
        assert str(refusal) == "The reference order-1 was already used for another transaction of this store."
        assert WalletTransaction.objects.count() == 1
        assert sum(Wallet.objects.values_list("balance", flat=True)) == 10
        assert_books(store)

    def test_one_reference_redeemed_at_once_gives_one_coupon(self, customer: Customer, offer: Offer) -> None:
        record(customer, amount=5 * offer.price)
        done = at_once(*[partial(redeem, offer, customer, "cart-1")] * WRITERS)
        coupon = Coupon.objects.get()
        assert Counter(map(str, done)) == {str((str(coupon.pk), True)): 1, str((str(coupon.pk), False)): WRITERS - 1}
        assert Wallet.objects.get().balance == 4 * offer.price

    def test_one_reference_redeemed_at_once_by_different_customers(self, store: Store, offer: Offer) -> None:
        customers = [factories.make_customer(store, coins=offer.price) for _ in range(WRITERS)]
        jobs = [lambda customer=customer: redeem(offer, customer, "cart-1")[1] for customer in customers]
        assert outcomes(*jobs) == {"True": 1, "Conflict": WRITERS - 1}
        assert Coupon.objects.count() == 1
        assert sum(Wallet.objects.values_list("balance", flat=True)) == (WRITERS - 1) * offer.price
        assert_books(store)

    def test_settled_and_cancelled_at_once_one_wins(self, customer: Customer) -> None:
        entry, _ = record(customer, status="pending")

        def end(how: str) -> str:
            row = WalletTransaction.objects.get(pk=entry)
            row.settle() if how == "success" else row.cancel()
            return how

        ends = outcomes(*[partial(end, how) for how in ("success", "cancelled") * (WRITERS // 2)])
        assert ends.pop("Conflict") == WRITERS - 1
        status = WalletTransaction.objects.get().status
        assert ends == {status: 1}
        assert Wallet.objects.get().balance == (10 if status == "success" else 0)
        assert_books(customer.store)

    @pytest.mark.parametrize("hows", [["redeem"] * WRITERS, ["redeem", "expire", "cancel"] * 2], ids=["alike", "mixed"])
    def test_a_coupon_is_used_once(self, customer: Customer, offer: Offer, hows: list[str]) -> None:
        record(customer, amount=offer.price)
        coupon, _ = redeem(offer, customer)

        def end(how: str) -> str:
            getattr(Coupon.objects.get(pk=coupon), how)()
            return how

        ends = outcomes(*[partial(end, how) for how in hows])
        assert ends.pop("Conflict") == len(hows) - 1
        assert ends == {
            {"redeemed": "redeem", "expired": "expire", "cancelled": "cancel"}[Coupon.objects.get().status]: 1
        }

    def test_a_customer_deleted_meanwhile_leaves_nothing(self, customer: Customer) -> None:
        def delete() -> str:
            Customer.objects.get(pk=customer.pk).delete()
            return "deleted"

        ends = at_once(delete, *[lambda: str(record(customer))] * 3)
        # Where an entry came between, the database refuses to delete the wallet under it: then nothing was deleted.
        if isinstance(ends[0], IntegrityError):
            assert Wallet.objects.get().balance == 10 * WalletTransaction.objects.count() > 0
        else:
            assert ends[0] == "deleted"
            assert not WalletTransaction.objects.exists()
        assert {type(end) for end in ends[1:]} <= {str, Refused, Wallet.DoesNotExist}


ROUNDS = 8

# Each process rewards and redeems in turns, on the settings of production, and tells how often it could.
PROGRAM = (
    f"ROUNDS = {ROUNDS}"
    + """
import json
from collections import Counter
from customers.models import Customer, Offer
from customers.refusals import Conflict, Refused

ready()
me, customer, offer = sys.argv[1], Customer.objects.get(pk=sys.argv[2]), Offer.objects.get(pk=sys.argv[3])
done = Counter()
for number in range(ROUNDS):
    try:
        offer.redeem(customer)
        done["redeemed"] += 1
    except Refused:
        done["refused"] += 1
    _, new = customer.wallet.record(
        type="reward", operation="cr", amount=offer.price // 2, reference=f"order-{number}"
    )
    done["counted"] += new
    customer.wallet.record(type="adjust", operation="cr", amount=1, reference=f"{me}-{number}")
    try:
        customer.wallet.record(type="reward", operation="cr", amount=int(me), reference=f"contested-{number}")
        done["won"] += 1
    except Conflict:
        done["conflict"] += 1
print(json.dumps(done))
"""
)


class TestProcesses:
    def test_four_writers_share_one_wallet(self, customer: Customer, offer: Offer) -> None:
        record(customer, amount=5 * offer.price)
        told = processes_at_once(PROGRAM, [[str(me), str(customer.pk), str(offer.pk)] for me in range(1, 5)])
        done: Counter[str] = sum((Counter(json.loads(one)) for one in told), Counter())
        assert done["redeemed"] + done["refused"] == 4 * ROUNDS
        assert done["redeemed"] == Coupon.objects.count() >= 5
        assert done["counted"] == ROUNDS
        assert (done["won"], done["conflict"]) == (ROUNDS, 3 * ROUNDS)
        contested = WalletTransaction.objects.filter(reference__startswith="contested-")
        expected = 5 * offer.price + ROUNDS * (offer.price // 2 + 4) + sum(entry.amount for entry in contested)
        assert Wallet.objects.get().balance == expected - done["redeemed"] * offer.price
        assert_books(customer.store)
