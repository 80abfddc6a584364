"""The API of custom events: what apps tell, under topics of their own."""

from typing import Any

import django_filters
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from customers.filters import CreatedFilter
from customers.models import CustomEvent
from customers.models.custom_events import MOST_PROPERTIES
from customers.serializers import CUSTOMER_REFERENCE, CustomerReferenceSerializer, StrictModelSerializer
from customers.viewsets import StoreViewSet


class CustomEventSerializer(StrictModelSerializer[CustomEvent]):
    """What an app told of a customer."""

    properties = serializers.DictField()

    class Meta:
        model = CustomEvent
        fields: tuple[str, ...] = ("id", "customer", "topic", "properties", "reference", "occurred_at", "created_at")
        read_only_fields: tuple[str, ...] = fields


class NewCustomEventSerializer(CustomerReferenceSerializer, StrictModelSerializer[CustomEvent]):
    """A topic, and what is to be said about it. It names its customer by exactly one of four fields."""

    properties = serializers.DictField(
        child=serializers.JSONField(allow_null=True),
        required=False,
        help_text=f"Up to {MOST_PROPERTIES} texts, numbers, or yes and no, by their names; nothing nested.",
    )

    class Meta:
        model = CustomEvent
        fields = (*CUSTOMER_REFERENCE, "topic", "properties", "reference", "occurred_at")


class CustomEventFilter(CreatedFilter):
    customer = django_filters.UUIDFilter("customer")
    topic = django_filters.CharFilter("topic")
    reference = django_filters.CharFilter("reference")

    class Meta:
        model = CustomEvent
        fields = ()


class CustomEventViewSet(StoreViewSet, mixins.ListModelMixin, mixins.RetrieveModelMixin):
    """Custom events. Send events can be restricted to a topic, and by properties: `property_<name>`."""

    queryset = CustomEvent.objects.all()
    serializer_class = CustomEventSerializer
    filterset_class = CustomEventFilter
    body_serializers = {"create": NewCustomEventSerializer}

    @extend_schema(request=NewCustomEventSerializer, responses={201: CustomEventSerializer, 200: CustomEventSerializer})
    def create(self, request: Request) -> Response:
        """Tell of something that happened. 200 instead of 201 says that this reference was told before."""
        facts: dict[str, Any] = self.body()
        event, new = CustomEvent.objects.emit(store=self.store, **facts)
        return self.answer(event, status=201 if new else 200)
