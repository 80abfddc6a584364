"""The rows by which all workers and machines agree: lanes, tallies, heartbeats, wake-ups, and notices to the admins."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import zip_longest

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from customers.models import StoreModel
from events.models.subscription import Subscription
from integrations.models import Integration


class Closed(models.TextChoices):
    """Why a lane lets nothing through but a probe."""

    BREAKER = "breaker", "too many failures in a row"
    CREDENTIALS = "credentials", "its credentials were refused"


@dataclass(frozen=True)
class Reading:
    """A lane in words: a tone of the stylesheet, a sentence, and when it is tried again, if it waits."""

    tone: str
    sentence: str
    until: datetime | None = None


class LaneQuerySet(models.QuerySet["Lane"]):
    def closed(self) -> "LaneQuerySet":
        """Lanes that hold what is pending: closed, or asked to wait."""
        return self.filter(~Q(closed="") | Q(not_before__gt=Now()))

    def passable(self) -> "LaneQuerySet":
        """Lanes that may be claimed from now: switches on, not asked to wait, open or with a probe due."""
        return (
            self.filter(integration__enabled=True, integration__archived_at=None, integration__store__events_on=True)
            .filter(Q(not_before=None) | Q(not_before__lte=Now()))
            .filter(Q(closed="") | Q(probe_at__lte=Now()))
        )


class Lane(StoreModel):
    """The state of sending to one integration: its turn, its rate, its breaker. A closed lane uses up no tries."""

    integration = models.OneToOneField(Integration, on_delete=models.CASCADE, related_name="lane", editable=False)
    served_at = models.DateTimeField(default=timezone.now)  # the longest unserved is next
    tokens = models.FloatField(default=1)  # of its rate limit; the first call need not wait
    tokens_at = models.DateTimeField(default=timezone.now)
    not_before = models.DateTimeField(null=True)  # Retry-After
    closed = models.CharField(max_length=12, choices=Closed, blank=True)
    probe_at = models.DateTimeField(null=True)
    probes = models.PositiveSmallIntegerField(default=0)  # since it was closed
    failures = models.PositiveIntegerField(default=0)  # retryable ones in a row
    failing_since = models.DateTimeField(null=True)  # nothing succeeded since
    failing_tries = models.PositiveIntegerField(default=0)

    objects = LaneQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.integration}: {self.get_closed_display() or 'open'}"

    def reading(self) -> Reading:
        """How sending to it goes, for an admin."""
        if self.closed == Closed.CREDENTIALS:
            said = (
                "Its credentials were refused: all is held, but for one delivery now and then to see whether they work."
            )
            return Reading("bad", said, self.probe_at)
        if self.closed == Closed.BREAKER:
            said = "Too many tries in a row failed: all is held, but for one delivery now and then to see whether it is back."
            return Reading("bad", said, self.probe_at)
        if self.not_before and self.not_before > timezone.now():
            return Reading("wait", "It asked to wait (Retry-After): everything is held until then.", self.not_before)
        if self.failures:
            last = "last try" if self.failures == 1 else f"last {self.failures} tries"
            return Reading("wait", f"It is sent to, but the {last} failed.")
        return Reading("good", "It takes what is sent.")

    def reopen(self) -> None:
        """As new: after the admin mended the settings, or switched the integration on."""
        self.closed, self.not_before, self.probe_at, self.failing_since = "", None, None, None
        self.probes = self.failures = self.failing_tries = 0
        self.save()


# Upper bounds in ms; the last bucket has none. Of latency (commit to answer) and of duration (one call).
LATENCY_BUCKETS = (25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 15_000, 60_000, 3_600_000)
DURATION_BUCKETS = (10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000)


COUNTS = ("sent", "failed", "skipped", "tries", "failed_tries", "latency_ms", "duration_ms")
HISTOGRAMS = ("latency", "duration")


class Tally(StoreModel):
    """What one send event did at one integration in one minute, written with the outcomes: screens never scan the log."""

    integration = models.ForeignKey(Integration, on_delete=models.CASCADE, related_name="+", editable=False)
    subscription = models.ForeignKey(Subscription, on_delete=models.CASCADE, related_name="+", editable=False)
    minute = models.DateTimeField()
    sent = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    skipped = models.PositiveIntegerField(default=0)
    tries = models.PositiveIntegerField(default=0)
    failed_tries = models.PositiveIntegerField(default=0)
    latency = models.JSONField(default=list)  # counts by LATENCY_BUCKETS
    latency_ms = models.BigIntegerField(default=0)  # all of them together
    duration = models.JSONField(default=list)  # counts by DURATION_BUCKETS
    duration_ms = models.BigIntegerField(default=0)

    class Meta:
        verbose_name_plural = "tallies"
        constraints = [models.UniqueConstraint(fields=["subscription", "integration", "minute"], name="tally_once")]
        indexes = [
            models.Index(fields=["store", "minute"], name="tally_recent"),
            models.Index(fields=["minute"], name="tally_by_minute"),
        ]

    def __str__(self) -> str:
        return f"{self.minute:%H:%M}: {self.sent} sent"


class Total(StoreModel):
    """All tallies of one integration up to a minute, added up: metrics may only grow, also when tallies are pruned."""

    integration = models.OneToOneField(Integration, on_delete=models.CASCADE, related_name="total", editable=False)
    through = models.DateTimeField()  # the last minute that is in it
    sent = models.BigIntegerField(default=0)
    failed = models.BigIntegerField(default=0)
    skipped = models.BigIntegerField(default=0)
    tries = models.BigIntegerField(default=0)
    failed_tries = models.BigIntegerField(default=0)
    latency = models.JSONField(default=list)
    latency_ms = models.BigIntegerField(default=0)
    duration = models.JSONField(default=list)
    duration_ms = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.integration}: {self.sent} sent"

    def add(self, tally: Tally) -> None:
        """Count this tally in. The caller saves."""
        for name in COUNTS:
            setattr(self, name, getattr(self, name) + getattr(tally, name))
        for name in HISTOGRAMS:
            columns = zip_longest(getattr(self, name), getattr(tally, name), fillvalue=0)
            setattr(self, name, [sum(column) for column in columns])


class Heartbeat(models.Model):
    """A process says that it lives. Not of a store: it belongs to the operators."""

    name = models.CharField(max_length=120, primary_key=True)  # kind, host and process id
    kind = models.CharField(max_length=20)  # supervisor, sender
    beat_at = models.DateTimeField(db_default=Now())
    state = models.JSONField(default=dict)

    def __str__(self) -> str:
        return self.name


class WakeUp(models.Model):
    """One row: whether a wake-up is on its way, so that a thousand recordings queue one task. Of the operators."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    asked_at = models.DateTimeField(null=True)  # null: none is on its way

    def __str__(self) -> str:
        return f"asked at {self.asked_at}" if self.asked_at else "none on its way"


