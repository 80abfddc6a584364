"""One module for each group of facts."""

from customers.models.custom_events import CustomEvent
from customers.models.customer import Customer
from customers.models.kept_answer import KeptAnswer
from customers.models.offer import Coupon, Offer
from customers.models.orders import Order, OrderItem
from customers.models.referrals import Referral
from customers.models.reviews import Review
from customers.models.rewards import AvailableReward
from customers.models.store import ApiKey, NamedQuerySet, Role, Store, StoreMembership, StoreModel
from customers.models.tiers import Tier, TierChange
from customers.models.wallet import Wallet, WalletTransaction

__all__ = [
    "ApiKey",
    "AvailableReward",
    "Coupon",
    "CustomEvent",
    "Customer",
    "KeptAnswer",
    "NamedQuerySet",
    "Offer",
    "Order",
    "OrderItem",
    "Referral",
    "Review",
    "Role",
    "Store",
    "StoreMembership",
    "StoreModel",
    "Tier",
    "TierChange",
    "Wallet",
    "WalletTransaction",
]
