"""Stopped and started again: a machine that sleeps beyond its leases, an orderly end, services that crash in mid-run."""

import os
import signal
import threading

import pytest

from tests.receiver import Answer, Receiver
from tests.soak.counting import all_over, assert_counted
from tests.soak.machine import LEASE, Machine
from tests.soak.programs import wait_until

pytestmark = pytest.mark.soak


class TestCluster:
    def test_stopped_beyond_its_leases_and_back(self, here: Machine, receiver: Receiver) -> None:
        """Its late result, a refusal for good, overwrites nothing."""
        gate = threading.Event()
        receiver.next.append(Answer(status=400, gate=gate))
        here.scene("setup", receiver.url)
        sleeper = here.cluster(workers=1)
        here.scene("produce", "--name=first")
        receiver.wait_for(1, seconds=120)
        for process in sleeper.tree:
            os.kill(process, signal.SIGSTOP)
        gate.set()
        other = here.cluster(workers=1)
        here.let_pass(LEASE)
        wait_until(lambda: all_over(here, 1), what="the other cluster has sent it")
        other.kill()
        for process in sleeper.tree:
            os.kill(process, signal.SIGCONT)
        here.scene("produce", "--name=second")  # only the sleeper can send it, after it heard the late answer
        wait_until(lambda: all_over(here, 2), what="the sleeper goes on, and the first is still sent")
        assert_counted(here, receiver, 2)
        assert len(receiver.got) == 3

    def test_sigterm_drains(self, here: Machine, receiver: Receiver) -> None:
        """What is under way ends within 30 s, nothing is left half done, and nothing is repeated afterwards."""
        gate = threading.Event()
        receiver.choose = lambda _: None if gate.is_set() else Answer(gate=gate)
        here.scene("setup", receiver.url)
        cluster = here.cluster()
        here.scene("produce", "--count=30")
        receiver.wait_for(4, seconds=120)
        cluster.process.terminate()
        gate.set()
        assert cluster.process.wait(30) == 0
        assert here.count("status = 'sending'") == 0
        assert here.count("status = 'sent'") == len(receiver.got)
        here.cluster()
        wait_until(lambda: all_over(here, 30), what="the next cluster has sent the rest")
        assert_counted(here, receiver, 30)
        assert len(receiver.got) == 30


class TestServices:
    @pytest.mark.kinds("redis", "orm")
    def test_postgresql_crashes(self, here: Machine, receiver: Receiver) -> None:
        here.scene("setup", receiver.url)
        here.cluster()
        producer = here.producer("--count=150", "--pause=0.01")
        receiver.wait_for(30, seconds=120)
        here.database.stop(signal.SIGQUIT)
        here.database.start(**here.faked())
        assert producer.process.wait(120) == 0
        wait_until(
            lambda: here.count("status = 'pending'") == 0, what="whatever was not under way in the crash is sent"
        )
        here.let_pass(LEASE)
        wait_until(lambda: all_over(here, 150), what="all are sent")
        assert_counted(here, receiver, 150)

    @pytest.mark.kinds("redis")
    def test_redis_is_flushed_and_crashes(self, here: Machine, receiver: Receiver) -> None:
        """It holds wake-ups only: nothing is lost, and nothing is repeated."""
        assert here.redis
        here.scene("setup", receiver.url)
        here.cluster()
        producer = here.producer("--count=150", "--pause=0.01")
        receiver.wait_for(20, seconds=120)
        here.redis.flush()
        receiver.wait_for(50, seconds=120)
        here.redis.stop(signal.SIGKILL)
        recorded = here.count()
        wait_until(lambda: here.count() >= min(150, recorded + 10), what="events are recorded without Redis")
        here.redis.start()
        assert producer.process.wait(120) == 0
        wait_until(lambda: all_over(here, 150), what="all are sent")
        assert_counted(here, receiver, 150)
        assert len(receiver.got) == 150


class TestTogether:
    @pytest.mark.kinds("redis", "orm")
    @pytest.mark.parametrize(
        ("producers", "each"), [pytest.param(4, 50, id="200"), pytest.param(20, 200, id="4000", marks=pytest.mark.long)]
    )
    def test_two_clusters(self, here: Machine, receiver: Receiver, producers: int, each: int) -> None:
        """None is lost, and none is doubled."""
        here.scene("setup", receiver.url)
        for _ in range(2):
            here.cluster()
        running = [here.producer(f"--count={each}", f"--name=producer-{number}") for number in range(producers)]
        assert [one.process.wait(300) for one in running] == [0] * producers
        wait_until(lambda: all_over(here, producers * each), what="all are sent")
        assert_counted(here, receiver, producers * each)
        assert len(receiver.got) == producers * each
