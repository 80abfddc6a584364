"""Killed at the worst moment: a worker, all of it, the web process. Nothing is lost, and what is repeated can be told."""

import http.client
import json
import random
import threading
import time
from typing import Any

import pytest

from tests.receiver import Answer, Received, Receiver
from tests.soak.apps import DEATHS, LETHAL_COMMIT, POISON
from tests.soak.counting import all_over, assert_counted, ids
from tests.soak.machine import LEASE, Machine
from tests.soak.programs import kill, over, owner_of, wait_until

pytestmark = pytest.mark.soak


class TestWorker:
    def test_killed_in_the_middle_of_a_request(self, here: Machine, receiver: Receiver) -> None:
        """Whoever else it had under way is repeated too; what other workers had is not."""
        gate = threading.Event()
        receiver.choose = lambda _: None if gate.is_set() else Answer(gate=gate)
        here.scene("setup", receiver.url)
        cluster = here.cluster()
        here.scene("produce", "--count=4")
        under_way = receiver.wait_for(4, seconds=300)
        owners = dict(zip(ids(under_way), (owner_of(request.port, cluster.tree) for request in under_way), strict=True))
        victim = owners[ids(under_way)[0]]
        repeated = {delivery for delivery, owner in owners.items() if owner == victim}
        kill(victim)
        gate.set()
        wait_until(lambda: here.count("status = 'sent'") == 4 - len(repeated), what="the others are sent")
        here.let_pass(LEASE)
        wait_until(lambda: all_over(here, 4), what="all four are sent")
        arrived = assert_counted(here, receiver, 4)
        assert set(arrived.values()) <= {1, 2}
        assert {delivery for delivery, times in arrived.items() if times == 2} == repeated

    def test_killed_right_after_the_answer(self, here: Machine, receiver: Receiver) -> None:
        """Whether its outcome was written is not known: it is repeated under the same id, or not at all."""
        killed: list[int] = []

        def answer(request: Received) -> Answer | None:
            if killed:
                return None
            killed.append(owner_of(request.port, cluster.tree))
            return Answer(after=lambda: kill(killed[0]))

        here.scene("setup", receiver.url)
        cluster = here.cluster()
        receiver.choose = answer
        here.scene("produce")
        wait_until(lambda: killed and over(killed[0]), what="the worker is dead")
        here.let_pass(LEASE)
        wait_until(lambda: all_over(here, 1), what="it is sent")
        assert_counted(here, receiver, 1)

    def test_killed_while_idle(self, here: Machine, receiver: Receiver) -> None:
        """Django-Q keeps the dead worker's lock and runs nothing for ever: its supervisor starts it anew, in seconds."""
        here.scene("setup", receiver.url)
        cluster = here.cluster()
        here.scene("produce", "--name=first")
        wait_until(lambda: all_over(here, 1), what="a worker has sent something, and is idle")
        kill(*here.senders(cluster))
        killed = time.monotonic()
        here.scene("produce", "--name=second")
        receiver.wait_for(2, seconds=300)
        print(f"sending went on {time.monotonic() - killed:.1f} s after the idle worker was killed")
        wait_until(lambda: all_over(here, 2), what="it is written")
        assert_counted(here, receiver, 2)


class TestCluster:
    @pytest.mark.parametrize("rounds", [pytest.param(3, id="3"), pytest.param(10, id="10", marks=pytest.mark.long)])
    def test_killed_again_and_again_under_load(
        self, here: Machine, receiver: Receiver, dice: random.Random, rounds: int
    ) -> None:
        """Supervisor, workers and all, at random moments, while events are recorded."""
        here.scene("setup", receiver.url)
        count = 150 * rounds
        producer = here.producer(f"--count={count}", "--pause=0.02")
        for _ in range(rounds):
            before = len(receiver.got)
            cluster = here.cluster()
            receiver.wait_for(before + dice.randrange(5, 60), seconds=300)
            time.sleep(dice.random() * 0.2)  # where in the work of the next moments
            cluster.kill()
            here.let_pass(LEASE)
        here.cluster()
        assert producer.process.wait(300) == 0
        wait_until(lambda: all_over(here, count), seconds=300, what="all are sent")
        arrived = assert_counted(here, receiver, count)
        print(f"{count} events, {sum(arrived.values()) - count} repeated, {rounds} times killed")


class TestWeb:
    def test_killed_right_after_the_commit(self, here: Machine, receiver: Receiver) -> None:
        """Nobody was woken and the client got no answer: the event goes out, and the client's repeat makes no second."""
        setup = here.scene("setup", "--events=walletreward_create", receiver.url)
        here.scene("produce", "--name=ada")
        web = here.web()
        (here.place / LETHAL_COMMIT).touch()
        body = {
            "customer_external_id": "ada",
            "type": "reward",
            "operation": "cr",
            "amount": 7,
            "reference": "order 1",
        }
        with pytest.raises((ConnectionError, http.client.HTTPException)):
            self.post(here, setup["api_key"], body)
        assert not (here.place / LETHAL_COMMIT).exists(), "it died of something else"
        here.cluster()
        (request,) = receiver.wait_for(1, seconds=300)
        assert request.json()["data"]["wallettransaction_amount"] == 7
        wait_until(lambda: all_over(here, 1), what="it is written")
        assert self.post(here, setup["api_key"], body) in (200, 201)
        assert web.process.poll() is None
        assert here.rows("SELECT count(*) FROM events_occurrence WHERE event_key = 'walletreward_create'") == [(1,)]
        assert_counted(here, receiver, 1)

    def post(self, here: Machine, key: str, body: dict[str, Any]) -> int:
        connection = http.client.HTTPConnection(here.address, timeout=60)
        headers = {"Authorization": f"Api-Key {key}", "Content-Type": "application/json"}
        connection.request("POST", "/api/v1/wallet-transactions/", json.dumps(body), headers)
        return connection.getresponse().status


class TestPoison:
    def test_an_event_that_kills_whoever_sends_it_fails_alone(self, here: Machine, receiver: Receiver) -> None:
        """Three deaths alone end it; the others are sent."""
        here.scene("setup", "--destination=lethal", receiver.url)
        here.scene("produce", f"--name={POISON}")
        here.scene("produce", "--count=10")
        here.cluster()

        def seen() -> bool:
            """Its end; until then, each death is over as soon as it is known."""
            deaths = here.place / DEATHS
            if deaths.exists() and len(deaths.read_text()) > seen_deaths[0]:
                seen_deaths[0] += 1
                here.let_pass(LEASE)
            return here.count("status = 'failed'") == 1 and here.count("status = 'sent'") == 10

        seen_deaths = [0]
        wait_until(seen, what="the one has failed, and the others are sent")
        assert here.rows("SELECT reason FROM events_delivery WHERE status = 'failed'") == [
            ("Its worker died 3 times while sending it alone.",)
        ]
        assert_counted(here, receiver, 10)
