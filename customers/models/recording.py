"""How entries come into the ledger: a single one is a page of one, so that one and a thousand keep to the same rules."""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import transaction

from customers.models.coins import Operation, WalletTransactionStatus
from customers.models.credits import CreditQuerySet
from customers.models.many import Outcome, take_turns, write_many, write_page
from customers.models.store import Store
from customers.refusals import Refused

if TYPE_CHECKING:
    from customers.models.wallet import Wallet, WalletQuerySet, WalletTransaction

Facts = Mapping[str, Any]  # what `WalletTransaction.draft()` takes
Counted = dict[tuple[Any, str | None], "WalletTransaction"]  # by store and reference


class RecordingQuerySet(CreditQuerySet["WalletTransaction"]):
    """Entries are judged in their order, each by what those before it left."""

    def record(self, facts: Facts, *, silent: bool = False) -> tuple["WalletTransaction", bool]:
        """Write one entry; returns it and whether it is new. Raises as `Wallet.record()` does."""
        return write_page([facts], partial(self._write, silent=silent))[0].result()

    def record_many(self, store: Store, rows: Sequence[Facts]) -> list[Outcome["WalletTransaction"]]:
        """Write these entries, all of this store; what became of each, in their order.

        For each hundred the same number of queries. Tiers are judged once for each hundred.
        """
        # Inside of a transaction all pages are one: all its locks first, in one order.
        if transaction.get_connection().in_atomic_block:
            take_turns(store)
            _wallets().filter(pk__in={facts["wallet"].pk for facts in rows}).locked()
        return write_many(store, rows, self._write)

    def counted(self, entries: Sequence["WalletTransaction"]) -> Counted:
        """The entries that have the references of these already."""
        references = {entry.reference for entry in entries if entry.reference}
        if not references:
            return {}
        stores = {entry.store_id for entry in entries}
        rows = self.filter(store__in=stores, reference__in=references).select_related("wallet")
        return {(row.store_id, row.reference): row for row in rows}

    def take_effect(self, entries: Sequence["WalletTransaction"]) -> None:
        """Write what these entries, which took effect on locked wallets in this order, did to balances and credits."""
        last = {entry.wallet_id: entry.wallet for entry in entries}
        _wallets().bulk_update(last.values(), ["balance"])
        debits: Counter[Any] = Counter()
        for entry in entries:
            if entry.operation == Operation.DEBIT:
                debits[entry.wallet_id] += entry.amount
        self.spend(debits, new=[entry for entry in entries if entry.remaining])

    def _write(self, rows: Sequence[Facts], *, silent: bool = False) -> list[Outcome["WalletTransaction"]]:
        entries = [self.model.draft(**facts) for facts in rows]
        wallets = {wallet.pk: wallet for wallet in _wallets().filter(pk__in={e.wallet_id for e in entries}).locked()}
        counted = self.counted(entries)
        outcomes: list[Outcome[WalletTransaction]] = []
        for entry in entries:
            try:
                outcomes.append(_judge(entry, wallets=wallets, counted=counted))
            except ValidationError as refusal:
                outcomes.append(Outcome(refusal=refusal))
        new = [outcome.row for outcome in outcomes if outcome.row and outcome.new]
        if new:
            self.take_effect([entry for entry in new if entry.status == WalletTransactionStatus.SUCCESS])
            self.bulk_create(new, silent=silent)
        return outcomes


def _wallets() -> "WalletQuerySet":
    wallets: WalletQuerySet = apps.get_model("customers", "Wallet").objects.all()
    return wallets


def _judge(
    entry: "WalletTransaction", *, wallets: Mapping[Any, "Wallet"], counted: Counted
) -> Outcome["WalletTransaction"]:
    """Let it take effect on its wallet, one of these locked ones, unless it was counted before. Raises ValidationError."""
    wallet = wallets.get(entry.wallet_id)
    if wallet is None:
        raise Refused("customer", "This customer was deleted.", code="does_not_exist")
    if known := counted.get((entry.store_id, entry.reference)):
        return Outcome(known.repeated_by(entry))
    entry.full_clean(exclude={"store", "wallet"}, validate_unique=False, validate_constraints=False)
    if entry.status == WalletTransactionStatus.SUCCESS:
        entry.take_effect(wallet)
    entry.wallet = wallet.as_it_is()  # what is told of this entry is what was so before the next one
    if entry.reference:
        counted[entry.store_id, entry.reference] = entry
    return Outcome(entry, new=True)
