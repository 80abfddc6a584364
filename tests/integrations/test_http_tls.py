import datetime
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
import trustme

from integrations.http import MAX_BODY, ConnectFailed, Door, HttpError, Request, Response, TimedOut, TlsFailed
from tests.integrations.stranger import OK, Stranger, Visit, answering, once

AUTHORITY = trustme.CA()


@pytest.fixture(scope="module")
def ca_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("tls") / "ca.pem"
    AUTHORITY.cert_pem.write_to_path(str(path))
    return str(path)


class Shop:
    """A server under TLS, called by a name, and the door that may call it."""

    def __init__(self, stranger: Stranger, door: Door, seen: list[str | None]) -> None:
        self.stranger = stranger
        self.door = door
        self.names_seen = seen  # in the TLS handshakes (SNI)

    def post(self, host: str = "shop.example", *, body: bytes = b"{}", timeout: float = 5.0) -> Response:
        url = f"https://{host}:{self.stranger.port}/"
        return self.door.send(Request(url=url, headers={}, body=body), timeout=timeout)

    def failure(self, host: str = "shop.example", *, body: bytes = b"{}", timeout: float = 5.0) -> HttpError:
        with pytest.raises(HttpError) as failed:
            self.post(host, body=body, timeout=timeout)
        return failed.value


Open = Callable[..., Shop]


@pytest.fixture
def opened(ca_file: str) -> Iterator[Open]:
    with ExitStack() as stack:

        def make(
            behave: Callable[[Visit], None],
            *,
            certificate: trustme.LeafCert | None = None,
            name: str = "shop.example",
            trusted: bool = True,
            plain: bool = False,
        ) -> Shop:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            (certificate or AUTHORITY.issue_cert(name)).configure_cert(context)
            seen: list[str | None] = []
            context.sni_callback = lambda _socket, name, _context: seen.append(name)
            stranger = stack.enter_context(Stranger(behave, tls=None if plain else context))
            hosts = {"shop.example", "other.example", "xn--mller-kva.example", "127.0.0.1"}
            door = Door(
                allowed_private=frozenset(f"{host}:{stranger.port}" for host in hosts),
                ca_file=ca_file if trusted else None,
                resolve=lambda host, port: ["127.0.0.1"],
            )
            stack.callback(door.close)
            return Shop(stranger, door, seen)

        yield make


class TestCertificate:
    def test_a_certificate_for_the_name_is_taken(self, opened: Open) -> None:
        shop = opened(answering(OK))
        assert shop.post().body == b"ok"
        assert shop.post().body == b"ok"
        assert shop.names_seen == ["shop.example"]
        assert shop.stranger.visits == 1
        assert f"Host: shop.example:{shop.stranger.port}\r\n".encode() in shop.stranger.requests[0]

    def test_a_name_in_another_script_is_asked_for_in_ascii(self, opened: Open) -> None:
        shop = opened(answering(OK), name="xn--mller-kva.example")
        assert shop.post("Müller.example").status == 200
        assert shop.names_seen == ["xn--mller-kva.example"]

    def test_a_certificate_for_the_address_is_taken(self, opened: Open) -> None:
        assert opened(answering(OK), name="127.0.0.1").post("127.0.0.1").status == 200

    def test_one_for_another_name_is_not(self, opened: Open) -> None:
        shop = opened(answering(OK))
        error = shop.failure("other.example")
        assert type(error) is TlsFailed
        assert error.summary == "No secure connection to other.example: its certificate is for another name."
        assert error.retryable
        assert not error.ambiguous
        assert shop.stranger.requests == []
        assert error.__context__ is None  # the cause may name addresses, and a traceback would show it

    def test_one_for_the_name_is_not_taken_for_the_address(self, opened: Open) -> None:
        error = opened(answering(OK)).failure("127.0.0.1")
        assert error.summary == "No secure connection to 127.0.0.1: its certificate is for another address."

    def test_one_that_has_expired_is_not(self, opened: Open) -> None:
        expired = AUTHORITY.issue_cert("shop.example", not_after=datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC))
        error = opened(answering(OK), certificate=expired).failure()
        assert error.summary == "No secure connection to shop.example: its certificate has expired."

    def test_one_of_an_unknown_authority_is_not(self, opened: Open) -> None:
        error = opened(answering(OK), certificate=trustme.CA().issue_cert("shop.example")).failure()
        assert type(error) is TlsFailed
        assert error.summary == (
            "No secure connection to shop.example: its certificate is signed by an authority that is not known here."
        )

    def test_the_test_s_authority_is_not_trusted_by_default(self, opened: Open) -> None:
        assert type(opened(answering(OK), trusted=False).failure()) is TlsFailed

    def test_an_own_authority_takes_the_place_of_the_others(self, opened: Open) -> None:
        shop = opened(answering(OK))
        shop.post()
        assert len(shop.door._adapter._tls.get_ca_certs()) == 1

    def test_a_server_without_tls(self, opened: Open) -> None:
        def behave(visit: Visit) -> None:
            visit.sock.recv(65536)
            visit.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        error = opened(behave, plain=True).failure()
        assert type(error) is TlsFailed
        assert error.summary == "No secure connection to shop.example: it does not speak TLS as needed here."
        assert not error.ambiguous

    def test_a_server_that_hangs_up_in_the_handshake(self, opened: Open) -> None:
        def behave(visit: Visit) -> None:
            visit.sock.recv(65536)

        error = opened(behave, plain=True).failure()
        assert type(error) is ConnectFailed
        assert error.summary == "shop.example broke off while a secure connection was being made."
        assert not error.ambiguous


