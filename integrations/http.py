"""The only place that opens a connection to a stranger: an address that somebody else chose, a server not to trust.

`Door.send` checks the address behind the name, keeps the whole call within its time, follows no redirect, repeats
nothing, keeps no cookie, reads no environment, and takes no more of the answer than MAX_BODY. Over `HTTPAdapter` and
never a `requests.Session`, which reads .netrc and shares cookies between stores.
"""

import http.client
import logging
import ssl
import time
from collections.abc import Iterator
from typing import Any

import requests
import urllib3.exceptions
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3 import HTTPConnectionPool, HTTPResponse
from urllib3.util.ssl_ import create_urllib3_context

from integrations.connecting import POOLS, Dialler, StaleConnectionError, call, system_resolve, type_resolve
from integrations.deadline import DeadlineTLSSocket, deadline
from integrations.http_errors import (
    AddressRefused,
    BadAnswer,
    BadRequest,
    ConnectFailed,
    HttpError,
    NameNotFound,
    TimedOut,
    TlsFailed,
)
from integrations.http_message import MAX_BODY, Request, Response, Target, check_message, check_url, target_of

__all__ = [
    "MAX_BODY",
    "AddressRefused",
    "BadAnswer",
    "BadRequest",
    "ConnectFailed",
    "Door",
    "HttpError",
    "NameNotFound",
    "Request",
    "Response",
    "TimedOut",
    "TlsFailed",
    "check_url",
]

USER_AGENT = "Loyalty-Events/0.1.0"  # the version of pyproject.toml; a test compares them
HOSTS = 32  # whose connections are kept: with 64 slots at most 2,048 idle ones, for which the supervisor makes room


def _say_nothing(_record: logging.LogRecord) -> bool:
    return False


# urllib3 logs URLs, at WARNING when a header is malformed, and some tools want their key in the URL.
for _name in ("urllib3.connection", "urllib3.connectionpool"):
    logging.getLogger(_name).addFilter(_say_nothing)


class Door:
    """Sends requests to strangers. One for a process, shared by all its threads; make it after a fork.

    `allowed_private`: exact `host:port` pairs, as written in the URL (`127.0.0.1:8070`, `[::1]:8070`), that may be
    called although they are not public. `pool_size`: connections kept per host. `ca_file`: trusted authorities as a PEM
    file, instead of certifi's. `resolve`: (host, port) -> addresses as text, instead of the machine's resolver.
    """

    def __init__(
        self,
        *,
        allowed_private: frozenset[str] = frozenset(),
        pool_size: int = 16,
        ca_file: str | None = None,
        resolve: type_resolve = system_resolve,
    ) -> None:
        self._dialler = Dialler(allowed_private=allowed_private, resolve=resolve)
        self._adapter = _Adapter(pool_size=pool_size, ca_file=ca_file)

    def send(self, request: Request, *, timeout: float = 10.0) -> Response:
        """The answer, whatever its status. `timeout`: seconds for all of it, from the name to the last byte.

        Raises HttpError (the tree is in `integrations.http_errors`), with its duration.
        """
        started = time.monotonic()
        host = ""
        call.dialler, call.sent, call.fresh = self._dialler, False, False
        failure: HttpError
        try:
            check_message(request)
            target = target_of(request.url)
            host, call.target = target.host, target
            with deadline(timeout):
                return self._exchange(request, target, timeout=timeout, started=started)
        except HttpError as error:
            failure = error
        except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError, ValueError) as error:
            failure = _failure(error, host=host, timeout=timeout)
        # Raised outside of the handlers and without their context, which holds URLs and inner addresses: a traceback in
        # a log or an error tracker must not.
        failure.__context__ = failure.__cause__ = None
        failure.duration_ms = _ms_since(started)
        raise failure

    def close(self) -> None:
        """Closes the kept connections; calls under way end as they would."""
        self._adapter.close()

    def _exchange(self, request: Request, target: Target, *, timeout: float, started: float) -> Response:
        prepared = _prepared(request, target)
        try:
            answer = self._adapter.answer(prepared, timeout=timeout)
        except StaleConnectionError:
            call.fresh = True
            answer = self._adapter.answer(prepared, timeout=timeout)
        try:
            if answer.status < 200:  # http.client takes 103 for the answer; the real one would be the next call's
                raise http.client.BadStatusLine(str(answer.status))
            body = answer.read(MAX_BODY + 1, decode_content=True)
        finally:
            if not answer.isclosed():
                answer.close()  # the rest was not read, so this connection cannot be used again
                answer.release_conn()
        return Response(
            status=answer.status,
            headers=CaseInsensitiveDict(answer.headers),
            body=body[:MAX_BODY],
            truncated=len(body) > MAX_BODY,
            duration_ms=_ms_since(started),
        )


