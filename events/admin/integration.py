"""What events knows of an integration, hung on its screens: integrations itself knows nothing of events."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import Count, OuterRef, Q, Subquery, Sum
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.utils import timezone

from events import catalogue
from events.figures import MANY, health_of
from events.models import Delivery, Subscription, Tally
from events.models.delivery import UNFINISHED, DeliveryStatus
from integrations.admin import IntegrationAdmin as Base
from integrations.admin.shown import State
from integrations.models import Integration

TROUBLES = 5  # deliveries that its page names

admin.site.unregister(Integration)


def counted(number: int, one: str, many: str) -> str:
    """`1 send event`, `3 send events`."""
    return f"{number} {one if number == 1 else many}"


@dataclass(frozen=True)
class Attached:
    """A send event in the list of what uses an integration."""

    row: Subscription
    event: str
    sent: int

    @classmethod
    def of(cls, subscription: Any) -> "Attached":
        try:
            event = catalogue.event_type(subscription.event_key).label
        except catalogue.UnknownEventType:
            event = subscription.event_key
        return cls(subscription, event, subscription.sent_lately)


@admin.register(Integration)
class IntegrationAdmin(Base):
    """With what is attached, and how sending goes."""

    change_list_template = "admin/events/integration/list.html"
    change_form_template = "admin/events/integration/page.html"

    def get_queryset(self, request: HttpRequest) -> Any:
        since = timezone.now() - timedelta(hours=24)
        tallies = Tally.objects.filter(integration=OuterRef("pk"), minute__gte=since).order_by().values("integration")
        errors = Subquery(tallies.annotate(n=Sum("failed_tries")).values("n"))
        return (
            super()
            .get_queryset(request)
            .select_related("lane")
            .annotate(
                send_events=Count("subscriptions", filter=Q(subscriptions__archived_at=None)),
                errors=Coalesce(errors, 0),
            )
        )

    def state(self, integration: Integration) -> State:
        """Of one that is on, its lane knows more: it may hold everything all the same."""
        state, lane = super().state(integration), getattr(integration, "lane", None)  # none yet: made in bulk
        if lane is None or not integration.enabled or (reading := lane.reading()).tone == "good":
            return state
        return State(reading.tone, "Held" if reading.until else "On", reading.sentence, reading.until)

    def page_context(self, request: HttpRequest, integration: Integration) -> dict[str, Any]:
        since = timezone.now() - timedelta(hours=24)
        sent = Tally.objects.filter(subscription=OuterRef("pk"), minute__gte=since).order_by().values("subscription")
        attached = integration.subscriptions.existing().annotate(
            sent_lately=Coalesce(Subquery(sent.annotate(n=Sum("sent")).values("n")), 0)
        )
        pending = Delivery.objects.filter(integration=integration, status=DeliveryStatus.PENDING, is_test=False)
        failed = Delivery.objects.filter(
            store=integration.store_id, integration=integration, status=DeliveryStatus.FAILED, is_test=False
        )
        troubled = pending.exclude(reason="").with_reading().select_related("customer").order_by("-id")[:TROUBLES]
        given_up = failed.with_reading().select_related("customer").order_by("-id")[:TROUBLES]
        return {
            **super().page_context(request, integration),
            "test_template": "admin/events/integration/test_link.html",
            "attached": [Attached.of(subscription) for subscription in attached],
            "health": health_of(integration),
            "waiting": pending.order_by()[:MANY].count(),
            "troubles": sorted([*troubled, *given_up], key=lambda row: row.pk, reverse=True)[:TROUBLES],
        }

    def consequences(self, integration: Integration) -> list[str]:
        attached = integration.subscriptions.existing().count()
        pending = integration.deliveries.filter(status__in=UNFINISHED, is_test=False).count()
        return [
            f"{counted(attached, 'send event is', 'send events are')} deleted with it."
            if attached
            else "No send event uses it.",
            f"{counted(pending, 'pending delivery is', 'pending deliveries are')} cancelled."
            if pending
            else "No delivery is waiting for it.",
            *super().consequences(integration),
        ]
