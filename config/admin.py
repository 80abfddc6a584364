"""The admin site: Django's own, with the store's name on top and a switcher for those who work in several."""

from dataclasses import dataclass
from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver, path, reverse
from django.views.decorators.http import require_POST

from customers.tenancy import SESSION_KEY, access_of

# What a store's admins go to, in the order of the bar: label, name of the address, and what else lies under it.
NAVIGATION: tuple[tuple[str, str, *tuple[str, ...]], ...] = (
    ("Home", "admin:index"),
    ("Events", "admin:events_subscription_changelist"),
    ("Integrations", "admin:integrations_integration_changelist"),
    (
        "Deliveries",
        "admin:events_delivery_changelist",
        "admin:events_occurrence_changelist",
        "admin:events_notice_changelist",
    ),
    ("Customers", "admin:customers_customer_changelist", "admin:customers_wallettransaction_changelist"),
    ("Offers", "admin:customers_offer_changelist"),
    ("Coupons", "admin:customers_coupon_changelist"),
    ("Orders", "admin:customers_order_changelist"),
    ("Reviews", "admin:customers_review_changelist"),
    ("Referrals", "admin:customers_referral_changelist"),
    ("VIP tiers", "admin:customers_tier_changelist"),
    (
        "Settings",
        "admin:customers_store_changelist",
        "admin:customers_storemembership_changelist",
        "admin:customers_apikey_changelist",
    ),
)


@dataclass(frozen=True)
class Link:
    """One entry of the bar; `current`: the page that shows lies under it."""

    label: str
    url: str
    current: bool


def navigation(path: str) -> list[Link]:
    """The bar as it stands on the page with this path."""
    places = {reverse(name): label for label, *names in NAVIGATION for name in names}
    here = max((url for url in places if path.startswith(url)), key=len, default="")
    return [Link(label, reverse(name), current=label == places.get(here)) for label, name, *_ in NAVIGATION]


class LoyaltyAdminSite(admin.AdminSite):
    site_title = "Loyalty Events"
    site_header = "Loyalty Events"
    index_title = "Home"
    site_url = None
    enable_nav_sidebar = False

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        access = access_of(request)
        return {
            **super().each_context(request),
            "current_store": access.store,
            "stores": list(access.roles),
            "navigation": navigation(request.path) if access.store else [],
        }

    def get_urls(self) -> list[URLResolver | URLPattern]:
        return [
            path("switch-store/", self.admin_view(require_POST(self.switch_store)), name="switch_store"),
            *super().get_urls(),
        ]

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """The home page of the store that shows."""
        from config.home import home  # its figures need the models, which are not there yet when the site is made

        more = {**home(request, self.get_app_list(request)), **(extra_context or {})}
        return super().index(request, more)

    def switch_store(self, request: HttpRequest) -> HttpResponse:
        """Show another store of this user from now on."""
        wanted = request.POST.get("store", "")
        store = next((store for store in access_of(request).roles if str(store.pk) == wanted), None)
        if store is None:
            messages.error(request, "This store is not one of yours.")
        else:
            request.session[SESSION_KEY] = str(store.pk)
        return redirect("admin:index")


# The one site: django.contrib.admin makes it from `LoyaltyAdminConfig.default_site`.
site = admin.site
