"""The screens of VIP tiers: the steps of the store's ladder. What moves customers on it is in the store's settings."""

from django.contrib import admin
from django.db import models
from django.http import HttpRequest

from customers.models import Customer, Tier
from customers.tenancy import StoreModelAdmin


@admin.register(Tier)
class TierAdmin(StoreModelAdmin):
    """The tiers, the lowest first."""

    list_display = ("name", "threshold", "members")
    fields = ("name", "threshold")
    actions = None

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Tier]:
        members = Customer.objects.filter(store=models.OuterRef("store"), tier=models.OuterRef("name")).order_by()
        counted = members.values("tier").annotate(number=models.Count("pk")).values("number")
        rows: models.QuerySet[Tier] = super().get_queryset(request)
        return rows.annotate(number=models.Subquery(counted))

    @admin.display(description="customers")
    def members(self, tier: Tier) -> int:
        number: int | None = tier.number  # type: ignore[attr-defined]  # annotated above
        return number or 0
