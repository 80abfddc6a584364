"""Coins: a ledger whose entries are never altered, and the balance that they sum to.

Errors: Refused and Conflict of `customers.refusals`.
"""

import copy
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from django.apps import apps
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models, transaction
from django.db.models import Case, F, Q, Sum, When
from django.utils import timezone

from customers.facts import Fact, FactModel, together
from customers.models.coins import (
    MOST_COINS,
    Operation,
    Source,
    WalletTransactionStatus,
    WalletTransactionType,
    fingerprint,
    only,
)
from customers.models.recording import RecordingQuerySet
from customers.models.store import StoreModel, TierCriterion
from customers.models.tiers import MEASURES, Measure, TierChange
from customers.refusals import Conflict, Refused


class WalletQuerySet(models.QuerySet["Wallet"]):
    def locked(self, *, skip_locked: bool = False) -> list["Wallet"]:
        """These wallets as they are now, with customer and store, until the transaction ends; nobody else writes to them.

        In one order for everybody, so that two who lock several do not wait for each other. With `skip_locked`, without
        those that somebody is writing to.
        """
        rows = self.select_for_update(of=("self",), no_key=True, skip_locked=skip_locked)
        wallets = list(rows.select_related("customer", "store").order_by("pk"))
        for wallet in wallets:
            wallet.customer.store = wallet.store
        return wallets

    def expire_coins(self, *, most: int = 200) -> int:
        """Write off what is left of credits whose time is over, in at most so many wallets; returns in how many.

        Each gets one ledger entry. Run twice, or beside redemptions, nothing is written off twice: what is left is read
        under the wallet's lock. A wallet that somebody is writing to is left for the next run.
        """
        for over in WalletTransaction.objects.over():
            ids = set(over.order_by().values_list("wallet_id", flat=True)[:most])
            if ids and (done := self._write_off(over.filter(wallet__in=ids), ids)):
                return done
        return 0

    def _write_off(self, over: "WalletTransactionQuerySet", ids: set[Any]) -> int:
        entries = []
        with together():
            wallets = {wallet.pk: wallet for wallet in self.filter(pk__in=ids).locked(skip_locked=True)}
            mine = over.filter(wallet__in=[*wallets])
            for key, left in mine.order_by().values_list("wallet_id").annotate(Sum("remaining")):
                if coins := min(left, wallets[key].balance):  # a wallet never goes below zero, whatever its books say
                    entries.append(WalletTransaction.expiring(wallets[key], coins))
            mine.keep_books(remaining=0)
            self.bulk_update([entry.wallet for entry in entries], ["balance"])
            WalletTransaction.objects.bulk_create(entries)
        return len(entries)


class Wallet(StoreModel):
    """A customer's coins. Made with the customer; its balance moves only with the ledger."""

    customer = models.OneToOneField(
        "customers.Customer", on_delete=models.CASCADE, related_name="wallet", editable=False
    )
    balance = models.BigIntegerField(default=0, editable=False)

    objects = WalletQuerySet.as_manager()

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(balance__gte=0), name="wallet_never_below_zero")]

    def __str__(self) -> str:
        return f"{self.customer}: {self.balance}"

    @classmethod
    def lock(cls, **which: Any) -> "Wallet":
        """The wallet with this `pk` or `customer` as it is now, with its customer and store, until the transaction ends.

        Nobody else writes to it before. Raises Refused when there is none: it was deleted with its customer.
        """
        wallets = cls.objects.filter(**which).locked()
        if not wallets:
            raise Refused("customer", "This customer was deleted.", code="does_not_exist")
        return wallets[0]

    def as_it_is(self) -> "Wallet":
        """A copy, with its customer: what is told of now stays so when the balance moves on."""
        wallet = copy.copy(self)
        wallet.customer = copy.copy(self.customer)
        return wallet

    def record(self, *, silent: bool = False, **facts: Any) -> tuple["WalletTransaction", bool]:
        """Write one ledger entry with these facts (of `WalletTransaction.draft()`); returns it and whether it is new.

        Not new: this reference was already counted. Raises Refused when there are not enough coins or the entry breaks a
        rule, Conflict when the reference was used for something else.
        """
        entry, new = WalletTransaction.objects.record({"wallet": self, **facts}, silent=silent)
        if new:
            self.balance = entry.wallet.balance
        return entry, new


EARNED = Q(type=WalletTransactionType.REWARD) | Q(type=WalletTransactionType.REVERT, operation=Operation.DEBIT)


class WalletTransactionQuerySet(RecordingQuerySet):
    def earned(self) -> "WalletTransactionQuerySet":
        """Entries that count as earned: rewards, and what of them was reverted."""
        return self.filter(EARNED, status=WalletTransactionStatus.SUCCESS)


