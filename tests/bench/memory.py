"""What a worker needs at most while much is due, beside when little is."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

from customers.models import Store
from events import switching
from tests.bench import world
from tests.bench.measure import RUNS, Measure
from tests.bench.receiver import Receiver

FEW, MANY = 1000, 50_000
SECONDS = 15.0  # that much is due; what is left then is for the next run


def peak(receiver: Receiver) -> Iterator[Measure]:
    """The highest resident memory of any worker."""
    few, many = (world.make_store(receiver, "/ok", name=f"Bench {number}") for number in (FEW, MANY))
    runs: dict[int, list[float]] = {FEW: [], MANY: []}
    due = 0
    for _ in range(RUNS):
        with world.cluster():
            world.warm_up(few)
            world.record_rewards(few, FEW)
            runs[FEW].append(_peak_mb(few))
        world.record_rewards(many, MANY - due)
        with world.cluster():
            world.warm_up(few)
            runs[MANY].append(_peak_mb(many))
        due = world.count_unfinished(many)
    yield Measure.of("rss_mb", runs[MANY], "MiB", baseline=runs[FEW])


def _peak_mb(store: Store) -> float:
    """While this store's deliveries are sent: until all are, or time is over."""
    switching.switch_on(store)
    ends = time.monotonic() + SECONDS
    while world.unfinished(store) and time.monotonic() < ends:
        time.sleep(0.05)
    peaks = [re.findall(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text()) for pid in world.workers()]
    switching.switch_off(store)
    return max(int(found[0]) for found in peaks) / 1024
