"""The log: an Attempt for each try of a delivery, and an Exchange for each HTTP call, which the tries of a batch share."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from uuid_utils.compat import uuid7

from events import rows
from events.models import Attempt, Delivery, Exchange
from events.models.delivery import Outcome
from integrations.destinations.base import Judgement, Verdict
from integrations.transcript import Transcript

_OUTCOMES = {
    Verdict.ACCEPTED: Outcome.SENT,
    Verdict.RETRY: Outcome.RETRY,
    Verdict.REJECTED: Outcome.FAILED,
    Verdict.CREDENTIALS_REFUSED: Outcome.HELD,
    Verdict.GONE: Outcome.HELD,
    Verdict.UNKNOWN: Outcome.UNKNOWN,
}


class Try(Protocol):
    """How one try ended, as far as it is logged."""

    @property
    def judgement(self) -> Judgement: ...
    @property
    def transcripts(self) -> Sequence[Transcript]: ...
    @property
    def started_at(self) -> datetime: ...
    @property
    def duration_ms(self) -> int: ...


def exchange_of(transcript: Transcript, *, store_id: UUID, integration_id: UUID, started_at: datetime) -> Exchange:
    """The row that keeps one call, unsaved."""
    row = _exchange(transcript, store_id=store_id, integration_id=integration_id, started_at=started_at)
    return Exchange(**row)


def write(tries: Iterable[tuple[Delivery, Try]]) -> None:
    """Log these tries of these deliveries. One transcript that several of them hold is one Exchange."""
    exchanges: dict[int, dict[str, Any]] = {}  # by the transcript's identity: equal ones may be two calls
    attempts = []
    for delivery, one in tries:
        if one.judgement.verdict == Verdict.SKIPPED:
            continue
        last = None
        for transcript in one.transcripts:
            if id(transcript) not in exchanges:
                exchanges[id(transcript)] = _exchange(
                    transcript,
                    store_id=delivery.store_id,
                    integration_id=delivery.integration_id,
                    started_at=one.started_at,
                )
            last = exchanges[id(transcript)]["id"]
        attempts.append(
            {
                "id": uuid7(),
                "store_id": delivery.store_id,
                "delivery_id": delivery.pk,
                "exchange_id": last,
                "number": delivery.tries + 1,
                "outcome": _OUTCOMES[one.judgement.verdict].value,
                "detail": one.judgement.reason[:500],
                "started_at": one.started_at,
                "duration_ms": one.duration_ms,
            }
        )
    rows.insert(Exchange, list(exchanges.values()))
    rows.insert(Attempt, attempts)


def _exchange(transcript: Transcript, *, store_id: UUID, integration_id: UUID, started_at: datetime) -> dict[str, Any]:
    return {
        "id": uuid7(),
        "store_id": store_id,
        "integration_id": integration_id,
        "started_at": started_at,
        "duration_ms": transcript.duration_ms,
        "request_method": transcript.request_method,
        "request_url": transcript.request_url,
        "request_headers": transcript.request_headers,
        "request_body": transcript.request_body,
        "response_status": transcript.response_status,
        "response_headers": transcript.response_headers,
        "response_body": transcript.response_body,
        "error": transcript.error,
    }
