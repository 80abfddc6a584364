"""Deliveries a second: everything that a cluster does for each, beside a loop that only posts, and beside a task for each."""

import sys
from collections.abc import Iterator
from statistics import median
from typing import Any

from django.conf import settings

from tests.bench import bare, place, task_each, world
from tests.bench.bare import Post
from tests.bench.measure import RUNS, Measure
from tests.bench.receiver import Receiver
from tests.integrations.batches import Crate

EVENTS = 5000
UNRECYCLED = 600  # tasks, of which none of two workers does the 500 after which Django-Q recycles it, and stalls


def at_once(receiver: Receiver) -> Iterator[Measure]:
    """A receiver without delay, over four integrations."""
    store = world.make_store(receiver, "/ok")
    ours, loops = [], []
    with world.cluster():
        world.warm_up(store)
        for _ in range(RUNS):
            ours.append(_ours(store, receiver))
            post = Post.like(receiver.last(), host=receiver.host)
            loops.append(bare.rate(post, total=EVENTS, processes=place.WORKERS))
    yield Measure.of("throughput", ours, "deliveries/s", baseline=loops)
    short = median(task_each.rate(post, total=UNRECYCLED, warm_up=bare.WARM_UP) for _ in range(RUNS))
    print(f"task each: {short:.0f}/s as long as no worker is recycled;", end=" ", file=sys.stderr, flush=True)
    tasks = [task_each.rate(post, total=EVENTS, warm_up=bare.WARM_UP) for _ in range(RUNS)]
    yield Measure.of("throughput_vs_task_each", ours, "deliveries/s", baseline=tasks)


def at_100ms(receiver: Receiver) -> Iterator[Measure]:
    """A receiver that takes 100 ms."""
    store = world.make_store(receiver, "/wait/100")
    ours, loops = [], []
    with world.cluster():
        world.warm_up(store)
        for _ in range(RUNS):
            ours.append(_ours(store, receiver))
            post = Post.like(receiver.last(), host=receiver.host)
            threads = settings.SENDER_SLOTS
            loops.append(bare.rate(post, total=EVENTS, processes=place.WORKERS, threads=threads))
    yield Measure.of("throughput_100ms", ours, "deliveries/s", baseline=loops)


def batches(receiver: Receiver) -> Iterator[Measure]:
    """A tool that takes a hundred events in one call, beside the same events one by one."""
    single = world.make_store(receiver, "/ok", name="Bench singly")
    crates = world.make_store(receiver, "/batch", name="Bench in batches", destination=Crate.key)
    ones, batches = [], []
    with world.cluster():
        world.warm_up(single)
        for _ in range(RUNS):
            ones.append(_ours(single, receiver))
            world.record_rewards(crates, EVENTS)
            batches.append(EVENTS / world.time_to_send(crates))
            assert len(receiver.arrivals()) < EVENTS / 10, "they were sent one by one"
    yield Measure.of("throughput_batch", batches, "events/s", baseline=ones)


def _ours(store: Any, receiver: Receiver) -> float:
    world.record_rewards(store, EVENTS)
    receiver.arrivals()
    took = world.time_to_send(store)
    arrived = len(receiver.arrivals())
    assert arrived == EVENTS, f"{arrived} requests for {EVENTS} deliveries"
    return EVENTS / took
