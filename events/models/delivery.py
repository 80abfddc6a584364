"""The outbox: one row for each occurrence and send event. The row is the job, and the truth about it."""

from datetime import datetime, timedelta
from uuid import UUID

from django.db import models, transaction
from django.db.models import Case, F, Q, Value, When
from django.db.models.functions import Now
from django.utils import timezone
from uuid_utils.compat import uuid7

from customers.models import Customer, Store, StoreModel
from customers.models.store import UUID_TEXT
from customers.refusals import Conflict
from events import catalogue
from events.models.occurrence import Occurrence
from events.models.subscription import Subscription
from integrations.models import Integration


class DeliveryStatus(models.TextChoices):
    """A closed list. Held and retrying are readings of `pending`, see `with_reading()`."""

    PENDING = "pending", "Pending"
    SENDING = "sending", "Sending"
    SENT = "sent", "Sent"
    SKIPPED = "skipped", "Skipped"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


UNFINISHED = (DeliveryStatus.PENDING, DeliveryStatus.SENDING)


CLOCKS_APART = timedelta(hours=1)  # more than the clocks of our machines and of the database ever differ

# What a pending delivery may read as. Worked out when asked for, never stored.
HELD, RETRYING = "held", "retrying"


def _first_id(moment: datetime) -> UUID:
    """The lowest UUIDv7 that could have been made at this time (https://www.rfc-editor.org/rfc/rfc9562#section-5.7)."""
    return UUID(int=int(moment.timestamp() * 1000) << 80 | 7 << 76 | 2 << 62)


def _switched_off_or_closed() -> Q:
    """What holds a pending delivery, as sets that the database works out once, however many rows it judges by them."""
    from events.models.lane import Lane

    return (
        Q(store__in=Store.objects.filter(events_on=False).order_by().values("pk"))
        | Q(subscription__in=Subscription.objects.filter(enabled=False).order_by().values("pk"))
        | Q(integration__in=Integration.objects.filter(enabled=False).order_by().values("pk"))
        | Q(integration__in=Lane.objects.closed().values("integration"))
    )


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    def unfinished(self) -> "DeliveryQuerySet":
        """Pending or sending; never a test."""
        return self.filter(status__in=UNFINISHED, is_test=False)

    def due(self) -> "DeliveryQuerySet":
        """Pending with its time come, by the database's clock, of send events that are on; without suspects."""
        return self.filter(
            status=DeliveryStatus.PENDING,
            is_test=False,
            suspect=False,
            next_attempt_at__lte=Now(),
            subscription__enabled=True,
        )

    def suspects(self) -> "DeliveryQuerySet":
        """Due ones whose worker died with them: each is claimed alone."""
        return self.filter(
            status=DeliveryStatus.PENDING,
            is_test=False,
            suspect=True,
            next_attempt_at__lte=Now(),
            subscription__enabled=True,
        )

    def lost(self) -> "DeliveryQuerySet":
        """Claimed by a sender that never came back: its lease ran out."""
        return self.filter(status=DeliveryStatus.SENDING, leased_until__lt=Now())

    def held(self) -> "DeliveryQuerySet":
        """The reading held: pending behind a switch that is off, or a lane that is closed."""
        return self.filter(_switched_off_or_closed(), status=DeliveryStatus.PENDING, is_test=False)

    def held_in(self, store: Store) -> "DeliveryQuerySet":
        """What `held()` finds in this store. Its switches are looked at first, so that the database knows where to look."""
        from events.models.lane import Lane

        pending = self.filter(store=store, status=DeliveryStatus.PENDING, is_test=False)
        if not store.events_on:
            return pending
        closed = Q(pk__in=Lane.objects.closed().filter(store=store).values("integration"))
        integrations = Integration.objects.filter(closed | Q(enabled=False), store=store)
        subscriptions = Subscription.objects.filter(store=store, enabled=False)
        return pending.filter(
            Q(integration__in=list(integrations.values_list("pk", flat=True)))
            | Q(subscription__in=list(subscriptions.values_list("pk", flat=True)))
        )

    def retrying(self) -> "DeliveryQuerySet":
        """The reading retrying: pending, not held, after at least one try."""
        return self.filter(~_switched_off_or_closed(), status=DeliveryStatus.PENDING, is_test=False, tries__gt=0)

    def retrying_in(self, store: Store) -> "DeliveryQuerySet":
        """What `retrying()` finds in this store: nothing while its events are off, without a look at all that is pending."""
        return self.retrying().filter(store=store) if store.events_on else self.none()

    def reads_as(self, reading: str, *, store: Store) -> "DeliveryQuerySet":
        """Those of this store with this status, or with the reading held or retrying."""
        readings = {HELD: self.held_in, RETRYING: self.retrying_in}
        return readings[reading](store) if reading in readings else self.filter(status=reading)

    def with_reading(self) -> "DeliveryQuerySet":
        """Each row with its `reading`: held and retrying where they hold of it, else its status."""
        pending = Q(status=DeliveryStatus.PENDING, is_test=False)
        return self.annotate(
            reading=Case(
                When(pending & _switched_off_or_closed(), then=Value(HELD)),
                When(pending & Q(tries__gt=0), then=Value(RETRYING)),
                default=F("status"),
            )
        )

    def recorded_since(self, moment: datetime) -> "DeliveryQuerySet":
        """Recorded at this time or later. Their ids grow with time, so that any list that is sorted by them stays so."""
        return self.filter(id__gte=_first_id(moment - CLOCKS_APART), recorded_at__gte=moment)

    def matching(self, text: str, *, store: Store) -> "DeliveryQuerySet":
        """Those of this store that a person means by this text: a delivery's or an event's id, else a customer's identifier."""
        text = text.strip()
        rows = self.filter(store=store)
        if UUID_TEXT.fullmatch(text):
            if rows.filter(pk=text).exists():
                return rows.filter(pk=text)
            if occurrence := Occurrence.objects.filter(store=store, event_id=text).first():
                return rows.filter(occurrence=occurrence)
        return rows.filter(customer__in=Customer.objects.ids_called(text, store=store))

    def finished(self) -> "DeliveryQuerySet":
        """Whose fate is settled."""
        return self.exclude(status__in=UNFINISHED)

    def resendable(self) -> "DeliveryQuerySet":
        """Finished ones that can be sent again: no tests, and nothing was deleted since."""
        return self.finished().filter(
            is_test=False, subscription__archived_at=None, integration__archived_at=None, subscription__isnull=False
        )

    def resend(self, *, new_id: bool = False) -> int:
        """Due again now with their tries counted anew, under the same ids or new ones; returns how many."""
        with transaction.atomic():
            if new_id:
                locked = list(self.resendable().order_by("pk").select_for_update(of=("self",)))
                for row in locked:
                    row.resent_as = uuid7()
                Delivery.objects.bulk_update(locked, ["resent_as"], batch_size=100)
            rows = Delivery.objects.filter(pk__in=self.resendable().order_by().values("pk")).finished()
            return rows.update(
                status=DeliveryStatus.PENDING, reason="", tries=0, deaths=0, next_attempt_at=Now(), finished_at=None
            )

    def cancellable(self) -> "DeliveryQuerySet":
        """Those that wait to be sent."""
        return self.filter(status=DeliveryStatus.PENDING, is_test=False)

    def cancel(self, *, reason: str) -> int:
        """Pending rows end as cancelled with this reason; returns how many. A call that already started may finish."""
        return self.cancellable().update(status=DeliveryStatus.CANCELLED, reason=reason[:500], finished_at=Now())


