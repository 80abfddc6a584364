"""The screens of a store's own settings: what it is, who works in it, and the keys of its apps."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from rest_framework_api_key.models import APIKey

from customers.admin.pages import RowAction, RowActionsAdmin, form_page
from customers.models import ApiKey, Role, Store, StoreMembership
from customers.people import person
from customers.tenancy import StoreModelAdmin, access_of

admin.site.unregister(APIKey)  # the package's own, which belongs to no store


@admin.register(Store)
class StoreAdmin(StoreModelAdmin):
    """The store that shows. Its events switch is on the events page."""

    add_role = None  # `manage.py create_store` makes one
    delete_role = None
    change_form_template = "admin/customers/store/change_form.html"
    fieldsets = (
        (None, {"fields": ("name", "coin_name", "currency", "country", "time_zone")}),
        ("Where customers find it", {"fields": ("website", "rewards_page")}),
        ("Coins", {"fields": ("coins_expire_after", "reward_available_at")}),
        ("VIP tiers", {"fields": ("tier_criterion", "tier_months")}),
        ("Referrals", {"fields": ("referrer_coins", "referee_coins", "referral_offer")}),
    )

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """There is one: show it."""
        if store := access_of(request).store:
            return redirect("admin:customers_store_change", store.pk)
        return super().changelist_view(request, extra_context)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context = {"is_owner": access_of(request).may(Role.OWNER), **(extra_context or {})}
        return super().change_view(request, object_id, form_url, context)


class NewMemberForm(forms.Form):
    email = forms.EmailField(label="E-mail", help_text="Of somebody who is here already, or of a new user.")
    role = forms.ChoiceField(choices=Role.choices, initial=Role.EDITOR)


@admin.register(StoreMembership)
class StoreMembershipAdmin(StoreModelAdmin):
    """Who works in the store, and as what: for owners."""

    view_role = add_role = change_role = delete_role = Role.OWNER
    list_display = ("user", "role")
    list_select_related = ("user",)
    fields = ("user", "role")
    readonly_fields = ("user",)
    actions = None  # one by one: the last owner stays

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """By e-mail address: a list of all users would show the people of other stores."""
        store = self.store_for_adding(request)

        def add(email: str, role: str) -> str:
            with transaction.atomic():
                user, password = person(email)
                membership = StoreMembership(store=store, user=user, role=role)
                membership.full_clean()
                membership.save()
                self.log_addition(request, membership, "Added.")
            if password is None:
                return f"{user} is a member now."
            return f"{user} is a member now. The password, shown only this once: {password}"

        return form_page(
            self,
            request,
            form=NewMemberForm(request.POST or None),
            title="Add member",
            button="Add",
            act=add,
            back=reverse("admin:customers_storemembership_changelist"),
        )

    def has_delete_permission(self, request: HttpRequest, obj: StoreMembership | None = None) -> bool:
        return super().has_delete_permission(request, obj) and not (obj and obj.is_last_owner())


@admin.register(ApiKey)
class ApiKeyAdmin(RowActionsAdmin):
    """The keys of the store's apps: for owners. A key is revoked, so that its trace stays, rather than deleted."""

    view_role = add_role = change_role = action_role = Role.OWNER
    delete_role = None
    list_display = ("name", "prefix", "created", "expiry_date", "revoked")
    fields = ("name", "expiry_date", "prefix", "revoked")
    readonly_fields = ("prefix", "revoked")
    actions = None
    row_actions = (
        RowAction(
            name="revoke",
            label="Revoke",
            run=ApiKey.revoke,
            done="The key was revoked: apps that use it are refused from now on.",
            offered=lambda key: not key.revoked,
            danger=True,
        ),
    )

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> tuple[str, ...]:
        return self.fields if obj else ("name", "expiry_date")

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        if change:
            obj.save()
            return
        key = ApiKey.objects.assign_key(obj)
        obj.save()
        self.message_user(request, f"The key of {obj.name}, shown only this once: {key}", messages.WARNING)