class WalletTransaction(StoreModel, FactModel):
    """One ledger entry. Its facts never change; its status moves once, from pending to success or cancelled."""

    MOVING: ClassVar[frozenset[str]] = frozenset({"status", "balance_after", "effective_at"})  # together, and once
    BOOKS: ClassVar[frozenset[str]] = frozenset({"remaining"})

    wallet = models.ForeignKey(Wallet, on_delete=models.CASCADE, related_name="transactions", editable=False)
    type = models.CharField(max_length=10, choices=WalletTransactionType)
    operation = models.CharField(max_length=2, choices=Operation)
    source = models.CharField(max_length=10, choices=Source, default=Source.API)
    amount = models.BigIntegerField(
        validators=[
            MinValueValidator(1, "Coins must be 1 or more."),
            MaxValueValidator(MOST_COINS, "That is more coins than a wallet can hold."),
        ],
        help_text="Whole coins, above zero.",
    )
    balance_after = models.BigIntegerField(null=True, editable=False)
    status = models.CharField(max_length=10, choices=WalletTransactionStatus, default=WalletTransactionStatus.SUCCESS)
    title = models.CharField(max_length=120, blank=True)
    description = models.CharField(max_length=500, blank=True)
    reference = models.CharField(
        max_length=120, null=True, blank=True, help_text="Your own id of this entry: each is counted once in a store."
    )
    fingerprint = models.CharField(max_length=64, editable=False)
    remaining = models.BigIntegerField(default=0, editable=False)  # of a credit, what is not yet spent or expired
    expires_at = models.DateTimeField(
        null=True, blank=True, help_text="Left empty, coins expire as the store has set for all of them."
    )
    effective_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = WalletTransactionQuerySet.as_manager()  # type: ignore[misc]  # takes the place of FactModel's

    class Meta:
        ordering = ("-id",)
        constraints = [
            models.UniqueConstraint(fields=["store", "reference"], name="reference_counted_once"),
            models.CheckConstraint(
                condition=Q(amount__gt=0), name="amount_above_zero", violation_error_message="Coins must be 1 or more."
            ),
            models.CheckConstraint(
                condition=(
                    Q(status="success", balance_after__isnull=False, effective_at__isnull=False)
                    | Q(status__in=["pending", "cancelled"], balance_after__isnull=True)
                ),
                name="balance_after_once_effective",
            ),
            models.CheckConstraint(
                condition=(
                    Q(type="reward", operation="cr")
                    | Q(type__in=["redeem", "expire"], operation="dr")
                    | Q(type__in=["adjust", "revert"], operation__in=["cr", "dr"])
                ),
                name="operation_fits_type",
            ),
            models.CheckConstraint(
                condition=(
                    Q(remaining=0) | Q(operation="cr", status="success", remaining__gt=0, remaining__lte=F("amount"))
                ),
                name="remaining_within_credit",
            ),
        ]
        indexes = [
            models.Index(fields=["store", "-id"], name="transaction_newest"),
            models.Index(fields=["wallet", "-id"], name="transaction_of_wallet"),
            models.Index(fields=["wallet", "effective_at", "id"], condition=Q(remaining__gt=0), name="credit_left"),
            models.Index(
                fields=["expires_at"], condition=Q(remaining__gt=0, expires_at__isnull=False), name="credit_own_expiry"
            ),
            models.Index(
                fields=["store", "effective_at"],
                condition=Q(remaining__gt=0, expires_at__isnull=True),
                name="credit_store_expiry",
            ),
        ]

    def __str__(self) -> str:
        sign = "+" if self.operation == Operation.CREDIT else "-"
        return f"{sign}{self.amount} ({self.get_type_display().lower()})"

    def clean(self) -> None:
        fixed = {
            WalletTransactionType.REWARD: Operation.CREDIT,
            WalletTransactionType.REDEEM: Operation.DEBIT,
            WalletTransactionType.EXPIRE: Operation.DEBIT,
        }
        wanted = fixed.get(self.type)  # type: ignore[call-overload]
        if wanted and self.operation in Operation.values and self.operation != wanted:
            raise Refused(
                "operation",
                f"A transaction of the type {self.type} is always {wanted.label.lower()} ({wanted.value}).",
                code="operation_does_not_fit",
            )
        if self._state.adding and self.status == WalletTransactionStatus.CANCELLED:
            raise Refused("status", "A new transaction is either success or pending.", code="invalid_choice")

    @property
    def runs_out_at(self) -> datetime | None:
        """When what is left of this credit expires, as its own time or the store's setting says now; None: never."""
        if self.expires_at or self.operation != Operation.CREDIT or self.effective_at is None:
            return self.expires_at
        return self.wallet.store.coins_run_out_at(self.effective_at)

    @classmethod
    def draft(
        cls,
        *,
        wallet: Wallet,
        type: str,
        operation: str,
        amount: int,
        source: str = Source.API,
        status: str = WalletTransactionStatus.SUCCESS,
        reference: str | None = None,
        title: str = "",
        description: str = "",
        expires_at: datetime | None = None,
        request_fingerprint: str = "",
    ) -> "WalletTransaction":
        """The unsaved entry with these facts, not judged yet; it has not taken effect.

        `amount` is in whole coins, above zero. `status` is success (to take effect at once) or pending.
        """
        facts: dict[str, Any] = {
            "type": type,
            "operation": operation,
            "amount": amount,
            "source": source,
            "status": status,
            "title": title,
            "description": description,
        }
        return cls(
            store_id=wallet.store_id,
            wallet=wallet,
            reference=(reference or "").strip() or None,
            expires_at=expires_at,
            fingerprint=request_fingerprint
            or fingerprint(wallet=wallet.pk, expires_at=expires_at and expires_at.timestamp(), **facts),
            **facts,
        )

    @classmethod
    def expiring(cls, wallet: Wallet, coins: int) -> "WalletTransaction":
        """The unsaved entry that takes expired coins out of a locked wallet, whose balance it moves."""
        wallet.balance -= coins
        return cls(
            store_id=wallet.store_id,
            wallet=wallet,
            type=WalletTransactionType.EXPIRE,
            operation=Operation.DEBIT,
            source=Source.REMINDER,
            amount=coins,
            balance_after=wallet.balance,
            effective_at=timezone.now(),
            title="Coins expired",
            fingerprint=fingerprint(expired=wallet.pk),
        )

    def check_change(self, previous: Mapping[str, Any]) -> None:
        """Only its status moves, with what that brings about, and only out of pending."""
        if previous.keys() - self.MOVING or previous.get("status") != WalletTransactionStatus.PENDING:
            raise TypeError(
                "A ledger entry is never altered once it is written; settle() and cancel() end a pending one."
            )

    def counted_before(self) -> "WalletTransaction | None":
        """The entry that already has this reference and says the same; Conflict when it says something else."""
        for known in WalletTransaction.objects.counted([self]).values():
            return known.repeated_by(self)
        return None

    def repeated_by(self, other: "WalletTransaction") -> "WalletTransaction":
        """This entry, when the other one, with the same reference, says the same. Raises Conflict."""
        if self.fingerprint != other.fingerprint:
            raise Conflict(
                "reference",
                f"The reference {self.reference} was already used for another transaction of this store.",
                code="reference_conflict",
            )
        return self

    def take_effect(self, wallet: Wallet) -> None:
        """Move the locked wallet's balance and note it, both unsaved: `WalletTransaction.objects.take_effect()` writes it.

        Raises Refused when that would leave less than nothing in the wallet, or more than it can hold.
        """
        change = self.amount if self.operation == Operation.CREDIT else -self.amount
        if wallet.balance + change < 0:
            raise Refused("amount", only(wallet.balance), code="not_enough_coins")
        if wallet.balance + change > MOST_COINS:
            raise Refused("amount", "That is more coins than a wallet can hold.", code="too_many")
        wallet.balance += change
        self.remaining = max(change, 0)
        self.wallet = wallet
        self.balance_after = wallet.balance
        self.effective_at = timezone.now()
        self.status = WalletTransactionStatus.SUCCESS

    @classmethod
    def follow(cls, new: list[Fact]) -> None:
        """Coins earned, or reverted, may move their customers to another tier; more coins may reach a reward."""
        effective = [
            fact
            for fact in new
            if isinstance(fact.instance, cls)
            and fact.instance.status == WalletTransactionStatus.SUCCESS
            and (fact.created or "status" in fact.previous)
        ]
        entries: list[Any] = [fact.instance for fact in effective]
        wallets = {
            entry.wallet_id: entry.wallet
            for entry in entries
            if entry.type in (WalletTransactionType.REWARD, WalletTransactionType.REVERT)
            and entry.wallet.store.tier_criterion == TierCriterion.COINS_EARNED
        }
        if wallets:
            silent = all(fact.silent for fact in effective)
            TierChange.objects.judge([wallet.customer for wallet in wallets.values()], silent=silent)
        apps.get_model("customers", "AvailableReward").objects.notice(effective)

    def settle(self) -> None:
        """Pending becomes success: the entry takes effect now.

        Raises Conflict when it is no longer pending, Refused when the wallet does not have the coins.
        """
        with transaction.atomic():
            self.take_effect(self._lock_pending())
            WalletTransaction.objects.take_effect([self])
            left = self.remaining
            self.save(update_fields=self.MOVING)
            if left:
                WalletTransaction.objects.filter(pk=self.pk).keep_books(remaining=left)
                self.remaining = left

    def cancel(self) -> None:
        """Pending becomes cancelled: the entry never takes effect. Raises Conflict when it is no longer pending."""
        with transaction.atomic():
            self.wallet = self._lock_pending()
            self.status = WalletTransactionStatus.CANCELLED
            self.save(update_fields=self.MOVING)

    def _lock_pending(self) -> Wallet:
        wallet = Wallet.lock(pk=self.wallet_id)
        self.refresh_from_db(fields=self.MOVING)
        if self.status != WalletTransactionStatus.PENDING:
            raise Conflict("status", f"This transaction is already {self.status}.", code="already_settled")
        return wallet


MEASURES[TierCriterion.COINS_EARNED] = Measure(
    rows=WalletTransaction.objects.earned,
    customer="wallet__customer",
    at="effective_at",
    value=Case(
        When(operation=Operation.DEBIT, then=F("amount") * -1),
        default=F("amount"),
        output_field=models.BigIntegerField(),
    ),
)
