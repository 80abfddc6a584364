"""Restrictions as a person says them."""

from typing import Any

import pytest

from events.catalogue import event_type
from events.restrictions import read_restrictions
from events.wording import in_words

REWARD, REDEEM = (
    {"field": "wallettransaction_type", "operator": "any_of", "value": [value]} for value in ("reward", "redeem")
)
CREDITED = {"field": "wallettransaction_operation", "operator": "any_of", "value": ["cr"]}
MANY = {"field": "wallettransaction_amount", "operator": "at_least", "value": 100}
RICH = {"field": "user_wallet_balance", "operator": "at_least", "value": 500}


def words(*stored: dict[str, Any], event: str = "walletreward_create") -> str:
    return in_words(read_restrictions(event_type(event), list(stored)))


class TestInWords:
    def test_nothing_for_none(self) -> None:
        assert words() == ""

    @pytest.mark.parametrize(
        ("stored", "said"),
        [
            ([REWARD, MANY], "only rewards of at least 100 coins"),
            ([REWARD, CREDITED], "only credited rewards"),
            ([REDEEM], "only redemptions"),
            ([{**REWARD, "value": ["reward", "adjust", "revert"]}], "only rewards, adjustments or reversals"),
            ([REWARD, {**MANY, "operator": "between", "value": [5, 10]}], "only rewards of 5 to 10 coins"),
            ([{**MANY, "operator": "at_most"}], "only if at most 100 coins"),
            ([REWARD, RICH], "only rewards, if wallet balance is at least 500"),
            (
                [REWARD, RICH, {"field": "user_tier", "operator": "any_of", "value": ["Gold", "Vip"]}],
                "only rewards, if wallet balance is at least 500, and customer tier is Gold or Vip",
            ),
            ([{**REWARD, "operator": "none_of"}], "only if Wallet Transaction Types is none of Reward"),
            ([CREDITED, MANY], "only if credited, and at least 100 coins"),
            ([{"field": "user_has_email", "operator": "is", "value": True}], "only if has e-mail"),
            ([{"field": "user_has_email", "operator": "is", "value": False}], "only if has e-mail: no"),
        ],
    )
    def test_what_is_said(self, stored: list[dict[str, Any]], said: str) -> None:
        assert words(*stored) == said

    def test_choices_without_nouns_describe(self) -> None:
        used = {"field": "coupon_status", "operator": "any_of", "value": ["redeemed", "expired"]}
        assert words(used, event="coupon_update") == "only if redeemed or expired"
