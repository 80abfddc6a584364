"""The screens of customers: who they are, their coins, and giving and spending these."""

from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AdminSplitDateTime, AutocompleteSelect
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse

from customers.admin.pages import RowAction, RowActionsAdmin, form_page
from customers.models import Customer, Offer, Referral, Role, Wallet, WalletTransaction
from customers.models.coins import MOST_COINS, Operation, Source, WalletTransactionStatus, WalletTransactionType
from customers.tenancy import StoreModelAdmin, access_of, limited

SHOWN = 10  # ledger entries and coupons on a customer's page


def coins_field() -> forms.IntegerField:
    return forms.IntegerField(
        label="Coins",
        min_value=1,
        max_value=MOST_COINS,
        error_messages={
            "invalid": "Enter whole coins, such as 50.",
            "min_value": "Coins must be 1 or more.",
            "max_value": "That is more coins than a wallet can hold.",
        },
    )


class RewardForm(forms.Form):
    amount = coins_field()
    title = forms.CharField(max_length=120, required=False, help_text="What for, as the customer reads it.")
    expires_at = forms.SplitDateTimeField(
        label="Coins expire at", required=False, widget=AdminSplitDateTime, help_text="Left empty, they do not."
    )


class RedeemForm(forms.Form):
    offer = forms.ModelChoiceField(Offer.objects.none(), empty_label="Choose an offer")

    def __init__(self, *args: Any, offers: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["offer"]
        field.queryset = offers
        field.label_from_instance = lambda offer: f"{offer.name} ({offer.price} coins)"


@admin.register(Customer)
class CustomerAdmin(StoreModelAdmin):
    """People in the store."""

    delete_role = Role.OWNER
    change_form_template = "admin/customers/customer/change_form.html"
    list_display = ("__str__", "email", "mobile", "external_id", "balance", "tier", "created_at")
    list_select_related = ("wallet",)
    list_filter = ("type", "created_at")
    search_fields = ("name__istartswith", "email__istartswith", "external_id__exact", "mobile__startswith")
    search_help_text = "Name, e-mail, mobile number in full with +, or customer id"
    show_full_result_count = False
    actions = None
    fieldsets = (
        (None, {"fields": ("name", "external_id", "email", "mobile")}),
        ("About", {"fields": ("type", "country", "birth_date", "tier")}),
        ("Referrals", {"fields": ("referral_code", "referred_by_code")}),
        ("Agreed to be reached by", {"fields": ("consent_email", "consent_sms", "consent_whatsapp")}),
    )
    readonly_fields = ("tier",)

    @admin.display(description="coins")
    def balance(self, customer: Customer) -> int:
        return customer.wallet.balance

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("<uuid:pk>/reward/", wrap(self.reward_view), name="customers_customer_reward"),
            path("<uuid:pk>/redeem/", wrap(self.redeem_view), name="customers_customer_redeem"),
            *super().get_urls(),
        ]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        customer = self.get_object(request, object_id)
        context: dict[str, Any] = {"may_act": access_of(request).may(Role.EDITOR)}
        if customer:
            context |= {
                "wallet": customer.wallet,
                "entries": customer.wallet.transactions.all()[:SHOWN],
                "coupons": customer.coupons.select_related("offer")[:SHOWN],
                "orders": customer.orders.all()[:SHOWN],
                "reviews": customer.reviews.all()[:SHOWN],
                "referrals": customer.referrals.select_related("referee")[:SHOWN],
                "brought": Referral.objects.filter(referee=customer).select_related("referrer").first(),
                "tier_changes": customer.tier_changes.all()[:SHOWN],
            }
        return super().change_view(request, object_id, form_url, context | (extra_context or {}))

    def reward_view(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """Give coins."""
        customer = self._customer(request, pk)

        def reward(amount: int, title: str, expires_at: datetime | None) -> str:
            customer.wallet.record(
                type=WalletTransactionType.REWARD,
                operation=Operation.CREDIT,
                source=Source.MANUAL,
                amount=amount,
                title=title,
                expires_at=expires_at,
            )
            self.log_change(request, customer, f"Rewarded {amount} coins.")
            return f"{customer} got {amount} {customer.store.coin_name} and has {customer.wallet.balance} now."

        return form_page(
            self,
            request,
            form=RewardForm(request.POST or None),
            title=f"Reward {customer}",
            lead=f"{customer} has {customer.wallet.balance} {customer.store.coin_name}.",
            button="Reward coins",
            act=reward,
            back=reverse("admin:customers_customer_change", args=[pk]),
        )

    def redeem_view(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """Spend coins on an offer."""
        customer = self._customer(request, pk)

        def redeem(offer: Offer) -> str:
            coupon, _ = offer.redeem(customer, source=Source.MANUAL)
            self.log_change(request, customer, f"Redeemed {offer}.")
            return f"{customer} got the coupon {coupon.code} for {offer.price} {customer.store.coin_name}."

        return form_page(
            self,
            request,
            form=RedeemForm(request.POST or None, offers=limited(Offer.objects.filter(enabled=True), customer.store)),
            title=f"Redeem an offer for {customer}",
            lead=f"{customer} has {customer.wallet.balance} {customer.store.coin_name}.",
            button="Redeem",
            act=redeem,
            back=reverse("admin:customers_customer_change", args=[pk]),
        )

    def _customer(self, request: HttpRequest, pk: Any) -> Customer:
        """The one of this address, for somebody who may change it."""
        customer = self.get_queryset(request).select_related("wallet", "store").filter(pk=pk).first()
        if customer is None:
            raise Http404
        if not self.has_change_permission(request, customer):
            raise PermissionDenied
        assert isinstance(customer, Customer)
        return customer


class TransactionForm(forms.Form):
    customer = forms.ModelChoiceField(Customer.objects.none())
    type = forms.ChoiceField(choices=WalletTransactionType.choices)
    operation = forms.ChoiceField(choices=Operation.choices)
    amount = coins_field()
    status = forms.ChoiceField(
        choices=[(one.value, one.label) for one in (WalletTransactionStatus.SUCCESS, WalletTransactionStatus.PENDING)],
        help_text="Success takes effect now; pending waits until it is settled or cancelled.",
    )
    title = forms.CharField(max_length=120, required=False)
    description = forms.CharField(max_length=500, required=False)
    reference = forms.CharField(
        max_length=120, required=False, help_text="Your own id of this entry: each is counted once in a store."
    )
    expires_at = forms.SplitDateTimeField(label="Coins expire at", required=False, widget=AdminSplitDateTime)

    def __init__(self, *args: Any, customers: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["customer"]
        field.widget = AutocompleteSelect(Wallet._meta.get_field("customer"), admin.site)
        field.queryset = customers


@admin.register(WalletTransaction)
class WalletTransactionAdmin(RowActionsAdmin):
    """The ledger: entries are added and settled, never altered."""

    change_role = delete_role = None
    list_display = ("created_at", "customer", "__str__", "status", "balance_after", "title", "source", "reference")
    list_select_related = ("wallet__customer",)
    list_filter = ("type", "operation", "status", "source", "created_at")
    search_fields = ("reference__exact", "wallet__customer__email__exact", "wallet__customer__external_id__exact")
    search_help_text = "Reference, or the customer's e-mail or id"
    show_full_result_count = False
    actions = None
    row_actions = (
        RowAction(
            name="settle",
            label="Settle",
            run=WalletTransaction.settle,
            done="The transaction took effect.",
            offered=lambda entry: entry.status == WalletTransactionStatus.PENDING,
        ),
        RowAction(
            name="cancel",
            label="Cancel",
            run=WalletTransaction.cancel,
            done="The transaction was cancelled.",
            offered=lambda entry: entry.status == WalletTransactionStatus.PENDING,
            danger=True,
        ),
    )
    fields = (
        *("customer", "type", "operation", "amount", "balance_after", "status", "source", "title", "description"),
        *("reference", "expires_at", "created_at", "effective_at"),
    )

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """One customer's entries can be asked for by address: her page links here."""
        return lookup == "wallet__customer__id__exact" or super().lookup_allowed(lookup, value, request)

    @admin.display(ordering="wallet__customer__name")
    def customer(self, entry: WalletTransaction) -> str:
        return str(entry.wallet.customer)

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """A new entry, by the ledger's own rules."""
        store = self.store_for_adding(request)

        def record(customer: Customer, **facts: Any) -> str:
            entry, new = customer.wallet.record(source=Source.MANUAL, **facts)
            if not new:
                return f"The reference {entry.reference} was counted before; nothing was added."
            self.log_addition(request, entry, "Added.")
            return f"Recorded {entry} for {customer}."

        return form_page(
            self,
            request,
            form=TransactionForm(
                request.POST or None,
                customers=limited(Customer.objects.select_related("wallet", "store"), store),
                initial={"customer": request.GET.get("customer")},
            ),
            title="Add wallet transaction",
            button="Record",
            act=record,
            back=reverse("admin:customers_wallettransaction_changelist"),
        )
