"""Sending: a fixed number of slots per worker process, filled as they become free, beside one loop that keeps the books.

The loop alone uses the database. The slots are threads that get frozen values, make the calls, and hand back results.
"""

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from queue import Empty, SimpleQueue
from uuid import UUID

from django.conf import settings
from django.db.models import prefetch_related_objects
from django.utils import timezone

from events import catalogue, claims, heartbeat, results
from events.claims import Work
from events.models import Delivery, Occurrence
from events.results import Result
from events.slots import slots
from events.waking import send_wake_up, wake
from integrations.batches import call_together
from integrations.calling import Outcome, call_alone, in_time
from integrations.destinations import UnknownDestination
from integrations.destinations.base import BatchDestination, Destination, Judgement, Message, Selector, Verdict
from integrations.encryption import SecretsUnreadable
from integrations.models import Integration

BUDGET = 5.0  # seconds that a sender goes on claiming, before its successor does
OVERTIME = 10.0  # seconds more, while calls are under way: only for integrations that have none, lest a tool that hangs stop all
FLUSH_EVERY = 0.1  # seconds that a result waits to be written with others
FLUSH_AT = 48  # results: fewer cost each of them too much
LOOK_AGAIN = 0.02  # seconds between two looks for more work while slots are busy
LOOK_AGAIN_BUSY = 0.1  # the same, after a claim that took all there was room for: few slots became free since


@dataclass(frozen=True, kw_only=True)
class Parcel:
    """Claimed deliveries that go out together, ready for a thread: nothing in it reaches for the database."""

    deliveries: Sequence[UUID]
    messages: Sequence[Message]  # theirs
    integration_id: UUID
    destination: Destination
    lease_ends: float  # time.monotonic()
    at_most_once: bool


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a thread brings back of a parcel: an outcome for each delivery. None: its call could have outlived its lease."""

    parcel: Parcel
    outcomes: Sequence[Outcome] | None
    started_at: datetime
    ended_at: datetime


def transmit(parcel: Parcel) -> Answer:
    """One try, in a slot. Never raises: a faulty adapter's error is a result like any other."""
    started_at = timezone.now()
    outcomes = None
    if in_time(parcel.lease_ends):  # it may have waited long for this slot
        destination, lease_ends = parcel.destination, parcel.lease_ends
        if isinstance(destination, BatchDestination):
            outcomes = call_together(destination, parcel.messages, lease_ends=lease_ends)
        else:
            outcomes = [call_alone(destination, message, lease_ends=lease_ends) for message in parcel.messages]
        if parcel.at_most_once:
            for outcome in outcomes:
                outcome.judgement = _not_repeated(outcome.judgement)
    return Answer(parcel=parcel, outcomes=outcomes, started_at=started_at, ended_at=timezone.now())


def _not_repeated(judgement: Judgement) -> Judgement:
    """At most once: what may have done its work ends here."""
    if judgement.ambiguous and judgement.verdict == Verdict.RETRY:
        return Judgement(Verdict.UNKNOWN, f"{claims.NOT_REPEATED} {judgement.reason}"[:500])
    return judgement


def message_of(delivery: Delivery, occurrence: Occurrence, *, selector: Selector | None) -> Message:
    """The delivery as its destination sees it."""
    return Message(
        id=delivery.message_id,
        event_id=occurrence.event_id,
        event_key=delivery.event_key,
        event_name=delivery.event_name,
        occurred_at=occurrence.occurred_at,
        payload=occurrence.read_payload(),
        selector=selector,
        is_test=delivery.is_test,
    )


def reason_to_skip(delivery: Delivery, message: Message, destination: Destination) -> str:
    """Why this delivery is not to be sent now or ever; an empty text when nothing speaks against it."""
    try:
        stale_after = catalogue.event_type(delivery.event_key).stale_after
    except catalogue.UnknownEventType:
        stale_after = None
    if stale_after and timezone.now() - message.occurred_at > stale_after:
        return "Too late: this event is worth nothing any more."
    if message.selector and not message.identifier:
        return f"The customer has no {message.selector.label}, by which {destination.label} finds customers."
    if destination.channel and not (delivery.customer and delivery.customer.consents_to(destination.channel)):
        return f"The customer has not agreed to be reached by {destination.channel}."
    return ""


