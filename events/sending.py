"""Sending: a fixed number of slots per worker process, filled as they become free, beside one loop that keeps the books.

The loop alone uses the database. The slots are threads that get frozen values, make the calls, and hand back results.
"""

import json
import logging
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from queue import Empty, SimpleQueue
from uuid import UUID

from django.conf import settings
from django.db.models import prefetch_related_objects
from django.utils import timezone

from events import catalogue, heartbeat, lanes, results
from events.models import Delivery, Occurrence
from events.results import Result
from events.slots import slots
from events.waking import send_wake_up, wake
from integrations.calling import CALL_TIMEOUT, Unjudged, call, fault
from integrations.destinations import UnknownDestination
from integrations.destinations.base import Destination, Judgement, Message, Selector, Skip, Verdict
from integrations.encryption import SecretsUnreadable
from integrations.models import Integration
from integrations.transcript import Transcript

logger = logging.getLogger(__name__)

BUDGET = 5.0  # seconds that a sender goes on claiming, before its successor does
OVERTIME = 10.0  # seconds more, while calls are under way: only for integrations that have none, lest a tool that hangs stop all
FLUSH_EVERY = 0.1  # seconds that a result waits to be written with others
FLUSH_AT = 100  # results
LOOK_AGAIN = 0.02  # seconds between two looks for more work while slots are busy


