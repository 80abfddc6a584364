"""From the commit of a fact to its arrival: at fifty events a second, and while others of the same house are in trouble."""

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress

from customers.models import Store
from events import switching
from events.models import Delivery
from tests.bench import place, world
from tests.bench.measure import RUNS, Measure
from tests.bench.receiver import Arrival, Receiver

EVERY = 1 / 50  # seconds between two events
SECONDS = 10.0
CALM, TROUBLED = 1 / 20, 20.0  # of a run of the isolation: seconds between two events of each integration, and in all


def redis(receiver: Receiver) -> Iterator[Measure]:
    """With the Redis broker."""
    yield from _measured(receiver, suffix="")


def orm(receiver: Receiver) -> Iterator[Measure]:
    """With the ORM broker, whose workers ask the database."""
    yield from _measured(receiver, suffix="_orm")


def _measured(receiver: Receiver, *, suffix: str) -> Iterator[Measure]:
    store = world.make_store(receiver, "/ok", integrations=1)
    with world.cluster():
        world.warm_up(store)
        switching.switch_on(store)
        sources = world.SOURCES[:1]
        runs = [_latencies(store, receiver, every=EVERY, seconds=SECONDS, sources=sources) for _ in range(RUNS)]
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        yield Measure.of(f"latency_{name}_ms{suffix}", [world.percentile(run, share) for run in runs], "ms")


def isolation(receiver: Receiver) -> Iterator[Measure]:
    """The 95th percentile of one that is well, beside one that hangs on each call and one that answers 500; and alone."""
    well, hangs, errs = world.SOURCES[:3]
    alone, beside = [], []
    with world.cluster():
        for number in range(RUNS):
            store = world.make_store(receiver, "/ok", integrations=1, name=f"Bench {number}")
            world.warm_up(store)
            switching.switch_on(store)
            run = _latencies(store, receiver, every=CALM, seconds=TROUBLED, sources=[well])
            alone.append(world.percentile(run, 0.95))
            world.add_integration(store, receiver, "/hang", source=hangs)
            world.add_integration(store, receiver, "/error", source=errs)
            run = _latencies(store, receiver, every=CALM, seconds=TROUBLED, sources=[well, hangs, errs])
            beside.append(world.percentile(run, 0.95))
            switching.switch_off(store)
            world.wait_until(lambda store=store: not _under_way(store), seconds=60)  # type: ignore[misc]
    yield Measure.of("isolation_ratio", beside, "ms", baseline=alone)


def _under_way(store: Store) -> bool:
    return Delivery.objects.filter(store=store, status="sending").exists()


def _latencies(
    store: Store, receiver: Receiver, *, every: float, seconds: float, sources: Sequence[str]
) -> list[float]:
    """Milliseconds from commit to arrival of each event of the first source, one of each source after the other."""
    receiver.arrivals()
    committed: dict[str, float] = {}
    known = set(Delivery.objects.filter(store=store).values_list("pk", flat=True))
    started = time.monotonic()
    marks = []
    for number in range(int(seconds / every)):
        time.sleep(max(0.0, started + number * every - time.monotonic()))
        for source in sources:
            world.record_rewards(store, 1, sources=[source])
            if source == sources[0]:
                marks.append(time.monotonic())
    path = f"/ok/{sources[0]}"
    ours = Delivery.objects.filter(store=store, integration__settings__url=receiver.url(path)).exclude(pk__in=known)
    committed = dict(zip(map(str, ours.order_by("occurrence_id").values_list("pk", flat=True)), marks, strict=True))
    arrived: dict[str, Arrival] = {}

    def all_there() -> bool:
        for one in receiver.arrivals():
            if one.path == path:
                arrived.setdefault(one.delivery_id, one)
        return len(arrived) >= len(committed)

    with suppress(TimeoutError):
        world.wait_until(all_there, seconds=30, every=0.1)
    missing = len(committed) - len(arrived)
    assert not missing, f"{missing} of {len(committed)} did not arrive within 30 s, with {place.WORKERS} workers"
    return [max(0.0, arrived[pk].at - at) * 1000 for pk, at in committed.items()]
