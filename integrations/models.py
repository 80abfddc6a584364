"""The tools that a store has connected, and what the sandbox received."""

import json
from collections.abc import Collection, Mapping
from typing import Any

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models, transaction
from django.db.models import Q
from django.dispatch import Signal
from django.utils import timezone

from customers.models import NamedQuerySet, StoreModel
from customers.refusals import Conflict, Refused
from integrations.destinations import UnknownDestination, choices, destination
from integrations.destinations.base import Destination, Selector
from integrations.encryption import SecretsUnreadable, decrypt, encrypt

# Sent with `integration`, inside the transaction that deletes it.
archived = Signal()
# Sent with `integration`, after its settings changed or it was switched on: its failures so far no longer count.
mended = Signal()

# What is said at a stored secret that would go to another host than the one it was entered for.
ENTER_AGAIN = "Enter it again: the address now leads to another host."
ENTER_OR_REMOVE = "Enter it again, or remove it: the address now leads to another host."

SELECTORS = [(selector.value, selector.label.capitalize()) for selector in Selector]


class IntegrationQuerySet(NamedQuerySet["Integration"]):
    def existing(self) -> "IntegrationQuerySet":
        """Those that were not deleted."""
        return self.filter(archived_at=None)


class Integration(StoreModel):
    """A configured account at an external tool."""

    name = models.CharField(max_length=120, help_text="How you call it in lists, such as Klaviyo main account.")
    destination = models.CharField(max_length=40, choices=choices)
    settings = models.JSONField(default=dict, editable=False)
    encrypted_secrets = models.TextField(blank=True, editable=False)
    primary_selector = models.CharField(
        max_length=20, choices=SELECTORS, default=Selector.EMAIL.value, help_text="By what the tool finds the customer."
    )
    enabled = models.BooleanField("on", default=True, help_text="While it is off, its deliveries are held.")
    switched_off_reason = models.CharField(max_length=300, blank=True, editable=False)
    rate_limit = models.FloatField(
        "calls per second",
        null=True,
        blank=True,
        validators=[MinValueValidator(0.01), MaxValueValidator(100_000)],
        help_text="At most. Left empty, what the tool is known to allow.",
    )
    concurrency_limit = models.PositiveSmallIntegerField(
        "calls at the same time",
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(1000)],
        help_text="At most. Left empty, the destination's own limit.",
    )
    at_most_once = models.BooleanField(
        "send at most once",
        default=False,
        help_text="Never send an event twice: when nobody can say whether it arrived, it ends as failed instead of being "
        "sent again. Left off, it is sent again under the same id, by which most tools can tell a repeat.",
    )
    verified_at = models.DateTimeField(null=True, editable=False)  # the settings as they are now were accepted
    checked_at = models.DateTimeField(null=True, editable=False)
    check_result = models.CharField(max_length=300, blank=True, editable=False)  # of the last check, in a sentence
    archived_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    _reconfigured = False  # its settings changed since it was last saved

    objects = IntegrationQuerySet.as_manager()

    class Meta:
        ordering = ("name",)
        constraints = [
            models.UniqueConstraint(
                fields=["store", "name"],
                condition=Q(archived_at=None),
                name="integration_name",
                violation_error_message="Another integration of this store has this name.",
            )
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        others = Integration.objects.existing().filter(store=self.store_id, name=self.name).exclude(pk=self.pk)
        if others.exists():
            raise Refused("name", "Another integration of this store has this name.", code="unique")
        try:
            kind = self.kind
        except UnknownDestination:
            return  # refused at its own field
        if kind.selectors and self.primary_selector not in {selector.value for selector in kind.selectors}:
            ways = " or ".join(selector.label for selector in kind.selectors)
            raise Refused("primary_selector", f"{kind.label} finds customers by {ways}.", code="selector")

    @property
    def kind(self) -> type[Destination]:
        """The class of its destination. Raises UnknownDestination."""
        return destination(self.destination)

    def adapter(self) -> Destination:
        """Its destination with these settings. Raises UnknownDestination or SecretsUnreadable."""
        return self.kind({**self.settings, **decrypt(self.encrypted_secrets)}, integration_id=self.pk)

    def stored_secrets(self) -> dict[str, Any]:
        """The secret settings by their names; none when the key they were encrypted with is lost."""
        try:
            return decrypt(self.encrypted_secrets)
        except SecretsUnreadable:
            return {}

    def secrets_to_enter(self, settings: Mapping[str, Any]) -> set[str]:
        """The stored secrets that these settings would send to another host than the one they were entered for.

        They must be entered again: whoever may change an address must not learn a secret by it.
        """
        elsewhere = self.kind.origins(settings) - self.kind.origins(self.settings)
        return set(self.stored_secrets()) if elsewhere else set()

    def enter_again(self, settings: Mapping[str, Any], *, known: Collection[str]) -> dict[str, str]:
        """A sentence for each secret that must be entered again with these settings, but for those that are `known`."""
        fields = self.kind.Settings.base_fields
        wanting = sorted(self.secrets_to_enter(settings) - set(known))
        return {name: ENTER_AGAIN if fields[name].required else ENTER_OR_REMOVE for name in wanting}

    def configure(self, values: dict[str, Any], *, forget: Collection[str] = ()) -> bool:
        """Take cleaned settings; returns whether anything is different now. The caller saves.

        Secrets are encrypted, and kept when their new value is empty, unless they are among those to `forget` or would
        be sent to another host.
        What is different must be verified anew; saving it tells `mended`.
        """
        kind = self.kind
        before = self.stored_secrets()
        dropped = {*forget, *self.secrets_to_enter(values)}
        secrets = {name: value for name, value in before.items() if name not in dropped}
        secrets.update({name: value for name, value in values.items() if name in kind.secret_fields and value})
        settings = {name: value for name, value in values.items() if name not in kind.secret_fields}
        if changed := (secrets, settings) != (before, self.settings):
            self.verified_at, self.checked_at, self.check_result = None, None, ""
            self._reconfigured = not self._state.adding
        self.encrypted_secrets = encrypt(secrets)
        self.settings = settings
        return changed

    def save(self, *args: Any, **kwargs: Any) -> None:
        with transaction.atomic():
            super().save(*args, **kwargs)
            if self._reconfigured:
                self._reconfigured = False
                mended.send(sender=Integration, integration=self)

    @property
    def has_check(self) -> bool:
        """Whether its tool can say that the credentials are good; where it cannot, a test event has to show it."""
        try:
            return self.adapter().check_credentials() is not None
        except (UnknownDestination, SecretsUnreadable):
            return False

    def selector(self) -> Selector | None:
        """By what the customer is identified; None where the destination needs nothing."""
        return Selector(self.primary_selector) if self.kind.selectors else None

    @property
    def calls_per_second(self) -> float | None:
        """The lower one of what the tool allows and what the admin set; None: no limit."""
        limits = [limit for limit in (self._limits.rate, self.rate_limit) if limit is not None]
        return min(limits, default=None)

    @property
    def calls_at_once(self) -> int:
        """The lower one of the destination's limit and what the admin set."""
        return min(self._limits.concurrency, self.concurrency_limit or self._limits.concurrency)

    @property
    def batch_size(self) -> int:
        """How many deliveries go out in one call."""
        return self._limits.batch_size

    @property
    def _limits(self) -> type[Destination]:
        """Whose limits hold: a destination that this version does not have must not stop the claim for all the others."""
        try:
            return self.kind
        except UnknownDestination:
            return Destination

    def note_check(self, *, good: bool, sentence: str) -> bool:
        """What a check of these settings found; False, and nothing noted, when they changed while it was under way."""
        now = timezone.now()
        found = {"verified_at": now if good else None, "checked_at": now, "check_result": sentence[:300]}
        same = Integration.objects.filter(
            pk=self.pk, settings=self.settings, encrypted_secrets=self.encrypted_secrets, archived_at=None
        )
        if not same.update(**found):
            return False
        for name, value in found.items():
            setattr(self, name, value)
        return True

    def switch_on(self) -> None:
        """Send from now on, what is held first. Raises Conflict until its tool said yes: to a check, or to a test event."""
        if self.archived_at:
            raise Conflict("enabled", "It was deleted, so it cannot be switched on.", code="deleted")
        if self.verified_at is None:
            first = "Verify the connection" if self.has_check else "Send a test event"
            raise Conflict("enabled", f"{first} first, then switch it on.", code="unverified")
        with transaction.atomic():
            self.enabled, self.switched_off_reason = True, ""
            self.save(update_fields=["enabled", "switched_off_reason"])
            mended.send(sender=Integration, integration=self)

    def switch_off(self) -> None:
        """Send nothing: what matches is recorded and held. A call under way may finish."""
        self.enabled = False
        self.save(update_fields=["enabled"])

    def archive(self) -> None:
        """Deleted for the admin: history stays readable, nothing is sent any more. Whoever has work for it hears `archived`."""
        with transaction.atomic():
            self.archived_at = timezone.now()
            self.enabled = False
            self.save(update_fields=["archived_at", "enabled"])
            archived.send(sender=Integration, integration=self)


class SandboxBehaviour(models.TextChoices):
    NORMAL = "normal", "Answer 200"
    ERROR = "error", "Answer 500"
    BUSY = "busy", "Answer 429 with Retry-After"
    SLOW = "slow", "Answer slowly"


class SandboxInbox(StoreModel):
    """How the sandbox receiver answers one integration. Without a row, it answers normally."""

    integration = models.OneToOneField(
        Integration, on_delete=models.CASCADE, related_name="sandbox_inbox", editable=False
    )
    behaviour = models.CharField(max_length=10, choices=SandboxBehaviour, default=SandboxBehaviour.NORMAL)
    seconds = models.PositiveSmallIntegerField(
        default=5,
        validators=[MinValueValidator(1), MaxValueValidator(60)],
        help_text="For Retry-After, or how long a slow answer takes.",
    )

    class Meta:
        verbose_name_plural = "sandbox inboxes"

    def __str__(self) -> str:
        return f"{self.integration}: {self.get_behaviour_display()}"

    @classmethod
    def of(cls, integration: Integration) -> "SandboxInbox":
        """This integration's, a new unsaved one where it has none yet."""
        known = cls.objects.filter(integration=integration).first()
        return known or cls(integration=integration, store_id=integration.store_id)


class SandboxRequest(StoreModel):
    """One request as the sandbox received it, and what it answered."""

    integration = models.ForeignKey(Integration, on_delete=models.CASCADE, related_name="sandbox_requests")
    received_at = models.DateTimeField(auto_now_add=True)
    delivery_id = models.CharField(max_length=64, blank=True)  # the webhook-id header: a repeat has the same one
    headers = models.JSONField(default=dict)
    body = models.TextField()
    answered = models.PositiveSmallIntegerField()

    class Meta:
        ordering = ("-id",)
        indexes = [models.Index(fields=["integration", "-id"], name="sandbox_newest")]

    def __str__(self) -> str:
        return f"{self.delivery_id}: {self.answered}"

    @property
    def envelope(self) -> dict[str, Any]:
        """What it brought, as Standard Webhooks has it: `type` and `data`; empty where the body is something else."""
        try:
            content = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return content if isinstance(content, dict) else {}

    @property
    def event_name(self) -> str:
        """The event that it tells of."""
        return str(self.envelope.get("type", ""))

    @property
    def customer_name(self) -> str:
        """Whom it is about, as far as it says."""
        data = self.envelope.get("data")
        return str(data.get("user_name") or data.get("user_email") or "") if isinstance(data, dict) else ""
