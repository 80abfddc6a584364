"""What customers say of the store's products."""

from typing import ClassVar

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from customers.facts import FactModel, FactQuerySet
from customers.models.customer import Customer
from customers.models.store import StoreModel
from customers.refusals import Refused

LOWEST, HIGHEST = 1, 5  # stars


class ReviewQuerySet(FactQuerySet["Review"]):
    """Reviews."""


class Review(StoreModel, FactModel):
    """A customer's rating of a product, or of the store where no product is named."""

    UNALTERABLE: ClassVar[frozenset[str]] = frozenset({"store_id", "customer_id", "created_at"})

    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="reviews")
    rating = models.PositiveSmallIntegerField(
        validators=[
            MinValueValidator(LOWEST, "A rating is from 1 to 5."),
            MaxValueValidator(HIGHEST, "A rating is from 1 to 5."),
        ],
        help_text="From 1 to 5.",
    )
    title = models.CharField(max_length=200, blank=True)
    description = models.TextField(max_length=5000, blank=True)
    is_verified = models.BooleanField("verified", default=False, help_text="The customer bought the product.")
    is_featured = models.BooleanField("featured", default=False, help_text="The store shows it to others.")
    reference_product_id = models.CharField(
        "product id", max_length=120, blank=True, help_text="The product's id in your shop."
    )
    reference_product_source = models.CharField(
        "product source", max_length=60, blank=True, help_text="Where that id is from, such as shopify."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ReviewQuerySet.as_manager()  # type: ignore[misc]  # takes the place of FactModel's

    class Meta:
        ordering = ("-id",)
        constraints = [
            models.CheckConstraint(
                condition=Q(rating__gte=LOWEST, rating__lte=HIGHEST),
                name="rating_from_1_to_5",
                violation_error_message="A rating is from 1 to 5.",
            )
        ]
        indexes = [models.Index(fields=["store", "-id"], name="review_newest")]

    def __str__(self) -> str:
        return self.title or f"{self.rating} of {HIGHEST}"

    def clean(self) -> None:
        if self.customer_id is not None and self.customer.store_id != self.store_id:
            raise Refused("customer", "This customer is not one of this store's.", code="does_not_exist")

    def verify(self) -> None:
        """The customer did buy the product."""
        self.is_verified = True
        self.save(update_fields=["is_verified"])

    def feature(self, *, shown: bool = True) -> None:
        """The store shows it to others, or no longer."""
        self.is_featured = shown
        self.save(update_fields=["is_featured"])
