"""Several at once, in earnest: threads with connections of their own, and processes on the settings of production."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from django.conf import settings
from django.db import connection

ROOT = Path(__file__).resolve().parent.parent
LONGEST = 60.0  # seconds, then it hangs

T = TypeVar("T")


def at_once(*jobs: Callable[[], T]) -> list[T | Exception]:
    """Run the jobs in threads that start together; for each, in order, what it returned or the exception it raised.

    Each thread has a database connection of its own: the test needs `django_db(transaction=True)`.
    """
    outcomes: list[T | Exception | None] = [None] * len(jobs)
    start = threading.Barrier(len(jobs), timeout=LONGEST)

    def run(number: int, job: Callable[[], T]) -> None:
        try:
            connection.ensure_connection()
            start.wait()
            outcomes[number] = job()
        except Exception as error:  # noqa: BLE001 - the test looks at it
            outcomes[number] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(number, job), daemon=True) for number, job in enumerate(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONGEST)
        assert not thread.is_alive(), "a thread hangs"
    return outcomes  # type: ignore[return-value]  # each was filled by its thread


def processes_at_once(program: str, arguments: Sequence[Sequence[str]]) -> list[str]:
    """Run a Python program in as many processes, each with its arguments; what each of them printed.

    Django is set up on this test's database, with the settings of production otherwise. The program starts with
    `ready()`, which returns when all the others are there as well.
    """
    environment = {**os.environ, "DATABASE_URL": database_url(), "PYTHONPATH": str(ROOT)}
    runners = [
        subprocess.Popen(
            [sys.executable, "-c", PREAMBLE + program, *words],
            env=environment,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for words in arguments
    ]
    try:
        for runner in runners:
            assert runner.stdout is not None
            line = runner.stdout.readline()
            assert line == "ready\n", line + (runner.stderr.read() if runner.stderr else "")
        for runner in runners:
            assert runner.stdin is not None
            runner.stdin.write("go\n")
            runner.stdin.flush()
        printed = []
        for runner in runners:
            output, errors = runner.communicate(timeout=LONGEST)
            assert runner.returncode == 0, errors
            printed.append(output)
        return printed
    finally:
        for runner in runners:
            if runner.poll() is None:
                runner.kill()
                runner.communicate()


PREAMBLE = """
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
import django
django.setup()

def ready():
    from django.db import connection
    connection.ensure_connection()
    print("ready", flush=True)
    sys.stdin.readline()

"""


def database_url() -> str:
    """Of the database that this test uses, for processes that it starts."""
    name = settings.DATABASES["default"]["NAME"]
    if connection.vendor == "sqlite":
        return f"sqlite:///{name}"
    return f"{os.environ['DATABASE_URL'].rpartition('/')[0]}/{name}"
