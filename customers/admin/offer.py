"""The screens of offers and coupons."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from customers.admin.pages import RowAction, RowActionsAdmin
from customers.models import Coupon, Offer
from customers.models.offer import CouponStatus
from customers.tenancy import StoreModelAdmin


@admin.register(Offer)
class OfferAdmin(StoreModelAdmin):
    """What customers get for their coins."""

    list_display = ("name", "price", "value", "value_type", "enabled")
    list_filter = ("enabled", "value_type")
    search_fields = ("name",)
    search_help_text = "Name"
    actions = None
    fieldsets = (
        (None, {"fields": ("name", "description", "price", "enabled")}),
        ("Its coupons", {"fields": ("value_type", "value", "minimum_order", "coupon_days", "redirect_link")}),
    )


def is_issued(coupon: Coupon) -> bool:
    """Whether it can still be used, and ended."""
    return coupon.status == CouponStatus.ISSUED


@admin.register(Coupon)
class CouponAdmin(RowActionsAdmin):
    """Codes that customers got: given, and ended by their own actions."""

    change_role = delete_role = None
    list_display = ("code", "customer", "offer", "status", "coin_amount", "expires_at", "created_at")
    list_select_related = ("customer", "offer")
    list_filter = ("status", "type", "source", "created_at")
    search_fields = ("code__exact", "customer__email__exact", "customer__external_id__exact")
    search_help_text = "Code, or the customer's e-mail or id"
    show_full_result_count = False
    autocomplete_fields = ("customer", "offer")
    actions = None
    row_actions = (
        RowAction(
            name="redeem",
            label="Mark as redeemed",
            run=Coupon.redeem,
            done="The coupon is redeemed.",
            offered=is_issued,
        ),
        RowAction(
            name="expire",
            label="Expire",
            run=Coupon.expire,
            done="The coupon is expired.",
            offered=is_issued,
        ),
        RowAction(
            name="cancel",
            label="Cancel",
            run=Coupon.cancel,
            done="The coupon is cancelled.",
            offered=is_issued,
            danger=True,
        ),
    )
    own = ("customer", "offer", "code", "type", "source", "value_type", "value", "minimum_order", "redirect_link")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return (*self.own, "expires_at", *(("status", "coin_amount", "created_at") if obj else ()))
