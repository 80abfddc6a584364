"""Events about coins."""

from collections.abc import Mapping
from typing import Any

from customers.facts import Fact
from customers.models import Customer, WalletTransaction
from customers.models.coins import Operation, Source, WalletTransactionStatus, WalletTransactionType
from events.catalogue import declare
from events.common import moment
from events.fields import Field, Kind

WALLET_FIELDS = (
    Field(
        name="wallettransaction_type",
        kind=Kind.CHOICE,
        label="Wallet Transaction Types",
        sample="reward",
        choices=WalletTransactionType,
        nouns={
            "reward": "rewards",
            "redeem": "redemptions",
            "adjust": "adjustments",
            "expire": "expiries",
            "revert": "reversals",
        },
        nullable=False,
    ),
    Field(
        name="wallettransaction_operation",
        kind=Kind.CHOICE,
        label="Wallet Transaction Operations",
        sample="cr",
        choices=Operation,
        nullable=False,
    ),
    Field(name="wallettransaction_amount", kind=Kind.INTEGER, label="Coins", sample=50, nullable=False),
    Field(
        name="wallettransaction_source",
        kind=Kind.CHOICE,
        label="Wallet Transaction Sources",
        sample="order",
        choices=Source,
        nullable=False,
    ),
    Field(
        name="wallettransaction_status",
        kind=Kind.CHOICE,
        label="Wallet Transaction Statuses",
        sample="success",
        choices=WalletTransactionStatus,
        nullable=False,
    ),
    Field(name="wallettransaction_balance_after", kind=Kind.INTEGER, label="Balance after", sample=170),
    Field(name="wallettransaction_title", kind=Kind.TEXT, label="Title", sample="Order 1042"),
    Field(name="wallettransaction_description", kind=Kind.TEXT, label="Description", sample="Thank you for your order"),
    Field(name="wallettransaction_reference", kind=Kind.TEXT, label="Reference", sample="order-1042"),
    Field(
        name="wallettransaction_expires_at",
        kind=Kind.TIME,
        label="Coins expire at",
        sample="2036-06-01T00:00:00+00:00",
        restrict=False,
    ),
    Field(
        name="wallettransaction_created_at",
        kind=Kind.TIME,
        label="Created at",
        sample="2026-06-01T10:15:00+00:00",
        nullable=False,
    ),
    Field(
        name="wallettransaction_id",
        kind=Kind.TEXT,
        label="Wallet transaction id",
        sample="01932c5e-8f3a-7c11-9d1b-2f6f8a4f0c12",
        nullable=False,
        restrict=False,
    ),
)


def owner(entry: WalletTransaction) -> Customer:
    """The customer whose wallet it is."""
    return entry.wallet.customer


def took_effect(fact: Fact) -> bool:
    """The entry moved the balance with this very change."""
    entry = fact.instance
    assert isinstance(entry, WalletTransaction)
    return entry.status == WalletTransactionStatus.SUCCESS and (fact.created or "status" in fact.previous)


def left_pending(fact: Fact) -> bool:
    """A pending entry became success or cancelled."""
    return fact.previous.get("status") == WalletTransactionStatus.PENDING


def _fields(entry: WalletTransaction) -> dict[str, Any]:
    return {
        "wallettransaction_id": str(entry.pk),
        "wallettransaction_type": entry.type,
        "wallettransaction_operation": entry.operation,
        "wallettransaction_source": entry.source,
        "wallettransaction_amount": entry.amount,
        "wallettransaction_balance_after": entry.balance_after,
        "wallettransaction_title": entry.title or None,
        "wallettransaction_description": entry.description or None,
        "wallettransaction_status": entry.status,
        "wallettransaction_reference": entry.reference,
        "wallettransaction_expires_at": moment(entry.runs_out_at),
        "wallettransaction_created_at": moment(entry.created_at),
    }


def _moved(payload: Mapping[str, Any]) -> str:
    """Such as `50 Beans credited (reward): Order 4711`."""
    operation = Operation(payload["wallettransaction_operation"]).label.lower()
    kind = WalletTransactionType(payload["wallettransaction_type"]).label.lower()
    title = f": {payload['wallettransaction_title']}" if payload["wallettransaction_title"] else ""
    coins = f"{payload['wallettransaction_amount']:,} {payload['business_coin_name']}"
    return f"{coins} {operation} ({kind}){title}"


def _settled(payload: Mapping[str, Any]) -> str:
    """Such as `80 Beans credited (reward): Brought a friend. It was pending and is now success`."""
    status = WalletTransactionStatus(payload["wallettransaction_status"]).label.lower()
    return f"{_moved(payload)}. It was pending, and is now {status}"


@declare(
    key="walletreward_create",
    label="Wallet Coins Rewarded",
    group="Coins",
    model=WalletTransaction,
    when=took_effect,
    customer=owner,
    fields=WALLET_FIELDS,
    initial_restrictions=(
        {"field": "wallettransaction_type", "operator": "any_of", "value": ["reward"]},
        {"field": "wallettransaction_operation", "operator": "any_of", "value": ["cr"]},
    ),
    tell=_moved,
)
def walletreward_create(entry: WalletTransaction) -> dict[str, Any]:
    """Fires when coins move in a wallet: as rewards, unless you widen its restrictions to redeemed or expired coins."""
    return _fields(entry)


@declare(
    key="wallettransaction_update",
    label="Wallet Transaction Is Updated",
    group="Coins",
    model=WalletTransaction,
    when=left_pending,
    customer=owner,
    fields=WALLET_FIELDS,
    tell=_settled,
)
def wallettransaction_update(entry: WalletTransaction) -> dict[str, Any]:
    """Fires when a pending wallet transaction succeeds or is cancelled."""
    return _fields(entry)
