"""Claims: which integration is served next, how much of it, and what becomes of what a dead sender held.

All state is in the database, so that fairness, rates, waiting times and breakers hold across all workers and machines.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Flag, auto
from itertools import zip_longest
from typing import Any
from uuid import UUID, uuid4

from django.db import transaction
from django.db.models import OuterRef, QuerySet, Subquery
from django.db.models.functions import Now

from events import postgresql
from events.looks import there
from events.models import Attempt, Delivery, Lane
from events.models.delivery import DeliveryStatus, Outcome

LEASE = timedelta(seconds=30)  # longer than a call may take; after it, the row is anybody's
DEATHS_ALLOWED = 3  # workers that died with a delivery alone
TOGETHER = 500  # deliveries of one integration in one claim, where several go out in each call
BURST = 1.0  # seconds of its rate that a lane may save up
NOT_REPEATED = "Nobody can say whether it arrived, and this integration sends at most once."


@dataclass(frozen=True)
class Claim:
    """Deliveries that this sender alone may send until their lease ends; those with the same mark go out in one call."""

    deliveries: list[Delivery]
    probed: frozenset[UUID]  # integrations of which the one delivery is a probe of a closed lane
    full: bool  # there was room for no more


NOTHING = Claim([], frozenset(), full=False)


@dataclass(frozen=True, kw_only=True)
class Room:
    """What a lane may start now."""

    integration_id: UUID
    calls: int
    at_once: int | None  # calls that may be under way in all; None: a probe, which waits for no other
    size: int  # deliveries of one call


def claim(*, free: int, slots: int, flying: Mapping[UUID, int]) -> Claim:
    """Take due deliveries for up to `free` calls, longest unserved lanes first, each its fair share.

    `flying` counts this process's calls by integration: none of them holds more than three quarters of its `slots`.
    """
    if not postgresql.in_use() and not any(there((_lanes_with_due,))):
        return NOTHING  # a look: SQLite has one lock for all who write, and a busy sender looks often
    with transaction.atomic():
        lanes = _lock_lanes(free)
        if not lanes:
            return NOTHING
        cap = max(1, slots * 3 // 4)
        rooms = [_room(lane, most=min(free, cap - flying.get(key, 0))) for key, lane in lanes.items()]
        calls = _waiting(rooms, free)
        counts = Counter(integration for integration, _ in calls)
        _serve(lanes, counts)
        probed = frozenset(key for key, lane in lanes.items() if lane.closed and counts[key])
        full = len(calls) >= free or any(
            0 < room.calls == counts[room.integration_id] for room in rooms if room.size > 1
        )
        return Claim(_take([ids for _, ids in calls], lanes), probed, full=full)


def _lock_lanes(most: int) -> dict[UUID, Lane]:
    """The lanes in which something is due, by integration, the longest unserved first; ours until the transaction ends."""
    if postgresql.in_use():
        return {lane.integration_id: lane for lane in postgresql.lock_lanes(most)}
    rows = _lanes_with_due().select_related("integration").annotate(now=Now())
    return {lane.integration_id: lane for lane in rows.order_by("served_at")[:most]}


def _with(lanes: QuerySet[Lane], deliveries: QuerySet[Delivery]) -> QuerySet[Lane]:
    """Those of the lanes that have any of these deliveries, the first of which an index tells.

    Not by Exists: PostgreSQL may answer that by reading all the deliveries of an integration.
    """
    those = deliveries.filter(integration=OuterRef("integration")).order_by("next_attempt_at", "id")
    return lanes.alias(first=Subquery(those.values("pk")[:1])).exclude(first=None)


def _room(lane: Lane, *, most: int) -> Room:
    """By its rate, its concurrency, and this process's own limit; one delivery while it is closed."""
    integration = lane.integration
    if lane.closed:
        return Room(integration_id=integration.pk, calls=min(1, max(0, most)), at_once=None, size=1)
    tokens = _tokens(lane)
    size = integration.batch_size
    calls = max(0, most if tokens is None else min(most, int(tokens)))
    if size > 1:
        calls = min(calls, max(1, TOGETHER // size))
    return Room(integration_id=integration.pk, calls=calls, at_once=integration.calls_at_once, size=size)


def _waiting(rooms: Sequence[Room], free: int) -> list[tuple[UUID, list[UUID]]]:
    """Up to `free` calls of what is due: one for each lane in turn, each its longest waiting deliveries."""
    if postgresql.in_use():
        return postgresql.due(map(vars, rooms), free)
    due = Delivery.objects.due().order_by("next_attempt_at", "id").values_list("pk", flat=True)
    sending = Delivery.objects.filter(status=DeliveryStatus.SENDING)
    by_lane = []
    for room in rooms:
        calls = room.calls
        if room.at_once is not None:
            under_way = sending.filter(integration=room.integration_id).order_by().values("claim").distinct().count()
            calls = max(0, min(calls, room.at_once - under_way))
        ids = list(due.filter(integration=room.integration_id)[: calls * room.size])
        by_lane.append([(room.integration_id, ids[at : at + room.size]) for at in range(0, len(ids), room.size)])
    return [call for turn in zip_longest(*by_lane) for call in turn if call][:free]


def claim_suspect() -> Claim:
    """Take one delivery whose worker died with it, to be sent while nothing else is."""
    with transaction.atomic():
        lanes = Lane.objects.passable().filter(closed="").values("integration")
        rows = (
            Delivery.objects.suspects().filter(integration__in=lanes).select_for_update(skip_locked=True, of=("self",))
        )
        return Claim(_take([[row.pk] for row in rows[:1]], {}), frozenset(), full=False)


def release_lost() -> int:
    """Give back what dead senders held: each lost one leaves an attempt with unknown outcome and is next tried alone.

    Returns how many. Three workers that died with it alone make it fail as poison.
    """
    with transaction.atomic():
        rows = Delivery.objects.lost().select_related("integration")
        lost = list(rows.select_for_update(skip_locked=True, of=("self",))[:500])
        for row in lost:
            row.deaths += row.suspect  # only who was alone with its worker is to blame
            row.suspect = True
            row.claim = row.leased_until = None
            row.reason = _given_up(row)
            row.status = DeliveryStatus.FAILED if row.reason else DeliveryStatus.PENDING
            row.finished_at = Now() if row.reason else None
        names = ["deaths", "suspect", "claim", "leased_until", "status", "reason", "finished_at"]
        Delivery.objects.bulk_update(lost, names, batch_size=100)
        Attempt.objects.bulk_create(
            Attempt(
                store_id=row.store_id,
                delivery=row,
                number=row.tries + 1,
                outcome=Outcome.UNKNOWN,
                detail="The worker stopped before it could say how the call ended.",
            )
            for row in lost
        )
    return len(lost)


def _given_up(lost: Delivery) -> str:
    """Why a lost delivery is not tried again; an empty text when it is."""
    if lost.is_test:
        return "The test was interrupted; whether it arrived is not known."
    if lost.deaths >= DEATHS_ALLOWED:
        return f"Its worker died {lost.deaths} times while sending it alone."
    if lost.integration.at_most_once:
        return f"Its worker stopped before it could say how the call ended. {NOT_REPEATED}"
    return ""


def anything_to_do() -> bool:
    """Whether a sender would find work now: one look at indexes."""
    return bool(work())


class Work(Flag):
    """What a sender would find."""

    NONE = 0
    DUE = auto()  # in a lane that lets it through
    SUSPECT = auto()  # the same, of one whose worker died with it
    LOST = auto()  # of a sender that never came back


def work() -> Work:
    """One look at indexes."""
    due, suspect, lost = there((_lanes_with_due,), (_lanes_with_suspects,), (Delivery.objects.lost,))
    return (
        (Work.DUE if due else Work.NONE) | (Work.SUSPECT if suspect else Work.NONE) | (Work.LOST if lost else Work.NONE)
    )


def _lanes_with_due() -> QuerySet[Lane]:
    return _with(Lane.objects.passable(), Delivery.objects.due())


def _lanes_with_suspects() -> QuerySet[Lane]:
    return _with(Lane.objects.passable().filter(closed=""), Delivery.objects.suspects())


def _tokens(lane: Lane) -> float | None:
    """The calls its rate allows now; None: no rate is known."""
    rate = lane.integration.calls_per_second
    if rate is None:
        return None
    now: datetime = lane.now  # type: ignore[attr-defined]  # annotated: the database's clock
    elapsed = max(0.0, (now - lane.tokens_at).total_seconds())
    return min(max(1.0, rate * BURST), lane.tokens + elapsed * rate)


def _serve(lanes: Mapping[UUID, Lane], counts: Mapping[UUID, int]) -> None:
    """Note that they had their turn, and so many calls of each."""
    alike = []
    for key, lane in lanes.items():
        changes: dict[str, Any] = {}
        tokens = _tokens(lane)
        if tokens is not None:
            changes |= {"tokens": tokens - counts[key], "tokens_at": lane.now}  # type: ignore[attr-defined]
        if lane.closed and counts[key]:
            changes["probe_at"] = Now() + LEASE  # no second probe while this one is under way
        if changes:
            Lane.objects.filter(pk=lane.pk).update(served_at=Now(), **changes)
        else:
            alike.append(lane.pk)
    if alike:
        Lane.objects.filter(pk__in=alike).update(served_at=Now())


def _take(calls: Sequence[list[UUID]], lanes: Mapping[UUID, Lane]) -> list[Delivery]:
    """Mark these as claimed, each call with a mark of its own; returns the rows in this order, ready to be sent."""
    marks = {pk: mark for ids, mark in ((ids, uuid4()) for ids in calls) for pk in ids}
    if not marks:
        return []
    if lanes and postgresql.in_use():
        taken = postgresql.take(marks, lease=LEASE.total_seconds(), lanes=lanes)
    else:
        pending = Delivery.objects.filter(pk__in=marks, status=DeliveryStatus.PENDING)
        taken = list(pending.select_related("occurrence", "integration"))
        for row in taken:
            row.status, row.claim, row.leased_until = DeliveryStatus.SENDING, marks[row.pk], Now() + LEASE
        Delivery.objects.bulk_update(taken, ["status", "claim", "leased_until"], batch_size=100)
    rows = {row.pk: row for row in taken}
    return [rows[pk] for pk in marks if pk in rows]