class Delivery(StoreModel):
    """One occurrence to one send event. Keeps the integration, event name and label of its recording."""

    # No index of their own: each of these columns leads one of the indexes below, and every row is written to all of them.
    store = models.ForeignKey(Store, on_delete=models.CASCADE, related_name="+", editable=False, db_index=False)
    occurrence = models.ForeignKey(
        Occurrence, on_delete=models.CASCADE, related_name="deliveries", editable=False, db_index=False
    )
    subscription = models.ForeignKey(
        Subscription, on_delete=models.CASCADE, null=True, related_name="deliveries", editable=False, db_index=False
    )
    integration = models.ForeignKey(
        Integration, on_delete=models.CASCADE, related_name="deliveries", editable=False, db_index=False
    )
    customer = models.ForeignKey(
        Customer, on_delete=models.SET_NULL, null=True, related_name="+", editable=False, db_index=False
    )
    event_key = models.CharField("event", max_length=60, choices=catalogue.choices, editable=False)
    event_name = models.CharField(max_length=120, editable=False)
    label = models.CharField("send event", max_length=260, editable=False)
    status = models.CharField(max_length=10, choices=DeliveryStatus, default=DeliveryStatus.PENDING, editable=False)
    reason = models.CharField(max_length=500, blank=True, editable=False)
    tries = models.PositiveSmallIntegerField(default=0, editable=False)
    is_test = models.BooleanField(default=False, editable=False)
    recorded_at = models.DateTimeField(db_default=Now(), editable=False)
    next_attempt_at = models.DateTimeField(db_default=Now(), editable=False)
    finished_at = models.DateTimeField(null=True, editable=False)
    # The claim: who holds the row (a late result of an earlier holder no longer fits), and until when.
    claim = models.UUIDField(null=True, editable=False)
    leased_until = models.DateTimeField(null=True, editable=False)
    resent_as = models.UUIDField(null=True, editable=False)  # the id that an admin asked for instead of its own
    suspect = models.BooleanField(default=False, editable=False)  # its worker died with it: claimed alone from now on
    deaths = models.PositiveSmallIntegerField(default=0, editable=False)  # workers that died with it alone

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "deliveries"
        ordering = ("-id",)
        constraints = [models.UniqueConstraint(fields=["occurrence", "subscription"], name="delivered_once")]
        indexes = [
            models.Index(
                fields=["integration", "next_attempt_at", "id"],
                condition=Q(status="pending", is_test=False, suspect=False),
                name="delivery_due",
            ),
            models.Index(
                fields=["integration", "next_attempt_at", "id"],
                condition=Q(status="pending", is_test=False, suspect=True),
                name="delivery_suspect",
            ),
            models.Index(fields=["integration", "leased_until"], condition=Q(status="sending"), name="delivery_leased"),
            models.Index(fields=["store", "-id"], name="delivery_newest"),
            models.Index(fields=["store", "-id"], condition=Q(is_test=True), name="delivery_tests"),
            models.Index(fields=["store", "event_key", "-id"], name="delivery_of_event"),
            models.Index(fields=["integration", "-id"], name="delivery_of_integration"),
            models.Index(fields=["store", "status", "-id"], name="delivery_by_status"),
            models.Index(
                fields=["store", "-id"],
                condition=Q(status="pending", is_test=False, tries__gt=0),
                name="delivery_tried",
            ),
            # Always empty: what should not be there is looked for once a minute.
            models.Index(
                fields=["id"], condition=~Q(status__in=UNFINISHED) & Q(finished_at=None), name="delivery_without_end"
            ),
            models.Index(fields=["customer", "-id"], name="delivery_of_customer"),
            models.Index(fields=["subscription", "-id"], name="delivery_of_subscription"),
        ]

    def __str__(self) -> str:
        return f"{self.label} {self.pk}"

    @property
    def message_id(self) -> UUID:
        """Under which it goes out: the same on every try, so that receivers can tell a repeat."""
        return self.resent_as or self.pk

    def refuse_resending(self) -> None:
        """Raises Conflict with the reason why it cannot be sent again, if there is one."""
        if self.is_test:
            raise Conflict("status", "A test event is not sent again: send a new one.", code="is_test")
        if self.subscription is None or self.subscription.archived_at or self.integration.archived_at:
            raise Conflict("status", "Its send event or integration was deleted, so it cannot be sent.", code="deleted")
        if self.status in UNFINISHED:
            raise Conflict("status", "It is already waiting to be sent.", code="unfinished")

    def resend(self, *, new_id: bool = False) -> None:
        """Due again now, with its tries counted anew; under the same id, so that receivers can tell a repeat, or a new one.

        Raises Conflict for a test, and while it is pending or being sent.
        """
        self.refuse_resending()
        changed = Delivery.objects.filter(pk=self.pk).resend(new_id=new_id)
        if not changed:
            raise Conflict("status", "It is already waiting to be sent.", code="unfinished")
        self.refresh_from_db()

    def cancel(self, *, reason: str = "cancelled by an admin") -> None:
        """Never sent. Raises Conflict when it is not pending."""
        if not Delivery.objects.filter(pk=self.pk).cancel(reason=reason):
            raise Conflict("status", "Only a pending delivery can be cancelled.", code="not_pending")
        self.refresh_from_db()


