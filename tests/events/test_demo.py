"""The demo, as `make demo` starts it: the whole system in processes of its own. And `manage.py run`."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE

import pytest

from events.management.commands.seed_demo import STORE
from tests.concurrency import ROOT, database_url
from tests.factories import make_store

pytestmark = pytest.mark.cluster

MANAGE = [sys.executable, str(ROOT / "manage.py")]
linux = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for processes in /proc")


def manage(*words: str, **environment: str) -> subprocess.Popen[str]:
    """A command, with these variables besides those of the tests."""
    return subprocess.Popen([*MANAGE, *words], env={**os.environ, **environment}, text=True, stdout=PIPE, stderr=PIPE)


def lines_until(process: subprocess.Popen[str], part: str) -> list[str]:
    """What it writes, up to the line with this part; a process that never writes it is killed."""
    assert process.stdout is not None
    lines: list[str] = []
    alarm = threading.Timer(90, process.kill)
    alarm.start()
    try:
        for line in process.stdout:
            lines.append(line)
            if part in line:
                return lines
    finally:
        alarm.cancel()
    raise AssertionError(f"never wrote {part!r}: {lines}")


class Mark:
    """An empty directory as TMPDIR: by it a process and all that it started are known."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir()

    def processes(self) -> dict[int, str]:
        """The marked processes that live: their command lines."""
        found = {}
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if f"TMPDIR={self.directory}\0".encode() in process.joinpath("environ").read_bytes():
                    found[int(process.name)] = process.joinpath("cmdline").read_text().replace("\0", " ")
            except OSError:  # it just ended, or is another user's
                continue
        return found

    def databases(self) -> set[Path]:
        """The directories in which the marked processes have their databases."""
        found = set()
        for number in self.processes():
            try:
                variables = Path(f"/proc/{number}/environ").read_text().split("\0")
            except OSError:
                continue
            paths = [value.removeprefix("DATABASE_URL=sqlite:///") for value in variables]
            found |= {Path(path).parent for path in paths if Path(path).parent.name.startswith("demo-")}
        return found


@pytest.fixture
def mark(tmp_path: Path) -> Mark:
    return Mark(tmp_path / "mark")


@pytest.fixture
def demo(mark: Mark) -> Iterator[subprocess.Popen[str]]:
    process = manage("demo", TMPDIR=str(mark.directory))
    yield process
    process.kill()
    process.communicate()


class TestDemo:
    @linux
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_shows_events_until_it_is_stopped_and_leaves_nothing(
        self, demo: subprocess.Popen[str], mark: Mark, number: signal.Signals
    ) -> None:
        start = "".join(lines_until(demo, "Ctrl-C stops everything"))
        assert "  Admin     http://127.0.0.1:" in start
        assert "  Login     mia@bean-and-leaf.example\n  Password  " in start
        shown = lines_until(demo, "arrived   walletreward_create")
        assert shown[-1].endswith(" ms\n")
        assert any("recorded  walletreward_create" in line for line in shown)
        assert any("no match  coins_redeemed: Wallet Transaction Types is one of Redeem" in line for line in shown)
        assert max(len(line.rstrip("\n")) for line in shown) <= 80
        (directory,) = mark.databases()
        assert directory.exists()
        demo.send_signal(number)
        output, errors = demo.communicate(timeout=60)
        assert (demo.returncode, errors) == (0, "")
        assert output.endswith("\nEverything is stopped, and nothing is left behind.\n")
        assert mark.processes() == {}
        assert not directory.exists()

    def test_checks_one_round_twice_at_once(self, tmp_path: Path) -> None:
        """Each with its own ports, database and secrets, whatever the caller's settings are."""
        both = [
            manage("demo", "--check", SANDBOX="0", ALLOWED_HOSTS="elsewhere.example", PYTHONUNBUFFERED="1")
            for _ in range(2)
        ]
        for process in both:
            output, errors = process.communicate(timeout=90)
            assert (process.returncode, errors) == (0, ""), output
            assert output.count("  arrived   ") == output.count("  logged    sent, answer 200") == 3
            assert output.count("  no match  ") == 4
            assert output.endswith("\nAll of it was received, once, and logged; what did not match was not sent.\n")

    @linux
    def test_says_which_process_died(self, mark: Mark) -> None:
        process = manage("demo", "--check", TMPDIR=str(mark.directory))
        lines_until(process, "Password")
        for number, command in mark.processes().items():
            if command.endswith("manage.py cluster "):
                os.kill(number, signal.SIGKILL)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 1
        assert errors.startswith("The last lines of the log:\n")
        assert errors.endswith("CommandError: The demo failed: The cluster was killed by SIGKILL.\n")


class TestSeedDemo:
    @pytest.mark.django_db(transaction=True)
    def test_is_for_a_new_database(self) -> None:
        make_store(name=STORE)
        process = manage("seed_demo", DATABASE_URL=database_url())
        assert process.communicate(timeout=60) == (
            "",
            "CommandError: There is a store Bean & Leaf already: seed_demo is for a new database.\n",
        )
        assert process.returncode == 1


@pytest.mark.django_db(transaction=True)
class TestRun:
    @linux
    def test_runs_everything_until_it_is_stopped(self, mark: Mark) -> None:
        process = manage(
            "run",
            DATABASE_URL=database_url(),
            BIND="127.0.0.1:0",
            SANDBOX_ADDRESS="127.0.0.1:0",
            TMPDIR=str(mark.directory),
        )
        lines_until(process, "Loyalty Events runs at http://127.0.0.1:0/ (Ctrl-C stops it).")
        over = time.monotonic() + 60
        while not any("qcluster" in command for command in mark.processes().values()):
            assert time.monotonic() < over
        commands = " ".join(mark.processes().values())
        assert "gunicorn config.wsgi" in commands
        assert "manage.py sandbox" in commands
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=60)
        assert (process.returncode, output) == (0, "Stopped.\n"), errors
        assert mark.processes() == {}

    def test_stops_the_others_when_one_dies(self) -> None:
        process = manage("run", DATABASE_URL=database_url(), BIND="127.0.0.1:nowhere", SANDBOX="0")
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 1
        assert errors.endswith("CommandError: The web server ended with status 1. The others were stopped.\n")

    def test_wants_the_database_up_to_date(self, tmp_path: Path) -> None:
        process = manage("run", DATABASE_URL=f"sqlite:///{tmp_path / 'empty.sqlite3'}")
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 1
        assert errors == "CommandError: The database is not up to date: run `make setup`, then start again.\n"
