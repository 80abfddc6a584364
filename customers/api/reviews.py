"""The API of reviews."""

from typing import Any

import django_filters
from drf_spectacular.utils import extend_schema
from rest_framework import mixins
from rest_framework.request import Request
from rest_framework.response import Response

from customers.filters import CreatedFilter, YesNoFilter
from customers.models import Review
from customers.models.reviews import HIGHEST, LOWEST
from customers.serializers import CUSTOMER_REFERENCE, CustomerReferenceSerializer, StrictModelSerializer
from customers.viewsets import StoreViewSet


class ReviewChangeSerializer(StrictModelSerializer[Review]):
    """What may change of a review: all but whose it is."""

    class Meta:
        model = Review
        fields: tuple[str, ...] = (
            "id",
            "customer",
            "rating",
            "title",
            "description",
            "is_verified",
            "is_featured",
            "reference_product_id",
            "reference_product_source",
            "created_at",
        )
        read_only_fields: tuple[str, ...] = ("customer",)
        extra_kwargs = {
            "rating": {"error_messages": dict.fromkeys(("min_value", "max_value"), "A rating is from 1 to 5.")}
        }


class ReviewSerializer(CustomerReferenceSerializer, ReviewChangeSerializer):
    """A customer's rating of a product, or of the store. A new one names its customer by exactly one of four fields."""

    class Meta(ReviewChangeSerializer.Meta):
        fields = (*ReviewChangeSerializer.Meta.fields, *CUSTOMER_REFERENCE[1:])
        read_only_fields = ()


class ReviewFilter(CreatedFilter):
    customer = django_filters.UUIDFilter("customer")
    rating = django_filters.NumberFilter("rating", min_value=LOWEST, max_value=HIGHEST)
    is_verified = YesNoFilter("is_verified")
    is_featured = YesNoFilter("is_featured")
    reference_product_id = django_filters.CharFilter("reference_product_id")

    class Meta:
        model = Review
        fields = ()


class ReviewViewSet(
    StoreViewSet,
    mixins.CreateModelMixin,
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.UpdateModelMixin,
):
    """What customers say of the store and its products."""

    queryset = Review.objects.all()
    serializer_class = ReviewSerializer
    filterset_class = ReviewFilter
    body_serializers = {"partial_update": ReviewChangeSerializer}

    @extend_schema(request=ReviewChangeSerializer, responses=ReviewSerializer)
    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Change it: verified, featured, or what it says."""
        return super().partial_update(request, *args, **kwargs)
