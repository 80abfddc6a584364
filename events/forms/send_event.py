"""A send event as a person enters it: where it goes, under which name, and what must hold."""

from collections.abc import Iterator
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Q

from events import catalogue
from events.catalogue import EventType
from events.forms.restriction import ChangeForm, PropertyForm, RestrictionForm, restriction_forms
from events.models import Subscription
from events.restrictions import Restriction, RestrictionError, read_restriction, read_restrictions

PROMINENT = 3  # restrictions that show at once


class SendEventForm(forms.ModelForm[Subscription]):
    """One send event. Its event is chosen before, and stays: the restrictions hang on it."""

    class Meta:
        model = Subscription
        fields = ("event_key", "integration", "prefix", "name", "enabled")
        widgets = {"event_key": forms.HiddenInput}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        adding = self.instance._state.adding
        chosen = (self.data if self.is_bound else self.initial).get("event_key", "")
        self.kind = _kind(str(chosen) if adding else self.instance.event_key)
        stored = self.initial.get("restrictions", []) if adding else self.instance.restrictions
        self._before = self.instance.restrictions
        self.misfits: list[str] = []  # what is stored and does not fit any more: gone with the next save
        self._fitting = [one for one in stored if self.kind and self._fits(self.kind, one)]
        data = self.data if self.is_bound else None
        self.restriction_forms: list[RestrictionForm | ChangeForm] = (
            restriction_forms(self.kind, self._fitting, data) if self.kind else []
        )
        if "event_key" in self.fields and not adding:
            self.fields["event_key"].disabled = True
        if "integration" in self.fields:
            self._offer_integrations()

    def _offer_integrations(self) -> None:
        """Those that are on; also the present one, so that it can stay."""
        field = self.fields["integration"]
        assert isinstance(field, forms.ModelChoiceField)
        assert field.queryset is not None
        usable = Q(enabled=True) | Q(pk=self.instance.integration_id)
        field.queryset = field.queryset.filter(usable, archived_at=None)
        field.empty_label = "Choose an integration"
        field.error_messages["required"] = "Choose where the event goes."
        if self.initial.get("integration") is None and len(only := list(field.queryset[:2])) == 1:
            self.initial["integration"] = only[0].pk

    def _fits(self, kind: EventType, stored: Any) -> bool:
        try:
            read_restriction(kind, stored)
        except RestrictionError as error:
            self.misfits.append(str(error))
            return False
        return True

    @property
    def restrictions(self) -> list[Restriction]:
        """What was entered, once the form is valid; before anything was entered, what stands there."""
        if self.is_bound or self.kind is None:
            return [form.restriction for form in self.restriction_forms if form.restriction]
        return read_restrictions(self.kind, self._fitting)

    @property
    def prominent(self) -> list[RestrictionForm | ChangeForm]:
        """The restrictions that show at once: those in use, the first ones that the event declares, and properties."""
        return [
            form
            for place, form in enumerate(self.restriction_forms)
            if place < PROMINENT or form.in_use or isinstance(form, PropertyForm)
        ]

    @property
    def further(self) -> list[RestrictionForm | ChangeForm]:
        """The others, without those by what changed."""
        shown = self.prominent
        return [form for form in self.restriction_forms if form not in shown and not form.field.changes]

    @property
    def changes(self) -> list[RestrictionForm | ChangeForm]:
        """The others, by what changed in an update."""
        shown = self.prominent
        return [form for form in self.restriction_forms if form not in shown and form.field.changes]

    def as_it_stands(self) -> Subscription:
        """The send event that the form shows before anything was entered; not to be saved."""
        if not self.instance._state.adding:
            return self.instance
        integrations: Any = self.fields["integration"]
        chosen = integrations.queryset.filter(pk=self.initial.get("integration")).first()
        names = {name: self.initial.get(name) or "" for name in ("event_key", "prefix", "name")}
        return Subscription(integration=chosen, **names)

    def problems(self) -> Iterator[str]:
        """Everything that is wrong, each with the name of its field."""
        for name, errors in self.errors.items():
            label = self.fields[name].label if name in self.fields else ""
            yield from (f"{str(label).capitalize()}: {error}" for error in errors if label)
        for form in self.restriction_forms:
            yield from (str(error) for errors in form.errors.values() for error in errors)

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        wrong = [form for form in self.restriction_forms if not form.is_valid()]
        if wrong:
            raise ValidationError("Look at the restrictions again: one of them does not fit.")
        self.instance.restrictions = [restriction.stored() for restriction in self.restrictions]
        return cleaned

    @property
    def changed_data(self) -> list[str]:
        """With the restrictions, for the history."""
        changed = list(super().changed_data)
        return changed if self._before == self.instance.restrictions else [*changed, "restrictions"]


def _kind(key: str) -> EventType | None:
    try:
        return catalogue.event_type(key)
    except catalogue.UnknownEventType:
        return None
