"""Whatever happens to two wallets of a store, the ledger holds: it sums, it chains, it counts once, it never goes below.

The oldest coins are spent first, and those whose time is over expire: each once, and no others.
"""

from calendar import monthrange
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from customers.models import Coupon, Customer, Offer, Store, Wallet, WalletTransaction
from customers.refusals import Conflict
from tests import factories

pytestmark = pytest.mark.django_db

KINDS = [
    ("reward", "cr"),
    ("redeem", "dr"),
    ("expire", "dr"),
    ("adjust", "cr"),
    ("adjust", "dr"),
    ("revert", "cr"),
    ("revert", "dr"),
]
wallets = st.integers(0, 1)
references = st.none() | st.sampled_from(["a", "b", "c", "d"])

records = st.fixed_dictionaries(
    {
        "do": st.just("record"),
        "wallet": wallets,
        "kind": st.sampled_from(KINDS),
        "amount": st.integers(1, 60),
        "status": st.sampled_from(["success", "success", "pending"]),
        "reference": references,
        "lives": st.none() | st.none() | st.integers(0, 100),  # days, then it expires by a time of its own
    }
)
redemptions = st.fixed_dictionaries({"do": st.just("redeem"), "wallet": wallets, "reference": references})
endings = st.fixed_dictionaries({"do": st.sampled_from(["settle", "cancel"]), "which": st.integers(0, 30)})
repeats = st.fixed_dictionaries({"do": st.just("repeat"), "which": st.integers(0, 30)})
waits = st.fixed_dictionaries({"do": st.just("wait"), "hours": st.integers(1, 40 * 24)})
expiries = st.fixed_dictionaries({"do": st.just("expire")})
histories = st.lists(records | redemptions | endings | repeats | waits | expiries, max_size=30)

PRICE = 25
START = datetime(2026, 11, 30, 18, 30, tzinfo=UTC)


@dataclass
class Credit:
    """One credit of the books kept beside the real ones."""

    entry: Any
    left: int
    at: datetime
    expires_at: datetime | None

    def over(self, now: datetime, months: int | None) -> bool:
        """Whether its time is over; `months` is the store's setting, whose days are UTC's."""
        if self.expires_at:
            return self.expires_at <= now
        if months is None:
            return False
        year, month = self.at.year, self.at.month + months
        while month > 12:
            year, month = year + 1, month - 12
        last = self.at.replace(year=year, month=month, day=min(self.at.day, monthrange(year, month)[1]))
        return last.date() < now.date()


