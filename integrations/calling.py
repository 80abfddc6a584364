"""Calling a tool: a destination's requests through this process's door, each with what is kept of it."""

import logging
import os
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from functools import cache

from django.conf import settings

from integrations.destinations import UnknownDestination
from integrations.destinations.base import Destination, Judgement, Message, Skip, Verdict
from integrations.encryption import SecretsUnreadable
from integrations.http import Door, HttpError, Request, Response
from integrations.models import Integration
from integrations.transcript import Transcript, one_line, transcript

logger = logging.getLogger(__name__)

CALL_TIMEOUT = 10.0  # seconds in all for one call


@cache
def _door(process: int, allowed_private: frozenset[str]) -> Door:
    """This process's door: its connections are kept alive between calls, and never shared across a fork."""
    return Door(allowed_private=allowed_private, pool_size=settings.SENDER_SLOTS)


class Unjudged(Exception):
    """The destination itself failed over an answer (its `__cause__` says how): the request went out."""


def fault(error: Exception) -> str:
    """What an admin reads when a destination raised this."""
    cause = error.__cause__ if isinstance(error, Unjudged) else error
    return f"The destination itself failed: {type(cause).__name__}: {cause}"[:500]


def faulty(error: Exception) -> Judgement:
    """What becomes of a delivery over which its destination raised this: a new version may do better."""
    return Judgement(Verdict.RETRY, fault(error), ambiguous=isinstance(error, Unjudged))


def exchange(destination: Destination, request: Request) -> tuple[Response | HttpError, Transcript]:
    """One call through the door: its answer, or why there is none, and what is kept of it, without secrets."""
    answer: Response | HttpError
    try:
        answer = _door(os.getpid(), settings.ALLOWED_PRIVATE_HOSTS).send(request, timeout=CALL_TIMEOUT)
    except HttpError as error:
        answer = error
    return answer, transcript(request, answer, secrets=destination.secrets())


def no_answer(destination: Destination, error: HttpError) -> Judgement:
    """What it means for a delivery that there is no answer."""
    return replace(destination.judge_error(error), ambiguous=error.ambiguous)


def told(judgement: Judgement, *, secrets: Collection[str]) -> Judgement:
    """The same, with a reason that may be shown: one line without secrets."""
    return replace(judgement, reason=one_line(judgement.reason, secrets=secrets)) if judgement.reason else judgement


def ask(
    destination: Destination, request: Request, *, judge: Callable[[Response], Judgement] | None = None
) -> tuple[Judgement, Transcript]:
    """One call: what its answer means, and what is kept of it, both without secrets.

    Never raises for what the other side does. `judge` reads the answer instead of the destination's own. Raises Unjudged
    when the destination cannot read the answer.
    """
    answer, said = exchange(destination, request)
    judge = judge or destination.judge
    try:
        judgement = no_answer(destination, answer) if isinstance(answer, HttpError) else judge(answer)
    except Exception as error:
        raise Unjudged from error
    return told(judgement, secrets=destination.secrets()), said


def in_time(lease_ends: float) -> bool:
    """Whether a call that starts now ends before the lease does (in time.monotonic()'s seconds)."""
    return time.monotonic() + CALL_TIMEOUT <= lease_ends


NO_TIME = Judgement(Verdict.RETRY, "There was no time left for the next call.")


def name_too_long(destination: Destination, message: Message) -> Judgement | None:
    """Why an event of this name cannot go to this tool, if it cannot."""
    length, most = len(message.event_name), destination.longest_name
    if not most or length <= most:
        return None
    sentence = f"{destination.label} takes event names of at most {most} characters; this one has {length}."
    return Judgement(Verdict.SKIPPED, sentence)


def too_large(destination: Destination, request: Request) -> Judgement | None:
    """Why a request of this size cannot go to this tool, if it cannot."""
    size, most = len(request.body), destination.max_payload
    if size <= most:
        return None
    return Judgement(Verdict.SKIPPED, f"{destination.label} takes at most {most:,} bytes; this is {size:,}.")


def call(destination: Destination, message: Message, *, lease_ends: float) -> tuple[Judgement, list[Transcript]]:
    """Make the destination's calls in their order, until one is not accepted; returns the last judgement and what was said.

    Raises Skip, or whatever a faulty adapter raises. `lease_ends` is in time.monotonic()'s seconds.
    """
    said: list[Transcript] = []
    if refused := name_too_long(destination, message):
        return refused, said
    judgement = Judgement(Verdict.SKIPPED, f"{destination.label} had nothing to send for this event.")
    for request in destination.calls(message):
        if not in_time(lease_ends):
            return NO_TIME, said
        if refused := too_large(destination, request):
            return refused, said
        judgement, one = ask(destination, request)
        said.append(one)
        if judgement.verdict != Verdict.ACCEPTED:
            break
    return judgement, said


@dataclass(kw_only=True)
class Outcome:
    """What came of one message: the last judgement, and the calls that it was part of, in their order."""

    judgement: Judgement = NO_TIME
    said: list[Transcript] = field(default_factory=list)
    ours: bool = False  # the adapter failed, or we had no time: not the other side


def call_alone(destination: Destination, message: Message, *, lease_ends: float) -> Outcome:
    """As `call`, but a faulty adapter's error is an outcome like any other: it never raises."""
    try:
        judgement, said = call(destination, message, lease_ends=lease_ends)
    except Skip as skip:
        return Outcome(judgement=Judgement(Verdict.SKIPPED, str(skip)))
    except Exception as error:
        logger.exception("The destination %s failed for the delivery %s", destination.key, message.id)
        return Outcome(judgement=faulty(error), ours=True)
    return Outcome(judgement=judgement, said=said, ours=judgement is NO_TIME)


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What checking the credentials found; `possible` is False where the tool has no check."""

    good: bool
    possible: bool
    sentence: str
    said: Transcript | None = None


def verify(integration: Integration) -> Verification:
    """Ask the tool whether the credentials are good, changing nothing there; notes what was found and when.

    Call it outside any transaction: it waits for somebody else's server.
    """
    try:
        adapter = integration.adapter()
    except (UnknownDestination, SecretsUnreadable) as error:
        return Verification(good=False, possible=False, sentence=str(error))
    request = adapter.check_credentials()
    if request is None:
        sentence = f"{adapter.label} has no check of its own: send a test event instead."
        return Verification(good=False, possible=False, sentence=sentence)
    judgement, said = ask(adapter, request, judge=adapter.judge_check)
    good = judgement.verdict == Verdict.ACCEPTED
    accepted = f"{adapter.label} accepted the connection ({said.duration_ms} ms). {judgement.reason}".strip()
    sentence = accepted if good else judgement.reason
    if not integration.note_check(good=good, sentence=sentence):
        sentence = "The settings changed while they were being checked: verify the connection again."
        return Verification(good=False, possible=True, sentence=sentence, said=said)
    return Verification(good=good, possible=True, sentence=sentence, said=said)
