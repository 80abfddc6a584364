"""The sandbox receiver: the real process, over real HTTP."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from customers.models import Store
from integrations.models import Integration, SandboxBehaviour, SandboxInbox, SandboxRequest
from integrations.transcript import MASK
from tests.concurrency import ROOT, database_url
from tests.factories import make_integration

pytestmark = pytest.mark.django_db(transaction=True)

COMMAND = [sys.executable, str(ROOT / "manage.py"), "sandbox"]


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    text: str


@dataclass
class Sandbox:
    """A running receiver; what it tells and logs goes to files."""

    port: int
    told: Path
    log: Path
    process: subprocess.Popen[bytes] = field(repr=False)

    def ask(
        self, path: str, *, method: str = "POST", body: bytes = b"", headers: dict[str, str] | None = None
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read().decode())
        finally:
            connection.close()

    def write(self, *parts: bytes) -> bytes:
        """Bytes as they are; what came back until the other side hung up, or we did."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            for part in parts:
                connection.sendall(part)
            connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.fixture(scope="module")
def sandbox(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    directory = tmp_path_factory.mktemp("sandbox")
    told, log = directory / "told", directory / "log"
    with socket.create_server(("127.0.0.1", 0)) as door, told.open("wb") as out, log.open("wb") as err:
        process = subprocess.Popen(
            [*COMMAND, "--tell", f"--bind=fd://{door.fileno()}"],
            env={**os.environ, "DATABASE_URL": database_url()},
            pass_fds=[door.fileno()],
            stdout=out,
            stderr=err,
        )
        port = door.getsockname()[1]
    try:
        yield Sandbox(port=port, told=told, log=log, process=process)
    finally:
        process.terminate()
        assert process.wait(timeout=30) == 0


@pytest.fixture
def integration(store: Store) -> Integration:
    return make_integration(store, destination="sandbox")


@pytest.fixture
def inbox(integration: Integration) -> str:
    return f"/inbox/{integration.pk}"


def behave(integration: Integration, behaviour: SandboxBehaviour, *, seconds: int = 5) -> None:
    SandboxInbox.objects.create(store=integration.store, integration=integration, behaviour=behaviour, seconds=seconds)


class TestInbox:
    def test_keeps_what_it_got(self, sandbox: Sandbox, integration: Integration, inbox: str) -> None:
        headers = {"webhook-id": "msg_1", "Content-Type": "application/json", "X-Extra": "Grüße"}
        answer = sandbox.ask(
            inbox, body='{"type":"walletreward_create","€":1}'.encode(), headers={**headers, "X-Extra": "1"}
        )
        assert (answer.status, answer.text) == (200, "Kept.\n")
        request = SandboxRequest.objects.get()
        assert (request.integration, request.store) == (integration, integration.store)
        assert (request.delivery_id, request.answered) == ("msg_1", 200)
        assert request.body == '{"type":"walletreward_create","€":1}'
        assert request.headers["Content-Type"] == "application/json"
        assert request.headers["X-Extra"] == "1"
        assert request.headers["Webhook-Id"] == "msg_1"

    def test_masks_secret_headers(self, sandbox: Sandbox, inbox: str) -> None:
        sandbox.ask(inbox, headers={"Authorization": "Bearer hunter2", "X-Api-Key": "hunter2", "Cookie": "a=hunter2"})
        request = SandboxRequest.objects.get()
        assert {request.headers[name] for name in ("Authorization", "X-Api-Key", "Cookie")} == {MASK}

    def test_tells_what_it_kept_before_it_answers(self, sandbox: Sandbox, integration: Integration, inbox: str) -> None:
        sandbox.ask(inbox, body=b'{"a":1}', headers={"webhook-id": "told"})
        told = json.loads(sandbox.told.read_text().splitlines()[-1])
        received_at = told.pop("received_at")
        assert received_at == SandboxRequest.objects.get().received_at.isoformat()
        assert told == {"inbox": str(integration.pk), "delivery_id": "told", "answered": 200, "body": '{"a":1}'}

    def test_keeps_a_repeat_as_well(self, sandbox: Sandbox, inbox: str) -> None:
        for _ in range(2):
            sandbox.ask(inbox, headers={"webhook-id": "again"})
        assert SandboxRequest.objects.filter(delivery_id="again").count() == 2

    def test_keeps_the_first_64_kib_and_the_connection(self, sandbox: Sandbox, inbox: str) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", sandbox.port, timeout=30)
        for body in (b"x" * 1_000_000, b"short"):
            connection.request("POST", inbox, body)
            response = connection.getresponse()
            assert (response.status, response.read()) == (200, b"Kept.\n")
        connection.close()
        assert [len(request.body) for request in SandboxRequest.objects.order_by("id")] == [64 * 1024, 5]

    @pytest.mark.parametrize(
        ("body", "kept"),
        [(b"a\0b", "ab"), (b"a\xffb", "a\N{REPLACEMENT CHARACTER}b"), (b"", ""), (b"\xed\xa0\x80", "\ufffd" * 3)],
    )
    def test_keeps_any_bytes(self, sandbox: Sandbox, inbox: str, body: bytes, kept: str) -> None:
        assert sandbox.ask(inbox, body=body, headers={"webhook-id": "i" * 200, "X-Odd": "\xff"}).status == 200
        request = SandboxRequest.objects.get()
        assert (request.body, request.delivery_id) == (kept, "i" * 64)

    def test_keeps_a_chunked_body(self, sandbox: Sandbox, inbox: str) -> None:
        head = f"POST {inbox} HTTP/1.1\r\nHost: sandbox\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n".encode()
        answer = sandbox.write(head, b"3\r\nabc\r\n", b"2\r\nde\r\n0\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200 OK")
        assert SandboxRequest.objects.get().body == "abcde"


class TestBehaviour:
    def test_answers_500(self, sandbox: Sandbox, integration: Integration, inbox: str) -> None:
        behave(integration, SandboxBehaviour.ERROR)
        answer = sandbox.ask(inbox)
        assert (answer.status, answer.text) == (500, "This inbox was told to answer 500.\n")
        assert SandboxRequest.objects.get().answered == 500

    def test_answers_429_and_when_to_come_back(self, sandbox: Sandbox, integration: Integration, inbox: str) -> None:
        behave(integration, SandboxBehaviour.BUSY, seconds=7)
        answer = sandbox.ask(inbox)
        assert (answer.status, answer.headers["Retry-After"]) == (429, "7")
        assert SandboxRequest.objects.get().answered == 429

    def test_answers_slowly_and_keeps_nobody_else_waiting(
        self, sandbox: Sandbox, store: Store, integration: Integration, inbox: str
    ) -> None:
        behave(integration, SandboxBehaviour.SLOW, seconds=2)
        other = make_integration(store, destination="sandbox")
        start = time.monotonic()
        with ThreadPoolExecutor() as pool:
            slow = pool.submit(sandbox.ask, inbox)
            assert sandbox.ask(f"/inbox/{other.pk}").text == "Kept.\n"
            assert not slow.done()
            assert slow.result().text == "Kept; this inbox was told to wait 2 s.\n"
        assert time.monotonic() - start >= 2
        assert SandboxRequest.objects.filter(answered=200).count() == 2

    def test_follows_a_change_at_once(self, sandbox: Sandbox, integration: Integration, inbox: str) -> None:
        behave(integration, SandboxBehaviour.ERROR)
        assert sandbox.ask(inbox).status == 500
        integration.sandbox_inbox.behaviour = SandboxBehaviour.NORMAL
        integration.sandbox_inbox.save()
        assert sandbox.ask(inbox).status == 200


class TestWhatIsNoInbox:
    def test_health(self, sandbox: Sandbox) -> None:
        answer = sandbox.ask("/health", method="GET")
        assert (answer.status, answer.text) == (200, "The sandbox is listening.\n")

    def test_an_inbox_is_not_read_over_http(self, sandbox: Sandbox, inbox: str) -> None:
        answer = sandbox.ask(inbox, method="GET")
        assert (answer.status, answer.headers["Allow"]) == (405, "POST")
        assert answer.text == "An inbox only takes POST; the admin shows what it received.\n"

    def test_unknown_inbox(self, sandbox: Sandbox) -> None:
        answer = sandbox.ask(f"/inbox/{uuid.uuid4()}", body=b"{}")
        assert (answer.status, answer.text) == (404, "No sandbox integration has this inbox.\n")

    def test_an_integration_of_another_kind_has_none(self, sandbox: Sandbox, store: Store) -> None:
        assert sandbox.ask(f"/inbox/{make_integration(store).pk}").status == 404

    def test_a_deleted_one_has_none(self, sandbox: Sandbox, integration: Integration, inbox: str) -> None:
        integration.archive()
        assert sandbox.ask(inbox).status == 404

    @pytest.mark.parametrize("path", ["/", "/inbox/", "/inbox/1", "/inbox/%00", "/inbox/%ff%fe", "//inbox", "/health/"])
    def test_other_paths(self, sandbox: Sandbox, path: str) -> None:
        answer = sandbox.ask(path)
        assert answer.status == 404
        assert answer.text == "There is nothing here: the sandbox receives at /inbox/<integration id>.\n"

    def test_what_is_no_http_gives_no_traceback(self, sandbox: Sandbox, inbox: str) -> None:
        post = f"POST {inbox} HTTP/1.1\r\nHost: sandbox\r\n".encode()
        for parts in (
            [b"nonsense\r\n\r\n"],
            [b"\x16\x03\x01\x02\x00"],
            [post + b"Content-Length: -5\r\n\r\n"],
            [post + b"Content-Length: 100\r\n\r\n", b"too short"],
            [post + b"Transfer-Encoding: chunked\r\n\r\n", b"zz\r\nabc\r\n"],
            [post + b"X-Nul: a\0b\r\n\r\n"],
        ):
            assert b"Traceback" not in sandbox.write(*parts)
        assert sandbox.ask("/health", method="GET").status == 200
        assert "Traceback" not in sandbox.log.read_text()


class TestCommand:
    def test_refuses_without_sandbox_1(self) -> None:
        run = subprocess.run(COMMAND, env={**os.environ, "SANDBOX": "0"}, capture_output=True, text=True)
        assert run.returncode == 1
        assert (
            run.stderr
            == "CommandError: The sandbox receiver starts only with SANDBOX=1 in the environment or in .env.\n"
        )

    def test_says_in_a_sentence_that_its_address_is_none(self) -> None:
        environment = {**os.environ, "SANDBOX_ADDRESS": "127.0.0.1:nowhere"}
        run = subprocess.run(COMMAND, env=environment, capture_output=True, text=True)
        assert run.returncode != 0
        assert "Traceback" not in run.stderr

    def test_ctrl_c_ends_it(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as door:
            process = subprocess.Popen(
                [*COMMAND, f"--bind=fd://{door.fileno()}"], pass_fds=[door.fileno()], env=os.environ
            )
            connection = http.client.HTTPConnection("127.0.0.1", door.getsockname()[1], timeout=30)
        connection.request("GET", "/health")
        assert connection.getresponse().status == 200
        connection.close()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0
