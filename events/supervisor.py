"""The supervisor of Django-Q's cluster, and its clock.

After SIGKILL of an idle worker django-q2 keeps the broken lock of its queue and runs nothing for ever, while it logs that
it goes on; its scheduler looks every 30 s only. So the cluster runs in a process group of its own, is woken each second in
which something is due, and is started anew when nobody answers.
"""

import contextlib
import ctypes
import logging
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta

from django.conf import settings
from django.db import DatabaseError, close_old_connections

from events import claims, clock, heartbeat
from events.models import Replay
from events.waking import wake, wake_replays

logger = logging.getLogger(__name__)

TICK = 1.0  # seconds between two looks
STALLED = 6.0  # seconds that something may be due without a sign of life from any sender
START_UP = 20.0  # seconds that a new group has at most to come up before it is judged
GRACE = 30.0  # seconds from SIGTERM to SIGKILL: a sender's budget, one more call, and the writing
FILES = 8192  # open at once, in a worker: connections that are kept for 32 hosts, by each of 64 slots, and the rest
PR_SET_PDEATHSIG = 1


def _die_with_parent() -> None:
    """On Linux, the cluster gets SIGTERM when its supervisor is gone, instead of going on unwatched."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _allow_many_files() -> None:
    """As many open files as a busy worker may need, where the usual limit is 1,024; the hard limit is kept to."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class Supervisor:
    """Runs the cluster until it is told to stop (SIGTERM or SIGINT)."""

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self.group: subprocess.Popen[bytes] | None = None
        self.started_at = 0.0
        self.due_since: float | None = None
        self.came_up = False  # a sender of this group was heard of
        self.restarts = 0
        self.clock_corrected_at = -clock.EVERY

    def run(self) -> None:
        """Start, watch, and at the end stop the cluster: what is under way is finished first."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stopping.set())
        _allow_many_files()
        self._start()
        while not self.stopping.wait(TICK):
            try:
                close_old_connections()
                self.tick()
            except DatabaseError:
                logger.exception("The database did not answer; looking again in a moment")
        self._stop()

    def tick(self) -> None:
        """One look: a sign of life, a wake-up when something is due, a new group when nobody follows it."""
        heartbeat.beat("supervisor", {"restarts": self.restarts})
        if time.monotonic() - self.clock_corrected_at >= clock.EVERY:
            self.clock_corrected_at = time.monotonic()
            clock.correct()
        if self.group is None or self.group.poll() is not None:
            self._restart("it ended by itself")
        if Replay.objects.running().exists():
            wake_replays()
        if not claims.anything_to_do():
            self.due_since = None
            return
        self.due_since = self.due_since or time.monotonic()
        wake()
        age, waited = time.monotonic() - self.started_at, time.monotonic() - self.due_since
        self.came_up = self.came_up or age > START_UP or heartbeat.alive("sender", within=timedelta(seconds=age))
        if self.came_up and waited > STALLED and not heartbeat.alive("sender", within=timedelta(seconds=STALLED)):
            self._restart(f"something has been due for {waited:.0f} s and no sender is alive")

    def _start(self) -> None:
        command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "qcluster"]
        self.group = subprocess.Popen(command, start_new_session=True, preexec_fn=_die_with_parent)
        self.started_at = time.monotonic()
        self.due_since = None
        self.came_up = False

    def _restart(self, why: str) -> None:
        logger.warning("Starting the cluster anew: %s", why)
        self.restarts += 1
        self._kill()
        self._start()

    def _stop(self) -> None:
        """SIGTERM to the main process alone: sent to the whole group, it would end the senders midway."""
        if self.group is None:
            return
        self.group.terminate()
        try:
            self.group.wait(GRACE)
        except subprocess.TimeoutExpired:
            logger.warning("The cluster did not stop in %.0f s and is killed; its leases run out by themselves", GRACE)
        self._kill()

    def _kill(self) -> None:
        """Whatever is left of the group."""
        if self.group is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.group.pid, signal.SIGKILL)
        self.group.wait()
