"""The screens of referrals: started with the referrer's code, and completed after a look at who gets what."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AutocompleteSelect
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse

from customers.admin.pages import form_page
from customers.models import Coupon, Customer, Referral, Role
from customers.models.coins import in_words
from customers.models.referrals import ReferralStatus
from customers.tenancy import StoreModelAdmin, access_of, limited


class ReferralForm(forms.Form):
    customer = forms.ModelChoiceField(
        Customer.objects.none(), label="Friend", help_text="Who was brought. Each friend is brought once."
    )
    referral_code = forms.CharField(max_length=40, help_text="The code of the customer who brought the friend.")

    def __init__(self, *args: Any, customers: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["customer"]
        field.widget = AutocompleteSelect(Coupon._meta.get_field("customer"), admin.site)
        field.queryset = customers


@admin.register(Referral)
class ReferralAdmin(StoreModelAdmin):
    """Friends whom customers brought: started and completed, never altered."""

    change_role = delete_role = None
    change_form_template = "admin/customers/referral/change_form.html"
    list_display = ("created_at", "referrer", "referee", "status", "reward_amount", "completed_at")
    list_select_related = ("referrer", "referee")
    list_filter = ("status", "created_at")
    search_fields = (
        *("referrer__email__exact", "referrer__referral_code__exact", "referee__email__exact"),
        *("referrer__external_id__exact", "referee__external_id__exact"),
    )
    search_help_text = "E-mail or id of either of the two, or the referral code"
    show_full_result_count = False
    actions = None
    fields = ("referrer", "referee", "status", "coupon", "reward_amount", "created_at", "completed_at")

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.complete_view)
        return [path("<uuid:pk>/complete/", view, name="customers_referral_complete"), *super().get_urls()]

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """One customer's referrals can be asked for by address: her page links here."""
        return lookup == "referrer__id__exact" or super().lookup_allowed(lookup, value, request)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        referral = self.get_object(request, object_id)
        open_ = referral is not None and referral.status == ReferralStatus.STARTED
        context = {"may_complete": open_ and access_of(request).may(Role.EDITOR), **(extra_context or {})}
        return super().change_view(request, object_id, form_url, context)

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """A customer brought a friend."""
        store = self.store_for_adding(request)

        def start(customer: Customer, referral_code: str) -> str:
            referral = Referral.objects.start(store=store, referee=customer, referral_code=referral_code)
            self.log_addition(request, referral, "Started.")
            got = f", who got the coupon {referral.coupon.code}" if referral.coupon else ""
            return f"{referral.referrer} brought {customer}{got}."

        return form_page(
            self,
            request,
            form=ReferralForm(
                request.POST or None,
                customers=limited(Customer.objects.select_related("wallet", "store"), store),
                initial={"customer": request.GET.get("customer")},
            ),
            title="Add referral",
            lead=""
            if store.referrer_coins
            else "There are no referrals in this store yet: set what they are worth in the settings first.",
            button="Start referral",
            act=start,
            back=reverse("admin:customers_referral_changelist"),
        )

    def complete_view(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """Reward both, after a look at what they get."""
        rows: Any = self.get_queryset(request)
        referral = rows.with_people().filter(pk=pk).first()
        if referral is None:
            raise Http404
        if not access_of(request).may(Role.EDITOR):
            raise PermissionDenied

        def complete() -> str:
            referral.complete()
            self.log_change(request, referral, "Completed.")
            return f"The referral is completed. {referral.referrer} got {in_words(referral.reward_amount)}."

        store, friend = referral.store, referral.referee
        theirs = f", and {friend} {in_words(store.referee_coins)}" if store.referee_coins else ""
        return form_page(
            self,
            request,
            form=forms.Form(request.POST if request.method == "POST" else None),
            title=f"Complete {referral}",
            lead=f"{referral.referrer} gets {in_words(store.referrer_coins or 0)}{theirs}. This cannot be undone. "
            f"It happens by itself when the first order of {friend} is completed or paid.",
            button="Complete referral",
            act=complete,
            back=reverse("admin:customers_referral_change", args=[pk]),
        )
