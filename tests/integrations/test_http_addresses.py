import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

import pytest

from integrations import connecting
from integrations.http import (
    AddressRefused,
    BadRequest,
    Door,
    HttpError,
    NameNotFound,
    Request,
    Response,
    TimedOut,
)
from tests.integrations.stranger import OK, Stranger, answering


def get(door: Door, url: str, *, timeout: float = 5.0) -> Response:
    return door.send(Request(method="GET", url=url, headers={}), timeout=timeout)


def failure(door: Door, url: str, *, timeout: float = 5.0) -> HttpError:
    with pytest.raises(HttpError) as failed:
        get(door, url, timeout=timeout)
    return failed.value


class Names:
    """A resolver that gives each answer in turn, the last one for ever, and counts."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, int]] = []

    def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append((host, port))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
def stranger() -> Iterator[Stranger]:
    with Stranger(answering(OK)) as stranger:
        yield stranger


def ipv6_here() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


class TestAddressRefused:
    def test_a_private_address_is_not_called(self, stranger: Stranger) -> None:
        error = failure(Door(), stranger.url)
        assert type(error) is AddressRefused
        assert error.summary == "127.0.0.1 is not a public internet address, so it is not called."
        assert not error.retryable
        assert not error.ambiguous
        assert stranger.visits == 0

    @pytest.mark.parametrize(
        "host",
        [
            *("localhost", "LOCALHOST", "localhost.", "0.0.0.0", "[::]", "[::1]", "[0:0:0:0:0:0:0:1]"),
            *("[::ffff:127.0.0.1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]"),
            *("2130706433", "0x7f000001", "0x7f.1", "017700000001", "0177.0.0.1", "127.1", "127.0.0.1.", "127.0.0.01"),
            *(
                "１２７.０.０.１",
                "127。0。0。1",
                "ⓛocalhost",
                "%31%32%37.0.0.1",
                "127.0.0.1%20",
                "[::1%25lo]",
                "[::1%lo]",
            ),
        ],
    )
    def test_no_spelling_of_the_own_machine_gets_round_it(self, stranger: Stranger, host: str) -> None:
        error = failure(Door(), f"http://{host}:{stranger.port}/")
        assert isinstance(error, AddressRefused | BadRequest | NameNotFound)
        assert stranger.visits == 0

    @pytest.mark.parametrize("host", ["2130706433.example", "metadata.example", "xn--mnchen-3ya.example", "my_host"])
    def test_a_name_that_leads_inside_is_not_called(self, stranger: Stranger, host: str) -> None:
        error = failure(Door(resolve=Names(["127.0.0.1"])), f"http://{host}:{stranger.port}/")
        assert type(error) is AddressRefused
        assert error.summary == f"{host} is not a public internet address, so it is not called."
        assert stranger.visits == 0

    @pytest.mark.parametrize(
        "addresses",
        [
            ["8.8.8.8", "127.0.0.1"],
            ["127.0.0.1", "8.8.8.8"],
            ["2606:4700:4700::1111", "8.8.8.8", "fe80::1%lo"],
            ["8.8.8.8"] * 9 + ["10.0.0.1"],
        ],
    )
    def test_one_private_address_among_public_ones_is_enough(self, stranger: Stranger, addresses: list[str]) -> None:
        error = failure(Door(resolve=Names(addresses)), f"http://shop.example:{stranger.port}/")
        assert type(error) is AddressRefused
        for address in addresses:
            assert address not in error.summary

    @pytest.mark.parametrize("host", ["localhost", "127.0.0.2", "127.0.0.1.", "2130706433"])
    def test_an_allowed_pair_is_that_exact_pair(self, stranger: Stranger, host: str) -> None:
        door = Door(allowed_private=frozenset({stranger.pair}))
        assert isinstance(failure(door, f"http://{host}:{stranger.port}/"), AddressRefused | BadRequest)
        assert type(failure(door, f"http://127.0.0.1:{stranger.port + 1}/")) is AddressRefused
        assert type(failure(door, "http://127.0.0.1/")) is AddressRefused
        assert stranger.visits == 0
        assert get(door, stranger.url).status == 200
        door.close()

    def test_an_allowed_name_may_lead_inside(self, stranger: Stranger) -> None:
        door = Door(allowed_private=frozenset({f"receiver:{stranger.port}"}), resolve=Names(["127.0.0.1"]))
        assert get(door, f"http://Receiver:{stranger.port}/").status == 200
        door.close()

    @pytest.mark.skipif(not ipv6_here(), reason="this machine has no IPv6")
    def test_an_allowed_ipv6_pair_has_brackets(self) -> None:
        with Stranger(answering(OK), host="::1") as stranger:
            door = Door(allowed_private=frozenset({f"[::1]:{stranger.port}"}))
            assert get(door, f"http://[::1]:{stranger.port}/").status == 200
            assert f"Host: [::1]:{stranger.port}\r\n".encode() in stranger.requests[0]
            door.close()


class TestPinning:
    def test_the_name_is_looked_up_once_and_the_connection_goes_there(self, stranger: Stranger) -> None:
        names = Names(["127.0.0.1"], ["127.0.0.9"])
        door = Door(allowed_private=frozenset({f"shop.example:{stranger.port}"}), resolve=names)
        assert get(door, f"http://shop.example:{stranger.port}/").status == 200
        assert names.asked == [("shop.example", stranger.port)]
        assert f"Host: shop.example:{stranger.port}\r\n".encode() in stranger.requests[0]
        door.close()

    def test_the_next_address_is_tried_when_one_refuses(self, stranger: Stranger) -> None:
        names = Names(["127.0.0.9", "127.0.0.1"])
        door = Door(allowed_private=frozenset({f"shop.example:{stranger.port}"}), resolve=names)
        assert get(door, f"http://shop.example:{stranger.port}/").status == 200
        door.close()

    def test_the_next_address_is_tried_when_one_swallows_packets(self, stranger: Stranger) -> None:
        with ExitStack() as stack:
            # Linux drops the first packet of a connection when nobody accepts and the queue is full.
            full = stack.enter_context(socket.create_server(("127.0.0.9", stranger.port), backlog=0))
            waiting = []
            for _ in range(4):
                waiting.append(stack.enter_context(socket.socket()))
                waiting[-1].setblocking(False)
                waiting[-1].connect_ex(full.getsockname())
            names = Names(["127.0.0.9", "127.0.0.1"])
            door = Door(allowed_private=frozenset({f"shop.example:{stranger.port}"}), resolve=names)
            assert 300 <= get(door, f"http://shop.example:{stranger.port}/", timeout=0.8).duration_ms < 800
            door.close()

    def test_no_address_that_accepts_is_a_time_out_of_the_connection(self) -> None:
        with ExitStack() as stack:
            full = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
            for _ in range(4):
                waiting = stack.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(full.getsockname())
            pair = f"127.0.0.1:{full.getsockname()[1]}"
            error = failure(Door(allowed_private=frozenset({pair})), f"http://{pair}/", timeout=0.3)
        assert type(error) is TimedOut
        assert error.summary == "127.0.0.1 did not accept a connection in time."
        assert not error.ambiguous
        assert 300 <= error.duration_ms < 700


class TestLookup:
    @pytest.mark.parametrize(
        "problem",
        [
            socket.gaierror(socket.EAI_NONAME, "unknown"),
            socket.gaierror(socket.EAI_AGAIN, "later"),
            UnicodeError("idna"),
        ],
    )
    def test_a_name_that_cannot_be_found(self, problem: Exception) -> None:
        def resolve(host: str, port: int) -> list[str]:
            raise problem

        error = failure(Door(resolve=resolve), "https://nowhere.example/")
        assert type(error) is NameNotFound
        assert error.summary == "The name nowhere.example could not be found."
        assert error.retryable
        assert not error.ambiguous

    def test_a_name_without_addresses(self) -> None:
        assert type(failure(Door(resolve=Names([])), "https://nowhere.example/")) is NameNotFound

    @pytest.mark.parametrize(("timeout", "most"), [(0.3, 3.0), (5.0, 0.3)])
    def test_ends_with_the_deadline_and_after_three_seconds_at_most(
        self, monkeypatch: pytest.MonkeyPatch, timeout: float, most: float
    ) -> None:
        assert connecting.LOOKUP_SECONDS == 3.0
        monkeypatch.setattr(connecting, "LOOKUP_SECONDS", most)
        over = threading.Event()

        def resolve(host: str, port: int) -> list[str]:
            over.wait(10)
            return ["127.0.0.1"]

        error = failure(Door(resolve=resolve), "https://slow.example/", timeout=timeout)
        over.set()
        assert type(error) is TimedOut
        assert error.summary == "The name slow.example could not be looked up in time."
        assert not error.ambiguous
        assert 300 <= error.duration_ms < 700

    def test_a_name_that_hangs_holds_one_lookup_and_no_other_name(self, stranger: Stranger) -> None:
        over = threading.Event()
        asked: list[str] = []

        def resolve(host: str, port: int) -> list[str]:
            asked.append(host)
            if host == "slow.example":
                over.wait(10)
            return ["127.0.0.1"]

        door = Door(allowed_private=frozenset({f"shop.example:{stranger.port}"}), resolve=resolve)
        for _ in range(connecting.LOOKUPS + 1):
            failure(door, "https://slow.example/", timeout=0.02)
        assert get(door, f"http://shop.example:{stranger.port}/").status == 200
        over.set()
        assert asked == ["slow.example", "shop.example"]
        door.close()

    def test_too_many_hanging_names_are_a_time_out(self) -> None:
        over = threading.Event()

        def resolve(host: str, port: int) -> list[str]:
            over.wait(10)
            return ["127.0.0.1"]

        door = Door(resolve=resolve)
        for number in range(connecting.LOOKUPS):
            failure(door, f"https://slow{number}.example/", timeout=0.02)
        error = failure(door, "https://shop.example/", timeout=0.1)
        assert error.summary == "The name shop.example could not be looked up in time."
        over.set()

    def test_the_machine_s_own_resolver_is_the_default(self, stranger: Stranger) -> None:
        door = Door(allowed_private=frozenset({f"localhost:{stranger.port}"}))
        assert get(door, f"http://localhost:{stranger.port}/").status == 200
        door.close()
