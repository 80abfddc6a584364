"""Processes: children that live and die together. The children are real."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from events.processes import ProcessDied, Processes

OBEDIENT = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
print("ready", flush=True)
time.sleep(60)
"""
STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
time.sleep(60)
"""


def python(program: str) -> list[str]:
    return [sys.executable, "-c", program]


def start(processes: Processes, program: str) -> tuple[subprocess.Popen[bytes], str]:
    """A child, when it is ready, and its first line."""
    child = processes.start("child", python(program), stdout=subprocess.PIPE)
    assert child.stdout is not None
    return child, child.stdout.readline().decode().strip()


def gone(pid: int) -> bool:
    """Whether it ended, soon (its new parent must reap it)."""
    over = time.monotonic() + 10
    while time.monotonic() < over:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        if Path(f"/proc/{pid}/stat").exists() and Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z":
            return True
        time.sleep(0.01)
    return False


class TestStop:
    def test_ends_every_child(self) -> None:
        with Processes(grace=30) as processes:
            child, _ = start(processes, OBEDIENT)
        assert child.returncode == 0

    def test_kills_a_stubborn_one_with_all_it_started(self) -> None:
        with Processes(grace=0.1) as processes:
            child, grandchild = start(processes, STUBBORN)
        assert child.returncode == -signal.SIGKILL
        assert gone(int(grandchild))

    def test_ends_them_when_something_else_fails(self) -> None:
        children = []

        def fail() -> None:
            with Processes(grace=30) as processes:
                children.append(start(processes, OBEDIENT)[0])
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()
        assert children[0].returncode == 0

    def test_may_be_called_again(self) -> None:
        with Processes(grace=30) as processes:
            start(processes, OBEDIENT)
            processes.stop()
            processes.stop()


class TestCheck:
    def test_is_silent_while_all_live(self) -> None:
        with Processes(grace=30) as processes:
            start(processes, OBEDIENT)
            processes.check()

    @pytest.mark.parametrize(
        ("last", "sentence"),
        [
            ("sys.exit(3)", "The child ended with status 3."),
            ("os.kill(os.getpid(), signal.SIGKILL)", "The child was killed by SIGKILL."),
        ],
    )
    def test_says_which_one_died_and_how(self, last: str, sentence: str) -> None:
        with Processes(grace=30) as processes:
            other = processes.start("other", python(OBEDIENT))
            processes.start("child", python(f"import os, signal, sys; {last}"))
            with pytest.raises(ProcessDied) as died:
                processes.wait()
        assert str(died.value) == sentence
        assert other.returncode is not None


class TestRun:
    def test_returns_what_was_written(self) -> None:
        with Processes(grace=30) as processes:
            assert processes.run("child", python("print('done')")) == b"done\n"
            processes.check()  # it is no longer expected to live

    def test_raises_when_it_failed(self) -> None:
        with Processes(grace=30) as processes, pytest.raises(ProcessDied, match=r"The child ended with status 5\."):
            processes.run("child", python("raise SystemExit(5)"))


class TestSignals:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    def test_interrupt_and_end_every_child(self, number: signal.Signals) -> None:
        with Processes(grace=30) as processes:
            child, _ = start(processes, OBEDIENT)
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), number)
        assert child.returncode == 0

    def test_interrupt_once_and_not_the_stopping(self) -> None:
        with Processes(grace=30) as processes:
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGTERM)
            processes.stop()
            os.kill(os.getpid(), signal.SIGTERM)

    def test_a_limit_raises_timeout_error(self) -> None:
        with Processes(grace=30, limit=1) as processes:
            start(processes, OBEDIENT)
            with pytest.raises(TimeoutError):
                processes.wait()

    def test_are_as_before_afterwards(self) -> None:
        before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)]
        with Processes(grace=30, limit=60):
            pass
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)] == before
        assert signal.alarm(0) == 0
