"""Calling a tool: a destination's requests through this process's door, each with what is kept of it."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

from django.conf import settings

from integrations.destinations import UnknownDestination
from integrations.destinations.base import Destination, Judgement, Message, Verdict
from integrations.encryption import SecretsUnreadable
from integrations.http import Door, HttpError, Request, Response
from integrations.models import Integration
from integrations.transcript import Transcript, one_line, transcript

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


def ask(
    destination: Destination, request: Request, *, judge: Callable[[Response], Judgement] | None = None
) -> tuple[Judgement, Transcript]:
    """One call: what its answer means, and what is kept of it, both without secrets.

    Never raises for what the other side does. `judge` reads the answer instead of the destination's own. Raises Unjudged
    when the destination cannot read the answer.
    """
    answer: Response | HttpError
    try:
        answer = _door(os.getpid(), settings.ALLOWED_PRIVATE_HOSTS).send(request, timeout=CALL_TIMEOUT)
    except HttpError as error:
        answer = error
    try:
        if isinstance(answer, HttpError):
            judgement = replace(destination.judge_error(answer), ambiguous=answer.ambiguous)
        else:
            judgement = (judge or destination.judge)(answer)
    except Exception as error:
        raise Unjudged from error
    secrets = destination.secrets()
    reason = one_line(judgement.reason, secrets=secrets)
    return replace(judgement, reason=reason), transcript(request, answer, secrets=secrets)


def call(destination: Destination, message: Message, *, lease_ends: float) -> tuple[Judgement, list[Transcript]]:
    """Make the destination's calls in their order, until one is not accepted; returns the last judgement and what was said.

    Raises Skip, or whatever a faulty adapter raises. `lease_ends` is in time.monotonic()'s seconds.
    """
    said: list[Transcript] = []
    length, most = len(message.event_name), destination.longest_name
    if most and length > most:
        sentence = f"{destination.label} takes event names of at most {most} characters; this one has {length}."
        return Judgement(Verdict.SKIPPED, sentence), said
    judgement = Judgement(Verdict.SKIPPED, f"{destination.label} had nothing to send for this event.")
    for request in destination.calls(message):
        if time.monotonic() + CALL_TIMEOUT > lease_ends:
            return Judgement(Verdict.RETRY, "There was no time left for the next call."), said
        if len(request.body) > destination.max_payload:
            size = (
                f"{destination.label} takes at most {destination.max_payload:,} bytes; this is {len(request.body):,}."
            )
            return Judgement(Verdict.SKIPPED, size), said
        judgement, one = ask(destination, request)
        said.append(one)
        if judgement.verdict != Verdict.ACCEPTED:
            break
    return judgement, said


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
