"""Events about coupons."""

from collections.abc import Mapping
from typing import Any

from customers.models import Coupon, Customer
from customers.models.offer import CouponSource, CouponStatus, CouponType, ValueType
from events.catalogue import created, declare, updated
from events.common import moment
from events.fields import Field, Kind

COUPON_FIELDS = (
    Field(
        name="coupon_status",
        kind=Kind.CHOICE,
        label="Coupon Statuses",
        sample="issued",
        choices=CouponStatus,
        nullable=False,
    ),
    Field(
        name="coupon_type", kind=Kind.CHOICE, label="Coupon Types", sample="private", choices=CouponType, nullable=False
    ),
    Field(
        name="coupon_source",
        kind=Kind.CHOICE,
        label="Coupon Sources",
        sample="nector",
        choices=CouponSource,
        nullable=False,
    ),
    Field(name="coupon_value", kind=Kind.DECIMAL, label="Coupon value", sample="10.00", nullable=False),
    Field(
        name="coupon_value_type",
        kind=Kind.CHOICE,
        label="Coupon Value Types",
        sample="amount",
        choices=ValueType,
        nullable=False,
    ),
    Field(name="coupon_coin_amount", kind=Kind.INTEGER, label="Coins spent", sample=100, nullable=False),
    Field(name="coupon_minimum_order", kind=Kind.DECIMAL, label="Minimum order", sample="0.00", nullable=False),
    Field(name="coupon_code", kind=Kind.TEXT, label="Coupon code", sample="WELCOME10", nullable=False),
    Field(
        name="coupon_expires_at",
        kind=Kind.TIME,
        label="Coupon expires at",
        sample="2036-06-01T00:00:00+00:00",
        restrict=False,
    ),
    Field(name="coupon_redirect_link", kind=Kind.TEXT, label="Link", sample="https://example.com/cart", restrict=False),
    Field(
        name="coupon_id",
        kind=Kind.TEXT,
        label="Coupon id",
        sample="01932c5e-8f3a-7c11-9d1b-2f6f8a4f0c13",
        nullable=False,
        restrict=False,
    ),
    Field(
        name="offer_id", kind=Kind.TEXT, label="Offer id", sample="01932c5e-8f3a-7c11-9d1b-2f6f8a4f0c14", restrict=False
    ),
    Field(name="offer_name", kind=Kind.TEXT, label="Offer name", sample="10 off"),
    Field(
        name="offer_description",
        kind=Kind.TEXT,
        label="Offer description",
        sample="For your next order",
        restrict=False,
    ),
)


def owner(coupon: Coupon) -> Customer:
    """The customer who got it."""
    return coupon.customer


def _fields(coupon: Coupon) -> dict[str, Any]:
    offer = coupon.offer
    return {
        "coupon_id": str(coupon.pk),
        "coupon_code": coupon.code,
        "coupon_type": coupon.type,
        "coupon_source": coupon.source,
        "coupon_status": coupon.status,
        "coupon_value": f"{coupon.value:.2f}",
        "coupon_value_type": coupon.value_type,
        "coupon_coin_amount": coupon.coin_amount,
        "coupon_minimum_order": f"{coupon.minimum_order:.2f}",
        "coupon_expires_at": moment(coupon.expires_at),
        "coupon_redirect_link": coupon.redirect_link or None,
        "offer_id": str(offer.pk) if offer else None,
        "offer_name": offer.name if offer else None,
        "offer_description": (offer.description or None) if offer else None,
    }


def _got(payload: Mapping[str, Any]) -> str:
    """Such as `Coupon K7QX for 100 Beans: 5 off`."""
    spent = payload["coupon_coin_amount"]
    price = f" for {spent:,} {payload['business_coin_name']}" if spent else ""
    return f"Coupon {payload['coupon_code']}{price}" + (f": {payload['offer_name']}" if payload["offer_name"] else "")


def _became(payload: Mapping[str, Any]) -> str:
    """Such as `Coupon K7QX: redeemed`."""
    changed = "coupon_status" in payload["changed_fields"]
    became = CouponStatus(payload["coupon_status"]).label.lower() if changed else "changed"
    return f"Coupon {payload['coupon_code']}: {became}"


@declare(
    key="coupon_create",
    label="Coupon Is Created",
    group="Coupons",
    model=Coupon,
    when=created,
    customer=owner,
    fields=COUPON_FIELDS,
    tell=_got,
)
def coupon_create(coupon: Coupon) -> dict[str, Any]:
    """Fires when a customer uses coins to get a coupon, or is given one."""
    return _fields(coupon)


@declare(
    key="coupon_update",
    label="Coupon Is Updated",
    group="Coupons",
    model=Coupon,
    when=updated,
    customer=owner,
    fields=COUPON_FIELDS,
    tell=_became,
)
def coupon_update(coupon: Coupon) -> dict[str, Any]:
    """Fires when a coupon changes: it is redeemed in an order, expires, or is cancelled."""
    return _fields(coupon)
