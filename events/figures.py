"""Figures for the home page, out of the tallies and a few counts: nothing here scans the log."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from itertools import zip_longest
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db.models import OuterRef, Subquery, Sum
from django.db.models.functions import TruncDay, TruncHour
from django.utils import timezone

from customers.models import Store
from events.models import Delivery, Lane, Subscription, Tally
from events.models.lane import LATENCY_BUCKETS
from integrations.models import Integration

BEYOND = LATENCY_BUCKETS[-1] + 1  # ms, for a delay that has no upper bound
MANY = 10_000  # counts stop here: "10,000 or more" is all a person needs


@dataclass(frozen=True)
class Point:
    """One bar of a chart."""

    start: datetime
    sent: int
    failed: int
    skipped: int


@dataclass(frozen=True, kw_only=True)
class Health:
    """How one integration did in the last 24 hours; `delay_ms` is the median from recording to answer, None without any."""

    integration: Integration
    sent: int
    tries: int
    failed_tries: int
    delay_ms: int | None
    closed: str  # why its lane holds, or empty

    @property
    def state(self) -> tuple[str, str]:
        """A tone of the stylesheet, and one word."""
        if not self.integration.enabled:
            return ("bad" if self.integration.switched_off_reason else "idle"), "Off"
        return ("bad", "Held") if self.closed else ("good", "On")

    @property
    def success(self) -> int | None:
        """Per cent of the tries that were accepted; None without any."""
        return round(100 * (self.tries - self.failed_tries) / self.tries) if self.tries else None

    @property
    def delay_words(self) -> str:
        """Such as "under 250 ms"; empty without any."""
        if self.delay_ms is None:
            return ""
        if self.delay_ms == BEYOND:
            return "over an hour"
        for unit, size in (("min", 60_000), ("s", 1000)):
            if self.delay_ms >= size:
                return f"under {self.delay_ms / size:g} {unit}"
        return f"under {self.delay_ms} ms"


def points(store: Store, *, days: int) -> list[Point]:
    """Bars without gaps, oldest first, on the store's clock: one an hour for one day, one a day for more."""
    zone = ZoneInfo(store.time_zone)
    now = timezone.now().astimezone(zone)
    if days == 1:
        last = now.replace(minute=0, second=0, microsecond=0).astimezone(UTC)
        starts = [(last - timedelta(hours=ago)).astimezone(zone) for ago in range(23, -1, -1)]
    else:
        starts = [datetime.combine(now.date() - timedelta(days=ago), time.min, zone) for ago in range(days - 1, -1, -1)]
    trunc = TruncHour if days == 1 else TruncDay
    rows = (
        Tally.objects.filter(store=store, minute__gte=starts[0])
        .annotate(start=trunc("minute", tzinfo=zone))
        .values("start")
        .order_by("start")
        .annotate(Sum("sent"), Sum("failed"), Sum("skipped"))
    )
    found = {row["start"].astimezone(UTC): (row["sent__sum"], row["failed__sum"], row["skipped__sum"]) for row in rows}
    return [Point(start, *found.get(start.astimezone(UTC), (0, 0, 0))) for start in starts]


@dataclass(frozen=True)
class OfSendEvent:
    """What one send event did of late; `last` is its newest real delivery, with its reading."""

    sent: int = 0  # in the last 7 days
    last: Delivery | None = None


def of_send_events(send_events: Sequence[Subscription]) -> dict[UUID, OfSendEvent]:
    """For each of these, by its id. Two queries, however many there are."""
    ids = [send_event.pk for send_event in send_events]
    since = timezone.now() - timedelta(days=7)
    tallies = Tally.objects.filter(subscription__in=ids, minute__gte=since).order_by()
    sent = dict(tallies.values_list("subscription").annotate(Sum("sent")))
    newest = Delivery.objects.filter(subscription=OuterRef("pk"), is_test=False).order_by("-id").values("pk")[:1]
    newest_ids = Subscription.objects.filter(pk__in=ids).order_by().values(newest=Subquery(newest))
    last = {
        delivery.subscription_id: delivery for delivery in Delivery.objects.filter(pk__in=newest_ids).with_reading()
    }
    return {pk: OfSendEvent(sent.get(pk, 0), last.get(pk)) for pk in ids}


def held(store: Store) -> int:
    """How many deliveries are held now, at most MANY."""
    return Delivery.objects.held_in(store)[:MANY].count()


def health_of(integration: Integration) -> Health:
    """This one."""
    since = timezone.now() - timedelta(hours=24)
    rows = Tally.objects.filter(store=integration.store_id, minute__gte=since, integration=integration)
    return _health(integration, list(rows), Lane.objects.filter(integration=integration).first())


def health(store: Store) -> list[Health]:
    """Each existing integration of the store, by name."""
    since = timezone.now() - timedelta(hours=24)
    tallies: dict[object, list[Tally]] = {}
    for tally in Tally.objects.filter(store=store, minute__gte=since):
        tallies.setdefault(tally.integration_id, []).append(tally)
    lanes = {lane.integration_id: lane for lane in Lane.objects.filter(store=store)}
    return [
        _health(integration, tallies.get(integration.pk, []), lanes.get(integration.pk))
        for integration in Integration.objects.existing().filter(store=store)
    ]


def _health(integration: Integration, tallies: Sequence[Tally], lane: Lane | None) -> Health:
    return Health(
        integration=integration,
        sent=sum(tally.sent for tally in tallies),
        tries=sum(tally.tries for tally in tallies),
        failed_tries=sum(tally.failed_tries for tally in tallies),
        delay_ms=median([tally.latency for tally in tallies]),
        closed=lane.get_closed_display() if lane and lane.closed else "",
    )


def median(counts: Iterable[Sequence[int]]) -> int | None:
    """The upper bound, in ms, of the bucket of LATENCY_BUCKETS that holds the median; None when nothing was counted.

    BEYOND for the last bucket, which has no bound.
    """
    total = [sum(column) for column in zip_longest(*counts, fillvalue=0)]
    half = sum(total) / 2
    seen = 0
    for count, bound in zip(total, (*LATENCY_BUCKETS, BEYOND), strict=False):
        seen += count
        if count and seen >= half:
            return bound
    return None
