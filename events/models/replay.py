"""Sending many deliveries again: a long job as a row with a cursor, so that a crash costs time and nothing else."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models, transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from customers.models import Customer, StoreModel
from customers.refusals import Conflict
from events import catalogue
from events.models.delivery import UNFINISHED, Delivery, DeliveryQuerySet, DeliveryStatus
from events.models.lane import Lane
from integrations.models import Integration

FINISHED = [(status.value, status.label) for status in DeliveryStatus if status not in UNFINISHED]
RATE = 200  # deliveries a second, unless another pace is asked for
FASTEST = 10_000
BATCH = 500  # rows in one transaction, so that senders and recorders are not kept waiting
CATCH_UP = timedelta(seconds=5)  # of its pace that it may make up for at once
BACKLOG = 1000  # due deliveries behind which new events would have to queue: with so many, it waits for the senders


class ReplayState(models.TextChoices):
    RUNNING = "running", "Running"
    DONE = "done", "Done"
    CANCELLED = "cancelled", "Cancelled"


class ReplayQuerySet(models.QuerySet["Replay"]):
    def running(self) -> "ReplayQuerySet":
        """Those with work left, oldest first."""
        return self.filter(state=ReplayState.RUNNING).order_by("id")

    def start(self, **fields: Any) -> "Replay":
        """A new one with these columns (its store among them), started. Raises ValidationError."""
        replay = self.model(**fields)
        replay.start()
        return replay


class Replay(StoreModel):
    """Makes finished deliveries of one store due again, at a pace: those that match when it starts, each once.

    They keep their ids, by which receivers tell a repeat, unless `new_id` asks for new ones.
    """

    status = models.CharField(max_length=10, choices=FINISHED, default=DeliveryStatus.FAILED)
    # Deleting what it is bound to ends it: without the bond it would take everything.
    integration = models.ForeignKey(Integration, on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    event_key = models.CharField("event", max_length=60, blank=True, choices=catalogue.choices)
    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    recorded_at_after = models.DateTimeField(null=True, blank=True)
    recorded_at_before = models.DateTimeField(null=True, blank=True)
    new_id = models.BooleanField(
        "under new ids", default=False, help_text="Receivers take each for a new event instead of a repeat."
    )
    rate = models.PositiveIntegerField(
        "deliveries per second", default=RATE, validators=[MinValueValidator(1), MaxValueValidator(FASTEST)]
    )
    started_by = models.CharField(max_length=200, blank=True)
    state = models.CharField(max_length=10, choices=ReplayState, default=ReplayState.RUNNING, editable=False)
    total = models.PositiveIntegerField(default=0, editable=False)  # when it started
    done = models.PositiveIntegerField(default=0, editable=False)
    cursor = models.UUIDField(null=True, editable=False)  # the last delivery that was looked at
    paid_until = models.DateTimeField(default=timezone.now, editable=False)  # its pace is used up until then
    started_at = models.DateTimeField(default=timezone.now, editable=False)
    finished_at = models.DateTimeField(null=True, editable=False)

    objects = ReplayQuerySet.as_manager()

    class Meta:
        ordering = ("-id",)
        indexes = [
            models.Index(fields=["id"], condition=Q(state="running"), name="replay_running"),
            models.Index(fields=["store", "-id"], name="replay_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.done} of {self.total} ({self.get_state_display().lower()})"

    def clean(self) -> None:
        for name in ("integration", "customer"):
            row = getattr(self, name)
            if row is not None and row.store_id != self.store_id:
                raise ValidationError({name: f"This {name} is not one of this store's."})

    def start(self) -> None:
        """Saved, for the cluster to take up within a second or two. Raises ValidationError.

        To count first, ask an unsaved one: `Replay(...).matching().count()`.
        """
        self.full_clean()
        self.started_at = timezone.now()
        self.paid_until = self.started_at - timedelta(seconds=1)  # the first ones at once
        self.total = self.matching().count()
        if not self.total:
            self.state, self.finished_at = ReplayState.DONE, self.started_at
        self.save(force_insert=True)

    def matching(self) -> DeliveryQuerySet:
        """The deliveries that it takes, as far as it has not come by them yet."""
        wanted: dict[str, Any] = {
            "integration": self.integration_id,
            "event_key": self.event_key,
            "customer": self.customer_id,
            "recorded_at__gte": self.recorded_at_after,
            "recorded_at__lt": self.recorded_at_before,
            "pk__gt": self.cursor,
        }
        rows = Delivery.objects.resendable().filter(store=self.store_id, status=self.status)
        # What finished later was sent or tried meanwhile: it is not what somebody wanted to have sent again.
        return rows.filter(finished_at__lte=self.started_at, **{name: value for name, value in wanted.items() if value})

    def step(self) -> int:
        """Make the next ones due, as many as its pace and the backlog allow, in one transaction with the cursor.

        Returns how many it came by: 0 when it has to wait, is done, or another process is at it.
        """
        with transaction.atomic():
            rows = Replay.objects.running().filter(pk=self.pk).annotate(now=Now())
            replay = rows.select_for_update(skip_locked=True).first()
            if replay is None or (room := min(BATCH, replay._room())) < 1:
                return 0
            ids = list(replay.matching().order_by("pk").values_list("pk", flat=True)[:room])
            replay._take(ids, last=len(ids) < room)
            return len(ids)

    def cancel(self) -> None:
        """No more of it; what it made due stays so. Raises Conflict when it is over."""
        running = Replay.objects.running().filter(pk=self.pk)
        if not running.update(state=ReplayState.CANCELLED, finished_at=Now()):
            raise Conflict("state", "It is over already.", code="not_running")
        self.refresh_from_db()

    def backlog(self) -> int:
        """How many deliveries that could be sent now wait where it sends to; no more than BACKLOG are counted."""
        waiting = Delivery.objects.due().filter(store=self.store_id, integration__in=self._open_lanes())
        if self.integration_id:
            waiting = waiting.filter(integration=self.integration_id)
        return waiting.order_by()[:BACKLOG].count()

    def _open_lanes(self) -> models.QuerySet[Lane, UUID]:
        """What is held is in nobody's way."""
        return Lane.objects.passable().filter(store=self.store_id, closed="").values_list("integration", flat=True)

    def _room(self) -> int:
        """How many more it may make due now."""
        now = self.now  # type: ignore[attr-defined]  # annotated: the database's clock
        # Never in the future, or a clock that was put back would stop it for as long.
        self.paid_until = min(max(self.paid_until, now - CATCH_UP), now)
        return min(int((now - self.paid_until).total_seconds() * self.rate), BACKLOG - self.backlog())

    def _take(self, ids: list[UUID], *, last: bool) -> None:
        self.done += Delivery.objects.filter(pk__in=ids).resend(new_id=self.new_id)
        self.paid_until += timedelta(seconds=len(ids) / self.rate)
        if ids:
            self.cursor = ids[-1]
        if last:
            self.state, self.finished_at = ReplayState.DONE, timezone.now()
        self.save(update_fields=["done", "paid_until", "cursor", "state", "finished_at"])
