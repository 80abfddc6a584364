"""One restriction as a person enters it: how to compare, and with what, by a control that fits the field's kind."""

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django import forms

from events.catalogue import EventType
from events.fields import ANY_PROPERTY, PROPERTY, Field, Kind, property_called
from events.restrictions import Restriction, RestrictionError, operators_for, read_restriction

PREFIX = (
    "restrict"  # of the names of the inputs: restrict-<field>-value, and restrict-<field>-<n>-value for a second one
)


@dataclass(frozen=True)
class Control:
    """How values of a kind are entered. `entered` makes of the cleaned input what a restriction takes, `shown` the reverse.

    What is empty after `entered` restricts nothing. `unit` stands behind the input.
    """

    make: Callable[[Field], forms.Field]
    entered: Callable[[Any], Any] = lambda given: given.strip()
    shown: Callable[[Any], Any] = lambda stored: stored
    unit: str = ""
    boxes: bool = False


def _input(**attrs: str) -> Callable[[Field], forms.Field]:
    return lambda field: forms.CharField(required=False, widget=forms.TextInput(attrs={"autocomplete": "off", **attrs}))


def _listed(text: str) -> list[str]:
    """The values of a line such as `Gold, Platinum`; one with a comma stands in quotation marks."""
    rows = csv.reader([text.replace("\n", " ")], skipinitialspace=True)
    return [value.strip() for row in rows for value in row if value.strip()]


def _as_line(values: Any) -> str:
    return ", ".join(_quoted(str(one)) for one in (values if isinstance(values, list) else [values]))


def _quoted(value: str) -> str:
    return '"' + value.replace('"', '""') + '"' if set(value) & {",", '"'} else value


def _line_of_values(field: Field) -> forms.Field:
    example = f"Such as {field.sample}. Separate several by commas." if field.sample else "Separate several by commas."
    return forms.CharField(required=False, help_text=example, widget=forms.TextInput(attrs={"autocomplete": "off"}))


def _boxes(field: Field) -> forms.Field:
    assert field.choices is not None
    return forms.MultipleChoiceField(required=False, choices=field.choices.choices, widget=forms.CheckboxSelectMultiple)


def _yes_or_no(field: Field) -> forms.Field:
    return forms.ChoiceField(required=False, choices=[("", "Either"), ("true", "Yes"), ("false", "No")])


def _yes_and_no(field: Field) -> forms.Field:
    choices = [("true", "Yes"), ("false", "No")]
    return forms.MultipleChoiceField(required=False, choices=choices, widget=forms.CheckboxSelectMultiple)


BOXES = Control(_boxes, entered=list, boxes=True)
CONTROLS: Mapping[Kind, Control] = {
    Kind.CHOICE: Control(_line_of_values, entered=_listed, shown=_as_line),  # where the choices are the store's own
    Kind.INTEGER: Control(_input(inputmode="numeric")),
    Kind.DECIMAL: Control(_input(inputmode="decimal")),
    Kind.TEXT: Control(_input()),
    Kind.PROPERTY: Control(_input()),
    Kind.BOOLEAN: Control(_yes_or_no, shown=lambda stored: "true" if stored is True else "false"),
    Kind.TIME: Control(_input(inputmode="numeric"), unit="days"),
}


def control_of(field: Field) -> Control:
    """The control that fits this field."""
    return BOXES if field.choices else CONTROLS[field.kind]


def control_of_ends(field: Field) -> Control:
    """The control for what this field was, and for what it became: each takes several values."""
    if field.kind is Kind.BOOLEAN:
        return Control(_yes_and_no, entered=list, shown=lambda stored: [str(one).lower() for one in stored], boxes=True)
    return BOXES if field.choices else CONTROLS[Kind.CHOICE]


class RestrictionForm(forms.Form):
    """One field's restriction; left empty, it restricts nothing. `restriction` is there once it is valid."""

    restriction: Restriction | None = None

    def __init__(
        self,
        kind: EventType,
        field: Field,
        *,
        place: int = 0,
        stored: Mapping[str, Any] | None = None,
        data: Any = None,
    ) -> None:
        super().__init__(data, prefix=prefix_of(field, place), use_required_attribute=False)
        self.kind, self.field, self.control = kind, field, control_of(field)
        self.operators = operators_for(field)
        self.fields["operator"] = forms.ChoiceField(
            label=f"{field.label}: how to compare",
            choices=[(operator.key, operator.words) for operator in self.operators],
            required=False,
            widget=forms.Select if len(self.operators) > 1 else forms.HiddenInput,
        )
        self.fields["operator"].widget.attrs["aria-label"] = self.fields["operator"].label
        self.fields["value"] = self.control.make(field)
        self.fields["value"].label = field.label
        if self.takes_two:
            self.fields["upper"] = self.control.make(field)
            self.fields["upper"].label = f"{field.label}: at most"
            self.fields["upper"].widget.attrs["aria-label"] = self.fields["upper"].label
        self.initial = {"operator": self.operators[0].key, **self._as_shown(stored)}

    @property
    def takes_two(self) -> bool:
        """Whether one of its operators compares with two values."""
        return any(operator.takes_two for operator in self.operators)

    @property
    def in_use(self) -> bool:
        """Whether something is entered, right or wrong: then it must be seen."""
        return bool(self["value"].value() or ("upper" in self.fields and self["upper"].value()))

    def _as_shown(self, stored: Mapping[str, Any] | None) -> dict[str, Any]:
        if stored is None:
            return {}
        value = stored["value"]
        if self.takes_two and isinstance(value, list):
            return {"operator": stored["operator"], "value": value[0], "upper": value[-1]}
        return {"operator": stored["operator"], "value": self.control.shown(value)}

    def clean(self) -> dict[str, Any]:
        given = self.cleaned_data
        key = given.get("operator") or self.operators[0].key
        value = self.control.entered(given.get("value") or "")
        if self.takes_two and any(one.takes_two for one in self.operators if one.key == key):
            upper = self.control.entered(given.get("upper") or "")
            value = [one for one in (value, upper) if one]
        if value:
            try:
                self.restriction = read_restriction(self.kind, {"field": self.named(), "operator": key, "value": value})
            except RestrictionError as error:
                self.add_error("value", str(error))
        return given

    def named(self) -> str:
        """The name of the field that it restricts by. Raises RestrictionError where none was entered."""
        return self.field.name