@dataclass
class Ledger:
    """What the books should say, kept beside the real ones in plain Python."""

    customers: list[Customer]
    offer: Offer
    clock: Any
    months: int | None
    credits: list[list[Credit]] = field(default_factory=lambda: [[], []])  # the oldest first
    expired: list[int] = field(default_factory=lambda: [0, 0])
    balances: list[int] = field(default_factory=lambda: [0, 0])
    effective: list[list[tuple[Any, int]]] = field(default_factory=lambda: [[], []])  # entry and balance, in order
    counted: dict[str, tuple[dict[str, Any], Any]] = field(default_factory=dict)  # reference: step, entry
    steps: list[dict[str, Any]] = field(default_factory=list)

    def take(self, step: dict[str, Any]) -> None:
        """Do the step for real and beside it, and see that both agree about what comes of it."""
        if step["do"] in ("settle", "cancel"):
            self.end(step)
        elif step["do"] == "wait":
            self.clock.shift(timedelta(hours=step["hours"]))
        elif step["do"] == "expire":
            self.expire()
        elif step["do"] == "repeat":
            if self.steps:
                self.write(self.steps[step["which"] % len(self.steps)])
        else:
            self.steps.append(step)
            self.write(step)

    def write(self, step: dict[str, Any]) -> None:
        number, reference = step["wallet"], step["reference"]
        redeeming = step["do"] == "redeem"
        operation = "dr" if redeeming else step["kind"][1]
        amount = PRICE if redeeming else step["amount"]
        pending = not redeeming and step["status"] == "pending"
        change = amount if operation == "cr" else -amount
        known = self.counted.get(reference) if reference else None
        try:
            entry, new = self.really(step)
        except Conflict:
            assert known is not None
            assert known[0] != step
            return
        except ValidationError:
            assert known is None
            assert not pending
            assert self.balances[number] + change < 0
            return
        if known:
            assert (entry.pk, new, known[0]) == (known[1], False, step)
            return
        assert new
        if reference:
            self.counted[reference] = (step, entry.pk)
        if not pending:
            self.takes_effect(number, entry, change)

    def expire(self) -> None:
        """Let what is over expire, until nothing is."""
        now = datetime.now(UTC)
        gone = []
        for number, credits in enumerate(self.credits):
            over = [credit for credit in credits if credit.left and credit.over(now, self.months)]
            gone.append(sum(credit.left for credit in over))
            for credit in over:
                credit.left = 0
            self.balances[number] -= gone[number]
            self.expired[number] += gone[number]
        while Wallet.objects.filter(customer__in=self.customers).expire_coins(most=1):
            pass
        for number, customer in enumerate(self.customers):
            entries = WalletTransaction.objects.filter(wallet__customer=customer, title="Coins expired")
            known = {key for key, _ in self.effective[number]}
            for entry in entries.exclude(pk__in=known).order_by("effective_at"):
                gone[number] -= entry.amount
                self.effective[number].append((entry.pk, self.balances[number] + gone[number]))
            assert gone[number] == 0

    def really(self, step: dict[str, Any]) -> tuple[WalletTransaction, bool]:
        customer = self.customers[step["wallet"]]
        if step["do"] == "redeem":
            coupon, new = self.offer.redeem(customer, reference=step["reference"])
            assert coupon.transaction is not None
            return coupon.transaction, new
        kind, operation = step["kind"]
        wallet: Wallet = customer.wallet
        return wallet.record(
            type=kind,
            operation=operation,
            amount=step["amount"],
            status=step["status"],
            reference=step["reference"],
            expires_at=START + timedelta(days=step["lives"]) if step["lives"] is not None else None,
        )

    def end(self, step: dict[str, Any]) -> None:
        entries = list(WalletTransaction.objects.filter(wallet__customer__in=self.customers).order_by("pk"))
        if not entries:
            return
        entry = entries[step["which"] % len(entries)]
        number = [customer.pk for customer in self.customers].index(entry.wallet.customer_id)
        change = entry.amount if entry.operation == "cr" else -entry.amount
        was = entry.status
        try:
            entry.settle() if step["do"] == "settle" else entry.cancel()
        except Conflict:
            assert was != "pending"
        except ValidationError:
            assert self.balances[number] + change < 0
            assert WalletTransaction.objects.get(pk=entry.pk).status == "pending"
        else:
            assert was == "pending"
            if step["do"] == "settle":
                self.takes_effect(number, entry, change)

    def takes_effect(self, number: int, entry: WalletTransaction, change: int) -> None:
        self.balances[number] += change
        self.effective[number].append((entry.pk, self.balances[number]))
        if change > 0:
            assert entry.effective_at
            self.credits[number].append(Credit(entry.pk, change, entry.effective_at, entry.expires_at))
        for credit in self.credits[number] if change < 0 else []:
            spent = min(credit.left, -change)
            credit.left -= spent
            change += spent

    def check(self) -> None:
        for number, customer in enumerate(self.customers):
            wallet = Customer.objects.get(pk=customer.pk).wallet
            entries = WalletTransaction.objects.filter(wallet=wallet)
            effective = list(entries.filter(status="success").order_by("effective_at"))
            signed = [entry.amount if entry.operation == "cr" else -entry.amount for entry in effective]
            assert wallet.balance == sum(signed) == self.balances[number] >= 0
            left = {credit.entry: credit.left for credit in self.credits[number]}
            assert {entry.pk: entry.remaining for entry in effective if entry.operation == "cr"} == left
            assert sum(left.values()) == wallet.balance
            # balance_after chains in the order in which entries took effect, and never goes below zero.
            chain = [(entry.pk, entry.balance_after) for entry in effective]
            assert chain == self.effective[number]
            assert all(after == sum(signed[: place + 1]) >= 0 for place, (_, after) in enumerate(chain))
            assert not entries.exclude(status="success").exclude(balance_after=None).exists()
            redeemed = Coupon.objects.filter(customer=customer)
            assert {coupon.transaction_id for coupon in redeemed} <= {key for key, _ in chain}
        references = Counter(entry.reference for entry in WalletTransaction.objects.exclude(reference=None))
        assert references == Counter(self.counted.keys())


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(history=histories, months=st.sampled_from([None, 2, 3]))
def test_the_ledger_holds_over_any_history(history: list[dict[str, Any]], months: int | None) -> None:
    with time_machine.travel(START) as clock, transaction.atomic():
        store: Store = factories.make_store(coins_expire_after=months)
        ledger = Ledger(
            customers=[factories.make_customer(store), factories.make_customer(store)],
            offer=factories.make_offer(store, price=PRICE),
            clock=clock,
            months=months,
        )
        for step in history:
            ledger.take(step)
        ledger.check()
        ledger.expire()
        ledger.check()
        transaction.set_rollback(True)
