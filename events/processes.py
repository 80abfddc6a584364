"""Child processes that live and die together: under `manage.py run` and under the demo."""

import atexit
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any, Self

ROOT = Path(__file__).resolve().parent.parent
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def manage(*words: str) -> list[str]:
    """The command line of a `manage.py` command, run by this very Python."""
    return [sys.executable, str(ROOT / "manage.py"), *words]


def web(*, bind: str) -> list[str]:
    """The command line of the web server. `bind` is host:port, or fd://N of an open socket."""
    # Without its control socket: there is one in the home directory, for which all gunicorns of a user would fight.
    fixed = ["--worker-class", "gthread", "--threads", "8", "--no-control-socket", "--log-level", "warning"]
    return [sys.executable, "-m", "gunicorn", "config.wsgi", "--bind", bind, *fixed]


class ProcessDied(Exception):
    """One of the processes ended though nobody stopped it."""

    def __init__(self, name: str, status: int) -> None:
        how = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
        super().__init__(f"The {name} {how}.")
        self.name = name


class Processes:
    """A context in which children run; at its end none is left.

    While it lasts, Ctrl-C, SIGTERM and SIGHUP raise KeyboardInterrupt, and so many seconds as `limit` says raise
    TimeoutError; whichever is first, once. Each child has a process group of its own, so that Ctrl-C reaches this
    process only, which then ends them: SIGTERM to the child itself (it knows what of its own it has to end first), and
    SIGKILL to its whole group `grace` seconds later.
    """

    def __init__(self, *, grace: float, limit: int = 0) -> None:
        self._grace = grace
        self._limit = limit
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._asked: type[BaseException] | None = None
        self._starting = self._stopping = False
        self._handlers: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        self._handlers = {number: signal.signal(number, self._ask) for number in (*STOP_SIGNALS, signal.SIGALRM)}
        signal.alarm(self._limit)
        atexit.register(self.stop)  # a signal in the very moment in which the context ends would pass it by
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        signal.alarm(0)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def start(self, name: str, command: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
        """Start a child; `options` are those of Popen. Its name is what a person reads when it dies."""
        options = {"stdin": subprocess.DEVNULL, **options}
        self._starting = True  # between the fork and the next line nobody would know of the child
        try:
            child = self._running[name] = subprocess.Popen(command, cwd=ROOT, process_group=0, **options)
        finally:
            self._starting = False
        if self._asked:
            raise self._asked
        return child

    def run(self, name: str, command: Sequence[str], **options: Any) -> bytes:
        """Run a child to its end; returns what it wrote to standard output. Raises ProcessDied when it fails."""
        child = self.start(name, command, stdout=subprocess.PIPE, **options)
        output, _ = child.communicate()
        del self._running[name]
        if child.returncode:
            raise ProcessDied(name, child.returncode)
        return output

    def check(self) -> None:
        """Raise ProcessDied when one of them ended."""
        for name, child in self._running.items():
            if (status := child.poll()) is not None:
                raise ProcessDied(name, status)

    def wait(self) -> None:
        """Until one of them ends (ProcessDied) or somebody asks to stop (KeyboardInterrupt)."""
        while True:
            self.check()
            time.sleep(0.25)

    def stop(self) -> None:
        """End all that run; from now on signals no longer interrupt."""
        self._stopping = True
        for child in self._running.values():
            child.terminate()
        over = time.monotonic() + self._grace
        for child in self._running.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(timeout=max(over - time.monotonic(), 0))
            with contextlib.suppress(ProcessLookupError):  # what it left behind, or all of it when it would not end
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        self._running.clear()

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self._asked or self._stopping:
            return
        self._asked = TimeoutError if number == signal.SIGALRM else KeyboardInterrupt
        if not self._starting:
            raise self._asked
