"""Batches: several events in one call, to tools that take them so; what is refused as a whole goes out again in halves."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from integrations.calling import (
    NO_TIME,
    Outcome,
    Unjudged,
    exchange,
    faulty,
    in_time,
    name_too_long,
    no_answer,
    told,
    too_large,
)
from integrations.destinations.base import ONE_TO_BLAME, BatchDestination, Judgement, Message, Skip, Verdict
from integrations.http import HttpError, Response

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class _Member:
    """A message that takes part in the batch, with its place for the outcome."""

    item: Any
    outcome: Outcome


def call_together(
    destination: BatchDestination, messages: Sequence[Message], *, lease_ends: float
) -> Sequence[Outcome]:
    """Send these in one call, or in as many as their refusals take; one outcome for each, in their order. Never raises.

    A message that the adapter cannot put into a batch ends alone; the others go. `lease_ends` is in time.monotonic()'s
    seconds: no call starts that could outlast it, and what is left then is to be tried again.
    """
    outcomes = [Outcome() for _ in messages]
    members = []
    for message, outcome in zip(messages, outcomes, strict=True):
        try:
            if refused := name_too_long(destination, message):
                outcome.judgement = refused
                continue
            members.append(_Member(item=destination.item(message), outcome=outcome))
        except Skip as skip:
            outcome.judgement = Judgement(Verdict.SKIPPED, str(skip))
        except Exception as error:
            logger.exception("The destination %s failed for the delivery %s", destination.key, message.id)
            outcome.judgement, outcome.ours = faulty(error), True
    if members:
        _send(destination, members, lease_ends=lease_ends)
    return outcomes


def _send(destination: BatchDestination, members: list[_Member], *, lease_ends: float) -> None:
    """Set the outcomes of these by one call, or by those for its halves."""
    outcomes = [member.outcome for member in members]
    if not in_time(lease_ends):
        for outcome in outcomes:
            outcome.judgement, outcome.ours = NO_TIME, True
        return
    try:
        request = destination.batch([member.item for member in members])
        if refused := too_large(destination, request):
            judgements: Sequence[Judgement] = [refused] * len(members)
            whole = True
        else:
            answer, said = exchange(destination, request)
            for outcome in outcomes:
                outcome.said.append(said)
            judgements, whole = _judged(destination, answer, len(members))
    except Exception as error:
        logger.exception("The destination %s failed for a batch of %d", destination.key, len(members))
        for outcome in outcomes:
            outcome.judgement, outcome.ours = faulty(error), True
        return
    if whole and len(members) > 1:
        middle = len(members) // 2
        _send(destination, members[:middle], lease_ends=lease_ends)
        _send(destination, members[middle:], lease_ends=lease_ends)
        return
    secrets = destination.secrets()
    for outcome, judgement in zip(outcomes, judgements, strict=True):
        outcome.judgement = told(judgement, secrets=secrets)


def _judged(
    destination: BatchDestination, answer: Response | HttpError, count: int
) -> tuple[Sequence[Judgement], bool]:
    """A judgement for each, and whether the tool refused them all for what may be one's fault. Raises Unjudged."""
    try:
        if isinstance(answer, HttpError):
            return [no_answer(destination, answer)] * count, False
        if 200 <= answer.status < 300:
            each = destination.judge_each(answer, count)
            if len(each) != count:
                raise ValueError(f"{len(each)} outcomes for {count} events")
            return each, False
        judgement = destination.judge(answer)
        return [judgement] * count, judgement.verdict == Verdict.REJECTED and answer.status in ONE_TO_BLAME
    except Exception as error:
        raise Unjudged from error
