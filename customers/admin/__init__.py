"""The screens of the facts, one module for each group."""

from customers.admin.customer import CustomerAdmin, WalletTransactionAdmin
from customers.admin.offer import CouponAdmin, OfferAdmin
from customers.admin.order import OrderAdmin
from customers.admin.referral import ReferralAdmin
from customers.admin.review import ReviewAdmin
from customers.admin.store import ApiKeyAdmin, StoreAdmin, StoreMembershipAdmin
from customers.admin.tier import TierAdmin

__all__ = [
    "ApiKeyAdmin",
    "CouponAdmin",
    "CustomerAdmin",
    "OfferAdmin",
    "OrderAdmin",
    "ReferralAdmin",
    "ReviewAdmin",
    "StoreAdmin",
    "StoreMembershipAdmin",
    "TierAdmin",
    "WalletTransactionAdmin",
]
