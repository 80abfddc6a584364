"""Tallies: what each send event did in each minute, counted as the results are written, so that screens never scan the log."""

from bisect import bisect_left
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db import models

from events import postgresql
from events.models import Tally
from events.models.lane import COUNTS, DURATION_BUCKETS, HISTOGRAMS, LATENCY_BUCKETS

Key = tuple[UUID, UUID, datetime]  # integration, send event, minute


class Counting:
    """What is to be added to the tallies, collected before it is written."""

    def __init__(self) -> None:
        self._tallies: dict[Key, Tally] = {}

    def of(self, *, store_id: UUID, integration_id: UUID, subscription_id: UUID, moment: datetime) -> Tally:
        """The unsaved tally of that minute: count in it."""
        minute = moment.replace(second=0, microsecond=0)
        key = (integration_id, subscription_id, minute)
        if key not in self._tallies:
            self._tallies[key] = Tally(
                store_id=store_id,
                integration_id=integration_id,
                subscription_id=subscription_id,
                minute=minute,
                latency=[0] * (len(LATENCY_BUCKETS) + 1),
                duration=[0] * (len(DURATION_BUCKETS) + 1),
            )
        return self._tallies[key]

    def write(self) -> None:
        """Add it up in the database; everybody takes the rows in the same order."""
        tallies = [tally for _, tally in sorted(self._tallies.items())]
        if not tallies:
            return
        if postgresql.in_use():
            postgresql.add_tallies(tallies)
        else:
            _add(tallies)


def _add(tallies: Sequence[Tally]) -> None:
    """One by one would do the same: there must be a row before it can be added to."""
    Tally.objects.bulk_create([_empty(tally) for tally in tallies], ignore_conflicts=True)
    wanted = models.Q()
    for tally in tallies:
        wanted |= models.Q(integration=tally.integration_id, subscription=tally.subscription_id, minute=tally.minute)
    stored = {_key(row): row for row in Tally.objects.filter(wanted).order_by("pk").select_for_update()}
    for tally in tallies:
        row = stored[_key(tally)]
        for name in COUNTS:
            setattr(row, name, getattr(row, name) + getattr(tally, name))
        for name in HISTOGRAMS:
            setattr(row, name, [sum(column) for column in zip(getattr(row, name), getattr(tally, name), strict=True)])
    Tally.objects.bulk_update(stored.values(), [*COUNTS, *HISTOGRAMS], batch_size=100)


def _empty(tally: Tally) -> Tally:
    return Tally(
        store_id=tally.store_id,
        integration_id=tally.integration_id,
        subscription_id=tally.subscription_id,
        minute=tally.minute,
        latency=[0] * len(tally.latency),
        duration=[0] * len(tally.duration),
    )


def _key(tally: Tally) -> Key:
    return (tally.integration_id, tally.subscription_id, tally.minute)


def count_try(tally: Tally, *, duration_ms: int) -> None:
    """One more try."""
    tally.tries += 1
    tally.duration[_bucket(duration_ms, DURATION_BUCKETS)] += 1
    tally.duration_ms += duration_ms


def count_sent(tally: Tally, *, latency_ms: int) -> None:
    """It was accepted, so long after it was recorded."""
    tally.sent += 1
    tally.latency[_bucket(latency_ms, LATENCY_BUCKETS)] += 1
    tally.latency_ms += latency_ms


def _bucket(value: float, bounds: Sequence[int]) -> int:
    return bisect_left(bounds, value)  # bounds are upper ones
