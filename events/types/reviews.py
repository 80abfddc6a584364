"""Events about reviews."""

from collections.abc import Mapping
from typing import Any

from customers.models import Customer, Review
from events.catalogue import created, declare, updated
from events.fields import Field, Kind

REVIEW_FIELDS = (
    Field(name="review_rating", kind=Kind.INTEGER, label="Rating", sample=5, nullable=False, help="From 1 to 5."),
    Field(name="review_is_verified", kind=Kind.BOOLEAN, label="Verified", sample=True, nullable=False),
    Field(name="review_is_featured", kind=Kind.BOOLEAN, label="Featured", sample=False, nullable=False),
    Field(name="review_title", kind=Kind.TEXT, label="Review title", sample="My new favourite"),
    Field(name="review_description", kind=Kind.TEXT, label="Review text", sample="Smooth, and never bitter."),
    Field(name="review_reference_product_id", kind=Kind.TEXT, label="Product id", sample="espresso-1kg"),
    Field(name="review_reference_product_source", kind=Kind.CHOICE, label="Product source", sample="shopify"),
    Field(
        name="review_id",
        kind=Kind.TEXT,
        label="Review id",
        sample="01932c5e-8f3a-7c11-9d1b-2f6f8a4f0c16",
        nullable=False,
        restrict=False,
    ),
)


def author(review: Review) -> Customer:
    """Who wrote it."""
    return review.customer


def _fields(review: Review) -> dict[str, Any]:
    return {
        "review_id": str(review.pk),
        "review_rating": review.rating,
        "review_title": review.title or None,
        "review_description": review.description or None,
        "review_is_verified": review.is_verified,
        "review_is_featured": review.is_featured,
        "review_reference_product_id": review.reference_product_id or None,
        "review_reference_product_source": review.reference_product_source or None,
    }


def _written(payload: Mapping[str, Any]) -> str:
    """Such as `4 of 5 stars: Lovely crema`."""
    title = f": {payload['review_title']}" if payload["review_title"] else ""
    return f"{payload['review_rating']} of 5 stars{title}"


@declare(
    key="review_create",
    label="Review Is Created",
    group="Reviews",
    model=Review,
    when=created,
    customer=author,
    fields=REVIEW_FIELDS,
    tell=_written,
)
def review_create(review: Review) -> dict[str, Any]:
    """Fires when a customer reviews a product."""
    return _fields(review)


@declare(
    key="review_update",
    label="Review Is Updated",
    group="Reviews",
    model=Review,
    when=updated,
    customer=author,
    fields=REVIEW_FIELDS,
)
def review_update(review: Review) -> dict[str, Any]:
    """Fires when a review changes: its rating or text, or it is verified or featured."""
    return _fields(review)
