"""Real processes of the system for tests, on the database and the broker of this run."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection

ROOT = Path(__file__).resolve().parent.parent


def environment(**more: str) -> dict[str, str]:
    """The environment in which another process finds the database of this test."""
    database = connection.settings_dict
    if connection.vendor == "sqlite":
        url = f"sqlite:///{database['NAME']}"
    else:
        user, host, port = database["USER"], database["HOST"], database["PORT"]
        url = f"postgres://{user}:{database['PASSWORD']}@{host}:{port}/{database['NAME']}"
    allowed = ",".join(settings.ALLOWED_PRIVATE_HOSTS)
    return {**os.environ, "DATABASE_URL": url, "ALLOWED_PRIVATE_HOSTS": allowed, **more}


def manage(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
    """`manage.py` with these words, to its end."""
    command = [sys.executable, "manage.py", *words]
    return subprocess.run(command, cwd=ROOT, env=environment(**more), capture_output=True, text=True, timeout=60)


def script(code: str) -> subprocess.CompletedProcess[str]:
    """A process with Django set up that runs this code."""
    setup = "import django; django.setup()\n"
    command = [sys.executable, "-c", setup + code]
    variables = environment(DJANGO_SETTINGS_MODULE="config.settings")
    return subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=60)


@contextmanager
def cluster(**more: str) -> Iterator[subprocess.Popen[bytes]]:
    """`manage.py cluster` while the block runs; told to stop at its end, and killed when it does not."""
    process = subprocess.Popen([sys.executable, "manage.py", "cluster"], cwd=ROOT, env=environment(**more))
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            raise


def wait_until(holds: Callable[[], Any], *, seconds: float = 40.0) -> Any:
    """What `holds` returns as soon as it is true. Fails when that is not in time."""
    ends = time.monotonic() + seconds
    while not (value := holds()):
        assert time.monotonic() < ends, f"not within {seconds} s: {holds}"
        time.sleep(0.05)
    return value
