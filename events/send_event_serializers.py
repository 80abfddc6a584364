"""What the API reads and shows of send events: as they are stored, tried before they are, and what trying them found."""

from typing import Any

from rest_framework import serializers

from customers.serializers import KnownChoiceField, StrictModelSerializer, StrictSerializer
from customers.tenancy import StoreRelatedField
from events import catalogue, matching
from events.catalogue_serializers import OPERATOR_KEYS
from events.models import Subscription
from integrations.models import Integration
from integrations.serializers import CallSerializer

MOST_RESTRICTIONS = 50


class EventKeyField(KnownChoiceField):
    """The key of an event of the catalogue, also in another spelling of it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(choices=catalogue.choices(), **kwargs)

    def to_internal_value(self, data: Any) -> Any:
        return super().to_internal_value(catalogue.ALIASES.get(data, data) if isinstance(data, str) else data)


class RestrictionSerializer(StrictSerializer):
    """What must hold of an event: a field, an operator, and a value. `/api/v1/event-types/{key}/` tells which there are."""

    field = serializers.CharField(max_length=80)
    operator = KnownChoiceField(choices=OPERATOR_KEYS)
    value = serializers.JSONField(help_text="One value, a list of them, or two (between): as the operator takes it.")


class SendEventSerializer(StrictModelSerializer[Subscription]):
    """Which event goes to which integration, under which name, and what must hold."""

    integration = StoreRelatedField(queryset=Integration.objects.existing())
    event_key = EventKeyField(help_text="It stays: make another send event for another event.")
    event_name = serializers.CharField(read_only=True, help_text="As the tool sees it: prefix and name.")
    label = serializers.CharField(read_only=True)  # type: ignore[assignment]  # DRF takes it out of the class
    restrictions = serializers.ListField(
        child=RestrictionSerializer(),
        required=False,
        max_length=MOST_RESTRICTIONS,
        help_text="All must hold. Left out, a new one begins with the `initial_restrictions` of its event.",
    )

    class Meta:
        model = Subscription
        fields: tuple[str, ...] = (
            "id",
            "integration",
            "event_key",
            "prefix",
            "name",
            "event_name",
            "label",
            "restrictions",
            "enabled",
            "created_at",
        )

    def unsaved(self) -> Subscription:
        """The send event that was entered, judged by its own rules and not stored. Raises ValidationError."""
        names = {field.attname for field in Subscription._meta.concrete_fields} | {"integration"}
        values = {name: value for name, value in self.validated_data.items() if name in names}
        send_event = Subscription.begin(store=self.context["store"], **values)
        send_event.full_clean()
        return send_event

    def create(self, validated_data: dict[str, Any]) -> Subscription:
        send_event = Subscription.begin(**validated_data)
        send_event.full_clean()
        send_event.save()
        return send_event


class SendEventChangeSerializer(SendEventSerializer):
    """What may change of a send event."""

    event_key = serializers.CharField(read_only=True)  # type: ignore[assignment]


class RecipientSerializer(StrictSerializer):
    """The customer a test is about, by e-mail or by mobile number."""

    email = serializers.EmailField(required=False, max_length=254, help_text="Of a customer of the store, in any case.")
    mobile = serializers.CharField(
        required=False, max_length=32, help_text="Without + it is read as a number of the store's country."
    )


class DaysSerializer(StrictSerializer):
    """How far to look back."""

    days = serializers.IntegerField(
        required=False,
        default=matching.DAYS,
        min_value=1,
        max_value=matching.MOST_DAYS,
        help_text="How many days to look back.",
    )


class UnsavedTestSerializer(RecipientSerializer, SendEventSerializer):
    """A send event that need not be stored, and whom to test it with."""

    class Meta(SendEventSerializer.Meta):
        fields = (*SendEventSerializer.Meta.fields, "email", "mobile")


class UnsavedMatchSerializer(DaysSerializer, SendEventSerializer):
    """A send event that need not be stored, and how far to look back."""

    class Meta(SendEventSerializer.Meta):
        fields = (*SendEventSerializer.Meta.fields, "days")


class FindingSerializer(StrictSerializer):
    """One restriction, and what judging it found."""

    restriction = serializers.CharField(help_text="In words.")
    found = serializers.JSONField(help_text="The value in the event; null when it has none.")
    holds = serializers.BooleanField()
    problem = serializers.CharField(allow_blank=True, help_text="Why nothing can be said about it; empty when it can.")


class ReportSerializer(StrictSerializer):
    """What came of a test event."""

    delivered = serializers.BooleanField(help_text="Whether the tool took it.")
    sentence = serializers.CharField()
    delivery = serializers.UUIDField(source="delivery.pk", help_text="Its entry among the deliveries.")
    would_match = serializers.SerializerMethodField(help_text="Whether the restrictions would have let it through.")
    findings = FindingSerializer(many=True)
    calls = CallSerializer(many=True, source="said")

    def get_would_match(self, report: Any) -> bool:
        return all(finding.holds for finding in report.findings)


class PreviewSerializer(StrictSerializer):
    """What would be sent, made of the newest event of this kind, or of a sample."""

    occurrence = serializers.IntegerField(
        source="occurrence.pk", default=None, allow_null=True, help_text="Of what event it is made; null: a sample."
    )
    sentence = serializers.CharField(allow_blank=True, help_text="Why nothing would be sent; empty when it would.")
    would_match = serializers.SerializerMethodField()
    findings = FindingSerializer(many=True)
    requests = CallSerializer(many=True)

    def get_would_match(self, preview: Any) -> bool:
        return all(finding.holds for finding in preview.findings)


class MatchesSerializer(StrictSerializer):
    """How many of the recent events these restrictions would have let through."""

    matched = serializers.IntegerField()
    total = serializers.IntegerField()
    unclear = serializers.IntegerField(help_text="Could not be judged; not among those that matched.")
    since = serializers.DateTimeField()
    complete = serializers.BooleanField(
        help_text="False: there was no time to look at all of the days, so `since` is later."
    )
    sentence = serializers.CharField(source="__str__")
