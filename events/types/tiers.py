"""Events about VIP tiers."""

from typing import Any

from customers.models import Customer, TierChange
from customers.models.tiers import Direction
from events.catalogue import created, declare
from events.common import moment
from events.fields import Field, Kind


def member(change: TierChange) -> Customer:
    """Who went up or down."""
    return change.customer


@declare(
    key="viptier_create",
    label="VIP Tier Changed",
    group="VIP tiers",
    model=TierChange,
    when=created,
    customer=member,
    fields=(
        Field(
            name="tier_name",
            kind=Kind.CHOICE,
            label="New tier",
            sample="Gold",
            help="Unknown (null) for no tier at all.",
        ),
        Field(name="tier_previous_name", kind=Kind.CHOICE, label="Previous tier", sample="Silver"),
        Field(
            name="tier_direction",
            kind=Kind.CHOICE,
            label="Tier Directions",
            sample="up",
            choices=Direction,
            nullable=False,
        ),
        Field(
            name="tier_expires_at",
            kind=Kind.TIME,
            label="Tier is held until",
            sample="2036-06-01T00:00:00+00:00",
            restrict=False,
        ),
    ),
)
def viptier_create(change: TierChange) -> dict[str, Any]:
    """Fires when a customer goes up to a higher VIP tier, or falls back to a lower one or to none."""
    return {
        "tier_name": change.name,
        "tier_previous_name": change.previous_name,
        "tier_direction": change.direction,
        "tier_expires_at": moment(change.expires_at),
    }