class NoticeQuerySet(models.QuerySet["Notice"]):
    def open(self) -> "NoticeQuerySet":
        """Those that nobody has seen to."""
        return self.filter(dismissed_at=None)

    def settle(self, *, integration: Integration) -> int:
        """Somebody saw to what they say of this integration; returns how many there were."""
        return self.open().filter(integration=integration).update(dismissed_at=Now())

    def unmailed(self, *, within: timedelta) -> "NoticeQuerySet":
        """Those of this last time that nobody has mailed yet."""
        return self.open().filter(mailed_at=None, created_at__gte=Now() - within)


class Notice(StoreModel):
    """Something the store's admins must hear of: an integration was switched off."""

    integration = models.ForeignKey(Integration, on_delete=models.CASCADE, null=True, related_name="+", editable=False)
    text = models.CharField(max_length=500)
    created_at = models.DateTimeField(auto_now_add=True)
    dismissed_at = models.DateTimeField(null=True, editable=False)
    mailed_at = models.DateTimeField(null=True, editable=False)

    objects = NoticeQuerySet.as_manager()

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return self.text

    def dismiss(self) -> None:
        """Seen to: it shows no more among what needs attention. The first time counts."""
        if self.dismissed_at is None:
            self.dismissed_at = timezone.now()
            self.save(update_fields=["dismissed_at"])

    def take_for_mailing(self) -> bool:
        """Whether this caller is the one to mail it: nobody mails it twice."""
        return bool(Notice.objects.filter(pk=self.pk, mailed_at=None).update(mailed_at=Now()))
