"""What a scenario needs of the machine it runs on, and the processes it starts there."""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

UNPRIVILEGED = ("postgres", "nobody")  # PostgreSQL refuses to run as root


class Missing(Exception):
    """Something that is not installed here, in a sentence."""


@cache
def postgresql(name: str) -> str:
    """Where this program of PostgreSQL is. Raises Missing."""
    places = [Path(found).parent] if (found := shutil.which(name)) else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for place in places:
        if (place / name).exists():
            return str(place / name)
    raise Missing(f"PostgreSQL's {name} is not installed here (Debian, Ubuntu: apt install postgresql).")


@cache
def redis_server() -> str:
    """Where Redis is. Raises Missing."""
    if found := shutil.which("redis-server"):
        return found
    raise Missing("redis-server is not installed here (Debian, Ubuntu: apt install redis-server).")


@cache
def faketime() -> str:
    """The library that moves the clock of a process. Raises Missing."""
    places = [Path("/usr/lib"), Path("/usr/lib64"), Path("/usr/local/lib"), Path("/opt/homebrew/lib")]
    for place in places:
        if found := next(iter(sorted(place.glob("**/faketime/libfaketimeMT.so.1"))), None):
            return str(found)
    raise Missing("libfaketime is not installed here (Debian, Ubuntu: apt install libfaketime).")


@cache
def unprivileged() -> dict[str, Any]:
    """Who runs PostgreSQL, as arguments of Popen: root may not; anybody else does it as herself. Raises Missing."""
    if os.geteuid() != 0:
        return {}
    for name in UNPRIVILEGED:
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    raise Missing(f"Root must not run PostgreSQL, and there is no user {' or '.join(UNPRIVILEGED)} here.")


def free_port() -> int:
    """One on which nobody listens now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def wait_until(holds: Callable[[], Any], *, seconds: float = 300.0, what: str = "") -> Any:
    """What `holds` returns as soon as it is true. Fails, saying what it waited for, when that is not in time."""
    ends = time.monotonic() + seconds
    while not (value := holds()):
        assert time.monotonic() < ends, f"not within {seconds:.0f} s: {what or holds}"
        time.sleep(0.05)
    return value


def processes() -> Iterator[tuple[int, int]]:
    """Id and parent of every process here that is not over."""
    for place in Path("/proc").iterdir():
        if place.name.isdigit():
            try:
                state, parent = (place / "stat").read_text().rpartition(") ")[2].split()[:2]
            except (FileNotFoundError, ProcessLookupError):
                continue
            if state != "Z":
                yield int(place.name), int(parent)


def below(process: int) -> list[int]:
    """The ids of all processes below this one, each after its parent."""
    children: dict[int, list[int]] = {}
    for child, parent in processes():
        children.setdefault(parent, []).append(child)
    found = list(children.get(process, ()))
    for one in found:  # grows while it is walked
        found += children.get(one, ())
    return found


def kill(*ids: int) -> None:
    """SIGKILL them, whoever is still there; parents first, so that nobody is replaced."""
    for one in ids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(one, signal.SIGKILL)


def over(process: int) -> bool:
    """Whether it lives no more; whoever started it may not have noticed yet."""
    return process not in {one for one, _ in processes()}


def marked(mark: str) -> list[int]:
    """The ids of all processes in whose environment this text is: also of those whose parents are gone."""
    found = []
    for process, _ in processes():
        try:
            if mark.encode() in Path(f"/proc/{process}/environ").read_bytes():
                found.append(process)
        except (OSError, PermissionError):
            continue
    return found


def owner_of(port: int, among: list[int]) -> int:
    """Which of these processes holds the connection from this local port."""
    wanted = f":{port:04X}"
    inodes = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        columns = line.split()
        if columns[1].endswith(wanted) and columns[9] != "0":
            inodes.add(f"socket:[{columns[9]}]")
    for process in among:
        try:
            if any(os.readlink(file) in inodes for file in Path(f"/proc/{process}/fd").iterdir()):
                return process
        except OSError:
            continue
    raise AssertionError(f"nobody holds the connection from port {port}")


def run(command: list[str], **options: Any) -> str:
    """Run it to its end; what it printed. Fails with what it said when it failed."""
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, **options)
    assert result.returncode == 0, f"{command} ended with {result.returncode}:\n{result.stdout}\n{result.stderr}"
    printed: str = result.stdout
    return printed
