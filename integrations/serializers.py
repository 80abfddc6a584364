"""What the API reads and shows of integrations. Secrets go in and never come out."""

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS
from django.db import transaction
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError

from customers.serializers import StrictModelSerializer, StrictSerializer
from integrations.destinations import UnknownDestination, destination
from integrations.destinations.base import Destination
from integrations.models import Integration

LONGEST_SETTING = 10_000


class CallSerializer(StrictSerializer):
    """One HTTP call, secrets masked; without an answer, `error` says why."""

    request_method = serializers.CharField()
    request_url = serializers.CharField()
    request_headers = serializers.DictField(child=serializers.CharField(allow_blank=True))
    request_body = serializers.CharField(allow_blank=True)
    response_status = serializers.IntegerField(allow_null=True)
    response_headers = serializers.DictField(child=serializers.CharField(allow_blank=True))
    response_body = serializers.CharField(allow_blank=True)
    error = serializers.CharField(allow_blank=True)
    duration_ms = serializers.IntegerField()


class FiniteField(serializers.FloatField):
    """A number; `nan` and `inf`, which Python reads as ones too, are none."""

    def to_internal_value(self, data: Any) -> float:
        number: float = super().to_internal_value(data)
        if number - number != 0:
            self.fail("invalid")
        return number


@extend_schema_field(
    {
        "type": ["string", "number", "boolean", "array", "null"],
        "maxLength": LONGEST_SETTING,
        "items": {"type": "string"},
    }
)
class SettingField(serializers.Field[Any, Any, Any, Any]):
    """One setting as JSON says it: a text, a number, true, false, a list of texts, or null for none."""

    default_error_messages = {"invalid": "Enter a text, a number, true or false, a list of texts, or null."}
    text = serializers.CharField(allow_blank=True, trim_whitespace=False, max_length=LONGEST_SETTING)

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, str):
            return self.text.run_validation(data)
        if isinstance(data, list) and all(isinstance(one, str) for one in data):
            return [self.text.run_validation(one) for one in data]
        if isinstance(data, int | float):
            return data
        return self.fail("invalid")

    def to_representation(self, value: Any) -> Any:
        return value


class SettingsField(serializers.DictField):
    """The settings of a destination by their names, judged by its own form."""

    child = SettingField(allow_null=True)


class IntegrationSerializer(StrictModelSerializer[Integration]):
    """An account at a tool. A new one is off: verify it, then switch it on."""

    settings = SettingsField(
        required=False,
        help_text="Those of its destination, secret ones among them. What is left out stays as it is; null removes it. "
        "Where an address leads to another host than before, the secrets must be given again.",
    )
    secrets_set = serializers.SerializerMethodField(help_text="The secret settings that are stored; never shown.")
    rate_limit = FiniteField(
        required=False, allow_null=True, min_value=0.01, max_value=100_000, help_text="Calls per second, at most."
    )
    enabled = serializers.BooleanField(
        required=False, help_text="While it is off, its deliveries are held. On only after it was verified."
    )
    has_check = serializers.BooleanField(
        read_only=True, help_text="Whether its tool can say that the credentials are good."
    )

    class Meta:
        model = Integration
        fields = (
            "id",
            "name",
            "destination",
            "settings",
            "secrets_set",
            "primary_selector",
            "rate_limit",
            "concurrency_limit",
            "enabled",
            "switched_off_reason",
            "has_check",
            "verified_at",
            "checked_at",
            "check_result",
            "created_at",
        )

    def get_secrets_set(self, integration: Integration) -> list[str]:
        return sorted(integration.stored_secrets())

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        try:
            kind = self.instance.kind if self.instance else destination(attrs["destination"])
        except UnknownDestination as error:
            raise ValidationError({"destination": str(error)}, code="unknown") from None
        if self.instance is None or "settings" in attrs:
            given = attrs.get("settings", {})
            stored = {**self.instance.settings, **self.instance.stored_secrets()} if self.instance else begun(kind)
            attrs["settings"] = judged(kind, {**stored, **given}, given=given)
            attrs["forget"] = {name for name, value in given.items() if value in (None, "")}
            if self.instance:
                entered = {name for name, value in given.items() if str(value).strip()}
                refused = self.instance.enter_again(attrs["settings"], known=attrs["forget"] | entered)
                if refused:
                    details = {name: [ErrorDetail(said, code="elsewhere")] for name, said in refused.items()}
                    raise ValidationError({"settings": details})
        return attrs

    def create(self, validated_data: dict[str, Any]) -> Integration:
        return self._write(Integration(enabled=False), validated_data)

    def update(self, instance: Integration, validated_data: dict[str, Any]) -> Integration:
        with (
            transaction.atomic()
        ):  # what the senders note meanwhile (switched off, credentials refused) must not be undone
            return self._write(Integration.objects.select_for_update(no_key=True).get(pk=instance.pk), validated_data)

    def _write(self, integration: Integration, values: dict[str, Any]) -> Integration:
        switch = values.pop("enabled", None)
        settings, forget = values.pop("settings", None), values.pop("forget", ())
        for name, value in values.items():
            setattr(integration, name, value)
        with transaction.atomic():
            if settings is not None:
                integration.configure(settings, forget=forget)
            integration.full_clean()
            integration.save()
            if switch is not None and switch != integration.enabled:
                integration.switch_on() if switch else integration.switch_off()
        return integration


class IntegrationChangeSerializer(IntegrationSerializer):
    """What may change of an account at a tool."""

    destination = serializers.CharField(read_only=True)


def begun(kind: type[Destination]) -> dict[str, Any]:
    """What a new integration of this destination has where nothing is given; never a secret that nobody would know."""
    form = kind.Settings()
    initial = {name: form.get_initial_for_field(field, name) for name, field in form.fields.items()}
    return {name: value for name, value in initial.items() if name not in kind.secret_fields}


def judged(kind: type[Destination], values: dict[str, Any], *, given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings as the destination's own form cleans them. Raises ValidationError with each error at its name."""
    form = kind.Settings(values)
    known = ", ".join(form.fields) or "none"
    wrong: dict[str, Any] = {
        name[:60]: [ErrorDetail(f"{kind.label} has no such setting. Its settings are: {known}.", code="unknown_field")]
        for name in given
        if name not in form.fields
    }
    for name, errors in form.errors.as_data().items():
        wrong["non_field_errors" if name == NON_FIELD_ERRORS else name] = [
            ErrorDetail(message, code=error.code or "invalid") for error in errors for message in error.messages
        ]
    if wrong:
        raise ValidationError({"settings": wrong})
    return form.cleaned_data


class VerificationSerializer(StrictSerializer):
    """What checking the credentials found."""

    good = serializers.BooleanField()
    possible = serializers.BooleanField(help_text="False: the tool has no check; send a test event instead.")
    sentence = serializers.CharField()
    call = CallSerializer(source="said", allow_null=True)
