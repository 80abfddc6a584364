"""The catalogue: every event type by its key, found in `events/types/` by itself.

A new event type is one decorated function there; nothing else lists them. Errors: LookupError > UnknownEventType.
"""

import copy
import inspect
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, cached_property
from importlib import import_module
from types import MappingProxyType
from typing import Any
from uuid import UUID

from django.db import models

from customers.facts import Fact
from customers.models import Customer
from customers.models.custom_events import PROPERTY_NAME
from events.common import COMMON_FIELDS, common_payload
from events.fields import PROPERTY, Field, Kind, change_of, property_called

ALIASES = {"wallettrasaction_update": "wallettransaction_update"}  # Nector's own spelling


class UnknownEventType(LookupError):
    """There is no event with this key."""

    def __init__(self, key: str) -> None:
        super().__init__(f"There is no event with the key “{key}”. The events are: {', '.join(event_types())}.")


@dataclass(frozen=True, kw_only=True)
class EventType:
    """An entry of the catalogue. `build` makes its own payload fields from the fact; the common ones are added."""

    key: str
    label: str
    group: str
    help: str  # the docstring of `build`: when it fires, in words for an admin
    model: type[models.Model]
    when: Callable[[Fact], bool]
    customer: Callable[[Any], Customer]
    build: Callable[[Any], dict[str, Any]]
    own_fields: tuple[Field, ...]
    initial_restrictions: tuple[Mapping[str, Any], ...] = ()  # of new send events; the admin can widen them
    stale_after: timedelta | None = None  # older deliveries are skipped
    tell: Callable[[Mapping[str, Any]], str] | None = None  # what happened, in words, from its payload
    properties: Mapping[str, Any] | None = None  # samples of those that each fact brings itself; None: it brings none
    tells_changes: bool = False  # an update: carries changed_fields and previous_<field>

    @cached_property
    def fields(self) -> Mapping[str, Field]:
        """All its fields by name, the common ones first."""
        return MappingProxyType({field.name: field for field in (*COMMON_FIELDS, *self.own_fields, *self.changes)})

    @cached_property
    def changes(self) -> tuple[Field, ...]:
        """Of an update: the changes of its own fields, for restrictions alone."""
        own = [field for field in self.own_fields if field.restrict and not field.derive]
        return tuple(map(change_of, own)) if self.tells_changes else ()

    @cached_property
    def restrictable(self) -> Mapping[str, Field]:
        """The fields that can restrict a send event of it, its own first."""
        ordered = (*self.own_fields, *COMMON_FIELDS, *self.changes)
        return MappingProxyType({field.name: field for field in ordered if field.restrict})

    def restrictable_by(self, name: str) -> Field | None:
        """The field with this name that can restrict a send event of it, also a property; None when there is none."""
        return self.restrictable.get(name) or (None if self.properties is None else property_called(name))

    @property
    def sample_properties(self) -> dict[str, Any]:
        """As they stand in a payload."""
        return {f"{PROPERTY}{name}": value for name, value in (self.properties or {}).items()}

    def payload(self, fact: Fact, *, event_id: UUID, occurred_at: datetime) -> dict[str, Any]:
        """Everything that is sent about this fact, as it is now. Whatever `build` raises comes through."""
        instance: Any = fact.instance
        customer = self.customer(instance)
        payload = common_payload(
            store=customer.store,
            customer=customer,
            event_id=event_id,
            event_key=self.key,
            occurred_at=occurred_at,
            is_test=False,
        ) | self.build(instance)
        if self.tells_changes:
            before = self.build(_as_it_was(fact))
            changed = [name for name, value in before.items() if payload[name] != value]
            payload["changed_fields"] = changed
            payload |= {f"previous_{name}": before[name] for name in changed}
        return payload

    def sample(self, customer: Customer, *, event_id: UUID, occurred_at: datetime) -> dict[str, Any]:
        """A test event's payload: this customer's real data, and samples for the rest. Whatever `build` raises comes through."""
        payload = common_payload(
            store=customer.store,
            customer=customer,
            event_id=event_id,
            event_key=self.key,
            occurred_at=occurred_at,
            is_test=True,
        )
        if isinstance(customer, self.model):  # the event is about the customer: nothing needs a sample
            payload |= self.build(customer)
        else:
            samples = {field.name: field.sample for field in self.own_fields if not field.derive}
            payload = samples | payload | self.sample_properties
        if self.tells_changes:
            payload["changed_fields"] = []
        return payload

    @property
    def aliases(self) -> list[str]:
        """Other spellings of its key, which the API takes as well."""
        return [alias for alias, key in ALIASES.items() if key == self.key]

    def in_words(self, payload: Mapping[str, Any]) -> str:
        """What happened, in a few words, from a payload of this event; empty where nothing can be said."""
        if self.tell:
            return self.tell(payload)
        if not self.tells_changes:
            return ""
        changes = [
            f"{field.label.lower()} ({field.in_words(payload[f'previous_{name}'])} → {field.in_words(payload[name])})"
            for name in payload["changed_fields"]
            if (field := self.fields.get(name)) and not isinstance(payload[name], list)
        ]
        return f"Changed: {', '.join(changes)}" if changes else ""

    def example(self) -> dict[str, Any]:
        """A payload made of samples alone, for the documentation: it fits the schema."""
        payload = {field.name: field.sample for field in self.fields.values() if not field.derive}
        payload |= {"event_key": self.key, "event_is_test": False, **self.sample_properties}
        if self.tells_changes:
            changed = next(field for field in self.own_fields if not field.derive)
            payload |= {"changed_fields": [changed.name], f"previous_{changed.name}": changed.sample}
        return payload

    def schema(self) -> dict[str, Any]:
        """JSON Schema (2020-12) of the payload. More properties may appear later; none is renamed or removed."""
        sent = [field for field in self.fields.values() if field.derive is None]
        properties = {field.name: field.schema() for field in sent}
        if self.tells_changes:
            properties["changed_fields"] = {"type": "array", "items": {"type": "string"}, "title": "Changed fields"}
            properties |= {
                f"previous_{field.name}": {**field.schema(), "title": f"{field.label} before"}
                for field in self.own_fields
                if not field.derive
            }
        return {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": self.label,
            "description": self.help,
            "type": "object",
            "properties": properties,
            **(
                {}
                if self.properties is None
                else {"patternProperties": {f"^{PROPERTY}{PROPERTY_NAME}$": _ANY_PROPERTY}}
            ),
            "required": [field.name for field in sent] + (["changed_fields"] if self.tells_changes else []),
        }


