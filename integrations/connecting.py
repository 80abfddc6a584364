"""From a host name to a connected socket whose address was checked, and the urllib3 connections that use no other way.

The name is looked up once; every address it has is checked; the connection goes to one of exactly these addresses, so
a name that changes its answer between check and connection gains nothing (DNS rebinding).
"""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util.ssl_match_hostname import CertificateError

from integrations.addresses import is_public
from integrations.deadline import DeadlineSocket, Waiting, remaining
from integrations.http_errors import AddressRefused, ConnectFailed, NameNotFound, TimedOut, TlsFailed
from integrations.http_message import Target, host_and_port

LOOKUP_SECONDS = 3.0
LOOKUPS = 8  # at the same time
ADDRESSES = 4  # of one name that are tried; all are checked
TOGETHER = 16_000  # bytes of a body that goes out with its header block: in one system call, and one record of TLS
IDLE_SECONDS = 30.0  # firewalls forget a silent connection without telling either end, most after 60 s or more

type_resolve = Callable[[str, int], Sequence[str]]


def system_resolve(host: str, port: int) -> list[str]:
    """The addresses of this name, the preferred one first (RFC 6724), as the machine's resolver has them."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


class Lookups:
    """Looks names up within a time limit, in at most LOOKUPS threads.

    getaddrinfo cannot be interrupted. So callers share one lookup per name, lest a name with a dead name server take
    all the threads; and the threads are daemons, lest it hold up the end of the process.
    """

    def __init__(self, resolve: type_resolve) -> None:
        self._resolve = resolve
        self._lock = threading.Lock()
        self._running: dict[tuple[str, int], Future[Sequence[str]]] = {}
        self._slots = threading.BoundedSemaphore(LOOKUPS)

    def find(self, host: str, port: int) -> Sequence[str]:
        """The addresses as text. Raises NameNotFound, TimedOut."""
        ends = time.monotonic() + min(LOOKUP_SECONDS, remaining())
        try:
            addresses = self._start(host, port, ends=ends).result(timeout=max(ends - time.monotonic(), 0))
        except TimeoutError:
            raise TimedOut(f"The name {host} could not be looked up in time.") from None
        except (OSError, UnicodeError):
            raise NameNotFound(f"The name {host} could not be found.") from None
        if not addresses:
            raise NameNotFound(f"The name {host} could not be found.")
        return addresses

    def _start(self, host: str, port: int, *, ends: float) -> Future[Sequence[str]]:
        with self._lock:
            if running := self._running.get((host, port)):
                return running
        if not self._slots.acquire(timeout=max(ends - time.monotonic(), 0)):
            raise TimeoutError
        future: Future[Sequence[str]] = Future()
        with self._lock:
            self._running[host, port] = future
        threading.Thread(target=self._run, args=(host, port, future), name="lookup", daemon=True).start()
        return future

    def _run(self, host: str, port: int, future: Future[Sequence[str]]) -> None:
        try:
            addresses = self._resolve(host, port)
        except Exception as error:  # noqa: BLE001 - handed to whoever waits
            outcome: Callable[[], None] = lambda error=error: future.set_exception(error)  # type: ignore[misc]  # noqa: E731
        else:
            outcome = lambda: future.set_result(addresses)  # noqa: E731
        with self._lock:  # before the outcome is known: who comes later asks anew
            if self._running.get((host, port)) is future:
                del self._running[host, port]
        self._slots.release()
        outcome()


class Dialler:
    """Connects to hosts, to public addresses and to the `host:port` pairs in `allowed_private` only."""

    def __init__(self, *, allowed_private: frozenset[str], resolve: type_resolve) -> None:
        self._allowed_private = allowed_private
        self._lookups = Lookups(resolve)

    def connect(self, host: str, port: int) -> socket.socket:
        """A connected socket. Raises AddressRefused, NameNotFound, ConnectFailed, TimedOut."""
        addresses = self._checked_addresses(host, port)[:ADDRESSES]
        for left in range(len(addresses), 0, -1):
            address = addresses[-left]
            sock = DeadlineSocket(socket.AF_INET6 if address.version == 6 else socket.AF_INET, socket.SOCK_STREAM)
            try:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                # A share for each address: behind a first one that swallows packets, the second has its chance.
                sock.settimeout(remaining() / left)
                sock.connect((str(address), port))
            except TimeoutError:
                sock.close()
                if left == 1:
                    raise TimedOut(f"{host} did not accept a connection in time.") from None
            except OSError:
                sock.close()
            except BaseException:
                sock.close()
                raise
            else:
                return sock
        raise ConnectFailed(f"No connection to {host} could be made: it refuses connections or cannot be reached.")

    def _checked_addresses(self, host: str, port: int) -> list[IPv4Address | IPv6Address]:
        try:
            addresses = [ip_address(host)]
        except ValueError:
            addresses = [ip_address(address) for address in self._lookups.find(host, port)]
        if host_and_port(host, port) not in self._allowed_private and not all(map(is_public, addresses)):
            raise AddressRefused(f"{host} is not a public internet address, so it is not called.")
        return addresses


class _Call(threading.local):
    """The call that this thread is making: what its connection needs to know, and what became of it."""

    dialler: Dialler
    target: Target
    fresh = False  # wants a connection that was never used
    sent = False  # the header block went out whole: from here on the other side may act


call = _Call()


class StaleConnectionError(Exception):
    """A kept-alive connection was dead before the header block was out: nobody can have seen a whole request."""


class _Connection(HTTPConnection):
    answered = False  # this socket has carried an answer before
    idle_since = float("inf")
    head: bytes | None = None  # the header block, as long as it waits for the body

    def _new_conn(self) -> socket.socket:
        self.answered = False
        return call.dialler.connect(self._dns_host, self.port)

    def connect(self) -> None:
        super().connect()
        assert isinstance(self.sock, Waiting)
        self.sock.ready()

    def request(self, method: str, url: str, body: Any = None, *args: Any, **more: Any) -> None:
        self.head = b"" if body and len(body) <= TOGETHER else None
        super().request(method, url, body, *args, **more)

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        if self.head == b"":
            self.head = data
            return
        if self.head:
            data, self.head = self.head + data, None
        try:
            super().send(data)
        except TimeoutError:
            raise
        except OSError:
            if self.answered and not call.sent:
                raise StaleConnectionError from None
            raise
        call.sent = True

    def getresponse(self) -> Any:
        response = super().getresponse()
        self.answered = True
        return response


class _TLSConnection(_Connection, HTTPSConnection):
    def connect(self) -> None:
        """Raises what Dialler.connect raises, and TlsFailed."""
        try:
            super().connect()
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            raise ConnectFailed(f"{self.host} broke off while a secure connection was being made.") from None
        except (ssl.SSLError, CertificateError) as error:
            raise TlsFailed(_tls_summary(self.host, error)) from None
        except TimeoutError:
            raise TimedOut(f"{self.host} did not make a secure connection in time.") from None
        except OSError:
            raise ConnectFailed(f"{self.host} broke off while a secure connection was being made.") from None


# https://docs.openssl.org/3.0/man3/X509_STORE_CTX_get_error/#error-codes
_CERTIFICATE_PROBLEMS = {
    9: "is not valid yet",
    10: "has expired",
    18: "is self-signed",
    19: "is signed by an authority that is not known here",
    20: "is signed by an authority that is not known here",
    21: "is signed by an authority that is not known here",
    62: "is for another name",
    64: "is for another address",
}


def _tls_summary(host: str, error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        problem = _CERTIFICATE_PROBLEMS.get(error.verify_code, "is not valid")
        return f"No secure connection to {host}: its certificate {problem}."
    return f"No secure connection to {host}: it does not speak TLS as needed here."


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection

    def _get_conn(self, timeout: float | None = None) -> Any:
        conn = super()._get_conn(timeout)
        assert isinstance(conn, _Connection)
        if call.fresh or time.monotonic() - conn.idle_since > IDLE_SECONDS:
            conn.close()  # it opens again by itself
        return conn

    def _put_conn(self, conn: Any) -> None:
        if conn is not None:
            conn.idle_since = time.monotonic()
        super()._put_conn(conn)


class _TLSPool(_Pool, HTTPSConnectionPool):
    ConnectionCls = _TLSConnection


POOLS = {"http": _Pool, "https": _TLSPool}
