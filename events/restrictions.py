"""Restrictions: what must hold of a frozen payload for a delivery to go out, judged with an explanation.

A missing value (null, or not there) matches no comparison; only the two negations, *is none of* and *is not*, hold for it.

RestrictionError(ValueError)    the restriction does not fit its event; refused where it is entered
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from events.catalogue import EventType
from events.fields import Change, Field, Kind, Unreadable

UNSTORABLE = re.compile("[\0\ud800-\udfff]")  # NUL and halves of pairs, which PostgreSQL's JSON does not take


class RestrictionError(ValueError):
    """Why this restriction cannot be: one sentence for the person who enters it."""


def _many(field: Field, value: Any) -> list[Any]:
    """A list of values of the field, each once."""
    values = value if isinstance(value, list | tuple) else [value]
    if not values:
        raise RestrictionError(f"{field.label}: choose at least one value.")
    read = [_one(field, item) for item in values]
    return list(dict.fromkeys(read))


def _one(field: Field, value: Any) -> Any:
    """One value of the field's own type."""
    try:
        read = field.kind.value.read(value)
    except Unreadable:
        raise RestrictionError(f"{field.label}: {_shown(value)} is not {_KIND_WORDS[field.kind]}.") from None
    if isinstance(read, str) and (not read.strip() or UNSTORABLE.search(read)):
        raise RestrictionError(f"{field.label}: enter a text.")
    if field.choices and read not in field.choices.values:
        known = ", ".join(field.choices.values)
        raise RestrictionError(f"{field.label}: {_shown(value)} is not one of {known}.")
    return read


def _pair(field: Field, value: Any) -> list[Any]:
    """Two values, the lower one first."""
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise RestrictionError(f"{field.label}: between takes two values, the lower and the upper one.")
    low, high = (_one(field, item) for item in value)
    if low > high:
        raise RestrictionError(f"{field.label}: {_shown(value[0])} is more than {_shown(value[1])}.")
    return [low, high]


def _days(field: Field, value: Any) -> int:
    """A number of days, 1 to 3650."""
    try:
        days = Kind.INTEGER.value.read(value)
    except Unreadable:
        days = 0
    if not 1 <= days <= 3650:
        raise RestrictionError(f"{field.label}: enter a number of days from 1 to 3650.")
    return int(days)


def _from_and_to(field: Field, value: Any) -> dict[str, list[Any]]:
    """The values it may have had and may have now; none of them: any value."""
    assert field.changes is not None
    if not isinstance(value, Mapping) or set(value) - {"from", "to"}:
        raise RestrictionError(
            f"{field.label}: a change has the lists “from” and “to”; an empty one stands for any value."
        )
    return {end: _many(field.changes, value[end]) if value.get(end) else [] for end in ("from", "to")}


def _changed(found: Change, ends: Mapping[str, list[Any]], _: datetime) -> bool:
    return all(not ends[end] or one in ends[end] for end, one in (("from", found.before), ("to", found.after)))


def _shown(value: Any) -> str:
    text = str(value)
    return f"“{text[:60]}…”" if len(text) > 60 else f"“{text}”"


_KIND_WORDS = {
    Kind.CHOICE: "a text",
    Kind.TEXT: "a text",
    Kind.INTEGER: "a whole number",
    Kind.DECIMAL: "a number",
    Kind.BOOLEAN: "yes or no",
    Kind.TIME: "a time",
    Kind.DATE: "a date",
    Kind.LIST: "a list",
    Kind.CHANGE: "a change",
    Kind.PROPERTY: "a text",
}


def _within(found: datetime, days: int, now: datetime) -> bool:
    return now - timedelta(days=days) <= found <= now


@dataclass(frozen=True)
class Operator:
    """How a value found is compared with the restriction's own; `now` is the time of the event."""

    key: str
    words: str
    kinds: frozenset[Kind]
    take: Callable[[Field, Any], Any]  # reads the entered value, raises RestrictionError
    holds: Callable[[Any, Any, datetime], bool]
    holds_for_missing: bool = False
    timed: bool = False  # looks at the time of the event

    def typed(self, field: Field) -> Field:
        """The field as this compares it: a property has no type of its own, so numbers are compared with numbers."""
        numbers = field.kind is Kind.PROPERTY and Kind.DECIMAL in self.kinds
        return replace(field, kind=Kind.DECIMAL) if numbers else field

    @property
    def takes_two(self) -> bool:
        """Whether it compares with two values, the lower and the upper one."""
        return self.take is _pair


_CHOICES = frozenset({Kind.CHOICE})
_TEXTS = frozenset({Kind.TEXT, Kind.PROPERTY})
_NUMBERS = frozenset({Kind.INTEGER, Kind.DECIMAL, Kind.PROPERTY})

OPERATORS: Mapping[str, Operator] = {
    operator.key: operator
    for operator in (
        Operator("any_of", "is one of", _CHOICES, _many, lambda found, values, _: found in values),
        Operator("none_of", "is none of", _CHOICES, _many, lambda found, values, _: found not in values, True),
        Operator("at_least", "is at least", _NUMBERS, _one, lambda found, least, _: found >= least),
        Operator("at_most", "is at most", _NUMBERS, _one, lambda found, most, _: found <= most),
        Operator("between", "is between", _NUMBERS, _pair, lambda found, pair, _: pair[0] <= found <= pair[1]),
        Operator("is", "is", _TEXTS | {Kind.BOOLEAN}, _one, lambda found, value, _: found == value),
        Operator("is_not", "is not", _TEXTS, _one, lambda found, value, _: found != value, True),
        Operator("contains", "contains", _TEXTS, _one, lambda found, part, _: part.casefold() in found.casefold()),
        Operator(
            "starts_with",
            "starts with",
            _TEXTS,
            _one,
            lambda found, start, _: found.casefold().startswith(start.casefold()),
        ),
        Operator("within_days", "is within the last days", frozenset({Kind.TIME}), _days, _within, timed=True),
        Operator("changed", "changed", frozenset({Kind.CHANGE}), _from_and_to, _changed),
    )
}


