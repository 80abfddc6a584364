"""The words and numbers of coins: what a ledger entry may say of itself, and how people read an amount."""

import hashlib
import json
from typing import Any

from django.db import models

MOST_COINS = 10**15  # in one wallet; also a whole number that every reader of JSON can hold


class WalletTransactionType(models.TextChoices):
    REWARD = "reward", "Reward"
    REDEEM = "redeem", "Redeem"
    ADJUST = "adjust", "Adjust"
    EXPIRE = "expire", "Expire"
    REVERT = "revert", "Revert"


class Operation(models.TextChoices):
    CREDIT = "cr", "Credited"
    DEBIT = "dr", "Debited"


class Source(models.TextChoices):
    """What brought the entry about."""

    ORDER = "order", "Order"
    SIGNUP = "signup", "Sign-up"
    REFERRAL = "referral", "Referral"
    REVIEW = "review", "Review"
    BIRTHDAY = "birthday", "Birthday"
    SOCIAL = "social", "Social"
    TIER = "tier", "Tier"
    IMPORT = "import", "Import"
    MANUAL = "manual", "Manual"
    API = "api", "API"
    REMINDER = "reminder", "Reminder"


class WalletTransactionStatus(models.TextChoices):
    PENDING = "pending", "Pending"
    SUCCESS = "success", "Success"
    CANCELLED = "cancelled", "Cancelled"


def in_words(coins: int) -> str:
    """Such as "1 coin" or "40 coins"."""
    return "1 coin" if coins == 1 else f"{coins} coins"


def only(coins: int) -> str:
    """Such as "Only 1 coin is in the wallet."."""
    return f"Only {in_words(coins)} {'is' if coins == 1 else 'are'} in the wallet."


def fingerprint(**facts: Any) -> str:
    """The same for the same facts: tells a repeated request from another one under the same reference."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()