class PropertyForm(RestrictionForm):
    """A restriction by a property that an app sends along: its name is entered too."""

    def __init__(self, *args: Any, stored: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, stored=stored, **kwargs)
        self.fields["name"] = forms.CharField(
            required=False, label="Name of the property", widget=forms.TextInput(attrs={"autocomplete": "off"})
        )
        self.fields["name"].widget.attrs |= {"aria-label": "Name of the property", "placeholder": "score"}
        self.initial["name"] = stored["field"].removeprefix(PROPERTY) if stored else ""

    @property
    def in_use(self) -> bool:
        return bool(self["name"].value()) or super().in_use

    def named(self) -> str:
        name = self.cleaned_data.get("name", "").strip()
        if property_called(f"{PROPERTY}{name}") is None:
            raise RestrictionError("Name the property by letters, digits and _, such as score.")
        return f"{PROPERTY}{name}"

    def clean(self) -> dict[str, Any]:
        given = super().clean()
        if given.get("name") and not self.restriction and not self.errors:
            self.add_error("value", f"Enter with what {given['name']} is compared, or leave its name empty.")
        return given


class ChangeForm(forms.Form):
    """What a field was before an update, and what it became; left empty, it restricts nothing."""

    restriction: Restriction | None = None

    def __init__(
        self,
        kind: EventType,
        field: Field,
        *,
        place: int = 0,
        stored: Mapping[str, Any] | None = None,
        data: Any = None,
    ) -> None:
        super().__init__(data, prefix=prefix_of(field, place), use_required_attribute=False)
        assert field.changes is not None
        self.kind, self.field, self.control = kind, field, control_of_ends(field.changes)
        ends = stored["value"] if stored else {}
        self.fields["any"] = forms.BooleanField(required=False, label="changed in any way")
        self.initial["any"] = bool(stored) and not any(ends.values())
        for end in ("from", "to"):
            self.fields[end] = self.control.make(field.changes)
            self.fields[end].label = f"{field.label} changed {end}"
            if not self.control.boxes:
                self.fields[end].widget.attrs["aria-label"] = self.fields[end].label
            self.initial[end] = self.control.shown(ends.get(end, []))

    @property
    def in_use(self) -> bool:
        """Whether something is entered, right or wrong: then it must be seen."""
        return any(self[name].value() for name in self.fields)

    @property
    def ends(self) -> list[tuple[str, forms.BoundField]]:
        """The two inputs, each with the word before it."""
        return [(end, self[end]) for end in ("from", "to")]

    def clean(self) -> dict[str, Any]:
        given = self.cleaned_data
        ends = {end: self.control.entered(given.get(end) or "") for end in ("from", "to")}
        if given.get("any") or any(ends.values()):
            stored = {"field": self.field.name, "operator": "changed", "value": ends}
            try:
                self.restriction = read_restriction(self.kind, stored)
            except RestrictionError as error:
                self.add_error("to", str(error))
        return given


def prefix_of(field: Field, place: int) -> str:
    """What the names of its inputs begin with."""
    return f"{PREFIX}-{field.name}-{place}" if place else f"{PREFIX}-{field.name}"


def restriction_forms(
    kind: EventType, stored: list[Mapping[str, Any]], data: Any = None
) -> list[RestrictionForm | ChangeForm]:
    """A form for each field that can restrict this event, and more where the same field has several restrictions."""
    forms_: list[RestrictionForm | ChangeForm] = []
    for field in kind.restrictable.values():
        mine = [one for one in stored if one["field"] == field.name]
        places = max(len(mine), 1)
        while data is not None and any(name.startswith(f"{prefix_of(field, places)}-") for name in data):
            places += 1
        form = ChangeForm if field.changes else RestrictionForm
        forms_ += [
            form(kind, field, place=place, stored=mine[place] if place < len(mine) else None, data=data)
            for place in range(places)
        ]
    return [*forms_, *([] if kind.properties is None else property_forms(kind, stored, data))]


def property_forms(kind: EventType, stored: list[Mapping[str, Any]], data: Any = None) -> list[RestrictionForm]:
    """A form for each property that restricts this event, and an empty one for the next."""
    mine = [one for one in stored if property_called(one["field"])]
    places = len(mine) + 1
    while data is not None and f"{prefix_of(ANY_PROPERTY, places)}-operator" in data:
        places += 1
    return [
        PropertyForm(kind, ANY_PROPERTY, place=place, stored=mine[place] if place < len(mine) else None, data=data)
        for place in range(places)
    ]