@dataclass(frozen=True, kw_only=True)
class Parcel:
    """A claimed delivery, ready for a thread: nothing in it reaches for the database."""

    delivery_id: UUID
    message: Message
    destination: Destination
    lease_ends: float  # time.monotonic()
    at_most_once: bool


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a thread brings back of a parcel."""

    delivery_id: UUID
    judgement: Judgement
    transcripts: list[Transcript]
    started_at: datetime
    ended_at: datetime
    ours: bool  # the adapter failed, not the other side


@dataclass(frozen=True)
class Unstarted:
    """A parcel that waited so long for a slot that its call could outlive its lease."""

    delivery_id: UUID


def transmit(parcel: Parcel) -> Answer | Unstarted:
    """One try, in a slot. Never raises: a faulty adapter's error is a result like any other."""
    if time.monotonic() + CALL_TIMEOUT > parcel.lease_ends:
        return Unstarted(parcel.delivery_id)
    started_at = timezone.now()
    ours = False
    said: list[Transcript] = []
    try:
        judgement, said = call(parcel.destination, parcel.message, lease_ends=parcel.lease_ends)
    except Skip as skip:
        judgement = Judgement(Verdict.SKIPPED, str(skip))
    except Exception as error:
        logger.exception("The destination %s failed for the delivery %s", parcel.destination.key, parcel.delivery_id)
        ours = True
        judgement = Judgement(Verdict.RETRY, fault(error), ambiguous=isinstance(error, Unjudged))
    if parcel.at_most_once and judgement.ambiguous and judgement.verdict == Verdict.RETRY:
        judgement = Judgement(Verdict.UNKNOWN, f"{lanes.NOT_REPEATED} {judgement.reason}"[:500])
    return Answer(
        delivery_id=parcel.delivery_id,
        judgement=judgement,
        transcripts=said,
        started_at=started_at,
        ended_at=timezone.now(),
        ours=ours,
    )


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
        self.done: SimpleQueue[Answer | Unstarted] = SimpleQueue()
        self.claimed: dict[UUID, Delivery] = {}  # whose call is under way
        self.probed: set[UUID] = set()  # of those, the probes of a closed lane
        self.flying: Counter[UUID] = Counter()  # under way or about to be, by integration
        self.landed = 0  # since the last claim
        self.adapters: dict[tuple[UUID, str, str, str], Destination | str] = {}
        self.unwritten: list[Result] = []
        self.unstarted: list[Delivery] = []
        self.written_at = time.monotonic()
        self.written = 0

    def run(self) -> int:
        """Send what is due; returns how many tries were made. Leaves a wake-up when work was left."""
        lanes.release_lost()
        next_look = 0.0
        enough = max(1, self.slots // 2)  # a claim for fewer costs each of them too much
        helped = False
        while time.monotonic() < self.ends and self._send_suspect():
            heartbeat.beat("sender")
        while True:
            heartbeat.beat("sender")
            idle = not self.flying.total()
            free = self.room - self.flying.total()
            over = time.monotonic() - self.ends
            if over >= 0 and idle:
                break
            if over < OVERTIME and free and (idle or self.landed >= enough or time.monotonic() >= next_look):
                started, full = self._fill(free, over=over >= 0)
                if idle and not started:
                    if self._send_suspect():
                        continue
                    if not lanes.may_claim():
                        break
                    time.sleep(LOOK_AGAIN)  # another sender has the lanes just now, or their rate lets nothing through
                self.landed = 0
                next_look = time.monotonic() + LOOK_AGAIN
                if full and not helped:
                    wake()  # there is more than this process can take at once
                    helped = True
            self._collect()
        if lanes.anything_to_do():
            send_wake_up()
        return self.written

    def _fill(self, free: int, *, over: bool) -> tuple[int, bool]:
        """Claim for the free slots and start; returns how many were claimed, and whether there was room for no more."""
        flying = dict.fromkeys(+self.flying, self.room) if over else self.flying
        claim = lanes.claim(free=free, slots=self.slots, flying=flying)
        self._start(claim)
        return len(claim.deliveries), claim.full

    def _send_suspect(self) -> bool:
        """Send one whose worker died with it, while nothing else is under way; returns whether there was one."""
        claim = lanes.claim_suspect()
        self._start(claim)
        while self.flying.total():  # it may take the process with it
            self._collect()
        return bool(claim.deliveries)

    def _start(self, claim: lanes.Claim) -> None:
        adapters = {delivery.integration_id: delivery.integration for delivery in claim.deliveries}
        built = {key: self._adapter(integration) for key, integration in adapters.items()}
        _with_customers(claim.deliveries, built)
        lease_ends = time.monotonic() + lanes.LEASE.total_seconds()
        for delivery in claim.deliveries:
            integration, adapter = adapters[delivery.integration_id], built[delivery.integration_id]
            if isinstance(adapter, str):
                self._end_here(delivery, Judgement(Verdict.CREDENTIALS_REFUSED, adapter))
                continue
            message = message_of(delivery, delivery.occurrence, selector=integration.selector())
            if reason := reason_to_skip(delivery, message, adapter):
                self._end_here(delivery, Judgement(Verdict.SKIPPED, reason))
                continue
            parcel = Parcel(
                delivery_id=delivery.pk,
                message=message,
                destination=adapter,
                lease_ends=lease_ends,
                at_most_once=integration.at_most_once,
            )
            self.flying[integration.pk] += 1
            self.claimed[delivery.pk] = delivery
            if integration.pk in claim.probed:
                self.probed.add(delivery.pk)
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
            self.written += results.write(self.unwritten)
            results.give_back(self.unstarted)
            self.unwritten, self.unstarted = [], []
            self.written_at = time.monotonic()

    def _land(self, answer: Answer | Unstarted | None) -> None:
        if answer:
            delivery = self.claimed.pop(answer.delivery_id)
            self.landed += 1
            self.flying[delivery.integration_id] -= 1
            if isinstance(answer, Unstarted):
                self.unstarted.append(delivery)
                return
            self.unwritten.append(
                Result(
                    delivery=delivery,
                    judgement=answer.judgement,
                    transcripts=answer.transcripts,
                    started_at=answer.started_at,
                    ended_at=answer.ended_at,
                    probe=delivery.pk in self.probed,
                    ours=answer.ours,
                )
            )
            self.probed.discard(delivery.pk)


def _with_customers(deliveries: list[Delivery], adapters: Mapping[UUID, Destination | str]) -> None:
    """Read the customers, whose consent counts, of those that go to a destination that messages people."""
    asking = {key for key, adapter in adapters.items() if isinstance(adapter, Destination) and adapter.channel}
    prefetch_related_objects([row for row in deliveries if row.integration_id in asking], "customer")


def deliver(*, budget: float = BUDGET) -> int:
    """Send what is due now, in this process; returns how many tries were made."""
    return Sender(budget=budget).run()
