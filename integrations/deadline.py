"""A time limit that lives in the socket, because a limit per read lets a server that drips bytes hold us for ever.

`deadline(10.0)` starts the clock of this thread; every socket of the two classes below then asks it before each wait how
much is left. The clock belongs to the thread, not to the socket, so a kept-alive connection obeys whichever request is
using it now.

The sockets wait by themselves. A time-out of the standard library's would be set anew before each call, and have one
more call of the system ask whether it may begin; each of these hands the interpreter to another thread and waits to get
it back, which costs more than the call when many slots are busy (docs/performance.md).
"""

import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
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


class Waiting(socket.socket):
    """What both sockets share: once `ready` they never block, and wait here instead."""

    _readable: select.poll

    def ready(self) -> None:
        """From here on, connected and secure, whoever uses it waits no longer than the deadline."""
        self.setblocking(False)
        self._readable = select.poll()
        self._readable.register(self, select.POLLIN)

    def settimeout(self, value: float | None, /) -> None:
        """Obeyed until it is ready: urllib3 sets what it thinks right before each answer."""
        if self.gettimeout() != 0:
            super().settimeout(value)

    def wait_to_read(self) -> None:
        """Until something is there, or the other side hung up. Raises TimeoutError."""
        _wait(self._readable)

    def wait_to_write(self) -> None:
        """Until there is room. Raises TimeoutError."""
        writable = select.poll()
        writable.register(self, select.POLLOUT)
        _wait(writable)


def _wait(poll: select.poll) -> None:
    if not poll.poll(remaining() * 1000):
        raise TimeoutError("the deadline has passed")


class DeadlineSocket(Waiting):
    """A plain socket."""

    def recv_into(self, buffer: "WriteableBuffer", nbytes: int = 0, flags: int = 0) -> int:
        while True:
            self.wait_to_read()
            try:
                return super().recv_into(buffer, nbytes, flags)
            except BlockingIOError:
                pass

    def sendall(self, data: "ReadableBuffer", flags: int = 0, /) -> None:
        left = memoryview(data)
        while left:
            remaining()
            try:
                left = left[self.send(left, flags) :]
            except BlockingIOError:
                self.wait_to_write()


class DeadlineTLSSocket(Waiting, ssl.SSLSocket):
    """The same under TLS: `recv_into` and `sendall` of the standard library pass through `read` and `send`.

    The C layer applies the socket's time-out to a whole handshake, however many packets it takes (`_PyDeadline_Init` in
    https://github.com/python/cpython/blob/3.11/Modules/_ssl.c).
    """

    def do_handshake(self, block: bool = False) -> None:
        self.settimeout(remaining())
        super().do_handshake(block)

    def read(self, len: int = 1024, buffer: Any = None) -> Any:
        return self._done(super().read, len, buffer)

    def send(self, data: "ReadableBuffer", flags: int = 0) -> int:
        sent: int = self._done(super().send, data, flags)
        return sent

    def _done(self, act: Callable[..., Any], *arguments: Any) -> Any:
        """What this reading or writing returns; either may have to wait for the other, as TLS wants it."""
        remaining()
        while True:
            try:
                return act(*arguments)
            except ssl.SSLWantReadError:
                self.wait_to_read()
            except ssl.SSLWantWriteError:
                self.wait_to_write()
