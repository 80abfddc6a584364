"""Events about orders."""

from collections.abc import Mapping
from typing import Any

from customers.models import Customer, Order
from customers.models.order_statuses import FinancialStatus, OrderDeliveryStatus, OrderStatus
from events.catalogue import created, declare, updated
from events.common import moment
from events.fields import Field, Kind

ITEM = {
    "type": "object",
    "properties": {
        "product_id": {"type": ["string", "null"], "title": "Product id"},
        "title": {"type": "string", "title": "Title"},
        "quantity": {"type": "integer", "title": "Quantity"},
        "price": {**Kind.DECIMAL.value.schema, "title": "Price of one piece"},
    },
    "required": ["product_id", "title", "quantity", "price"],
}
ORDER_FIELDS = (
    Field(
        name="order_status",
        kind=Kind.CHOICE,
        label="Order Statuses",
        sample="completed",
        choices=OrderStatus,
        nullable=False,
    ),
    Field(
        name="order_financial_status",
        kind=Kind.CHOICE,
        label="Order Financial Statuses",
        sample="paid",
        choices=FinancialStatus,
        nullable=False,
    ),
    Field(
        name="order_delivery_status",
        kind=Kind.CHOICE,
        label="Order Delivery Statuses",
        sample="delivered",
        choices=OrderDeliveryStatus,
        nullable=False,
    ),
    Field(name="order_amount", kind=Kind.DECIMAL, label="Order amount", sample="49.90", nullable=False),
    Field(name="order_currency_code", kind=Kind.CHOICE, label="Order currency", sample="EUR", nullable=False),
    Field(
        name="order_item_count",
        kind=Kind.INTEGER,
        label="Number of items",
        sample=3,
        nullable=False,
        help="All pieces together.",
    ),
    Field(name="order_name", kind=Kind.TEXT, label="Order name", sample="#1042"),
    Field(
        name="order_reference_order_id",
        kind=Kind.TEXT,
        label="Order id in the shop",
        sample="1042",
        nullable=False,
    ),
    Field(
        name="order_created_at",
        kind=Kind.TIME,
        label="Order placed at",
        sample="2026-06-01T10:15:00+00:00",
        nullable=False,
    ),
    Field(
        name="order_items",
        kind=Kind.LIST,
        label="Items",
        sample=[
            {"product_id": "espresso-1kg", "title": "Espresso, 1 kg", "quantity": 2, "price": "19.95"},
            {"product_id": None, "title": "Gift wrap", "quantity": 1, "price": "10.00"},
        ],
        items=ITEM,
        nullable=False,
        restrict=False,
    ),
    Field(
        name="order_id",
        kind=Kind.TEXT,
        label="Order id",
        sample="01932c5e-8f3a-7c11-9d1b-2f6f8a4f0c15",
        nullable=False,
        restrict=False,
    ),
)


def buyer(order: Order) -> Customer:
    """Who ordered."""
    return order.customer


def _fields(order: Order) -> dict[str, Any]:
    return {
        "order_id": str(order.pk),
        "order_reference_order_id": order.reference_order_id,
        "order_name": order.name or None,
        "order_status": order.status,
        "order_financial_status": order.financial_status,
        "order_delivery_status": order.delivery_status,
        "order_amount": f"{order.amount:.2f}",
        "order_currency_code": order.currency,
        "order_item_count": sum(line["quantity"] for line in order.lines),
        "order_items": order.lines,
        "order_created_at": moment(order.created_at),
    }


def _placed(payload: Mapping[str, Any]) -> str:
    """Such as `Order 1042 over 49.90 EUR`."""
    name = payload["order_name"] or payload["order_reference_order_id"]
    return f"Order {name} over {payload['order_amount']} {payload['order_currency_code']}"


@declare(
    key="order_create",
    label="Order Is Created",
    group="Orders",
    model=Order,
    when=created,
    customer=buyer,
    fields=ORDER_FIELDS,
    tell=_placed,
)
def order_create(order: Order) -> dict[str, Any]:
    """Fires when an order of a customer is recorded, together with its items."""
    return _fields(order)


@declare(
    key="order_update",
    label="Order Is Updated",
    group="Orders",
    model=Order,
    when=updated,
    customer=buyer,
    fields=ORDER_FIELDS,
)
def order_update(order: Order) -> dict[str, Any]:
    """Fires when an order changes: one of its statuses, its amount, or its items."""
    return _fields(order)
