"""The running replays: who goes on with them, and for how long."""

import time

from events.models import Replay

BUDGET = 5.0  # seconds of one task: senders share its process


def work(*, budget: float = BUDGET) -> int:
    """Go on with every running replay as far as its pace allows now; returns how many deliveries they came by.

    Whoever calls it next (the cluster's clock asks each second) goes on where this one stopped, or died.
    """
    ends = time.monotonic() + budget
    seen = 0
    for replay in Replay.objects.running():
        while time.monotonic() < ends and (step := replay.step()):
            seen += step
    return seen
