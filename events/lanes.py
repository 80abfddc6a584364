"""Lanes: what the results of its calls do to an integration: its breaker, its waiting time, its record."""

from datetime import datetime, timedelta

from events.models import Lane
from events.models.lane import Closed
from integrations.models import Integration

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


def add_missing() -> int:
    """A lane for every integration that lacks one (rows made in bulk); returns how many."""
    missing = Integration.objects.filter(lane=None)
    lanes = [Lane(store_id=integration.store_id, integration=integration) for integration in missing]
    Lane.objects.bulk_create(lanes, ignore_conflicts=True)
    return len(lanes)
