"""The API of the facts, one module for each group of them."""

from customers.api.coins import CouponViewSet, CustomerViewSet, OfferViewSet, WalletTransactionViewSet
from customers.api.custom_events import CustomEventViewSet
from customers.api.orders import OrderViewSet
from customers.api.referrals import ReferralViewSet
from customers.api.reviews import ReviewViewSet
from customers.api.tiers import TierViewSet

# Prefix, viewset, and the name by which addresses are reversed; config/urls.py registers them.
api_routes = [
    ("customers", CustomerViewSet, "customer"),
    ("wallet-transactions", WalletTransactionViewSet, "wallet-transaction"),
    ("offers", OfferViewSet, "offer"),
    ("coupons", CouponViewSet, "coupon"),
    ("orders", OrderViewSet, "order"),
    ("reviews", ReviewViewSet, "review"),
    ("referrals", ReferralViewSet, "referral"),
    ("tiers", TierViewSet, "tier"),
    ("events", CustomEventViewSet, "custom-event"),
]
