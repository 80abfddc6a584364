"""What becomes of a delivery after a try: decided, logged and counted together, in one transaction for many results."""

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import models, transaction
from django.db.models.functions import Now
from django.utils import timezone

from events import lanes, log, notices, postgresql, tallies
from events.models import Delivery, Lane
from events.models.delivery import DeliveryStatus
from integrations.destinations.base import Judgement, Verdict
from integrations.models import Integration
from integrations.transcript import Transcript

RETRY_DELAYS = (10, 120, 1200, 10_800, 72_000)  # seconds: 10 s, 2 min, 20 min, 3 h, 20 h
JITTER = 0.2


@dataclass(frozen=True, kw_only=True)
class Result:
    """How one try ended, as the sender saw it."""

    delivery: Delivery  # as it was claimed: nobody else changes it while the claim holds
    judgement: Judgement
    transcripts: Sequence[Transcript] = ()
    started_at: datetime
    ended_at: datetime
    probe: bool = False
    ours: bool = False  # the adapter failed, or we had no time, not the other side: the lane is not to blame

    @property
    def duration_ms(self) -> int:
        """How long the whole try took."""
        return max(0, round((self.ended_at - self.started_at).total_seconds() * 1000))


def retry_delay(tries: int, *, wanted: float | None = None, chance: float | None = None) -> float:
    """Seconds from the `tries`-th try (1 to 5) to the next: the schedule with its jitter, never less than `wanted`.

    `chance` (0 to 1) takes the place of the die.
    """
    spread = 1 + JITTER * (2 * (random.random() if chance is None else chance) - 1)  # noqa: S311 - no secret
    return max(RETRY_DELAYS[tries - 1] * spread, wanted or 0.0)


def write(results: Sequence[Result]) -> int:
    """Write these results; returns how many counted.

    A result counts only while its claim still holds the row: what comes late, after its lease ended and another sender
    took over, changes nothing.
    """
    if not results:
        return 0
    with transaction.atomic():
        counted = _settle_accepted(results)
        known = {row.pk for row, _ in counted}
        others = _lock([result for result in results if result.delivery.pk not in known])
        now = timezone.now()
        closed = _write_lanes([result for _, result in others], _beyond(results), now)
        counted += others
        log.write(counted)
        _write_deliveries(others, now=now, closed=closed)
        _write_tallies(counted)
    return len(counted)


def _settle_accepted(results: Sequence[Result]) -> list[tuple[Delivery, Result]]:
    """End what was accepted in lanes with a clean record, the many alike, without reading them again; returns those."""
    accepted = {
        (result.delivery.pk, result.delivery.claim): result
        for result in results
        if result.judgement.verdict == Verdict.ACCEPTED and result.delivery.claim
    }
    if not accepted or not postgresql.in_use():
        return []
    settled = postgresql.settle(accepted)
    return [(result.delivery, result) for (pk, _), result in accepted.items() if pk in settled]


def _lock(results: Sequence[Result]) -> list[tuple[Delivery, Result]]:
    """Those whose claim still holds, each with its row as it is now, which stays so until the transaction ends."""
    if not results:
        return []
    ids = sorted(result.delivery.pk for result in results)
    locked = Delivery.objects.filter(pk__in=ids, status=DeliveryStatus.SENDING).order_by("pk")
    rows = {row.pk: row for row in locked.select_for_update()}
    found = [(rows[result.delivery.pk], result) for result in results if result.delivery.pk in rows]
    return [(row, result) for row, result in found if row.claim == result.delivery.claim]


def give_back(claimed: Sequence[Delivery]) -> None:
    """Deliveries that were claimed and never started are pending again, without a try, if they are still this sender's."""
    if claimed:
        ids, marks = [row.pk for row in claimed], {row.claim for row in claimed}
        ours = Delivery.objects.filter(pk__in=ids, claim__in=marks, status=DeliveryStatus.SENDING)
        ours.update(status=DeliveryStatus.PENDING, claim=None, leased_until=None)


def _beyond(results: Iterable[Result]) -> Counter[UUID]:
    """By integration that has a rate: the calls made beyond those that its claims were counted for.

    A delivery may take several, and so does a batch that comes in halves.
    """
    made, claimed = {}, {}
    for result in results:
        if result.transcripts and result.delivery.integration.calls_per_second is not None:
            claimed[result.delivery.claim] = result.delivery.integration_id
            made.update(dict.fromkeys(map(id, result.transcripts), result.delivery.integration_id))
    return Counter(made.values()) - Counter(claimed.values())


def _write_lanes(results: list[Result], beyond: Counter[UUID], now: datetime) -> set[UUID]:
    """Tell the lanes; returns the integrations whose lane was closed already, where a try is not used up."""
    by_integration: dict[UUID, list[Result]] = defaultdict(list)
    for result in results:
        if not result.ours and result.judgement.verdict != Verdict.SKIPPED:
            by_integration[result.delivery.integration_id].append(result)
    if not by_integration and not beyond:
        return set()
    clean = models.Q(closed="", failures=0, failing_since=None)
    concerned = Lane.objects.filter(integration__in={*by_integration, *beyond})
    all_good = {
        key for key, those in by_integration.items() if all(r.judgement.verdict == Verdict.ACCEPTED for r in those)
    }
    # A healthy lane that goes on succeeding is only looked at: no lock, no write.
    untouched = set(
        concerned.filter(clean, integration__in=all_good - beyond.keys()).values_list("integration", flat=True)
    )
    closed: set[UUID] = set()
    rows = concerned.exclude(integration__in=untouched).select_related("integration").order_by("pk")
    for lane in rows.select_for_update(of=("self",)):
        lane.tokens -= beyond[lane.integration_id]
        if lane.closed:
            closed.add(lane.integration_id)
        for result in _calls(by_integration[lane.integration_id]):
            _tell(lane, result, now)
        if lanes.given_up(lane, now=now):
            _switch_off(lane, "nothing sent to it has succeeded for 24 hours")
        lane.save()
    return closed


