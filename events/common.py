"""What every event says about its store and its customer (names: Nector's own, see docs/events.md)."""

from datetime import datetime
from typing import Any
from uuid import UUID

from customers.models import Customer, Store
from events.fields import Field, Kind


def _text(name: str, label: str, sample: Any, **more: Any) -> Field:
    return Field(name=name, kind=Kind.TEXT, label=label, sample=sample, restrict=False, **more)


EVENT_FIELDS: tuple[Field, ...] = (
    _text(
        "event_id", "Event id", "01932c5e-8f3a-7c11-9d1b-2f6f8a4f0c11", nullable=False, help="The same on every retry."
    ),
    Field(
        name="event_sequence",
        kind=Kind.INTEGER,
        label="Event sequence",
        sample=1,
        restrict=False,
        help="Grows with every event, so that receivers can order them.",
    ),
    _text("event_key", "Event key", "walletreward_create", nullable=False),
    Field(
        name="event_occurred_at",
        kind=Kind.TIME,
        label="Occurred at",
        sample="2026-06-01T10:15:00+00:00",
        nullable=False,
        restrict=False,
    ),
    Field(name="event_is_test", kind=Kind.BOOLEAN, label="Is a test", sample=True, nullable=False, restrict=False),
)
BUSINESS_FIELDS: tuple[Field, ...] = (
    _text("business_name", "Business name", "Bean & Leaf", nullable=False),
    _text("business_uri", "Website", "https://example.com/"),
    _text(
        "nector_business_uri", "Rewards page", "https://example.com/rewards", help="The rewards page, else the website."
    ),
    _text("business_coin_name", "Coin name", "Beans", nullable=False),
    _text("business_currency_code", "Currency code", "EUR", nullable=False),
    _text("business_currency_symbol", "Currency symbol", "€", nullable=False),
)
CUSTOMER_FIELDS: tuple[Field, ...] = (
    _text("user_customer_id", "Customer id", "1001", help="The customer's id in the shop."),
    _text("user_name", "Customer name", "Asha Rao"),
    _text("user_email", "Customer e-mail", "asha@example.com"),
    _text("user_mobile", "Customer mobile", "+4915112345678"),
    Field(name="user_tier", kind=Kind.CHOICE, label="Customer tier", sample="Gold"),
    Field(name="user_type", kind=Kind.CHOICE, label="Customer type", sample="customer"),
    Field(name="user_country", kind=Kind.CHOICE, label="Customer country", sample="DE", help="ISO 3166-1 code."),
    Field(
        name="user_wallet_balance",
        kind=Kind.INTEGER,
        label="Wallet balance",
        sample=120,
        help="Coins in the wallet when the event happened.",
    ),
    _text("user_referral_code", "Referral code", "ASHA10"),
    _text("user_referred_by_referral_code", "Referred by code", "LEA10"),
    Field(name="user_birth_date", kind=Kind.DATE, label="Birth date", sample="1990-05-17", restrict=False),
)
DERIVED_FIELDS: tuple[Field, ...] = (
    Field(
        name="user_has_email",
        kind=Kind.BOOLEAN,
        label="Has e-mail",
        sample=True,
        derive=lambda payload: bool(payload.get("user_email")),
        reads=("user_email",),
    ),
    Field(
        name="user_has_mobile",
        kind=Kind.BOOLEAN,
        label="Has mobile",
        sample=True,
        derive=lambda payload: bool(payload.get("user_mobile")),
        reads=("user_mobile",),
    ),
)
COMMON_FIELDS: tuple[Field, ...] = (*EVENT_FIELDS, *BUSINESS_FIELDS, *CUSTOMER_FIELDS, *DERIVED_FIELDS)


def moment(value: datetime | None) -> str | None:
    """ISO 8601 with offset, as every time in a payload."""
    return value.isoformat() if value else None


def common_payload(
    *, store: Store, customer: Customer, event_id: UUID, event_key: str, occurred_at: datetime, is_test: bool
) -> dict[str, Any]:
    """The common fields as they are now; `event_sequence` is added when the payload is read."""
    return {
        "event_id": str(event_id),
        "event_key": event_key,
        "event_occurred_at": moment(occurred_at),
        "event_is_test": is_test,
        "business_name": store.name,
        "business_uri": store.website or None,
        "nector_business_uri": store.rewards_page or store.website or None,
        "business_coin_name": store.coin_name,
        "business_currency_code": store.currency,
        "business_currency_symbol": store.currency_symbol,
        **customer_payload(customer),
    }


def customer_payload(customer: Customer) -> dict[str, Any]:
    """What every event says about its customer, as it is now."""
    return {
        "user_customer_id": customer.external_id,
        "user_name": customer.name or None,
        "user_email": customer.email,
        "user_mobile": customer.mobile,
        "user_tier": customer.tier,
        "user_type": customer.type or None,
        "user_country": customer.country or None,
        "user_wallet_balance": customer.wallet.balance,
        "user_referral_code": customer.referral_code,
        "user_referred_by_referral_code": customer.referred_by_code or None,
        "user_birth_date": customer.birth_date.isoformat() if customer.birth_date else None,
    }
