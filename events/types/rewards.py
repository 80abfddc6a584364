"""Events about rewards that come within reach."""

from collections.abc import Mapping
from typing import Any

from customers.models import AvailableReward, Customer
from events.catalogue import created, declare
from events.fields import Field, Kind


def saver(reward: AvailableReward) -> Customer:
    """Who has the coins for it."""
    return reward.customer


def _reached(payload: Mapping[str, Any]) -> str:
    """Such as `Enough for 5 off: 100 Beans`."""
    what = f"Enough for {payload['offer_name']}" if payload["offer_name"] else "Enough for a reward"
    return f"{what}: {payload['reward_coin_amount']:,} {payload['business_coin_name']}"


@declare(
    key="rewardavailable_create",
    label="Reward Available",
    group="Coins",
    model=AvailableReward,
    when=created,
    customer=saver,
    fields=(
        Field(
            name="reward_coin_amount",
            kind=Kind.INTEGER,
            label="Coins that it takes",
            sample=100,
            nullable=False,
            help="What the cheapest offer costs, or what the store has set.",
        ),
        Field(name="offer_name", kind=Kind.TEXT, label="Offer name", sample="10 off"),
        Field(
            name="offer_description",
            kind=Kind.TEXT,
            label="Offer description",
            sample="For your next order",
            restrict=False,
        ),
        Field(
            name="offer_id",
            kind=Kind.TEXT,
            label="Offer id",
            sample="01932c5e-8f3a-7c11-9d1b-2f6f8a4f0c14",
            restrict=False,
        ),
    ),
    tell=_reached,
)
def rewardavailable_create(reward: AvailableReward) -> dict[str, Any]:
    """Fires when a balance rises to what the cheapest offer costs; again only after it fell below."""
    offer = reward.offer
    return {
        "reward_coin_amount": reward.price,
        "offer_id": str(offer.pk) if offer else None,
        "offer_name": offer.name if offer else None,
        "offer_description": (offer.description or None) if offer else None,
    }