def operators_for(field: Field) -> list[Operator]:
    """The operators that fit this field."""
    return [operator for operator in OPERATORS.values() if field.kind in operator.kinds]


@dataclass(frozen=True)
class Finding:
    """What judging one restriction found: the value there, whether it holds, or why nothing can be said (`problem`)."""

    restriction: "Restriction"
    found: Any
    holds: bool
    problem: str = ""

    @property
    def found_label(self) -> str:
        """The value found, as a person reads it."""
        if self.found is None:
            return "unchanged" if self.restriction.field.changes else "not known"
        return self.restriction.field.in_words(self.found)


@dataclass(frozen=True)
class Restriction:
    """One restriction that fits its event: the value is of the field's own type."""

    field: Field
    operator: Operator
    value: Any

    @property
    def reads(self) -> tuple[str, ...]:
        """The payload fields that judging it looks at, beside the time of the event."""
        return self.field.reads or (self.field.name,)

    def stored(self) -> dict[str, Any]:
        """As it stands on the row: `{"field": ..., "operator": ..., "value": ...}` in JSON's own types."""
        return {"field": self.field.name, "operator": self.operator.key, "value": _plain(self.value)}

    def judge(self, payload: Mapping[str, Any], *, now: datetime) -> Finding:
        """Whether it holds for this payload. Never raises: what cannot be read is the finding's problem."""
        try:
            found = self.field.read(payload)
        except Unreadable:
            if self.field.changes:
                return Finding(self, None, holds=False, problem=f"{self.field.label}: what changed cannot be read.")
            raw = payload.get(self.field.name)
            problem = f"{self.field.label}: the value found, {_shown(raw)}, is not {_KIND_WORDS[self.field.kind]}."
            return Finding(self, raw, holds=False, problem=problem)
        if found is None:
            return Finding(self, None, holds=self.operator.holds_for_missing)
        return Finding(self, _plain(found), holds=self.operator.holds(found, self.value, now))

    def __str__(self) -> str:
        """In words: `Wallet Transaction Types is one of Reward, Redeem`."""
        if self.operator.key == "within_days":
            return f"{self.field.label} is within the last {f'{self.value} days' if self.value > 1 else 'day'}"
        if self.operator.key == "between":
            return f"{self.field.label} is between {self.value[0]} and {self.value[1]}"
        if isinstance(self.value, bool):
            return f"{self.field.label}: {'yes' if self.value else 'no'}"
        if self.field.changes:
            ends = [
                f"{end} {_listed(self.field.changes, self.value[end])}" for end in ("from", "to") if self.value[end]
            ]
            return " ".join([self.field.label, self.operator.words, *ends])
        values = self.value if isinstance(self.value, list) else [self.value]
        return f"{self.field.label} {self.operator.words} {_listed(self.field, values)}"


def _listed(field: Field, values: Iterable[Any]) -> str:
    return ", ".join(field.in_words(one) if isinstance(one, bool) else field.choice_label(str(one)) for one in values)


def _plain(value: Any) -> Any:
    """The value in JSON's own types."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, Change):
        return {"from": _plain(value.before), "to": _plain(value.after)}
    if isinstance(value, Decimal):
        return str(value)
    return value.isoformat() if hasattr(value, "isoformat") else value


def read_restriction(kind: EventType, stored: Any) -> Restriction:
    """One restriction from its stored or entered form. Raises RestrictionError when it does not fit the event."""
    if not isinstance(stored, Mapping) or set(stored) != {"field", "operator", "value"}:
        raise RestrictionError("A restriction has a field, an operator and a value.")
    field = kind.restrictable_by(str(stored["field"]))
    if field is None:
        raise RestrictionError(f"{kind.label} cannot be restricted by {_shown(stored['field'])}.")
    operator = OPERATORS.get(str(stored["operator"]))
    if operator is None or field.kind not in operator.kinds:
        fitting = ", ".join(one.key for one in operators_for(field))
        raise RestrictionError(
            f"{field.label} cannot be compared by {_shown(stored['operator'])}; it can by: {fitting}."
        )
    field = operator.typed(field)
    return Restriction(field, operator, operator.take(field, stored["value"]))


def read_restrictions(kind: EventType, stored: Any) -> list[Restriction]:
    """All restrictions of a send event. Raises RestrictionError for the first that does not fit."""
    if not isinstance(stored, list):
        raise RestrictionError("Restrictions are a list.")
    return [read_restriction(kind, one) for one in stored]


def judge(restrictions: Iterable[Restriction], payload: Mapping[str, Any]) -> list[Finding]:
    """A finding for each; times are compared with the time of the event."""
    now = Kind.TIME.value.read(payload["event_occurred_at"]) if payload.get("event_occurred_at") else datetime.now(UTC)
    return [restriction.judge(payload, now=now) for restriction in restrictions]


def failing(findings: Iterable[Finding]) -> list[Finding]:
    """Those that do not hold."""
    return [finding for finding in findings if not finding.holds]
