"""The screens of orders: as the shop tells of them, or entered by hand, with their items."""

from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest

from customers.admin.pages import RowAction, RowActionsAdmin
from customers.models import Order, OrderItem
from customers.models.order_statuses import FinancialStatus, OrderStatus
from customers.models.orders import ITEM_FIELDS, MOST_ITEMS, OVER
from customers.tenancy import StoreTabularInline


class OrderForm(forms.ModelForm[Order]):
    """An order without its items."""

    amount = forms.DecimalField(
        min_value=0,
        max_digits=14,
        decimal_places=2,
        required=False,
        help_text="What is to be paid. Left empty, it is the sum of the items.",
    )


class OrderItems(forms.BaseInlineFormSet[OrderItem, Order, forms.ModelForm[OrderItem]]):
    """Each field says its name to those who do not see the head of its column."""

    def add_fields(self, form: Any, index: int | None) -> None:
        super().add_fields(form, index)
        for field in form.fields.values():
            if not field.widget.is_hidden:
                field.widget.attrs["aria-label"] = field.label


class OrderItemInline(StoreTabularInline):
    """The items of an order. `OrderAdmin` writes them, with the order."""

    model = OrderItem
    formset = OrderItems
    fields = ITEM_FIELDS
    max_num = MOST_ITEMS


@admin.register(Order)
class OrderAdmin(RowActionsAdmin):
    """What customers ordered: an order and its items are saved, and told, as one."""

    delete_role = None
    form = OrderForm
    inlines = (OrderItemInline,)
    list_display = ("__str__", "customer", "status", "financial_status", "delivery_status", "price", "created_at")
    list_select_related = ("customer",)
    list_filter = ("status", "financial_status", "delivery_status", "created_at")
    search_fields = ("reference_order_id__exact", "customer__email__exact", "customer__external_id__exact")
    search_help_text = "Order id, or the customer's e-mail or id"
    show_full_result_count = False
    autocomplete_fields = ("customer",)
    actions = None
    row_actions = (
        RowAction(
            name="complete",
            label="Mark as completed",
            run=lambda order: order.move(status=OrderStatus.COMPLETED),
            done="The order is completed.",
            offered=lambda order: order.status not in OVER | {OrderStatus.COMPLETED},
        ),
        RowAction(
            name="pay",
            label="Mark as paid",
            run=lambda order: order.move(financial_status=FinancialStatus.PAID),
            done="The order is paid.",
            offered=lambda order: order.status not in OVER and order.financial_status != FinancialStatus.PAID,
        ),
        RowAction(
            name="cancel",
            label="Cancel order",
            run=lambda order: order.move(status=OrderStatus.CANCELLED),
            done="The order is cancelled.",
            offered=lambda order: order.status not in OVER,
            danger=True,
        ),
    )
    fields = (
        *("customer", "reference_order_id", "name", "status", "financial_status", "delivery_status"),
        *("amount", "currency", "created_at"),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("customer", "reference_order_id") if obj else ()

    @admin.display(description="amount", ordering="amount")
    def price(self, order: Order) -> str:
        return f"{order.amount:.2f} {order.currency}"

    def save_model(self, request: HttpRequest, obj: Order, form: Any, change: bool) -> None:
        """Not yet: its items are not known here."""

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """The order with exactly the items of the page."""
        order: Order = form.instance
        for formset in formsets:
            formset.save(commit=False)  # notes for the history what changed
        items = [
            {name: line.cleaned_data[name] for name in ITEM_FIELDS}
            for formset in formsets
            for line in formset.forms
            if line.cleaned_data and not line.cleaned_data.get("DELETE")
        ]
        if order.amount is None:
            order.amount = sum((item["quantity"] * item["price"] for item in items), Decimal(0))
        order.write(items=items)