class TestTlsDeadline:
    @pytest.mark.parametrize(
        "behave",
        [
            pytest.param(lambda visit: (visit.read(), visit.hang()), id="silence"),
            pytest.param(lambda visit: (visit.read(), visit.drip(OK[:-4] + b"X: y\r\n" * 9)), id="dripped headers"),
            pytest.param(
                lambda visit: (
                    visit.read(),
                    visit.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"),
                    visit.drip(b"x" * 99),
                ),
                id="dripped body",
            ),
        ],
    )
    def test_ends_an_answer_that_drips(self, opened: Open, behave: Callable[[Visit], None]) -> None:
        error = opened(behave).failure(timeout=0.5)
        assert type(error) is TimedOut
        assert error.summary == "shop.example did not answer within 0.5 seconds."
        assert error.ambiguous
        assert 500 <= error.duration_ms < 900

    @pytest.mark.parametrize(
        "behave",
        [
            pytest.param(Visit.hang, id="silence"),
            pytest.param(lambda visit: visit.drip(b"\x16\x03\x03\x20\x00" + b"\x02" * 99), id="dripped handshake"),
        ],
    )
    def test_ends_a_handshake_that_does_not(self, opened: Open, behave: Callable[[Visit], None]) -> None:
        error = opened(behave, plain=True).failure(timeout=0.5)
        assert type(error) is TimedOut
        assert error.summary == "shop.example did not make a secure connection in time."
        assert not error.ambiguous
        assert 500 <= error.duration_ms < 900

    def test_ends_a_request_that_is_not_taken(self, opened: Open) -> None:
        error = opened(Visit.hang).failure(body=b"x" * 50_000_000, timeout=0.5)
        assert type(error) is TimedOut
        assert error.ambiguous
        assert 500 <= error.duration_ms < 900

    def test_a_kept_connection_obeys_the_one_of_the_next_request(self, opened: Open) -> None:
        def behave(visit: Visit) -> None:
            visit.read()
            visit.write(OK)
            visit.read()
            visit.drip(OK, every=0.02)
            visit.read()
            visit.hang()

        shop = opened(behave)
        shop.post(timeout=0.4)
        assert shop.post(timeout=5.0).duration_ms > 400
        assert 300 <= shop.failure(timeout=0.3).duration_ms < 700
        assert shop.stranger.visits == 1


class TestTlsReuse:
    def test_a_connection_that_the_other_side_has_closed_is_replaced(self, opened: Open) -> None:
        gone = threading.Event()

        def behave(visit: Visit) -> None:
            visit.read()
            visit.write(OK)
            if visit.number == 1:
                visit.sock.close()
                gone.set()
            else:
                visit.hang()

        shop = opened(behave)
        shop.post()
        assert gone.wait(5)
        assert shop.post().status == 200
        assert len(shop.stranger.requests) == 2

    def test_a_request_that_a_kept_connection_took_is_never_sent_twice(self, opened: Open) -> None:
        def behave(visit: Visit) -> None:
            visit.read()
            visit.write(OK)
            visit.read()

        shop = opened(behave)
        shop.post()
        error = shop.failure()
        assert type(error) is ConnectFailed
        assert error.ambiguous
        assert len(shop.stranger.requests) == 2

    def test_a_long_body_is_cut(self, opened: Open) -> None:
        response = opened(once(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1_000_000)).post()
        assert (len(response.body), response.truncated) == (MAX_BODY, True)
