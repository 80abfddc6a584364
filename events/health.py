"""How sending is doing, for operators: the figures of `doctor`, the health page and the metrics, of all stores together.

Each comes from a few looks at partial indexes and at the tallies: asking costs the same however long the log is.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import Error, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Count, Min, Q, Sum
from django.db.models.functions import Now
from django.utils import timezone

from events import heartbeat
from events.models import Delivery, Tally
from events.models.delivery import DeliveryStatus
from integrations.models import Integration

_migrated = False  # as far as this process knows

ALIVE = timedelta(seconds=15)  # without a heartbeat, a process counts as gone


@dataclass(frozen=True)
class Success:
    """The tries of a time, and how many of them were not accepted."""

    tries: int = 0
    failed_tries: int = 0

    @property
    def percent(self) -> int | None:
        """Of the tries, how many were accepted; None without any."""
        return round(100 * (self.tries - self.failed_tries) / self.tries) if self.tries else None


@dataclass
class IntegrationHealth:
    """What waits for one integration, and how it has done."""

    integration: Integration
    due: int = 0  # could be sent now
    held: int = 0  # behind a switch that is off, or a lane that is closed or asked to wait
    in_flight: int = 0
    oldest_due: datetime | None = None
    last_5_minutes: Success = field(default_factory=Success)
    last_24_hours: Success = field(default_factory=Success)

    @property
    def closed(self) -> str:
        """Why its lane lets nothing through, or an empty text."""
        return self.integration.lane.get_closed_display() if self.integration.lane.closed else ""


@dataclass(frozen=True, kw_only=True)
class Health:
    """All of it, at one moment (`now`, by the database's clock)."""

    now: datetime
    clusters: int
    senders: int
    integrations: list[IntegrationHealth]

    @property
    def due(self) -> int:
        return sum(one.due for one in self.integrations)

    @property
    def held(self) -> int:
        return sum(one.held for one in self.integrations)

    @property
    def in_flight(self) -> int:
        return sum(one.in_flight for one in self.integrations)

    def oldest_due_seconds(self, *, of: IntegrationHealth | None = None) -> float | None:
        """How long the oldest delivery that could be sent (of one integration) has been due; None when none is."""
        moments = [one.oldest_due for one in ([of] if of else self.integrations) if one.oldest_due]
        return max(0.0, (self.now - min(moments)).total_seconds()) if moments else None


def ready() -> bool:
    """Whether the database answers, with the tables of this version."""
    global _migrated
    try:
        if not _migrated:  # the plan is dear, and who had every table has them still
            executor = MigrationExecutor(connection)
            _migrated = not executor.migration_plan(executor.loader.graph.leaf_nodes())
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error:
        return False
    return _migrated


def look() -> Health:
    """The figures of this moment, integrations by store and name; deleted ones are left out."""
    rows = Integration.objects.existing().exclude(lane=None).select_related("store", "lane").annotate(now=Now())
    found = {row.pk: IntegrationHealth(row) for row in rows.order_by("store__name", "name")}
    now = next((row.integration.now for row in found.values()), None) or timezone.now()  # type: ignore[attr-defined]
    _count_waiting(found.values(), now=now)
    flying = Delivery.objects.filter(status=DeliveryStatus.SENDING, is_test=False).order_by()
    for key, count in flying.values_list("integration").annotate(Count("pk")):
        if key in found:
            found[key].in_flight = count
    for key, success in _success(now - timedelta(minutes=5)).items():
        if key in found:
            found[key].last_5_minutes = success
    for key, success in _success(now - timedelta(hours=24)).items():
        if key in found:
            found[key].last_24_hours = success
    return Health(
        now=now,
        clusters=heartbeat.count("supervisor", within=ALIVE),
        senders=heartbeat.count("sender", within=ALIVE),
        integrations=list(found.values()),
    )


def _count_waiting(found: Iterable[IntegrationHealth], *, now: datetime) -> None:
    by_integration = {one.integration.pk: one for one in found}
    for suspect in (False, True):  # each has a partial index of its own
        rows = (
            Delivery.objects.filter(status=DeliveryStatus.PENDING, is_test=False, suspect=suspect)
            .order_by()
            .values("integration", "subscription__enabled")
            .annotate(
                waiting=Count("pk"),
                come=Count("pk", filter=Q(next_attempt_at__lte=Now())),
                oldest=Min("next_attempt_at"),
            )
        )
        for row in rows:
            if one := by_integration.get(row["integration"]):
                _add(one, row, now=now)


def _add(one: IntegrationHealth, row: Mapping[str, Any], *, now: datetime) -> None:
    lane, integration = one.integration.lane, one.integration
    on = integration.enabled and integration.store.events_on and row["subscription__enabled"]
    if not on or lane.closed or (lane.not_before and lane.not_before > now):
        one.held += row["waiting"]
        return
    one.due += row["come"]
    if row["come"]:
        one.oldest_due = min(filter(None, (one.oldest_due, row["oldest"])))


def _success(since: datetime) -> dict[UUID, Success]:
    """Of each integration with tries since then."""
    rows = Tally.objects.filter(minute__gte=since, tries__gt=0).order_by().values_list("integration")
    return {key: Success(tries, failed) for key, tries, failed in rows.annotate(Sum("tries"), Sum("failed_tries"))}
