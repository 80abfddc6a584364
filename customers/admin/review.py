"""The screens of reviews."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from customers.admin.pages import RowAction, RowActionsAdmin
from customers.models import Review


@admin.register(Review)
class ReviewAdmin(RowActionsAdmin):
    """What customers say of the store and its products."""

    list_display = ("__str__", "customer", "rating", "is_verified", "is_featured", "reference_product_id", "created_at")
    list_select_related = ("customer",)
    list_filter = ("rating", "is_verified", "is_featured", "created_at")
    search_fields = ("reference_product_id__exact", "customer__email__exact", "customer__external_id__exact")
    search_help_text = "Product id, or the customer's e-mail or id"
    show_full_result_count = False
    autocomplete_fields = ("customer",)
    actions = None
    row_actions = (
        RowAction(
            name="verify",
            label="Mark as verified",
            run=Review.verify,
            done="The review is verified.",
            offered=lambda review: not review.is_verified,
        ),
        RowAction(
            name="feature",
            label="Feature",
            run=Review.feature,
            done="The review is featured: the store shows it to others.",
            offered=lambda review: not review.is_featured,
        ),
        RowAction(
            name="hide",
            label="No longer feature",
            run=lambda review: review.feature(shown=False),
            done="The review is no longer featured.",
            offered=lambda review: review.is_featured,
        ),
    )
    fields = (
        *("customer", "rating", "title", "description", "is_verified", "is_featured"),
        *("reference_product_id", "reference_product_source"),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("customer", "created_at") if obj else ()

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return (*self.fields, *(("created_at",) if obj else ()))
