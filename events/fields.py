"""What a payload is made of: typed fields, from which restrictions, samples, documentation and JSON Schema come."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import Any

from django.db.models import TextChoices
from django.utils.dateparse import parse_date, parse_datetime

from customers.models.custom_events import PROPERTY_NAME

DIGITS = 30  # of the longest number that means anything; 1e999999999 would fill the memory as a whole number
PROPERTY = "property_"  # before the names of properties that a fact brings itself


class Unreadable(ValueError):
    """A value that is not of its field's type, so that nothing can be said about it."""


def _decimal(value: Any) -> Decimal:
    if isinstance(value, bool):
        raise Unreadable
    try:
        number = Decimal(str(value))
    except (InvalidOperation, ValueError):
        raise Unreadable from None
    if not number.is_finite() or abs(number.adjusted()) > DIGITS:
        raise Unreadable
    return number


def _integer(value: Any) -> int:
    number = _decimal(value)
    if number != number.to_integral_value():
        raise Unreadable
    return int(number)


def _text(value: Any) -> str:
    if not isinstance(value, str | int | Decimal) or isinstance(value, bool):
        raise Unreadable
    return str(value)


def _boolean(value: Any) -> bool:
    known = {"true": True, "false": False, "1": True, "0": False}
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in known:
        return known[value.lower()]
    raise Unreadable


def _time(value: Any) -> datetime:
    try:
        moment = value if isinstance(value, datetime) else parse_datetime(value)
    except (TypeError, ValueError):
        raise Unreadable from None
    if moment is None:
        raise Unreadable
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _date(value: Any) -> date:
    try:
        day = value if isinstance(value, date) else parse_date(value)
    except (TypeError, ValueError):
        raise Unreadable from None
    if day is None:
        raise Unreadable
    return day


def _property(value: Any) -> str:
    """Texts as they are, numbers and yes and no as JSON writes them."""
    if not isinstance(value, str | int | float | Decimal):
        raise Unreadable
    return str(value).lower() if isinstance(value, bool) else str(value)


def _as_it_is(value: Any) -> Any:
    return value


def _change(value: Any) -> "Change":
    if not isinstance(value, Change):
        raise Unreadable
    return value


@dataclass(frozen=True)
class Change:
    """What a field was before an update, and what it is since; None: nothing."""

    before: Any
    after: Any


@dataclass(frozen=True, eq=False)  # each is itself: an enum would take equal values for aliases
class KindFacts:
    """How values of a kind are read, and how JSON Schema says them."""

    read: Callable[[Any], Any]
    schema: Mapping[str, Any]


class Kind(Enum):
    """The type of a payload field. Its value says how a value is read and described."""

    CHOICE = KindFacts(_text, {"type": "string"})
    INTEGER = KindFacts(_integer, {"type": "integer"})
    DECIMAL = KindFacts(_decimal, {"type": "string", "pattern": r"^-?\d+(\.\d+)?$"})
    TEXT = KindFacts(_text, {"type": "string"})
    BOOLEAN = KindFacts(_boolean, {"type": "boolean"})
    TIME = KindFacts(_time, {"type": "string", "format": "date-time"})
    DATE = KindFacts(_date, {"type": "string", "format": "date"})
    LIST = KindFacts(_as_it_is, {"type": "array"})
    CHANGE = KindFacts(_change, {"type": "object"})
    PROPERTY = KindFacts(_property, {"type": ["string", "number", "boolean", "null"]})  # of a type of its own each time


@dataclass(frozen=True, kw_only=True)
class Field:
    """One payload field.

    `sample` stands in the documentation, and in test events of what is not the customer's own. `restrict` says whether
    send events can be restricted by it. A field with `derive` is not in the payload: it is worked out from it, for
    restrictions alone, of the payload fields in `reads`.
    """

    name: str
    kind: Kind
    label: str
    sample: Any
    help: str = ""
    choices: type[TextChoices] | None = None
    nouns: Mapping[str, str] = field(
        default_factory=dict, hash=False
    )  # what its choices are called when there are many of them
    items: Mapping[str, Any] | None = None  # of a list: the JSON Schema of what is in it
    nullable: bool = True
    restrict: bool = True
    derive: Callable[[Mapping[str, Any]], Any] | None = None
    reads: tuple[str, ...] = ()
    changes: "Field | None" = None

    def read(self, payload: Mapping[str, Any]) -> Any:
        """Its value in this payload as the type of its kind, None when missing. Raises Unreadable."""
        value = self.derive(payload) if self.derive else payload.get(self.name)
        return None if value is None else self.kind.value.read(value)

    def choice_label(self, value: str) -> str:
        """How a person reads this value of a choice field."""
        return dict(self.choices.choices).get(value, value) if self.choices else value

    def in_words(self, value: Any) -> str:
        """How a person reads a value of it, as it stands in a payload."""
        if value is None or value == "":
            return "nothing"
        if self.changes:
            return f"{self.changes.in_words(value['from'])} → {self.changes.in_words(value['to'])}"
        if isinstance(value, bool):
            return "yes" if value else "no"
        text = self.choice_label(str(value))
        return f"{text[:60]}…" if len(text) > 60 else text

    def schema(self) -> dict[str, Any]:
        """Its JSON Schema (2020-12)."""
        schema: dict[str, Any] = dict(self.kind.value.schema)
        schema |= {"title": self.label, **({"description": self.help} if self.help else {})}
        if self.choices:
            schema["enum"] = [*self.choices.values, *([None] if self.nullable else [])]
        if self.items:
            schema["items"] = dict(self.items)
        if self.nullable:
            schema["type"] = [schema["type"], "null"]
        return schema


def change_of(field: Field) -> Field:
    """The change of this field in an update, which restricts by what it was and what it is."""

    def change(payload: Mapping[str, Any]) -> Change | None:
        changed = payload.get("changed_fields")
        if not isinstance(changed, list):
            raise Unreadable
        if field.name not in changed:
            return None
        before = field.read({field.name: payload.get(f"previous_{field.name}")})
        return Change(before, field.read(payload))

    return Field(
        name=f"changed_{field.name}",
        kind=Kind.CHANGE,
        label=field.label,
        sample=None,
        derive=change,
        reads=("changed_fields", f"previous_{field.name}", field.name),
        changes=field,
    )


def property_called(name: str) -> Field | None:
    """The field of a property by its name in the payload (`property_score`); None when that is no such name."""
    own = name.removeprefix(PROPERTY)
    if own == name or not re.fullmatch(PROPERTY_NAME, own):
        return None
    return Field(name=name, kind=Kind.PROPERTY, label=f"Property {own}", sample=None)


ANY_PROPERTY = Field(name=PROPERTY.rstrip("_"), kind=Kind.PROPERTY, label="Property", sample=None)
