"""What the API says of the catalogue: what happens, when, with which fields, and how they can restrict."""

from typing import Any

from drf_spectacular.utils import extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from customers.serializers import StrictSerializer
from events.catalogue import EventType
from events.fields import ANY_PROPERTY, Field, Kind
from events.restrictions import OPERATORS, operators_for

KINDS = [(kind.name.lower(), kind.name.capitalize()) for kind in Kind]
OPERATOR_KEYS = [(operator.key, operator.words) for operator in OPERATORS.values()]


class ChoiceSerializer(StrictSerializer):
    """A value that a field may have, and how a person reads it."""

    value = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # DRF takes it out of the class


class OperatorSerializer(StrictSerializer):
    """A way to compare a field with the value of a restriction."""

    key = serializers.ChoiceField(choices=OPERATOR_KEYS)
    label = serializers.CharField(source="words")  # type: ignore[assignment]  # DRF takes it out of the class


class FieldSerializer(StrictSerializer):
    """A field of an event, and how send events can be restricted by it."""

    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # DRF takes it out of the class
    help = serializers.CharField()
    type = serializers.SerializerMethodField()
    nullable = serializers.BooleanField(help_text="Whether it may be unknown (null).")
    in_payload = serializers.SerializerMethodField(help_text="False: worked out from others, for restrictions alone.")
    operators = serializers.SerializerMethodField(help_text="Empty: nothing can be restricted by it.")
    choices = serializers.SerializerMethodField(help_text="The values it may have; null where any will do.")

    @extend_schema_field(serializers.ChoiceField(choices=KINDS))
    def get_type(self, field: Field) -> str:
        return field.kind.name.lower()

    def get_in_payload(self, field: Field) -> bool:
        return field.derive is None

    @extend_schema_field(OperatorSerializer(many=True))
    def get_operators(self, field: Field) -> list[Any]:
        return [*OperatorSerializer(operators_for(field) if field.restrict else [], many=True).data]

    @extend_schema_field(ChoiceSerializer(many=True, allow_null=True))
    def get_choices(self, field: Field) -> list[dict[str, str]] | None:
        return [{"value": value, "label": label} for value, label in field.choices.choices] if field.choices else None


class EventTypeSerializer(StrictSerializer):
    """An event of the catalogue."""

    key = serializers.CharField()
    aliases = serializers.ListField(child=serializers.CharField(), help_text="Other spellings, which are taken too.")
    label = serializers.CharField()  # type: ignore[assignment]  # DRF takes it out of the class
    group = serializers.CharField()
    fires_when = serializers.CharField(source="help")


@extend_schema_serializer(many=False)
class CatalogueSerializer(StrictSerializer):
    """The whole catalogue, on one page."""

    results = EventTypeSerializer(many=True)


class EventTypeDetailSerializer(EventTypeSerializer):
    """An event of the catalogue with all that is known of it."""

    fields = serializers.SerializerMethodField("every_field")  # type: ignore[assignment]  # DRF takes it out of the class
    initial_restrictions = serializers.ListField(
        child=serializers.DictField(), help_text="What new send events of it begin with."
    )
    property_operators = serializers.SerializerMethodField(
        help_text="How properties that it brings itself (`property_<name>`) can restrict; empty where it brings none."
    )
    schema = serializers.SerializerMethodField(help_text="JSON Schema (2020-12) of the payload.")
    example = serializers.SerializerMethodField(help_text="A payload made of samples.")

    @extend_schema_field(FieldSerializer(many=True))
    def every_field(self, kind: EventType) -> list[Any]:
        return [*FieldSerializer([*kind.fields.values()], many=True).data]

    @extend_schema_field(OperatorSerializer(many=True))
    def get_property_operators(self, kind: EventType) -> list[Any]:
        return [*OperatorSerializer(operators_for(ANY_PROPERTY) if kind.properties is not None else [], many=True).data]

    @extend_schema_field(serializers.DictField())
    def get_schema(self, kind: EventType) -> dict[str, Any]:
        return kind.schema()

    @extend_schema_field(serializers.DictField())
    def get_example(self, kind: EventType) -> dict[str, Any]:
        return kind.example()
