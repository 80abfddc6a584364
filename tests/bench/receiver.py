"""A tool's server that costs little: real HTTP/1.1 with keep-alive on raw sockets, in a process of its own.

The path says how it answers, the rest of it is free: /ok/... at once, /wait/<ms>/... after so many milliseconds,
/error/... with 500, /hang/... never, /batch/... with one outcome for each of the events that the header `x-events` counts.
GET /arrivals gives (and forgets) what arrived: path, webhook-id, and when by time.monotonic(), which all processes of a
machine share. GET /last gives the last request, byte for byte.
"""

import contextlib
import heapq
import itertools
import json
import re
import select
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_ID = re.compile(rb"\r\nwebhook-id: *([^\r]*)", re.IGNORECASE)
_EVENTS = re.compile(rb"\r\nx-events: *(\d+)", re.IGNORECASE)


def _answer(status: bytes, body: bytes) -> bytes:
    return b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)


OK = _answer(b"200 OK", b'{"ok":true}')
ERROR = _answer(b"500 Internal Server Error", b'{"ok":false}')


class Server:
    """One thread, one epoll. Nothing in it waits."""

    def __init__(self, listener: socket.socket) -> None:
        self.listener = listener
        self.poll = select.epoll()
        self.poll.register(listener, select.EPOLLIN)
        self.open: dict[int, socket.socket] = {}
        self.begun: dict[int, bytes] = {}  # what came of a request that is not whole yet
        self.later: list[tuple[float, int, socket.socket, bytes]] = []
        self.number = itertools.count()  # of a later answer: orders those of the same moment
        self.arrived: list[tuple[str, str, float]] = []
        self.last = b""

    def serve(self) -> None:
        """Until the process is ended."""
        while True:
            wait = max(0.0, self.later[0][0] - time.monotonic()) if self.later else -1
            for number, _ in self.poll.poll(wait):
                if number == self.listener.fileno():
                    self._accept()
                else:
                    self._read(number)
            now = time.monotonic()
            while self.later and self.later[0][0] <= now:
                _, _, conn, answer = heapq.heappop(self.later)
                self._send(conn, answer)

    def _accept(self) -> None:
        conn, _ = self.listener.accept()
        conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        conn.setblocking(False)
        self.open[conn.fileno()] = conn
        self.poll.register(conn, select.EPOLLIN)

    def _read(self, number: int) -> None:
        conn = self.open[number]
        try:
            data = conn.recv(262_144)
        except OSError:
            data = b""
        if not data:
            del self.open[number]
            conn.close()  # which takes it out of the epoll, too
            self.begun.pop(number, None)
            return
        if number in self.begun:
            data = self.begun.pop(number) + data
        end = data.find(b"\r\n\r\n")
        length = _LENGTH.search(data, 0, end) if end >= 0 else None
        if end < 0 or len(data) < end + 4 + (int(length[1]) if length else 0):
            self.begun[number] = data
            return
        self._take(conn, data, end)

    def _take(self, conn: socket.socket, data: bytes, end: int) -> None:
        path = data[data.find(b" ") + 1 : data.find(b" HTTP/")]
        if path == b"/arrivals":
            arrived, self.arrived = self.arrived, []
            self._send(conn, _answer(b"200 OK", json.dumps(arrived).encode()))
            return
        if path == b"/last":
            self._send(conn, _answer(b"200 OK", self.last))
            return
        self.last = data
        found = _ID.search(data, 0, end)
        self.arrived.append((path.decode(), found[1].decode() if found else "", time.monotonic()))
        if path.startswith(b"/ok"):
            self._send(conn, OK)
        elif path.startswith(b"/wait/"):
            heapq.heappush(
                self.later, (time.monotonic() + int(path.split(b"/")[2]) / 1000, next(self.number), conn, OK)
            )
        elif path.startswith(b"/error"):
            self._send(conn, ERROR)
        elif path.startswith(b"/batch"):
            events = _EVENTS.search(data, 0, end)
            statuses = [200] * int(events[1] if events else 1)
            self._send(conn, _answer(b"200 OK", json.dumps({"statuses": statuses}).encode()))

    def _send(self, conn: socket.socket, answer: bytes) -> None:
        with contextlib.suppress(OSError):  # the caller hung up, or does not read
            conn.sendall(answer)


@dataclass(frozen=True)
class Arrival:
    """One request that came in. `at`: time.monotonic()."""

    path: str
    delivery_id: str
    at: float


@dataclass(frozen=True)
class Receiver:
    """The address of a running one, and what it tells."""

    host: str  # host:port, as ALLOWED_PRIVATE_HOSTS wants it

    def url(self, path: str) -> str:
        return f"http://{self.host}{path}"

    def arrivals(self) -> list[Arrival]:
        """What arrived since the last question."""
        return [Arrival(*one) for one in json.loads(self._get("/arrivals"))]

    def last(self) -> bytes:
        """The last request, byte for byte."""
        return self._get("/last")

    def _get(self, path: str) -> bytes:
        with urllib.request.urlopen(self.url(path)) as answer:
            return bytes(answer.read())


@contextmanager
def running() -> Iterator[Receiver]:
    """A receiver in its own process, for as long as the block runs."""
    process = subprocess.Popen([sys.executable, "-m", __name__], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    try:
        yield Receiver(process.stdout.readline().strip())
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def main() -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    host, port = listener.getsockname()
    print(f"{host}:{port}", flush=True)
    Server(listener).serve()


if __name__ == "__main__":
    main()
