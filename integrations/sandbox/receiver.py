"""The sandbox's WSGI application: keeps what an integration sends it, and answers as that integration's inbox says."""

import logging
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db import DatabaseError, close_old_connections

from integrations.http_message import Request, Response
from integrations.models import Integration, SandboxBehaviour, SandboxInbox, SandboxRequest
from integrations.transcript import REQUEST_BODY, transcript

if TYPE_CHECKING:
    from _typeshed.wsgi import InputStream, StartResponse, WSGIEnvironment

logger = logging.getLogger(__name__)

_INBOX = re.compile(r"/inbox/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")


@dataclass(frozen=True)
class Answer:
    """What the sandbox answers: a status, one sentence, and headers beyond the usual ones."""

    status: int
    sentence: str
    headers: Mapping[str, str] = field(default_factory=dict)


class Receiver:
    """The WSGI application. `kept` is called with every request that was stored, before it is answered."""

    def __init__(self, *, kept: Callable[[SandboxRequest], None] = lambda request: None) -> None:
        self._kept = kept

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        close_old_connections()  # no Django handler does it here
        try:
            answer = self._answer(environ)
        except DatabaseError as error:
            logger.error("The sandbox could not keep a request: %s", error)
            answer = Answer(503, "The sandbox cannot reach its database.")
        finally:
            close_old_connections()
        body = f"{answer.sentence}\n".encode()
        headers = {"Content-Type": "text/plain; charset=utf-8", "Content-Length": str(len(body)), **answer.headers}
        start_response(f"{answer.status} {HTTPStatus(answer.status).phrase}", list(headers.items()))
        return [body]

    def _answer(self, environ: "WSGIEnvironment") -> Answer:
        method, path = environ["REQUEST_METHOD"], environ.get("PATH_INFO", "")
        if path == "/health":
            return Answer(200, "The sandbox is listening.")
        if not (inbox := _INBOX.fullmatch(path)):
            return Answer(404, "There is nothing here: the sandbox receives at /inbox/<integration id>.")
        if method != "POST":
            return Answer(405, "An inbox only takes POST; the admin shows what it received.", {"Allow": "POST"})
        integration = Integration.objects.existing().filter(pk=UUID(inbox[1]), destination="sandbox").first()
        if integration is None:
            return Answer(404, "No sandbox integration has this inbox.")
        try:
            body = _body(environ["wsgi.input"])
        except Exception as error:  # noqa: BLE001 - the server's own errors: a broken chunk, a caller who hung up
            logger.warning("The sandbox got a body that cannot be read: %s", error)
            return Answer(400, "The body could not be read.")
        return self._keep(integration, environ, body)

    def _keep(self, integration: Integration, environ: "WSGIEnvironment", body: bytes) -> Answer:
        """Store the request with the answer that its inbox calls for; a slow one is given after its time."""
        inbox = SandboxInbox.objects.filter(integration=integration).first() or SandboxInbox(integration=integration)
        answer = _answer_of(inbox)
        call = Request(url=environ["PATH_INFO"], headers=_headers(environ), body=body)
        given = Response(status=answer.status, headers=answer.headers, body=b"", truncated=False, duration_ms=0)
        kept = transcript(call, given, secrets=())  # masked and made storable by the rules of every other log
        request = SandboxRequest(
            store_id=integration.store_id,
            integration=integration,
            delivery_id=environ.get("HTTP_WEBHOOK_ID", "")[:64],
            headers=kept.request_headers,
            body=kept.request_body,
            answered=answer.status,
        )
        request.save()
        self._kept(request)
        if inbox.behaviour == SandboxBehaviour.SLOW:
            close_old_connections()  # none is held while it waits
            time.sleep(inbox.seconds)
        return answer


def _answer_of(inbox: SandboxInbox) -> Answer:
    match inbox.behaviour:
        case SandboxBehaviour.ERROR:
            return Answer(500, "This inbox was told to answer 500.")
        case SandboxBehaviour.BUSY:
            return Answer(429, "This inbox was told to answer 429.", {"Retry-After": str(inbox.seconds)})
        case SandboxBehaviour.SLOW:
            return Answer(200, f"Kept; this inbox was told to wait {inbox.seconds} s.")
        case _:
            return Answer(200, "Kept.")


def _body(sent: "InputStream") -> bytes:
    """As much as is kept; the rest (of 16 MiB) is read and dropped, or gunicorn would hang up instead of going on."""
    body = sent.read(REQUEST_BODY)
    for _ in range(255):
        if not sent.read(REQUEST_BODY):
            break
    return body


def _headers(environ: Mapping[str, Any]) -> dict[str, str]:
    """The request's headers, their names written as usual."""
    given = {name.removeprefix("HTTP_"): environ[name] for name in sorted(environ) if name.startswith("HTTP_")}
    given |= {name: environ[name] for name in ("CONTENT_LENGTH", "CONTENT_TYPE") if environ.get(name)}
    return {name.replace("_", "-").title(): value for name, value in given.items()}
