"""The screens of the facts, one module for each group."""

from customers.admin.customer import CustomerAdmin, WalletTransactionAdmin
from customers.admin.offer import CouponAdmin, OfferAdmin
from customers.admin.store import ApiKeyAdmin, StoreAdmin, StoreMembershipAdmin

__all__ = [
    "ApiKeyAdmin",
    "CouponAdmin",
    "CustomerAdmin",
    "OfferAdmin",
    "StoreAdmin",
    "StoreMembershipAdmin",
    "WalletTransactionAdmin",
]
