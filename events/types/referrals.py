"""Events about referrals: a customer brings a friend, and both hear of it."""

from collections.abc import Mapping
from typing import Any

from customers.facts import Fact
from customers.models import Customer, Referral
from customers.models.referrals import ReferralStatus
from events.catalogue import created, declare
from events.common import moment
from events.fields import Field, Kind

PERSON = (("name", "name"), ("email", "e-mail"), ("mobile", "mobile"), ("referral_code", "referral code"))
SAMPLES = {
    "referrer": ("Asha Rao", "asha@example.com", "+4915112345678", "ASHA10"),
    "referee": ("Lea Brandt", "lea@example.com", "+4915112345679", "LEA10"),
}
PEOPLE = tuple(
    Field(name=f"{who}_{what}", kind=Kind.TEXT, label=f"{label} {words}", sample=sample)
    for who, label in (("referrer", "Referrer"), ("referee", "Friend"))
    for (what, words), sample in zip(PERSON, SAMPLES[who], strict=True)
)
REFERRAL_FIELDS = (
    Field(
        name="referral_status",
        kind=Kind.CHOICE,
        label="Referral Statuses",
        sample="completed",
        choices=ReferralStatus,
        nullable=False,
    ),
    Field(
        name="referral_reward_amount",
        kind=Kind.INTEGER,
        label="Coins for the referrer",
        sample=200,
        help="Unknown (null) until the referral is completed.",
    ),
    Field(name="referral_coupon_code", kind=Kind.TEXT, label="The friend's coupon code", sample="WELCOME10"),
    *PEOPLE,
    Field(
        name="referral_link",
        kind=Kind.TEXT,
        label="The referrer's link",
        sample="https://example.com/?ref=ASHA10",
        restrict=False,
    ),
    Field(
        name="referral_created_at",
        kind=Kind.TIME,
        label="Referral started at",
        sample="2026-06-01T10:15:00+00:00",
        nullable=False,
    ),
    Field(
        name="referral_id",
        kind=Kind.TEXT,
        label="Referral id",
        sample="01932c5e-8f3a-7c11-9d1b-2f6f8a4f0c17",
        nullable=False,
        restrict=False,
    ),
)


def referrer(referral: Referral) -> Customer:
    """Who brought the friend."""
    return referral.referrer


def referee(referral: Referral) -> Customer:
    """The friend."""
    return referral.referee


def friend_got_coupon(fact: Fact) -> bool:
    """It started, and the friend has a discount to hear of."""
    assert isinstance(fact.instance, Referral)
    return fact.created and fact.instance.coupon_id is not None


def completed(fact: Fact) -> bool:
    """It was completed with this very change."""
    assert isinstance(fact.instance, Referral)
    return "status" in fact.previous and fact.instance.status == ReferralStatus.COMPLETED


def _fields(referral: Referral) -> dict[str, Any]:
    people = {f"{who}_{what}": getattr(getattr(referral, who), what) or None for who in SAMPLES for what, _ in PERSON}
    return {
        "referral_id": str(referral.pk),
        "referral_status": referral.status,
        "referral_link": referral.link,
        "referral_reward_amount": referral.reward_amount,
        "referral_coupon_code": referral.coupon.code if referral.coupon else None,
        "referral_created_at": moment(referral.created_at),
        **people,
    }


def _person(payload: Mapping[str, Any], who: str) -> str:
    return str(payload[f"{who}_name"] or payload[f"{who}_email"] or "somebody")


def _brought(payload: Mapping[str, Any]) -> str:
    """Such as `Asha Rao brought Lea Brandt`."""
    return f"{_person(payload, 'referrer')} brought {_person(payload, 'referee')}"


def _discount(payload: Mapping[str, Any]) -> str:
    """Such as `Coupon WELCOME10 for a friend of Asha Rao`."""
    return f"Coupon {payload['referral_coupon_code']} for a friend of {_person(payload, 'referrer')}"


def _bought(payload: Mapping[str, Any]) -> str:
    """Such as `Lea Brandt, brought by Asha Rao, bought something: 200 Beans`."""
    coins = f": {payload['referral_reward_amount']:,} {payload['business_coin_name']}"
    return f"{_person(payload, 'referee')}, brought by {_person(payload, 'referrer')}, bought something{coins}"


@declare(
    key="referral_create",
    label="Referral Started",
    group="Referrals",
    model=Referral,
    when=created,
    customer=referrer,
    fields=REFERRAL_FIELDS,
    tell=_brought,
)
def referral_create(referral: Referral) -> dict[str, Any]:
    """Fires when a customer brings a friend. It is about the customer who brought the friend."""
    return _fields(referral)


@declare(
    key="referral_complete",
    label="Referral Completed",
    group="Referrals",
    model=Referral,
    when=completed,
    customer=referrer,
    fields=REFERRAL_FIELDS,
    tell=_bought,
)
def referral_complete(referral: Referral) -> dict[str, Any]:
    """Fires when the friend bought something, and both got their coins. It is about the customer who brought the friend."""
    return _fields(referral)


@declare(
    key="refereenotify_create",
    label="Referee Notified",
    group="Referrals",
    model=Referral,
    when=friend_got_coupon,
    customer=referee,
    fields=REFERRAL_FIELDS,
    tell=_discount,
)
def refereenotify_create(referral: Referral) -> dict[str, Any]:
    """Fires when a friend who was brought gets a discount. It is about the friend, so that you can send the code there."""
    return _fields(referral)


@declare(
    key="referrernotify_create",
    label="Referrer Notified",
    group="Referrals",
    model=Referral,
    when=completed,
    customer=referrer,
    fields=REFERRAL_FIELDS,
    tell=_bought,
)
def referrernotify_create(referral: Referral) -> dict[str, Any]:
    """Fires when a referral is completed, so that you can tell the customer who brought the friend of the reward."""
    return _fields(referral)