class Exchange(StoreModel):
    """One HTTP call, request and response with secrets masked; the attempts of a batch share one."""

    integration = models.ForeignKey(Integration, on_delete=models.CASCADE, related_name="+", editable=False)
    started_at = models.DateTimeField(default=timezone.now)
    duration_ms = models.PositiveIntegerField(default=0)
    request_method = models.CharField(max_length=10)
    request_url = models.TextField()
    request_headers = models.JSONField(default=dict)
    request_body = models.TextField(blank=True)
    response_status = models.PositiveSmallIntegerField(null=True)
    response_headers = models.JSONField(default=dict)
    response_body = models.TextField(blank=True)
    error = models.TextField(blank=True)

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return f"{self.request_method} {self.request_url}: {self.response_status or self.error}"


class Outcome(models.TextChoices):
    """How one try ended."""

    SENT = "sent", "Sent"
    RETRY = "retry", "To be tried again"
    FAILED = "failed", "Failed"
    HELD = "held", "Held: credentials refused"
    UNKNOWN = "unknown", "Outcome unknown"


class Attempt(StoreModel):
    """One try of a delivery; `exchange` is the last HTTP call that it made, None where it came to none."""

    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="attempts", editable=False)
    exchange = models.ForeignKey(
        Exchange, on_delete=models.SET_NULL, null=True, related_name="attempts", editable=False
    )
    number = models.PositiveSmallIntegerField()
    outcome = models.CharField(max_length=10, choices=Outcome)
    detail = models.CharField(max_length=500, blank=True)
    started_at = models.DateTimeField(default=timezone.now)
    duration_ms = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ("delivery", "id")

    def __str__(self) -> str:
        return f"{self.number}: {self.get_outcome_display()}"
