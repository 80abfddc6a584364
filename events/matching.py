"""Would have matched: how many of a store's recent events these restrictions would have let through.

On request only, over what was recorded, a window of time after the other. Of each payload only what the restrictions read
is fetched, equal values together with their number; the one evaluator judges them. `pytest tests/events/test_matching.py -k
hundred_thousand` holds it to 3 s for 100,000 events on PostgreSQL.
"""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, F, Func, Q, TextField, Value
from django.utils import timezone

from customers.models import Store
from events.catalogue import EventType
from events.models import Occurrence
from events.models.occurrence import OccurrenceQuerySet
from events.restrictions import Restriction, judge

DAYS = 30
MOST_DAYS = 90
WINDOW = 20_000  # occurrences that one query looks at
BUDGET = 10.0  # seconds; what is older than what was judged by then is left out, and that is said


@dataclass(frozen=True, kw_only=True)
class Matches:
    """Of `total` events since `since`, `matched` would have gone out; `unclear` could not be judged.

    `complete`: False when there was no time for all of the days asked for; then only the newest were judged.
    """

    matched: int
    total: int
    unclear: int
    since: datetime
    complete: bool

    def __str__(self) -> str:
        """Such as "132 of 1,420 events"."""
        return f"{self.matched:,} of {self.total:,} {'event' if self.total == 1 else 'events'}"


def would_match(*, store: Store, kind: EventType, restrictions: Sequence[Restriction], days: int = DAYS) -> Matches:
    """Judge the events of this type in the last `days` days. Tests and silent imports are left out: they match nothing."""
    ends = time.monotonic() + BUDGET
    judged_since = timezone.now()
    since = judged_since - timedelta(days=days)
    rows = Occurrence.objects.matchable(store=store, event_key=kind.key).filter(occurred_at__gte=since)
    matched = total = unclear = 0
    for begins, payloads in _windows(rows, restrictions):
        if time.monotonic() > ends:
            return Matches(matched=matched, total=total, unclear=unclear, since=judged_since, complete=False)
        for payload, number in payloads:
            findings = [] if payload is None else judge(restrictions, payload)
            total += number
            if payload is None or any(finding.problem for finding in findings):
                unclear += number
            elif all(finding.holds for finding in findings):
                matched += number
        judged_since = begins or since
    return Matches(matched=matched, total=total, unclear=unclear, since=since, complete=True)


Payloads = Iterator[tuple[dict[str, Any] | None, int]]


def _windows(
    rows: OccurrenceQuerySet, restrictions: Sequence[Restriction]
) -> Iterator[tuple[datetime | None, Payloads]]:
    """The newest rows first: since when (None: the beginning), and what of their payloads is read, with how many have it."""
    begins: datetime | None = None
    while True:
        window = rows.filter(occurred_at__lt=begins) if begins else rows
        begins = window.order_by("-occurred_at").values_list("occurred_at", flat=True)[WINDOW:][:1].first()
        yield begins, _payloads(window.filter(occurred_at__gte=begins) if begins else window, restrictions)
        if begins is None:
            return


def _payloads(rows: OccurrenceQuerySet, restrictions: Sequence[Restriction]) -> Payloads:
    """What the restrictions read of the payloads, None for one that was never built, each with how many have it."""
    keys = sorted({key for restriction in restrictions for key in restriction.reads})
    texts = {f"json_{number}": _json_text(key) for number, key in enumerate(keys)}
    timed = any(restriction.operator.timed for restriction in restrictions)
    moment = F("occurred_at") if timed else Value(None, output_field=TextField())
    groups = rows.order_by().annotate(built=Q(unbuilt__isnull=True), moment=moment, **texts)
    for built, moment, *values, number in groups.values_list("built", "moment", *texts).annotate(Count("id")):
        payload = {key: json.loads(text) for key, text in zip(keys, values, strict=True) if text is not None}
        yield ({**payload, "event_occurred_at": moment} if built else None), number


def _json_text(key: str) -> Func:
    """The value of this key of a payload as JSON text, exactly as it was recorded; null when it is not there."""
    return Func(F("payload"), Value(key), template="(%(expressions)s)", arg_joiner=" -> ", output_field=TextField())