class Sender:
    """One run of sending: claims, hands to the slots, writes what came of it, until nothing is left or time is over."""

    def __init__(self, *, budget: float = BUDGET) -> None:
        self.slots = settings.SENDER_SLOTS
        self.room = self.slots + self.slots * 3 // 4  # more than there are slots, so that none waits for a claim
        self.ends = time.monotonic() + budget
        self.done: SimpleQueue[Answer] = SimpleQueue()
        self.claimed: dict[UUID, Delivery] = {}  # whose call is under way
        self.probed: set[UUID] = set()  # of those, the probes of a closed lane
        self.flying: Counter[UUID] = Counter()  # calls under way or about to be, by integration
        self.landed = 0  # calls, since the last claim
        self.helped = False  # another process was asked to join in
        self.adapters: dict[tuple[UUID, str, str, str], Destination | str] = {}
        self.unwritten: list[Result] = []
        self.unstarted: list[Delivery] = []
        self.written_at = time.monotonic()
        self.written = 0

    def run(self) -> int:
        """Send what is due; returns how many tries were made. Leaves a wake-up when work was left."""
        next_look = 0.0
        enough = max(1, self.slots * 3 // 4)  # a claim for fewer costs each of them too much
        while True:
            heartbeat.beat("sender")
            idle = not self.flying.total()
            free = self.room - self.flying.total()
            over = time.monotonic() - self.ends
            if over >= 0 and idle:
                break
            hungry = not slots().waiting() and time.monotonic() >= next_look
            if over < OVERTIME and free and (idle or self.landed >= enough or hungry):
                self._write()  # what is written no longer counts as under way
                started, full = self._fill(free, over=over >= 0)
                if idle and not started:
                    if not self._see_to_the_rest():
                        return self.written
                    time.sleep(LOOK_AGAIN)  # another sender has it just now, or its rate lets nothing through
                self.landed = 0
                next_look = time.monotonic() + (LOOK_AGAIN_BUSY if full else LOOK_AGAIN)
            self._collect()
        if self._see_to_the_rest():
            send_wake_up()
        return self.written

    def _see_to_the_rest(self) -> bool:
        """While nothing is under way: what dead senders left; returns whether there was any, or more is due."""
        work = claims.work()
        if Work.LOST in work:
            claims.release_lost()
            work = claims.work() & ~Work.LOST
        while Work.SUSPECT in work and time.monotonic() < self.ends + OVERTIME and self._send_suspect():
            pass
        return bool(work)

    def _fill(self, free: int, *, over: bool) -> tuple[int, bool]:
        """Claim for the free slots and start; returns how many were claimed, and whether there was room for no more."""
        flying = dict.fromkeys(+self.flying, self.room) if over else self.flying
        claim = claims.claim(free=free, slots=self.slots, flying=flying)
        if claim.full and not self.helped:
            wake()  # there is more than this process can take at once; asked for before the slots are busy
            self.helped = True
        self._start(claim)
        return len(claim.deliveries), claim.full

    def _send_suspect(self) -> bool:
        """Send one whose worker died with it, while nothing else is under way; returns whether there was one."""
        claim = claims.claim_suspect()
        self._start(claim)
        while self.flying.total():  # it may take the process with it
            self._collect()
        self._write()
        return bool(claim.deliveries)

    def _start(self, claim: claims.Claim) -> None:
        adapters = {delivery.integration_id: delivery.integration for delivery in claim.deliveries}
        built = {key: self._adapter(integration) for key, integration in adapters.items()}
        _with_customers(claim.deliveries, built)
        lease_ends = time.monotonic() + claims.LEASE.total_seconds()
        for _, together in groupby(claim.deliveries, key=attrgetter("claim")):
            found = list(together)
            integration = adapters[found[0].integration_id]
            adapter = built[integration.pk]
            if isinstance(adapter, str):
                for delivery in found:
                    self._end_here(delivery, Judgement(Verdict.CREDENTIALS_REFUSED, adapter))
                continue
            messages = {}
            for delivery in found:
                message = message_of(delivery, delivery.occurrence, selector=integration.selector())
                if reason := reason_to_skip(delivery, message, adapter):
                    self._end_here(delivery, Judgement(Verdict.SKIPPED, reason))
                else:
                    messages[delivery.pk] = message
                    self.claimed[delivery.pk] = delivery
            if not messages:
                continue
            if integration.pk in claim.probed:
                self.probed.update(messages)
            self.flying[integration.pk] += 1
            parcel = Parcel(
                deliveries=tuple(messages),
                messages=tuple(messages.values()),
                integration_id=integration.pk,
                destination=adapter,
                lease_ends=lease_ends,
                at_most_once=integration.at_most_once,
            )
            slots().do(lambda parcel=parcel: self.done.put(transmit(parcel)))  # type: ignore[misc]

    def _adapter(self, integration: Integration) -> Destination | str:
        """The integration's destination, or why there is none. Made once, until its settings change: it keeps much ready."""
        secrets, values = integration.encrypted_secrets, json.dumps(integration.settings, sort_keys=True)
        key = (integration.pk, integration.destination, secrets, values)
        if key not in self.adapters:
            try:
                self.adapters[key] = integration.adapter()
            except (UnknownDestination, SecretsUnreadable) as error:
                self.adapters[key] = str(error)
        return self.adapters[key]

    def _end_here(self, delivery: Delivery, judgement: Judgement) -> None:
        """A result without a call."""
        now = timezone.now()
        self.unwritten.append(Result(delivery=delivery, judgement=judgement, started_at=now, ended_at=now))

    def _collect(self) -> None:
        """Wait a moment for results; write them when there are enough, or they waited long enough."""
        try:
            self._land(self.done.get(timeout=LOOK_AGAIN) if self.flying.total() else None)
            while True:
                self._land(self.done.get_nowait())
        except Empty:
            pass
        waited = time.monotonic() - self.written_at
        if len(self.unwritten) >= FLUSH_AT or waited >= FLUSH_EVERY or not self.flying.total():
            self._write()

    def _write(self) -> None:
        self.written += results.write(self.unwritten)
        results.give_back(self.unstarted)
        self.unwritten, self.unstarted = [], []
        self.written_at = time.monotonic()

    def _land(self, answer: Answer | None) -> None:
        if answer is None:
            return
        self.landed += 1
        self.flying[answer.parcel.integration_id] -= 1
        rows = [self.claimed.pop(pk) for pk in answer.parcel.deliveries]
        if answer.outcomes is None:
            self.unstarted += rows
            return
        for delivery, outcome in zip(rows, answer.outcomes, strict=True):
            self.unwritten.append(
                Result(
                    delivery=delivery,
                    judgement=outcome.judgement,
                    transcripts=outcome.said,
                    started_at=answer.started_at,
                    ended_at=answer.ended_at,
                    probe=delivery.pk in self.probed,
                    ours=outcome.ours,
                )
            )
        self.probed.difference_update(answer.parcel.deliveries)


def _with_customers(deliveries: list[Delivery], adapters: Mapping[UUID, Destination | str]) -> None:
    """Read the customers, whose consent counts, of those that go to a destination that messages people."""
    asking = {key for key, adapter in adapters.items() if isinstance(adapter, Destination) and adapter.channel}
    prefetch_related_objects([row for row in deliveries if row.integration_id in asking], "customer")


def deliver(*, budget: float = BUDGET) -> int:
    """Send what is due now, in this process; returns how many tries were made."""
    return Sender(budget=budget).run()
