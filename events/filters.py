"""The filters of the API's lists of occurrences and deliveries."""

from typing import Any

import django_filters
from django import forms
from django.core.exceptions import ValidationError

from customers.filters import MomentFilter, OneOfFilter, YesNoFilter
from events import catalogue
from events.models import Delivery, Occurrence, Subscription
from events.models.delivery import DeliveryQuerySet
from events.models.occurrence import OccurrenceQuerySet
from events.serializers import READINGS


class EventKeyField(forms.CharField):
    """The key of an event of the catalogue, also in Nector's own spelling."""

    def clean(self, value: Any) -> str:
        key: str = super().clean(value)
        if not key:
            return key
        try:
            return catalogue.event_type(key).key
        except catalogue.UnknownEventType as error:
            # As a parameter: django-filter formats every message, and a key may hold a percent sign.
            raise ValidationError("%(said)s", params={"said": str(error)}, code="unknown_event") from None


class EventKeyFilter(django_filters.CharFilter):
    field_class = EventKeyField


class SendEventFilter(django_filters.FilterSet):
    integration = django_filters.UUIDFilter("integration")
    event_key = EventKeyFilter("event_key")
    enabled = YesNoFilter("enabled")

    class Meta:
        model = Subscription
        fields = ()


class OccurrenceFilter(django_filters.FilterSet):
    event_key = EventKeyFilter("event_key")
    customer = django_filters.UUIDFilter("customer")
    is_test = YesNoFilter("is_test")
    has_error = YesNoFilter(method="by_error", help_text="Whether its payload or restrictions could not be worked out.")
    occurred_at_after = MomentFilter("occurred_at", "gte", help_text="At this time or later.")
    occurred_at_before = MomentFilter("occurred_at", "lt", help_text="Before this time.")

    class Meta:
        model = Occurrence
        fields = ()

    def by_error(self, rows: OccurrenceQuerySet, _name: str, value: bool) -> OccurrenceQuerySet:
        return rows.needing_attention() if value else rows.filter(error="")


class DeliveryFilter(django_filters.FilterSet):
    status = OneOfFilter(
        choices=READINGS,
        method="by_status",
        help_text="A status; or held or retrying, which pending deliveries read as (pending lists these too).",
    )
    integration = django_filters.UUIDFilter("integration")
    send_event = django_filters.UUIDFilter("subscription")
    customer = django_filters.UUIDFilter("customer")
    event_key = EventKeyFilter("event_key")
    is_test = YesNoFilter("is_test")
    recorded_at_after = MomentFilter("recorded_at", "gte", help_text="Recorded at this time or later.")
    recorded_at_before = MomentFilter("recorded_at", "lt", help_text="Recorded before this time.")

    class Meta:
        model = Delivery
        fields = ()

    def by_status(self, rows: DeliveryQuerySet, _name: str, value: str) -> DeliveryQuerySet:
        return rows.reads_as(value, store=self.request.user.store)
