"""A tool's server for tests: real HTTP on 127.0.0.1, keeps what it got, answers as it is told."""

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Received:
    """One request as it arrived."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    port: int = 0  # the caller's
    at: float = 0.0  # time.time()

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Answer:
    """What to say to a request; `gate` lets it wait until the test has seen enough, `after` comes when it was said."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b"ok"
    gate: threading.Event | None = None
    after: Callable[[], object] = lambda: None


class Receiver:
    """Answers 200, unless `next` holds answers (used up in order) or `choose` picks one by the request."""

    def __init__(self) -> None:
        self.got: list[Received] = []
        self.next: deque[Answer] = deque()
        self.choose: Callable[[Received], Answer | None] = lambda _: None
        self.arrived = threading.Condition()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # or the body waits 40 ms for word that the headers arrived

            def answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                if len(body) < length:  # the caller died in the middle of it: nothing arrived
                    self.close_connection = True
                    return
                port, now = self.client_address[1], time.time()
                request = Received(self.command, self.path, dict(self.headers), body, port=port, at=now)
                with outer.arrived:
                    answer = outer.choose(request) or (outer.next.popleft() if outer.next else Answer())
                    outer.got.append(request)
                    outer.arrived.notify_all()
                if answer.gate:
                    answer.gate.wait(30)
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)
                answer.after()

            do_GET = do_POST = do_PUT = answer  # noqa: N815 - the names http.server looks for

            def log_message(self, *args: Any) -> None:
                """Quiet."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *args: Any) -> None:
                """A client that went away is what some tests are about."""

        self.server = Server(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(
            target=self.server.serve_forever, args=(0.01,), daemon=True
        )  # s to notice the end

    @property
    def host(self) -> str:
        """Its host:port, for ALLOWED_PRIVATE_HOSTS."""
        return f"127.0.0.1:{self.server.server_port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}/events"

    def wait_for(self, count: int, *, seconds: float = 20.0) -> list[Received]:
        """What arrived, once it is at least so many. Fails when it is not in time."""
        with self.arrived:
            enough = self.arrived.wait_for(lambda: len(self.got) >= count, seconds)
        assert enough, f"{len(self.got)} of {count} requests arrived in {seconds} s"
        return list(self.got)


@contextmanager
def running() -> Iterator[Receiver]:
    """A receiver that runs until the block ends."""
    receiver = Receiver()
    receiver.thread.start()
    try:
        yield receiver
    finally:
        receiver.server.shutdown()
        receiver.server.server_close()
