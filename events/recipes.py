"""Recipes: what store admins ask for in their own words, as a send event with everything already filled in."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from events import catalogue
from events.catalogue import EventType


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A starting point for a send event; `restrictions` as they are stored on it."""

    key: str
    label: str
    help: str
    event_key: str
    name: str
    restrictions: tuple[Mapping[str, Any], ...]

    @property
    def kind(self) -> EventType:
        """Its event."""
        return catalogue.event_type(self.event_key)


def _is(field: str, *values: str) -> dict[str, Any]:
    return {"field": field, "operator": "any_of", "value": list(values)}


RECIPES: Mapping[str, Recipe] = {
    recipe.key: recipe
    for recipe in (
        Recipe(
            key="coins_rewarded",
            label="Coins rewarded",
            help="A customer got coins as a reward.",
            event_key="walletreward_create",
            name="coins_rewarded",
            restrictions=(_is("wallettransaction_type", "reward"), _is("wallettransaction_operation", "cr")),
        ),
        Recipe(
            key="coins_redeemed",
            label="Coins redeemed",
            help="A customer spent coins.",
            event_key="walletreward_create",
            name="coins_redeemed",
            restrictions=(_is("wallettransaction_type", "redeem"),),
        ),
        Recipe(
            key="coins_expired",
            label="Coins expired",
            help="Coins of a customer ran out of time.",
            event_key="walletreward_create",
            name="coins_expired",
            restrictions=(_is("wallettransaction_type", "expire"),),
        ),
        Recipe(
            key="coupon_created",
            label="Coupon created",
            help="A customer got a coupon.",
            event_key="coupon_create",
            name="coupon_created",
            restrictions=(),
        ),
        Recipe(
            key="coupon_redeemed",
            label="Coupon redeemed",
            help="A customer used a coupon in an order.",
            event_key="coupon_update",
            name="coupon_redeemed",
            restrictions=(_is("coupon_status", "redeemed"),),
        ),
    )
}


def plain(kind: EventType) -> Recipe:
    """The recipe of an event itself: its initial restrictions, and its key for a name."""
    return Recipe(
        key=kind.key,
        label=kind.label,
        help=kind.help,
        event_key=kind.key,
        name="",
        restrictions=kind.initial_restrictions,
    )


def groups() -> dict[str, list[EventType]]:
    """The events of the catalogue by their groups; those that recipes are about come first."""
    found: dict[str, list[EventType]] = {recipe.kind.group: [] for recipe in RECIPES.values()}
    for kind in catalogue.event_types().values():
        found.setdefault(kind.group, []).append(kind)
    return found
