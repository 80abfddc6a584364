"""The form of an integration: what every one has, and its destination's own settings, with each error at its field."""

from copy import deepcopy
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS
from django.forms.boundfield import BoundField

from integrations.destinations.base import Destination
from integrations.models import Integration

KEPT = "It is stored and never shown. Left empty, it stays as it is."


class IntegrationForm(forms.ModelForm[Integration]):
    """The fields of one destination's settings stand in it as `settings-<name>`; its own form judges them."""

    kind: ClassVar[type[Destination]]

    class Meta:
        model = Integration
        fields = ("name", "primary_selector", "rate_limit", "concurrency_limit", "at_most_once")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("label_suffix", "")
        super().__init__(*args, **kwargs)
        adding = self.instance._state.adding
        if adding:
            self.instance.destination, self.instance.enabled = self.kind.key, False
        self._offer_selectors()
        self._stored = self.instance.stored_secrets()
        self._settings = self.kind.Settings(self._settings_data(), prefix="settings")
        for name, field in self._settings.fields.items():
            self._add_setting(name, deepcopy(field), stored=name in self._stored)
            if not adding and name not in self.kind.secret_fields:
                self.initial[f"settings-{name}"] = self.instance.settings.get(name)

    def _offer_selectors(self) -> None:
        if not self.kind.selectors:
            self.fields.pop("primary_selector", None)
        elif field := self.fields.get("primary_selector"):
            assert isinstance(field, forms.ChoiceField)
            field.choices = [(selector.value, selector.label.capitalize()) for selector in self.kind.selectors]
            if self.initial.get("primary_selector") not in dict(field.choices):
                self.initial["primary_selector"] = self.kind.selectors[0].value

    def _settings_data(self) -> Any:
        """What was entered, with the stored secrets in the place of empty ones: they are judged together."""
        if not self.is_bound:
            return None
        data: Any = self.data
        data = data.copy()
        for name, secret in self._stored.items():
            if not data.get(f"settings-{name}") and name not in self.forgotten:
                data[f"settings-{name}"] = secret
        return data

    @property
    def forgotten(self) -> set[str]:
        """The secrets whose box "remove what is stored" is ticked."""
        return {name for name in self.kind.secret_fields if self.data.get(f"forget-{name}")}

    def _add_setting(self, name: str, field: forms.Field, *, stored: bool) -> None:
        if field.label is None:
            field.label = name.replace("_", " ").capitalize()
        self.fields[f"settings-{name}"] = field
        if name in self.kind.secret_fields:
            field.widget.attrs |= {"autocomplete": "off", "spellcheck": "false"}
            if stored:  # what is stored is never rendered, so that nobody can read it there
                if not field.required:
                    label = f"Remove the stored {str(field.label).lower()}"
                    self.fields[f"forget-{name}"] = forms.BooleanField(required=False, label=label)
                field.initial, field.required, field.help_text = None, False, KEPT
                field.stored = True  # type: ignore[attr-defined]  # for the template

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        for name, errors in self._settings.errors.as_data().items():
            if name == NON_FIELD_ERRORS:
                self.add_error(None, errors)
            elif f"settings-{name}" not in self.errors:
                self.add_error(f"settings-{name}", errors)
        entered = {name for name in self.kind.secret_fields if self.data.get(f"settings-{name}", "").strip()}
        refused = self.instance.enter_again(self._settings.cleaned_data, known=self.forgotten | entered)
        for name, sentence in refused.items():
            self.add_error(f"settings-{name}", sentence)
        return cleaned

    def save(self, commit: bool = True) -> Integration:
        self.instance.configure(self._settings.cleaned_data, forget=self.forgotten)
        return super().save(commit)

    # What the template shows, in this order.

    def general(self) -> list[BoundField]:
        """How the store calls it, and how the tool finds customers."""
        return [self[name] for name in ("name", "primary_selector") if name in self.fields]

    def settings_fields(self) -> list[BoundField]:
        """The destination's own."""
        return [self[name] for name in self.fields if name.startswith(("settings-", "forget-"))]

    def limits(self) -> list[BoundField]:
        """How much it may be sent, and how often the same."""
        return [self[name] for name in ("rate_limit", "concurrency_limit", "at_most_once")]

    def limits_set(self) -> bool:
        """Whether they deserve to be seen at once."""
        return any(field.value() or field.errors for field in self.limits())


def form_of(kind: type[Destination]) -> type[IntegrationForm]:
    """The form of integrations of this destination."""

    class FormOfDestination(IntegrationForm):
        """Its own class: the admin makes others of it."""

    FormOfDestination.kind = kind
    return FormOfDestination
