"""The API of orders: an order comes and goes with its items."""

from typing import Any

import django_filters
from django.db import transaction
from drf_spectacular.utils import extend_schema
from rest_framework import mixins
from rest_framework.request import Request
from rest_framework.response import Response

from customers.filters import CreatedFilter, OneOfFilter
from customers.models import Order, OrderItem
from customers.models.order_statuses import FinancialStatus, OrderDeliveryStatus, OrderStatus
from customers.models.orders import MOST_ITEMS
from customers.serializers import CUSTOMER_REFERENCE, CustomerReferenceSerializer, StrictModelSerializer
from customers.viewsets import StoreViewSet


class OrderItemSerializer(StrictModelSerializer[OrderItem]):
    """One line of an order."""

    class Meta:
        model = OrderItem
        fields = ("product_id", "title", "quantity", "price")


class OrderChangeSerializer(StrictModelSerializer[Order]):
    """What may change of an order: all but whose it is and its id in the shop."""

    items = OrderItemSerializer(  # type: ignore[call-arg]  # those of its list
        many=True, required=False, max_length=MOST_ITEMS, help_text="All of them, in their order."
    )

    class Meta:
        model = Order
        fields: tuple[str, ...] = (
            "id",
            "customer",
            "reference_order_id",
            "name",
            "status",
            "financial_status",
            "delivery_status",
            "amount",
            "currency",
            "items",
            "created_at",
        )
        read_only_fields: tuple[str, ...] = ("customer", "reference_order_id", "created_at")

    def update(self, instance: Order, validated_data: dict[str, Any]) -> Order:
        items = validated_data.pop("items", None)
        with transaction.atomic():
            order = Order.objects.select_for_update(no_key=True).get(pk=instance.pk)
            for name, value in validated_data.items():
                setattr(order, name, value)
            order.full_clean()
            order.write(items=items)
        return order


class OrderSerializer(CustomerReferenceSerializer, OrderChangeSerializer):
    """What a customer ordered in the shop. A new one names its customer by exactly one of four fields."""

    class Meta(OrderChangeSerializer.Meta):
        fields = (*OrderChangeSerializer.Meta.fields, *CUSTOMER_REFERENCE[1:])
        read_only_fields = ()
        extra_kwargs = {"amount": {"help_text": "What is to be paid. Left out, it is the sum of the items."}}

    def create(self, validated_data: dict[str, Any]) -> Order:
        return Order.objects.place(**validated_data)


class OrderFilter(CreatedFilter):
    customer = django_filters.UUIDFilter("customer")
    reference_order_id = django_filters.CharFilter("reference_order_id")
    status = OneOfFilter(choices=OrderStatus.choices)
    financial_status = OneOfFilter(choices=FinancialStatus.choices)
    delivery_status = OneOfFilter(choices=OrderDeliveryStatus.choices)

    class Meta:
        model = Order
        fields = ()


class OrderViewSet(
    StoreViewSet,
    mixins.CreateModelMixin,
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.UpdateModelMixin,
):
    """Orders, as the shop tells of them. Each id of the shop is recorded once in a store."""

    queryset = Order.objects.prefetch_related("items")
    serializer_class = OrderSerializer
    filterset_class = OrderFilter
    body_serializers = {"partial_update": OrderChangeSerializer}

    @extend_schema(request=OrderChangeSerializer, responses=OrderSerializer)
    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Tell how it goes on: its statuses, its amount, or its items, all of them anew."""
        serializer = self.get_serializer(self.get_object(), data=request.data, partial=True)
        serializer.is_valid(raise_exception=True)
        serializer.save()
        return self.answer(self.get_object())