_ANY_PROPERTY = {**Kind.PROPERTY.value.schema, "title": "A property that the event brings itself"}


def _as_it_was(fact: Fact) -> models.Model:
    """A copy of the row with the values it had before."""
    row = copy.copy(fact.instance)
    for name, value in fact.previous.items():
        setattr(row, name, value)
    return row


def created(fact: Fact) -> bool:
    """The row is new."""
    return fact.created


def updated(fact: Fact) -> bool:
    """A row that was there changed."""
    return not fact.created


_declared: dict[str, EventType] = {}


def event_type(key: str) -> EventType:
    """The event type with this key (or Nector's own spelling of it). Raises UnknownEventType."""
    try:
        return event_types()[ALIASES.get(key, key)]
    except KeyError:
        raise UnknownEventType(key) from None


def declare(
    *,
    key: str,
    label: str,
    group: str,
    model: type[models.Model],
    when: Callable[[Fact], bool],
    customer: Callable[[Any], Customer],
    fields: tuple[Field, ...],
    initial_restrictions: tuple[Mapping[str, Any], ...] = (),
    stale_after: timedelta | None = None,
    tell: Callable[[Mapping[str, Any]], str] | None = None,
    properties: Mapping[str, Any] | None = None,
) -> Callable[[Callable[[Any], dict[str, Any]]], Callable[[Any], dict[str, Any]]]:
    """Declare an event type: the decorated function builds its payload, its docstring is what admins read."""

    def register(build: Callable[[Any], dict[str, Any]]) -> Callable[[Any], dict[str, Any]]:
        if key in _declared:
            raise TypeError(f"The event {key} is declared twice.")
        help_text = inspect.getdoc(build)
        if not help_text:
            raise TypeError(f"The event {key} needs a docstring: it is what admins read.")
        _declared[key] = EventType(
            key=key,
            label=label,
            group=group,
            help=help_text,
            model=model,
            when=when,
            customer=customer,
            build=build,
            own_fields=fields,
            initial_restrictions=initial_restrictions,
            stale_after=stale_after,
            tell=tell,
            properties=properties,
            tells_changes=key.endswith("_update"),
        )
        return build

    return register


@cache
def event_types() -> Mapping[str, EventType]:
    """Every event type by its key, in the order of the modules of `events/types/`."""
    from events import types

    for module in pkgutil.iter_modules(types.__path__, prefix=f"{types.__name__}."):
        import_module(module.name)
    return MappingProxyType(_declared)


@cache
def event_types_of(model: type[models.Model]) -> tuple[EventType, ...]:
    """The event types that facts of this model may bring about."""
    return tuple(kind for kind in event_types().values() if kind.model is model)


def choices() -> list[tuple[str, str]]:
    """Key and label of every event; a callable, so that a new one costs no migration."""
    return [(kind.key, kind.label) for kind in event_types().values()]
