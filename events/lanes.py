"""Lanes: which integration is served next, how much of it, and what failures do to it. The claim is made here.

All state is in the database, so that fairness, rates, waiting times and breakers hold across all workers and machines.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import zip_longest
from typing import Any
from uuid import UUID, uuid4

from django.db import transaction
from django.db.models import Count, Exists, OuterRef
from django.db.models.functions import Now

from events import postgresql
from events.models import Attempt, Delivery, Lane
from events.models.delivery import DeliveryStatus, Outcome
from events.models.lane import Closed

LEASE = timedelta(seconds=30)  # longer than a call may take; after it, the row is anybody's
DEATHS_ALLOWED = 3  # workers that died with a delivery alone
BURST = 1.0  # seconds of its rate that a lane may save up
NOT_REPEATED = "Nobody can say whether it arrived, and this integration sends at most once."


@dataclass(frozen=True)
class Claim:
    """Deliveries that this sender alone may send until their lease ends."""

    deliveries: list[Delivery]
    probed: frozenset[UUID]  # integrations of which the one delivery is a probe of a closed lane
    full: bool  # there was room for no more


NOTHING = Claim([], frozenset(), full=False)


def claim(*, free: int, slots: int, flying: Mapping[UUID, int]) -> Claim:
    """Take due deliveries for up to `free` slots, longest unserved lanes first, each its fair share.

    `flying` counts this process's calls by integration: none of them holds more than three quarters of its `slots`.
    """
    with transaction.atomic():
        lanes = _lock_lanes(free)
        if not lanes:
            return NOTHING
        in_flight = _in_flight(lanes)
        cap = max(1, slots * 3 // 4)
        most = {
            key: max(0, min(free, cap - flying.get(key, 0), allowance(lane, in_flight.get(key, 0))))
            for key, lane in lanes.items()
        }
        shares = _share_out(_waiting(most), free)
        _serve(lanes, {key: len(ids) for key, ids in shares.items()})
        probed = frozenset(key for key, lane in lanes.items() if lane.closed and shares[key])
        ids = [one for turn in zip_longest(*shares.values()) for one in turn if one]
        return Claim(_take(ids, lanes), probed, full=len(ids) >= free)


def _lock_lanes(most: int) -> dict[UUID, Lane]:
    """The lanes in which something is due, by integration, the longest unserved first; ours until the transaction ends."""
    due = Delivery.objects.due().filter(integration=OuterRef("integration"))
    rows = Lane.objects.passable().filter(Exists(due)).select_related("integration").annotate(now=Now())
    rows = rows.order_by("served_at").select_for_update(skip_locked=True, of=("self",))
    return {lane.integration_id: lane for lane in rows[:most]}


def _waiting(most: Mapping[UUID, int]) -> Mapping[UUID, list[UUID]]:
    """The ids of what is due, the longest waiting first, at most so many of each integration."""
    if postgresql.in_use():
        return postgresql.due(most)
    rows = Delivery.objects.due().order_by("next_attempt_at", "id").values_list("pk", flat=True)
    return {integration: list(rows.filter(integration=integration)[:number]) for integration, number in most.items()}


def _share_out(waiting: Mapping[UUID, list[UUID]], free: int) -> dict[UUID, list[UUID]]:
    """An equal share of the slots for each integration, in their order; what one does not use goes to those behind it."""
    shares: dict[UUID, list[UUID]] = {}
    for position, (integration, ids) in enumerate(waiting.items()):
        shares[integration] = ids[: -(-free // (len(waiting) - position))]
        free -= len(shares[integration])
    return shares


def claim_suspect() -> Claim:
    """Take one delivery whose worker died with it, to be sent while nothing else is."""
    with transaction.atomic():
        lanes = Lane.objects.passable().filter(closed="").values("integration")
        rows = (
            Delivery.objects.suspects().filter(integration__in=lanes).select_for_update(skip_locked=True, of=("self",))
        )
        return Claim(_take([row.pk for row in rows[:1]], {}), frozenset(), full=False)


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
    return may_claim() or Delivery.objects.lost().exists()


def may_claim() -> bool:
    """Whether a delivery is due in a lane that lets it through."""
    due = Delivery.objects.due().filter(integration=OuterRef("integration"))
    suspect = Delivery.objects.suspects().filter(integration=OuterRef("integration"))
    lanes = Lane.objects.passable()
    return lanes.filter(Exists(due)).exists() or lanes.filter(Exists(suspect), closed="").exists()


def add_missing() -> int:
    """A lane for every integration that lacks one (rows made in bulk); returns how many."""
    from integrations.models import Integration

    missing = Integration.objects.filter(lane=None)
    lanes = [Lane(store_id=integration.store_id, integration=integration) for integration in missing]
    Lane.objects.bulk_create(lanes, ignore_conflicts=True)
    return len(lanes)


def allowance(lane: Lane, in_flight: int) -> int:
    """How many more calls this lane may start now: by its rate, its concurrency, and one while it is closed."""
    if lane.closed:
        return 1
    room = lane.integration.calls_at_once - in_flight
    tokens = _tokens(lane)
    return room if tokens is None else min(room, int(tokens))


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


def _in_flight(integrations: Iterable[UUID]) -> dict[UUID, int]:
    rows = Delivery.objects.filter(status=DeliveryStatus.SENDING, integration__in=integrations)
    return dict(rows.order_by().values_list("integration").annotate(Count("pk")))


def _take(ids: list[UUID], lanes: Mapping[UUID, Lane]) -> list[Delivery]:
    """Mark these as claimed; returns the rows in this order, with everything that sending needs."""
    if not ids:
        return []
    mark = uuid4()
    if lanes and postgresql.in_use():
        taken = postgresql.take(ids, mark=mark, lease=LEASE.total_seconds())
        for row in taken:
            row.integration = lanes[row.integration_id].integration
    else:
        pending = Delivery.objects.filter(pk__in=ids, status=DeliveryStatus.PENDING)
        pending.update(status=DeliveryStatus.SENDING, claim=mark, leased_until=Now() + LEASE)
        rows = Delivery.objects.filter(pk__in=ids, claim=mark)
        taken = list(rows.select_related("occurrence", "integration"))
    place = {pk: number for number, pk in enumerate(ids)}
    return sorted(taken, key=lambda row: place[row.pk])


# --- What results do to a lane ----------------------------------------------------------------------------------------

BREAKER_AFTER = 10  # retryable failures in a row
PROBES = {  # seconds from one probe of a closed lane to the next; the last one repeats
    Closed.BREAKER: (30, 60, 120, 300, 600),
    Closed.CREDENTIALS: (300, 1800, 7200, 3600),
}
GIVE_UP_AFTER = timedelta(hours=24)
GIVE_UP_TRIES = 10


def succeeded(lane: Lane) -> None:
    """It took a delivery: open, and with a clean record."""
    lane.closed, lane.probe_at, lane.failing_since = "", None, None
    lane.probes = lane.failures = lane.failing_tries = 0


def answered(lane: Lane) -> None:
    """It refused one delivery for good, so it is there and listens: the breaker has no reason to stay open."""
    lane.failures = 0
    if lane.closed == Closed.BREAKER:
        lane.closed, lane.probe_at, lane.probes = "", None, 0


def failed(lane: Lane, *, now: datetime, retry_after: float | None, probe: bool) -> None:
    """A try that may work later: count it, wait as asked, or close the lane when there were too many in a row."""
    lane.failing_since = lane.failing_since or now
    lane.failing_tries += 1
    if retry_after is not None:
        lane.not_before = max(lane.not_before or now, now + timedelta(seconds=retry_after))
    else:
        lane.failures += 1
    if probe:
        lane.probes += 1
        _next_probe(lane, now)
    elif not lane.closed and lane.failures >= BREAKER_AFTER:
        lane.closed, lane.probes = Closed.BREAKER, 0
        _next_probe(lane, now)


def refused(lane: Lane, *, now: datetime, probe: bool) -> None:
    """Its credentials do not work: nothing goes through but a probe now and then."""
    lane.failing_since = lane.failing_since or now
    lane.failing_tries += 1
    if lane.closed != Closed.CREDENTIALS:
        lane.closed, lane.probes = Closed.CREDENTIALS, 0
        _next_probe(lane, now)
    elif probe:
        lane.probes += 1
        _next_probe(lane, now)


def given_up(lane: Lane, *, now: datetime) -> bool:
    """Whether nothing succeeded for so long that the integration is to be switched off."""
    return bool(
        lane.failing_since and now - lane.failing_since >= GIVE_UP_AFTER and lane.failing_tries >= GIVE_UP_TRIES
    )


def _next_probe(lane: Lane, now: datetime) -> None:
    gaps = PROBES[Closed(lane.closed)]
    lane.probe_at = now + timedelta(seconds=gaps[min(lane.probes, len(gaps) - 1)])