class _Adapter(HTTPAdapter):
    """requests' adapter with our connections, one TLS context for all, and no cookies."""

    def __init__(self, *, pool_size: int, ca_file: str | None) -> None:
        self._tls = create_urllib3_context()
        self._tls.sslsocket_class = DeadlineTLSSocket
        self._tls.load_verify_locations(ca_file or DEFAULT_CA_BUNDLE_PATH)
        super().__init__(pool_connections=HOSTS, pool_maxsize=pool_size)  # max_retries: 0
        self.poolmanager.pool_classes_by_scheme = POOLS

    def answer(self, request: requests.PreparedRequest, *, timeout: float) -> HTTPResponse:
        """The answer as urllib3 has it, its body not read yet."""
        answer: Any = self.send(request, stream=True, timeout=timeout)
        assert isinstance(answer, HTTPResponse)  # see build_response
        return answer

    def get_connection_with_tls_context(
        self, request: requests.PreparedRequest, verify: object, proxies: object = None, cert: object = None
    ) -> HTTPConnectionPool:
        target = call.target  # read once, for all
        pool: HTTPConnectionPool = self.poolmanager.connection_from_host(
            target.host, target.port, target.scheme, pool_kwargs={"ssl_context": self._tls}
        )
        return pool

    def request_url(self, request: requests.PreparedRequest, proxies: object) -> str:
        return call.target.path

    def cert_verify(self, conn: object, url: object, verify: object, cert: object) -> None:
        """Nothing: the context trusts what it shall (requests would load its bundle again for each connection)."""

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> Any:
        """Itself: what requests makes of an answer serves cookies and redirects, which there are none of here."""
        return resp


def _prepared(request: Request, target: Target) -> requests.PreparedRequest:
    # Built by hand: PreparedRequest.prepare() rewrites URLs and takes credentials out of them.
    prepared = requests.PreparedRequest()
    prepared.method = request.method
    prepared.url = target.url
    headers: CaseInsensitiveDict[str] = CaseInsensitiveDict({"User-Agent": USER_AGENT, "Accept-Encoding": "identity"})
    headers.update(request.headers)
    if request.body or request.method in {"POST", "PUT", "PATCH"}:
        headers["Content-Length"] = str(len(request.body))
    prepared.headers = headers
    prepared.body = request.body or None
    return prepared


def _ms_since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and all it was made of; requests and urllib3 pack them in `args`, `reason` and `__cause__`."""
    waiting, seen = [error], set()
    while waiting:
        error = waiting.pop(0)
        if id(error) in seen:
            continue
        seen.add(id(error))
        yield error
        parts = [*error.args, getattr(error, "reason", None), error.__cause__, error.__context__]
        waiting.extend(part for part in parts if isinstance(part, BaseException))


def _failure(error: Exception, *, host: str, timeout: float) -> HttpError:
    """Our error for what requests, urllib3, http.client or ssl raised once a connection stood."""
    chain = tuple(_chain(error))

    def has(*kinds: type[BaseException]) -> bool:
        return any(isinstance(part, kinds) for part in chain)

    if has(TimeoutError, urllib3.exceptions.TimeoutError, requests.Timeout):
        return TimedOut(f"{host} did not answer within {timeout:g} seconds.", ambiguous=call.sent)
    if has(http.client.IncompleteRead, urllib3.exceptions.IncompleteRead):
        return BadAnswer(f"{host} broke off in the middle of its answer.", ambiguous=True)
    if has(ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError):
        return ConnectFailed(f"{host} closed the connection without an answer.", ambiguous=call.sent)
    if has(ssl.SSLError, urllib3.exceptions.SSLError):
        return TlsFailed(f"The secure connection to {host} broke.", ambiguous=call.sent)
    if has(http.client.HTTPException, urllib3.exceptions.HTTPError, ValueError):
        return BadAnswer(f"{host} gave an answer that is not valid HTTP.", ambiguous=True)
    return ConnectFailed(f"The connection to {host} broke.", ambiguous=call.sent)
