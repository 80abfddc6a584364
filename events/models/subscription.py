"""Send events: which event goes to which integration, under which name and restrictions, and since when."""

from collections.abc import Iterable
from typing import Any, Self

from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import Q
from django.utils import timezone

from customers.models import Store, StoreModel
from events import catalogue
from events.recipes import Recipe
from events.restrictions import Restriction, RestrictionError, read_restrictions
from integrations.models import Integration

NAME_LENGTH = 80


class SubscriptionQuerySet(models.QuerySet["Subscription"]):
    def existing(self) -> "SubscriptionQuerySet":
        """Those that were not deleted."""
        return self.filter(archived_at=None)

    def wanting(self, *, store_id: Any, event_keys: set[str]) -> "SubscriptionQuerySet":
        """Those that get a delivery of these events when they match: read from the database at every fact."""
        return self.filter(
            store_id=store_id,
            event_key__in=event_keys,
            enabled=True,
            archived_at=None,
            integration__archived_at=None,
        ).select_related("integration")

    def start(self, recipes: Iterable[Recipe], *, integration: Integration, prefix: str) -> list["Subscription"]:
        """A send event of each recipe to this integration, all or none. Raises ValidationError when one cannot be."""
        with transaction.atomic():
            return [self._start(recipe, integration=integration, prefix=prefix) for recipe in recipes]

    def _start(self, recipe: Recipe, *, integration: Integration, prefix: str) -> "Subscription":
        send_event = Subscription(
            store_id=integration.store_id,
            integration=integration,
            event_key=recipe.event_key,
            prefix=prefix,
            name=recipe.name,
            restrictions=[dict(one) for one in recipe.restrictions],
        )
        send_event.full_clean()
        send_event.save()
        return send_event


class Subscription(StoreModel):
    """A send event, as the admin screens call it."""

    integration = models.ForeignKey(Integration, on_delete=models.CASCADE, related_name="subscriptions")
    event_key = models.CharField("event", max_length=60, choices=catalogue.choices)
    prefix = models.CharField(
        "name prefix", max_length=40, blank=True, help_text="Put before the name, such as nector_."
    )
    name = models.CharField(
        max_length=NAME_LENGTH, blank=True, help_text="The event's name in the tool. Left empty, it is the event's key."
    )
    restrictions = models.JSONField(default=list, blank=True)
    enabled = models.BooleanField("on", default=True)
    archived_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = SubscriptionQuerySet.as_manager()

    class Meta:
        verbose_name = "send event"
        ordering = ("event_key", "id")
        indexes = [
            models.Index(
                fields=["store", "event_key"], condition=Q(enabled=True, archived_at=None), name="subscription_wanting"
            )
        ]

    def __str__(self) -> str:
        return f"{self.event_name} → {self.integration}"

    @property
    def event_name(self) -> str:
        """What the tool sees: prefix + name; the name is the key unless another one was given."""
        return f"{self.prefix}{self.name or self.event_key}"

    @property
    def label(self) -> str:
        """How lists name it; deliveries keep it as it was when they were recorded."""
        return f"{self.event_name} → {self.integration.name}"

    @property
    def name_of_copy(self) -> str:
        """A name for its duplicate that the tool can tell from its own."""
        ending = "_copy"
        return f"{(self.name or self.event_key)[: NAME_LENGTH - len(ending)]}{ending}"

    @classmethod
    def begin(cls, *, store: Store, event_key: str, restrictions: list[Any] | None = None, **fields: Any) -> Self:
        """A new one, not stored. When no restrictions are given, it begins with those of its event."""
        if restrictions is None:
            restrictions = [dict(one) for one in catalogue.event_type(event_key).initial_restrictions]
        return cls(store=store, event_key=event_key, restrictions=restrictions, **fields)

    def read_restrictions(self) -> list[Restriction]:
        """Its restrictions as values. Raises RestrictionError when one does not fit the event any more."""
        return read_restrictions(catalogue.event_type(self.event_key), self.restrictions)

    def clean(self) -> None:
        if self.integration_id is not None and self.integration.store_id != self.store_id:
            raise ValidationError({"integration": "This integration is not one of this store's."})
        try:
            kind = catalogue.event_type(self.event_key)
        except catalogue.UnknownEventType as error:
            raise ValidationError({"event_key": str(error)}) from None
        try:
            self.restrictions = [restriction.stored() for restriction in read_restrictions(kind, self.restrictions)]
        except RestrictionError as error:
            raise ValidationError({"restrictions": str(error)}) from None

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Each save that changes what is sent writes a version, in the same transaction."""
        with transaction.atomic():
            super().save(*args, **kwargs)
            last = self.versions.order_by("-number").first()
            new = SubscriptionVersion(
                store_id=self.store_id,
                subscription=self,
                number=last.number + 1 if last else 1,
                integration_id=self.integration_id,
                event_name=self.event_name,
                restrictions=self.restrictions,
                enabled=self.enabled and self.archived_at is None,
            )
            if last is None or not last.says_the_same(new):
                new.save()

    def switch(self, *, on: bool) -> None:
        """On or off. While it is off, nothing new is made for it, and what it has pending is held."""
        self.enabled = on
        self.save(update_fields=["enabled"])

    def archive(self, *, reason: str = "the send event was deleted") -> int:
        """Deleted for the admin: history stays readable, what was pending ends as cancelled with this reason.

        Returns how many were pending.
        """
        with transaction.atomic():
            self.archived_at = timezone.now()
            self.enabled = False  # a call under way may fail and be pending again: not even then it is due
            self.save(update_fields=["archived_at", "enabled"])
            return self.deliveries.unfinished().cancel(reason=reason)


class SubscriptionVersion(StoreModel):
    """What a send event said from `since` until its next version: "why was it (not) sent" judges by it."""

    subscription = models.ForeignKey(Subscription, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    integration = models.ForeignKey(Integration, on_delete=models.CASCADE, related_name="+")
    event_name = models.CharField(max_length=120)
    restrictions = models.JSONField(default=list)
    enabled = models.BooleanField()
    since = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("subscription", "number")
        constraints = [models.UniqueConstraint(fields=["subscription", "number"], name="version_number")]

    def __str__(self) -> str:
        return f"{self.subscription_id} version {self.number}"

    def says_the_same(self, other: "SubscriptionVersion") -> bool:
        """Whether nothing that decides over sending differs."""
        names = ("integration_id", "event_name", "restrictions", "enabled")
        return all(getattr(self, name) == getattr(other, name) for name in names)
