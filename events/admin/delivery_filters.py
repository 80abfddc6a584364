"""By what the list of deliveries is narrowed. Each filter alone is served by an index."""

from datetime import timedelta
from typing import Any

from django.http import HttpRequest
from django.utils import timezone

from customers.tenancy import access_of
from events import catalogue
from events.admin.log import ChoiceFilter
from events.explain import READINGS
from events.models import Subscription
from events.models.delivery import HELD, RETRYING, DeliveryQuerySet, DeliveryStatus
from integrations.models import Integration

PERIODS = {
    "hour": ("Last hour", timedelta(hours=1)),
    "day": ("Last 24 hours", timedelta(hours=24)),
    "week": ("Last 7 days", timedelta(days=7)),
    "month": ("Last 30 days", timedelta(days=30)),
}


class StatusFilter(ChoiceFilter):
    title, parameter_name = "status", "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(key, READINGS[key]) for key in (*DeliveryStatus.values, HELD, RETRYING)]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        rows: DeliveryQuerySet = queryset
        store = access_of(request).store
        chosen = self.chosen()
        return rows if chosen is None or store is None else rows.reads_as(chosen, store=store)


class EventFilter(ChoiceFilter):
    title, parameter_name = "event", "event"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return catalogue.choices()

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.filter(event_key=self.chosen()) if self.chosen() else queryset


class IntegrationFilter(ChoiceFilter):
    title, parameter_name = "integration", "integration"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        rows = Integration.objects.filter(store=access_of(request).store)
        return [(str(row.pk), _named(row.name, deleted=bool(row.archived_at))) for row in rows]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.filter(integration=self.chosen()) if self.chosen() else queryset


class SendEventFilter(ChoiceFilter):
    title, parameter_name = "send event", "send_event"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        rows = Subscription.objects.filter(store=access_of(request).store).select_related("integration")
        return [(str(row.pk), _named(row.label, deleted=bool(row.archived_at))) for row in rows]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.filter(subscription=self.chosen()) if self.chosen() else queryset


class TimeFilter(ChoiceFilter):
    title, parameter_name = "time", "time"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(key, label) for key, (label, _) in PERIODS.items()]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        chosen = self.chosen()
        return queryset.recorded_since(timezone.now() - PERIODS[chosen][1]) if chosen else queryset


class TestFilter(ChoiceFilter):
    title, parameter_name = "test or real", "test"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("no", "Real events"), ("yes", "Test events")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.filter(is_test=self.chosen() == "yes") if self.chosen() else queryset


def _named(name: str, *, deleted: bool) -> str:
    return f"{name} (deleted)" if deleted else name
