"""Form fields that the settings of several destinations have."""

from datetime import date
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from integrations.http import BadRequest, check_url
from integrations.http_message import target_of


def callable_address(text: str) -> None:
    """Raises ValidationError unless the door would call it."""
    try:
        check_url(text)
    except BadRequest as error:
        raise ValidationError(error.summary) from None


def nothing_after_the_path(text: str) -> None:
    """Raises ValidationError where no path can be put after it."""
    if "?" in text or "#" in text:
        raise ValidationError("The address must not hold a ? or a #.")


def dated(text: str) -> None:
    """Raises ValidationError unless it is a date that exists, written YYYY-MM-DD."""
    try:
        known = date.fromisoformat(text).isoformat() == text
    except ValueError:
        known = False
    if not known:
        raise ValidationError("A version is a date, such as 2026-07-15.")


class AddressField(forms.CharField):
    """An http or https address, as the door takes it: by its type, a destination's setting says that calls go there."""

    default_validators = [callable_address]

    def origin(self, address: str | None) -> str:
        """Whom a call to this address reaches, as `https://example.com:443`; "" for what cannot be called."""
        try:
            return target_of(address or "").origin
        except BadRequest:
            return ""


class HostField(AddressField):
    """An address that paths are put after."""

    default_validators = [callable_address, nothing_after_the_path]

    def clean(self, value: Any) -> str:
        address: str = super().clean(value)
        return address.rstrip("/")


class VersionField(forms.CharField):
    """The version of an API that is named by a date."""

    default_validators = [dated]
