"""A time limit that lives in the socket, because a limit per read lets a server that drips bytes hold us for ever.

`deadline(10.0)` starts the clock of this thread; every socket of the two classes below then asks it before each system
call how much is left. The clock belongs to the thread, not to the socket, so a kept-alive connection obeys whichever
request is using it now.
"""

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer


class _Clock(threading.local):
    ends: float | None = None  # by time.monotonic(), which no change of the system's time moves


_clock = _Clock()


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """All socket work of this thread inside the block ends at most this many seconds from now."""
    before = _clock.ends
    _clock.ends = time.monotonic() + seconds
    try:
        yield
    finally:
        _clock.ends = before


def remaining() -> float:
    """Seconds left, always above 0. Raises TimeoutError when none are left, or when no deadline was set at all."""
    if _clock.ends is None:
        # A connection used outside of deadline() is a bug; it must not become a call without any limit.
        raise TimeoutError("no deadline is set")
    left = _clock.ends - time.monotonic()
    if left <= 0:
        raise TimeoutError("the deadline has passed")
    return left


class DeadlineSocket(socket.socket):
    """A plain socket. One call of the C layer waits at most its time-out, also `sendall`, which loops inside it."""

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        self.settimeout(remaining())
        return super().recv(bufsize, flags)

    def recv_into(self, buffer: "WriteableBuffer", nbytes: int = 0, flags: int = 0) -> int:
        self.settimeout(remaining())
        return super().recv_into(buffer, nbytes, flags)

    def send(self, data: "ReadableBuffer", flags: int = 0, /) -> int:
        self.settimeout(remaining())
        return super().send(data, flags)

    def sendall(self, data: "ReadableBuffer", flags: int = 0, /) -> None:
        self.settimeout(remaining())
        return super().sendall(data, flags)


class DeadlineTLSSocket(ssl.SSLSocket):
    """The same under TLS: `recv`, `recv_into` and `sendall` of the standard library pass through these four.

    The C layer applies the socket's time-out to a whole handshake, read or write, however many packets it takes
    (`_PyDeadline_Init` in https://github.com/python/cpython/blob/3.11/Modules/_ssl.c).
    """

    def do_handshake(self, block: bool = False) -> None:
        self.settimeout(remaining())
        super().do_handshake(block)

    def read(self, len: int = 1024, buffer: Any = None) -> Any:
        self.settimeout(remaining())
        return super().read(len, buffer)

    def write(self, data: "ReadableBuffer") -> int:
        self.settimeout(remaining())
        return super().write(data)

    def send(self, data: "ReadableBuffer", flags: int = 0) -> int:
        self.settimeout(remaining())
        return super().send(data, flags)
