"""Servers on the loopback that behave as the test says: real sockets, so that nothing of the door is replaced."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Self

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Visit:
    """One connection, as the server sees it; `number` counts from 1."""

    def __init__(self, sock: socket.socket, *, number: int, stranger: "Stranger") -> None:
        self.sock = sock
        self.number = number
        self.stranger = stranger

    def read(self) -> bytes:
        """The next whole request, b"" when the caller hung up."""
        data = b""
        while b"\r\n\r\n" not in data:
            if not (more := self.sock.recv(65536)):
                return b""
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        while len(body) < length and (more := self.sock.recv(65536)):
            body += more
        self.stranger.requests.append(head + b"\r\n\r\n" + body)
        return self.stranger.requests[-1]

    def write(self, data: bytes) -> None:
        self.sock.sendall(data)

    def drip(self, data: bytes, *, every: float = 0.05) -> None:
        """One byte at a time: the behaviour under test, not a way to wait for something."""
        for byte in data:
            self.sock.sendall(bytes([byte]))
            if self.stranger.over.wait(every):
                return

    def hang(self) -> None:
        """Holds the connection open, without a word, until the test is over."""
        self.stranger.over.wait()


class Stranger:
    """Accepts connections and gives each to `behave`, in a thread of its own."""

    def __init__(
        self,
        behave: Callable[[Visit], None],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.requests: list[bytes] = []
        self.visits = 0
        self.over = threading.Event()
        self._behave = behave
        self._tls = tls
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, port), family=family)
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def pair(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.pair}/"

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.visits += 1
            thread = threading.Thread(target=self._serve, args=(sock, self.visits), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        with sock, suppress(OSError):  # the caller may hang up at any time
            if self._tls:
                sock = self._tls.wrap_socket(sock, server_side=True)
            with sock:
                self._behave(Visit(sock, number=number, stranger=self))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept()
        self._listener.close()
        for thread in self._threads:
            thread.join(5)


def answering(*answers: bytes) -> Callable[[Visit], None]:
    """Answers each request of a connection with the next of these, the last one for ever; keeps it alive."""

    def behave(visit: Visit) -> None:
        left: Iterator[bytes] = iter(answers[:-1])
        while visit.read():
            visit.write(next(left, answers[-1]))

    return behave


def once(answer: bytes) -> Callable[[Visit], None]:
    """Reads one request, answers, hangs up."""

    def behave(visit: Visit) -> None:
        visit.read()
        visit.write(answer)

    return behave
