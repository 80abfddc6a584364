import gzip
import http.client
import logging
import os
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from integrations import connecting
from integrations.http import (
    MAX_BODY,
    USER_AGENT,
    BadAnswer,
    ConnectFailed,
    Door,
    HttpError,
    Request,
    Response,
    TimedOut,
)
from tests.integrations.stranger import OK, Stranger, Visit, answering, once

Open = Callable[..., tuple[Stranger, Door]]


@pytest.fixture
def opened() -> Iterator[Open]:
    """Makes a server that behaves as told and a door that may call it."""
    with ExitStack() as stack:

        def make(behave: Callable[[Visit], None]) -> tuple[Stranger, Door]:
            stranger = stack.enter_context(Stranger(behave))
            return stranger, stack.enter_context(closing(Door(allowed_private=frozenset({stranger.pair}))))

        yield make


def post(door: Door, stranger: Stranger, body: bytes = b"{}", *, path: str = "", timeout: float = 5.0) -> Response:
    return door.send(Request(url=stranger.url + path, headers={}, body=body), timeout=timeout)


def failure(door: Door, stranger: Stranger, *, body: bytes = b"{}", path: str = "", timeout: float = 5.0) -> HttpError:
    with pytest.raises(HttpError) as failed:
        post(door, stranger, body, path=path, timeout=timeout)
    return failed.value


def sized(body: bytes, *headers: bytes) -> bytes:
    return b"\r\n".join([b"HTTP/1.1 200 OK", b"Content-Length: %d" % len(body), *headers, b"", body])


