"""Slots: the threads of a worker process that make the calls. As many calls at once as there are slots, never more."""

import os
import sys
import threading
from collections.abc import Callable
from functools import cache
from queue import SimpleQueue

from django.conf import settings


class Slots:
    """Threads that do what is handed to them, in its order; made as they are needed, kept for the life of the process.

    A pool of the standard library makes a future, takes several locks and wakes two threads for each call, which a quick
    tool does not even take the time for (docs/performance.md).
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self._waiting: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._threads: list[threading.Thread] = []

    def do(self, call: Callable[[], None]) -> None:
        """Hand this over; it must not raise. Only one thread of the process hands things over."""
        self._waiting.put(call)
        if len(self._threads) < self.number and self._waiting.qsize():
            thread = threading.Thread(target=self._run, name=f"slot-{len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def waiting(self) -> int:
        """How many calls wait for a free thread."""
        return self._waiting.qsize()

    def _run(self) -> None:
        while True:
            self._waiting.get()()


# Seconds that a thread may go on computing while others want to. Each thread that waits for its turn wakes up this often
# to ask for it: by default every 5 ms, which for 64 of them costs a fifth of all the time (docs/performance.md).
TURN = 0.05


@cache
def _of_process(process: int, number: int) -> Slots:
    sys.setswitchinterval(TURN)
    return Slots(number)


def slots() -> Slots:
    """Those of this process: threads do not survive a fork."""
    return _of_process(os.getpid(), settings.SENDER_SLOTS)
