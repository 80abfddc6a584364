"""What the API shows of occurrences and deliveries. Claims, leases and other columns of the senders stay inside."""

from rest_framework import serializers

from customers.models import Customer
from customers.serializers import StrictModelSerializer, StrictSerializer
from customers.tenancy import StoreRelatedField
from events import catalogue
from events.models import Attempt, Delivery, Exchange, Occurrence, Replay
from events.models.delivery import HELD, RETRYING, DeliveryStatus
from integrations.models import Integration

READINGS = [*DeliveryStatus.choices, (HELD, "Held"), (RETRYING, "Retrying")]


class OccurrenceSerializer(StrictModelSerializer[Occurrence]):
    """An event as it happened, with the payload frozen then."""

    id = serializers.IntegerField(read_only=True, help_text="Grows with every event (`event_sequence`).")
    payload = serializers.DictField(source="read_payload", read_only=True)

    class Meta:
        model = Occurrence
        fields = (
            "id",
            "event_id",
            "event_key",
            "customer",
            "subject_id",
            "occurred_at",
            "is_test",
            "silent",
            "error",
            "payload",
        )
        read_only_fields = fields


class ExchangeSerializer(StrictModelSerializer[Exchange]):
    """One HTTP call; secrets were masked before it was stored."""

    request_headers = serializers.DictField(read_only=True)
    response_headers = serializers.DictField(read_only=True)

    class Meta:
        model = Exchange
        fields = (
            "id",
            "started_at",
            "duration_ms",
            "request_method",
            "request_url",
            "request_headers",
            "request_body",
            "response_status",
            "response_headers",
            "response_body",
            "error",
        )
        read_only_fields = fields


class AttemptSerializer(StrictModelSerializer[Attempt]):
    """One try, and the HTTP call that it came to."""

    exchange = ExchangeSerializer(read_only=True, allow_null=True)

    class Meta:
        model = Attempt
        fields = ("id", "number", "outcome", "detail", "started_at", "duration_ms", "exchange")
        read_only_fields = fields


class DeliverySerializer(StrictModelSerializer[Delivery]):
    """One occurrence on its way to one send event."""

    message_id = serializers.UUIDField(
        read_only=True, help_text="Under which it goes out (`webhook-id`): its own id, unless a new one was asked for."
    )
    send_event = serializers.UUIDField(source="subscription_id", read_only=True, allow_null=True)
    reading = serializers.ChoiceField(
        choices=READINGS, read_only=True, help_text="The status, or what a pending delivery reads as: held, retrying."
    )

    class Meta:
        model = Delivery
        fields = (
            "id",
            "message_id",
            "occurrence",
            "send_event",
            "label",
            "integration",
            "customer",
            "event_key",
            "event_name",
            "status",
            "reading",
            "reason",
            "tries",
            "is_test",
            "recorded_at",
            "next_attempt_at",
            "finished_at",
        )
        read_only_fields = fields


class DeliveryWithAttemptsSerializer(DeliverySerializer):
    """One occurrence on its way to one send event, with every try."""

    attempts = AttemptSerializer(many=True, read_only=True)

    class Meta(DeliverySerializer.Meta):
        fields = (*DeliverySerializer.Meta.fields, "attempts")  # type: ignore[assignment]
        read_only_fields = fields  # type: ignore[assignment]


NEW_ID = "Under a new id, so that receivers take it for a new event instead of a repeat."


class ResendSerializer(StrictSerializer):
    """How to send it again."""

    new_id = serializers.BooleanField(required=False, default=False, help_text=NEW_ID)


class ResendManySerializer(StrictModelSerializer[Replay]):
    """Which deliveries to send again; what is left out does not limit them."""

    integration = StoreRelatedField(queryset=Integration.objects.existing(), required=False)
    event_key = serializers.CharField(required=False, max_length=60)
    customer = StoreRelatedField(queryset=Customer.objects.all(), required=False)
    dry_run = serializers.BooleanField(required=False, default=False, help_text="Only count them.")

    class Meta:
        model = Replay
        fields = (
            "status",
            "integration",
            "event_key",
            "customer",
            "recorded_at_after",
            "recorded_at_before",
            "new_id",
            "rate",
            "dry_run",
        )
        extra_kwargs = {
            "recorded_at_after": {"help_text": "Recorded at this time or later.", "allow_null": False},
            "recorded_at_before": {"help_text": "Recorded before this time.", "allow_null": False},
            "new_id": {"help_text": NEW_ID},
        }

    def validate_event_key(self, value: str) -> str:
        try:
            return catalogue.event_type(value).key
        except catalogue.UnknownEventType as error:
            raise serializers.ValidationError(str(error), code="unknown_event") from None


class CountSerializer(serializers.Serializer[dict[str, int]]):
    """What a dry run found."""

    count = serializers.IntegerField(read_only=True)


class ReplaySerializer(StrictModelSerializer[Replay]):
    """Many deliveries on their way to be sent again: `done` of `total` are due."""

    event_key = serializers.CharField(read_only=True, help_text="Only deliveries of this event; empty: of every event.")

    class Meta:
        model = Replay
        fields = (
            "id",
            "state",
            "total",
            "done",
            "status",
            "integration",
            "event_key",
            "customer",
            "recorded_at_after",
            "recorded_at_before",
            "new_id",
            "rate",
            "started_by",
            "started_at",
            "finished_at",
        )
        read_only_fields = fields