class TestDoorSend:
    def test_sends_exactly_this(self, opened: Open) -> None:
        stranger, door = opened(answering(OK))
        request = Request(url=f"http://{stranger.pair}/hook/%7Ba%7D?q=1#part", headers={"X-Key": "ü"}, body=b'{"a": 1}')
        door.send(request)
        assert stranger.requests == [
            b"POST /hook/%7Ba%7D?q=1 HTTP/1.1\r\n"
            b"Host: 127.0.0.1:" + str(stranger.port).encode() + b"\r\n"
            b"User-Agent: " + USER_AGENT.encode() + b"\r\n"
            b"Accept-Encoding: identity\r\n"
            b"X-Key: \xfc\r\n"
            b"Content-Length: 8\r\n"
            b"\r\n"
            b'{"a": 1}'
        ]

    @pytest.mark.parametrize(("method", "length"), [("POST", True), ("PUT", True), ("GET", False), ("DELETE", False)])
    def test_an_empty_body_has_a_length_where_one_is_expected(self, opened: Open, method: str, length: bool) -> None:
        stranger, door = opened(answering(OK))
        door.send(Request(method=method, url=stranger.url, headers={}))
        assert (b"Content-Length: 0" in stranger.requests[0]) is length
        assert b"Transfer-Encoding" not in stranger.requests[0]

    def test_gives_the_answer(self, opened: Open) -> None:
        stranger, door = opened(answering(sized(b'{"id": 7}', b"X-Rate: 1", b"Set-Cookie: a=1", b"Set-Cookie: b=2")))
        response = post(door, stranger)
        assert (response.status, response.body, response.truncated) == (200, b'{"id": 7}', False)
        assert response.json() == {"id": 7}
        assert response.headers["x-rate"] == response.headers["X-RATE"] == "1"
        assert response.headers["Set-Cookie"] == "a=1, b=2"
        assert 0 <= response.duration_ms < 5000

    @pytest.mark.parametrize("status", [202, 204, 302, 307, 401, 410, 429, 500, 503])
    def test_any_status_is_an_answer_and_none_is_followed_or_repeated(self, opened: Open, status: int) -> None:
        head = b"HTTP/1.1 %d X\r\nContent-Length: 0\r\nRetry-After: 0\r\nLocation: /elsewhere\r\n\r\n" % status
        stranger, door = opened(answering(head))
        assert post(door, stranger).status == status
        assert len(stranger.requests) == 1

    def test_a_cookie_is_not_sent_back(self, opened: Open) -> None:
        stranger, door = opened(answering(sized(b"", b"Set-Cookie: session=1; Path=/")))
        post(door, stranger)
        post(door, stranger)
        assert b"cookie" not in stranger.requests[1].lower()

    def test_environment_and_netrc_are_not_read(
        self, opened: Open, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        stranger, door = opened(answering(OK))
        netrc = tmp_path / "netrc"
        netrc.write_text("machine 127.0.0.1 login someone password something")
        monkeypatch.setenv("NETRC", os.fspath(netrc))
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, "http://127.0.0.1:1")
        assert post(door, stranger).status == 200
        assert b"authorization" not in stranger.requests[0].lower()

    @pytest.mark.parametrize("framing", ["chunked", "until the end", "gzip"])
    def test_a_body_is_read_however_it_is_framed(self, opened: Open, framing: str) -> None:
        answer = {
            "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x\r\n world\r\n0\r\n\r\n",
            "until the end": b"HTTP/1.1 200 OK\r\n\r\nhello world",
            "gzip": sized(gzip.compress(b"hello world"), b"Content-Encoding: gzip"),
        }[framing]
        stranger, door = opened(once(answer))
        assert post(door, stranger).body == b"hello world"

    def test_nothing_of_a_failure_shows_in_the_log_or_the_traceback(
        self, opened: Open, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        stranger, door = opened(
            answering(b"HTTP/1.1 200 OK\r\nnot a header\r\nContent-Length: 0\r\n\r\n", b"nonsense\r\n")
        )
        error = None
        for _ in range(2):
            try:
                post(door, stranger, path="T0K3N", timeout=0.3)
            except HttpError as raised:
                error = raised
        assert "T0K3N" not in caplog.text
        assert error is not None
        assert error.__context__ is None
        assert error.__cause__ is None


class TestDoorReuse:
    def test_a_connection_is_kept_for_the_next_request(self, opened: Open) -> None:
        stranger, door = opened(answering(OK))
        for _ in range(3):
            assert post(door, stranger).body == b"ok"
        assert (stranger.visits, len(stranger.requests)) == (1, 3)

    def test_threads_share_a_door(self, opened: Open) -> None:
        def echo(visit: Visit) -> None:
            while request := visit.read():
                visit.write(sized(request.rpartition(b"\r\n\r\n")[2]))

        stranger, door = opened(echo)
        wrong: list[bytes] = []

        def run(number: int) -> None:
            for count in range(20):
                body = b"%d-%d" % (number, count)
                if post(door, stranger, body).body != body:
                    wrong.append(body)

        threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert wrong == []
        assert len(stranger.requests) == 160
        assert stranger.visits <= 8

    def test_a_connection_that_the_other_side_has_closed_is_replaced(self, opened: Open) -> None:
        gone = threading.Event()

        def behave(visit: Visit) -> None:
            visit.read()
            visit.write(OK)
            if visit.number == 1:
                visit.sock.shutdown(socket.SHUT_RDWR)
                gone.set()
            else:
                visit.hang()

        stranger, door = opened(behave)
        post(door, stranger)
        assert gone.wait(5)
        assert post(door, stranger).status == 200
        assert (stranger.visits, len(stranger.requests)) == (2, 2)

    def test_a_connection_that_breaks_before_the_headers_are_out_is_replaced(self, opened: Open) -> None:
        def behave(visit: Visit) -> None:
            visit.read()
            visit.write(OK)
            visit.hang()  # and does not hang up, so that nothing can be noticed before the write

        stranger, door = opened(behave)
        post(door, stranger)
        (pool,) = (door._adapter.poolmanager.pools.get(key) for key in door._adapter.poolmanager.pools.keys())  # noqa: SIM118
        assert pool is not None
        assert pool.pool is not None
        pool.pool.queue[-1].sock.shutdown(socket.SHUT_WR)
        assert post(door, stranger).status == 200
        assert (stranger.visits, len(stranger.requests)) == (2, 2)

    def test_a_request_that_a_kept_connection_took_is_never_sent_twice(self, opened: Open) -> None:
        def behave(visit: Visit) -> None:
            visit.read()
            visit.write(OK)
            visit.read()  # and hangs up without an answer

        stranger, door = opened(behave)
        post(door, stranger)
        error = failure(door, stranger)
        assert type(error) is ConnectFailed
        assert error.summary == "127.0.0.1 closed the connection without an answer."
        assert error.ambiguous
        assert error.retryable
        assert (stranger.visits, len(stranger.requests)) == (1, 2)

    def test_a_connection_idle_for_long_is_not_used_again(self, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
        stranger, door = opened(answering(OK))
        post(door, stranger)
        monkeypatch.setattr(connecting, "IDLE_SECONDS", -1)
        post(door, stranger)
        assert stranger.visits == 2

    def test_close_closes_the_kept_connections(self, opened: Open) -> None:
        hung_up = threading.Event()

        def behave(visit: Visit) -> None:
            visit.read()
            visit.write(OK)
            if visit.read() == b"":
                hung_up.set()

        stranger, door = opened(behave)
        post(door, stranger)
        door.close()
        assert hung_up.wait(5)


class TestDoorBody:
    def test_a_body_of_just_the_cap_is_whole(self, opened: Open) -> None:
        stranger, door = opened(answering(sized(b"x" * MAX_BODY)))
        response = post(door, stranger)
        post(door, stranger)
        assert (len(response.body), response.truncated) == (65536, False)
        assert stranger.visits == 1

    @pytest.mark.parametrize("answer", [sized(b"x" * (MAX_BODY + 2)), sized(b"x" * 5_000_000)], ids=len)
    def test_a_longer_one_is_cut_and_its_connection_closed(self, opened: Open, answer: bytes) -> None:
        stranger, door = opened(answering(answer))
        for _ in range(2):
            response = post(door, stranger)
            assert (response.status, len(response.body), response.truncated) == (200, 65536, True)
        assert stranger.visits == 2

    def test_an_endless_one_is_cut(self, opened: Open) -> None:
        def behave(visit: Visit) -> None:
            visit.read()
            visit.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            while not visit.stranger.over.is_set():
                visit.write(b"1000\r\n" + b"x" * 4096 + b"\r\n")

        stranger, door = opened(behave)
        assert post(door, stranger).truncated

    def test_a_compressed_bomb_is_cut_before_it_unpacks(self, opened: Open) -> None:
        bomb = gzip.compress(gzip.compress(b"\0" * 100_000_000, 9), 9)
        stranger, door = opened(once(sized(bomb, b"Content-Encoding: gzip, gzip")))
        tracemalloc.start()
        try:
            response = post(door, stranger)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert (response.body, response.truncated) == (b"\0" * 65536, True)
        assert peak < 4_000_000


class TestDoorBadAnswer:
    @pytest.mark.parametrize(
        "answer",
        [
            b"SSH-2.0-OpenSSH_9.2\r\n",
            b"HTTP/1.1 abc OK\r\n\r\n",
            b"HTTP/1.1 200 " + b"x" * 70_000,
            b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n" + b"X: 1\r\n" * 200 + b"\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nok",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\nnot gzip",
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip,gzip,gzip,gzip,gzip,gzip\r\n\r\nx",
            b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        ],
        ids=lambda answer: repr(answer[:40]),
    )
    def test_what_is_not_http_is_a_bad_answer(self, opened: Open, answer: bytes) -> None:
        stranger, door = opened(once(answer))
        error = failure(door, stranger)
        assert type(error) is BadAnswer
        assert error.summary in {
            "127.0.0.1 gave an answer that is not valid HTTP.",
            "127.0.0.1 broke off in the middle of its answer.",  # http.client's word for a chunk without a length
        }
        assert error.ambiguous
        assert error.retryable

    @pytest.mark.parametrize(
        "answer",
        [
            b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nhello",
        ],
    )
    def test_an_answer_that_breaks_off_is_one(self, opened: Open, answer: bytes) -> None:
        stranger, door = opened(once(answer))
        error = failure(door, stranger)
        assert type(error) is BadAnswer
        assert error.summary == "127.0.0.1 broke off in the middle of its answer."
        assert error.ambiguous

    def test_the_answer_after_early_hints_is_not_given_to_the_next_request(self, opened: Open) -> None:
        hints = b"HTTP/1.1 103 Early Hints\r\n\r\n"
        stranger, door = opened(answering(hints, sized(b"of the first"), sized(b"of the second")))
        failure(door, stranger)
        failure(door, stranger)
        assert stranger.visits == 2


class TestDoorConnectFailed:
    def test_a_closed_port(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            pair = f"127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(ConnectFailed) as failed:
            Door(allowed_private=frozenset({pair})).send(Request(url=f"http://{pair}/", headers={}))
        assert (
            failed.value.summary
            == "No connection to 127.0.0.1 could be made: it refuses connections or cannot be reached."
        )
        assert not failed.value.ambiguous
        assert failed.value.retryable

    def test_a_server_that_hangs_up_on_the_request(self, opened: Open) -> None:
        stranger, door = opened(once(b""))
        error = failure(door, stranger)
        assert type(error) is ConnectFailed
        assert error.summary == "127.0.0.1 closed the connection without an answer."
        assert error.ambiguous
        assert len(stranger.requests) == 1


def late(error: HttpError, *, timeout: float) -> bool:
    """Whether this is the deadline's work: neither before it nor much after."""
    assert type(error) is TimedOut
    assert error.retryable
    return timeout * 1000 <= error.duration_ms < timeout * 1000 + 400


class TestDoorDeadline:
    @pytest.mark.parametrize(
        "behave",
        [
            pytest.param(lambda visit: (visit.read(), visit.hang()), id="silence"),
            pytest.param(lambda visit: (visit.read(), visit.drip(OK[:-4] + b"X: y\r\n" * 9)), id="dripped headers"),
            pytest.param(lambda visit: (visit.read(), visit.drip(b"HTTP/1.1 100 C\r\n\r\n" * 9)), id="100 for ever"),
            pytest.param(
                lambda visit: (visit.read(), visit.write(sized(b"")[:-6] + b"99\r\n\r\n"), visit.drip(b"x" * 99)),
                id="dripped body",
            ),
            pytest.param(
                lambda visit: (
                    visit.read(),
                    visit.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
                    visit.drip(b"1\r\nx\r\n" * 20),
                ),
                id="dripped chunks",
            ),
        ],
    )
    def test_ends_it_whatever_the_server_does(self, opened: Open, behave: Callable[[Visit], None]) -> None:
        stranger, door = opened(behave)
        error = failure(door, stranger, timeout=0.5)
        assert late(error, timeout=0.5)
        assert error.summary == "127.0.0.1 did not answer within 0.5 seconds."
        assert error.ambiguous

    def test_ends_it_when_the_request_is_not_taken(self, opened: Open) -> None:
        stranger, door = opened(Visit.hang)
        error = failure(door, stranger, body=b"x" * 50_000_000, timeout=0.5)
        assert late(error, timeout=0.5)
        assert error.ambiguous

    def test_ends_it_when_the_request_is_taken_in_sips(self, opened: Open) -> None:
        def sip(visit: Visit) -> None:
            while visit.sock.recv(16384) and not visit.stranger.over.wait(0.05):
                pass

        stranger, door = opened(sip)
        assert late(failure(door, stranger, body=b"x" * 50_000_000, timeout=0.5), timeout=0.5)

    @pytest.mark.parametrize("size", [0, 50_000_000], ids=["for the answer", "until the request is taken"])
    def test_waiting_is_no_work(self, opened: Open, size: int) -> None:
        stranger, door = opened(lambda visit: (size or visit.read(), visit.hang()))
        body = b"x" * size
        before = time.thread_time()
        failure(door, stranger, body=body, timeout=0.5)
        assert time.thread_time() - before < 0.25

    def test_a_kept_connection_obeys_the_shorter_one_of_the_next_request(self, opened: Open) -> None:
        def behave(visit: Visit) -> None:
            visit.read()
            visit.write(OK)
            visit.read()
            visit.hang()

        stranger, door = opened(behave)
        post(door, stranger, timeout=5.0)
        assert late(failure(door, stranger, timeout=0.3), timeout=0.3)
        assert stranger.visits == 1

    def test_a_kept_connection_obeys_the_longer_one_of_the_next_request(self, opened: Open) -> None:
        def behave(visit: Visit) -> None:
            visit.read()
            visit.write(OK)
            visit.read()
            visit.drip(OK, every=0.02)

        stranger, door = opened(behave)
        post(door, stranger, timeout=0.3)
        assert post(door, stranger, timeout=5.0).duration_ms > 300
        assert stranger.visits == 1

    def test_the_connection_of_a_request_that_timed_out_is_not_used_again(self, opened: Open) -> None:
        def behave(visit: Visit) -> None:
            visit.read()
            if visit.number == 1:
                visit.hang()
            visit.write(OK)

        stranger, door = opened(behave)
        failure(door, stranger, timeout=0.2)
        assert post(door, stranger).status == 200
        assert stranger.visits == 2


def test_the_door_needs_no_django() -> None:
    import subprocess
    import sys

    program = "import sys, integrations.http, integrations.transcript; sys.exit('django' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_http_client_still_limits_headers() -> None:
    # The door relies on them for the size of a header block; they are private names of the standard library.
    assert (http.client._MAXLINE, http.client._MAXHEADERS) == (65536, 100)  # type: ignore[attr-defined]
