"""What an app of the store tells, under a topic of its own."""

from collections.abc import Mapping
from typing import Any

from customers.models import Customer, CustomEvent
from events.catalogue import created, declare
from events.common import moment
from events.fields import ANY_PROPERTY, PROPERTY, Field, Kind

SHOWN = 3  # properties in a sentence


def person(event: CustomEvent) -> Customer:
    """Whom it is about."""
    return event.customer


def _told(payload: Mapping[str, Any]) -> str:
    """Such as `quiz_finished: level hard, score 8`."""
    said = [
        f"{name.removeprefix(PROPERTY)} {ANY_PROPERTY.in_words(value)}"
        for name, value in sorted(payload.items())
        if name.startswith(PROPERTY) and value is not None
    ]
    more = ", ..." if len(said) > SHOWN else ""
    return str(payload["custom_topic"]) + (f": {', '.join(said[:SHOWN])}{more}" if said else "")


@declare(
    key="custom",
    label="Custom Event",
    group="Custom",
    model=CustomEvent,
    when=created,
    customer=person,
    fields=(
        Field(
            name="custom_topic",
            kind=Kind.CHOICE,
            label="Topic",
            sample="quiz_finished",
            nullable=False,
            help="As your app names it.",
        ),
        Field(
            name="custom_occurred_at",
            kind=Kind.TIME,
            label="Happened at",
            sample="2026-06-01T10:15:00+00:00",
            nullable=False,
            help="As your app says.",
        ),
        Field(name="custom_reference", kind=Kind.TEXT, label="Reference", sample="quiz-77"),
        Field(
            name="custom_event_id",
            kind=Kind.TEXT,
            label="Custom event id",
            sample="01932c5e-8f3a-7c11-9d1b-2f6f8a4f0c18",
            nullable=False,
            restrict=False,
        ),
    ),
    properties={"score": 8},
    tell=_told,
)
def custom(event: CustomEvent) -> dict[str, Any]:
    """Fires when an app of yours tells of something under a topic of its own; its properties come along."""
    return {
        "custom_event_id": str(event.pk),
        "custom_topic": event.topic,
        "custom_reference": event.reference,
        "custom_occurred_at": moment(event.occurred_at),
        **{f"{PROPERTY}{name}": value for name, value in event.properties.items()},
    }