def _calls(results: Iterable[Result]) -> Iterable[Result]:
    """One of those that a call brought with the same verdict: a lane counts calls, however many events went in each."""
    by_call = {
        (id(result.transcripts[-1]) if result.transcripts else result.delivery.pk, result.judgement.verdict): result
        for result in results
    }
    return by_call.values()


def _tell(lane: Lane, result: Result, now: datetime) -> None:
    verdict = result.judgement.verdict
    if verdict == Verdict.ACCEPTED:
        lanes.succeeded(lane)
    elif verdict == Verdict.REJECTED:
        lanes.answered(lane)
    elif verdict in (Verdict.RETRY, Verdict.UNKNOWN):
        lanes.failed(lane, now=now, retry_after=result.judgement.retry_after, probe=result.probe)
    elif verdict == Verdict.CREDENTIALS_REFUSED:
        lanes.refused(lane, now=now, probe=result.probe)
    elif verdict == Verdict.GONE:
        _switch_off(lane, result.judgement.reason)


def _switch_off(lane: Lane, why: str) -> None:
    """Off, with a notice to the store's admins; what is pending is held. `why`: half a sentence, or a whole one."""
    why = why.rstrip(".")
    switched = Integration.objects.filter(pk=lane.integration_id, enabled=True).update(
        enabled=False, switched_off_reason=why[:300]
    )
    if switched:
        text = f"The integration {lane.integration.name} was switched off: {why.rstrip('.')}. Its deliveries are held."
        notices.tell(store_id=lane.store_id, integration_id=lane.integration_id, text=text)
    lanes.succeeded(lane)  # a clean record for when it is switched on again


def _write_deliveries(counted: list[tuple[Delivery, Result]], *, now: datetime, closed: set[UUID]) -> None:
    sent = [row.pk for row, result in counted if result.judgement.verdict == Verdict.ACCEPTED]
    if sent:  # the many, alike: one statement without a value of their own
        Delivery.objects.filter(pk__in=sent).update(
            status=DeliveryStatus.SENT,
            reason="",
            tries=models.F("tries") + 1,
            finished_at=Now(),
            suspect=False,
            claim=None,
            leased_until=None,
        )
    others = [(row, result) for row, result in counted if result.judgement.verdict != Verdict.ACCEPTED]
    for row, result in others:
        _decide(row, result, now=now, held=row.integration_id in closed)
    names = ["status", "reason", "tries", "next_attempt_at", "finished_at", "suspect", "claim", "leased_until"]
    Delivery.objects.bulk_update([row for row, _ in others], names, batch_size=100)


def _decide(row: Delivery, result: Result, *, now: datetime, held: bool) -> None:
    """Set what becomes of a delivery that was not accepted."""
    judgement = result.judgement
    row.claim = row.leased_until = None
    row.suspect = False
    row.reason = judgement.reason[:500]
    if judgement.verdict == Verdict.SKIPPED:
        row.status, row.finished_at = DeliveryStatus.SKIPPED, now
        return
    if judgement.verdict in (Verdict.REJECTED, Verdict.UNKNOWN):
        row.status, row.finished_at, row.tries = DeliveryStatus.FAILED, now, row.tries + 1
        return
    row.status, row.next_attempt_at = DeliveryStatus.PENDING, now
    # A closed lane, refused credentials and a switch are not this delivery's fault: it uses up no try.
    if judgement.verdict != Verdict.RETRY or held:
        return
    row.tries += 1
    if row.tries > len(RETRY_DELAYS):
        row.status, row.finished_at = DeliveryStatus.FAILED, now
        row.reason = f"Given up after {row.tries} tries. {row.reason}"[:500]
        return
    row.next_attempt_at = now + timedelta(seconds=retry_delay(row.tries, wanted=judgement.retry_after))


def _write_tallies(counted: Iterable[tuple[Delivery, Result]]) -> None:
    """Add to the counts of this minute."""
    counting = tallies.Counting()
    for row, result in counted:
        assert row.subscription_id  # only tests have none, and they are never claimed
        tally = counting.of(
            store_id=row.store_id,
            integration_id=row.integration_id,
            subscription_id=row.subscription_id,
            moment=result.ended_at,
        )
        if result.judgement.verdict == Verdict.SKIPPED:
            tally.skipped += 1
            continue
        tallies.count_try(tally, duration_ms=result.duration_ms)
        if result.judgement.verdict == Verdict.ACCEPTED:
            latency = (result.ended_at - row.recorded_at).total_seconds() * 1000
            tallies.count_sent(tally, latency_ms=max(0, round(latency)))
        else:
            tally.failed_tries += 1
            tally.failed += row.status == DeliveryStatus.FAILED
    counting.write()
