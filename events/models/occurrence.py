"""One fact of an event type, with its payload frozen when it happened."""

from typing import Any
from uuid import UUID

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import Q
from django.utils import timezone
from uuid_utils.compat import uuid7

from customers.models import Customer, Store
from customers.models.store import UUID_TEXT
from events import catalogue


class OccurrenceQuerySet(models.QuerySet["Occurrence"]):
    def matching(self, text: str, *, store: Store) -> "OccurrenceQuerySet":
        """Those of this store that a person means by this text: an event's id or number, else a customer's identifier."""
        text = text.strip()
        rows = self.filter(store=store)
        number = text.removeprefix("#")
        if text.startswith("#") and number.isdecimal() and len(number) < 19:
            return rows.filter(pk=int(number))
        if UUID_TEXT.fullmatch(text) and rows.filter(event_id=text).exists():
            return rows.filter(event_id=text)
        return rows.filter(customer__in=Customer.objects.ids_called(text, store=store))

    def needing_attention(self) -> "OccurrenceQuerySet":
        """Those whose payload or restrictions could not be worked out."""
        return self.exclude(error="")

    def matchable(self, *, store: Store, event_key: str) -> "OccurrenceQuerySet":
        """Those of an event that send events can match: neither tests nor silent."""
        return self.filter(store=store, event_key=event_key, is_test=False, silent=False)


class Occurrence(models.Model):
    """Never changed after it was recorded, except that `error` is emptied when evaluating again succeeds.

    Its own key grows, so that receivers can order events (`event_sequence`); `event_id` is the same on every retry.
    """

    id = models.BigAutoField(primary_key=True)
    event_id = models.UUIDField(default=uuid7, unique=True, editable=False)
    # No index of their own: each of these columns leads one of the indexes below, and every row is written to all of them.
    store = models.ForeignKey(Store, on_delete=models.CASCADE, related_name="+", editable=False, db_index=False)
    customer = models.ForeignKey(
        Customer, on_delete=models.SET_NULL, null=True, related_name="+", editable=False, db_index=False
    )
    event_key = models.CharField("event", max_length=60, choices=catalogue.choices)
    subject_id = models.UUIDField(null=True, editable=False)  # the fact's own row
    payload = models.JSONField(default=dict)
    occurred_at = models.DateTimeField(default=timezone.now)
    dedup_key = models.CharField(max_length=200, null=True, editable=False)
    silent = models.BooleanField(default=False)
    is_test = models.BooleanField(default=False)
    error = models.TextField(blank=True)
    unbuilt = models.JSONField(
        null=True, editable=False, encoder=DjangoJSONEncoder
    )  # the fact, while its payload fails

    objects = OccurrenceQuerySet.as_manager()

    class Meta:
        ordering = ("-id",)
        constraints = [models.UniqueConstraint(fields=["store", "dedup_key"], name="occurrence_once")]
        indexes = [
            models.Index(fields=["store", "-id"], name="occurrence_newest"),
            models.Index(fields=["store", "event_key", "-id"], name="occurrence_of_event"),
            models.Index(fields=["store", "silent", "is_test", "-id"], name="occurrence_of_kind"),
            models.Index(fields=["customer", "-id"], name="occurrence_of_customer"),
            models.Index(fields=["store", "-id"], condition=~Q(error=""), name="occurrence_attention"),
            models.Index(
                fields=["store", "event_key", "occurred_at"],
                condition=Q(is_test=False, silent=False),
                name="occurrence_matchable",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.event_key} #{self.pk}"

    @property
    def told(self) -> str:
        """What happened, in words, such as `50 Beans credited (reward): Order 4711`; empty where nothing can be said."""
        try:
            return catalogue.event_type(self.event_key).in_words(self.payload) if self.payload else ""
        except (LookupError, TypeError, ValueError):  # an event or a payload that an earlier version knew otherwise
            return ""

    def read_payload(self) -> dict[str, Any]:
        """The frozen payload with what only the row itself knows: `event_id` and `event_sequence`."""
        event_id: UUID = self.event_id
        return {**self.payload, "event_id": str(event_id), "event_sequence": self.pk}
