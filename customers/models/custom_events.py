"""Custom events: what an app of the store tells, under a topic of its own."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.db import IntegrityError, models
from django.utils import timezone

from customers.facts import FactModel, FactQuerySet
from customers.models.coins import fingerprint
from customers.models.customer import Customer
from customers.models.store import Store, StoreModel
from customers.refusals import Conflict, Refused

MOST_PROPERTIES = 20
LONGEST_TEXT = 500
LONGEST_TOPIC = 80
PROPERTY_NAME = r"[A-Za-z][A-Za-z0-9_]{0,59}"
RECENT = 500  # events among which the topics of a store are looked for

_NAME = re.compile(PROPERTY_NAME)
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")  # NUL and halves of pairs, which PostgreSQL's JSON does not take
_LARGEST = 10**15  # a whole number that every reader of JSON can hold

Property = str | int | float | bool | None


class CustomEventQuerySet(FactQuerySet["CustomEvent"]):
    def emit(
        self,
        *,
        store: Store,
        customer: Customer,
        topic: str,
        properties: Mapping[str, Property] | None = None,
        reference: str | None = None,
        occurred_at: datetime | None = None,
        silent: bool = False,
    ) -> tuple["CustomEvent", bool]:
        """Record one; returns it and whether it is new (False: this reference was told before).

        `properties`: up to 20 texts, numbers, yes or no, or nothing, by their names. Raises ValidationError when something
        breaks a rule, Conflict when the reference was used for something else.
        """
        said: dict[str, Any] = {"topic": topic, "properties": dict(properties or {}), "reference": reference}
        if occurred_at:
            said["occurred_at"] = occurred_at
        event = self.model(store=store, customer=customer, **said)
        event.prepare()
        event.full_clean(
            exclude={"store", "customer", "fingerprint"}, validate_unique=False, validate_constraints=False
        )
        event.fingerprint = fingerprint(
            customer=customer.pk,
            topic=event.topic,
            properties=event.properties,
            occurred_at=occurred_at and occurred_at.timestamp(),
        )
        if known := event.told_before():
            return known, False
        try:
            event.save(silent=silent)
        except IntegrityError:  # somebody else told of this reference in the same moment
            if known := event.told_before():
                return known, False
            raise
        return event, True

    def recent_topics(self, store: Store) -> list[str]:
        """The topics of the store's latest events, in alphabetical order."""
        latest = self.filter(store=store).order_by("-id").values_list("topic", flat=True)[:RECENT]
        return sorted(set(latest))


class CustomEvent(StoreModel, FactModel):
    """One thing that an app told of a customer. Never altered."""

    UNALTERABLE: ClassVar[frozenset[str]] = frozenset(
        {"store_id", "customer_id", "topic", "properties", "reference", "occurred_at", "created_at"}
    )

    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="custom_events")
    topic = models.CharField(max_length=LONGEST_TOPIC, help_text="What happened, in your own words: quiz_finished.")
    properties = models.JSONField(
        default=dict,
        blank=True,
        help_text=f"Up to {MOST_PROPERTIES} texts, numbers, or yes and no, by their names; nothing nested.",
    )
    reference = models.CharField(
        max_length=120, null=True, blank=True, help_text="Your own id of this event: each is told once in a store."
    )
    fingerprint = models.CharField(max_length=64, editable=False)
    occurred_at = models.DateTimeField(default=timezone.now, help_text="When it happened. Left out, it is now.")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = CustomEventQuerySet.as_manager()  # type: ignore[misc]  # takes the place of FactModel's

    class Meta:
        ordering = ("-id",)
        constraints = [models.UniqueConstraint(fields=["store", "reference"], name="custom_event_told_once")]
        indexes = [models.Index(fields=["store", "-id"], name="custom_event_newest")]

    def __str__(self) -> str:
        return self.topic

    def prepare(self) -> None:
        self.topic = self.topic.strip()
        self.reference = (self.reference or "").strip() or None

    def clean(self) -> None:
        if self.customer.store_id != self.store_id:
            raise Refused("customer", "This customer is not one of this store's.", code="does_not_exist")
        if len(self.properties) > MOST_PROPERTIES:
            sentence = f"An event has at most {MOST_PROPERTIES} properties; these are {len(self.properties)}."
            raise Refused("properties", sentence, code="too_many")
        sentences = [_what_is_wrong(name, value) for name, value in self.properties.items()]
        if wrong := [sentence for sentence in sentences if sentence]:
            raise ValidationError({"properties": wrong}, code="invalid_property")

    def told_before(self) -> "CustomEvent | None":
        """The event that already has this reference and says the same; Conflict when it says something else."""
        if not self.reference:
            return None
        known = CustomEvent.objects.filter(store=self.store_id, reference=self.reference).first()
        if known and known.fingerprint != self.fingerprint:
            raise Conflict(
                "reference",
                f"The reference {self.reference} was already used for another event of this store.",
                code="reference_conflict",
            )
        return known


def _what_is_wrong(name: str, value: Any) -> str:
    """Why this cannot be a property; empty when it can."""
    if not _NAME.fullmatch(name):
        shown = name[:60].encode(errors="replace").decode()
        return f"“{shown}” is no name for a property: letters, digits and _, beginning with a letter, 60 at most."
    if isinstance(value, dict | list):
        return f"{name}: a property is a text, a number, true, false or null; nothing nested."
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        return f"{name}: a text has at most {LONGEST_TEXT} characters."
    if isinstance(value, str) and _UNSTORABLE.search(value):
        return f"{name}: this text holds a character that cannot be stored."
    if isinstance(value, int | float) and not abs(value) <= _LARGEST:  # also what is no number at all
        return f"{name}: a number is at most {_LARGEST:,}, above or below zero."
    return ""
