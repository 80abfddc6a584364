"""A machine of its own for each scenario: PostgreSQL, Redis, a clock, and the system's real processes, all to be killed."""

import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import redis

from tests.soak import programs
from tests.soak.programs import below, free_port, kill, marked, run, wait_until

ROOT = Path(__file__).resolve().parent.parent.parent
LEASE = 31  # seconds after which a dead sender's lease is over
# Which sleeps before it reads any settings.
GUNICORN = "import tests.soak; from gunicorn.app.wsgiapp import run; run(prog='gunicorn')"


class PostgreSQL:
    """A server of its own on a free port, as an unprivileged user."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.port = free_port()
        self.server: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"postgres://soak@127.0.0.1:{self.port}/postgres"

    def create(self) -> None:
        """A new, empty cluster of databases at its place."""
        self.place.mkdir()
        who = programs.unprivileged()
        if who:
            os.chown(self.place, who["user"], who["group"])
        initdb = [programs.postgresql("initdb"), "--no-sync", "-U", "soak", "--auth=trust", "-E", "UTF8", "--locale=C"]
        run([*initdb, "-D", str(self.place)], cwd="/", **who)

    def start(self, **environment: str) -> None:
        """Start it, and wait until it answers; also after a crash."""
        settings = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "max_connections": "200"}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self.server = subprocess.Popen(
            [programs.postgresql("postgres"), "-D", str(self.place), "-p", str(self.port), *options],
            cwd="/",
            env={**os.environ, **environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **programs.unprivileged(),
        )
        wait_until(self._answers, what="PostgreSQL answers")

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT: orderly (fast). SIGQUIT: immediate, as a crash, to be recovered from at the next start."""
        if self.server and self.server.poll() is None:
            self.server.send_signal(how)
            self.server.wait(60)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(sql)  # the tests' own SQL
            return list(cursor.fetchall()) if cursor.description else []

    def _answers(self) -> bool:
        assert self.server
        assert self.server.poll() is None, "PostgreSQL ended by itself"
        with suppress(psycopg.OperationalError):
            return self.rows("SELECT 1") == [(1,)]
        return False


class SQLite:
    """The embedded default: a file."""

    def __init__(self, place: Path) -> None:
        self.place = place

    @property
    def url(self) -> str:
        return f"sqlite:///{self.place}"

    def create(self) -> None:
        """The first process that needs it makes it."""

    def start(self, **_: str) -> None:
        """It is there."""

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """It has no process."""

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with sqlite3.connect(self.place, timeout=60) as connection:
            return list(connection.execute(sql).fetchall())


class Redis:
    """A server of its own on a free port, which keeps nothing."""

    def __init__(self) -> None:
        self.port = free_port()
        self.server: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        command = [programs.redis_server(), "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        self.server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")
        wait_until(self._answers, what="Redis answers")

    def flush(self) -> None:
        with redis.Redis.from_url(self.url) as client:
            client.flushall()

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self.server and self.server.poll() is None:
            self.server.send_signal(how)
            self.server.wait(60)

    def _answers(self) -> bool:
        with redis.Redis.from_url(self.url) as client, suppress(redis.RedisError):
            return bool(client.ping())
        return False


@dataclass
class Running:
    """A process of the system, with all that it started."""

    process: subprocess.Popen[bytes]

    @property
    def tree(self) -> list[int]:
        return [self.process.pid, *below(self.process.pid)]

    def kill(self) -> None:
        """All of it at once, as when the power fails."""
        kill(*self.tree)
        self.process.wait()

    def terminate(self, *, within: float) -> int:
        """SIGTERM to the main process; its exit status. Fails when it takes longer, in seconds."""
        self.process.terminate()
        return self.process.wait(within)


class Machine:
    """Everything of one installation. `kind`: redis, orm (PostgreSQL is the broker as well) or sqlite."""

    def __init__(self, place: Path, *, kind: str, tools: Sequence[str]) -> None:
        self.place = place
        self.kind = kind
        self.mark = f"soak-{uuid4().hex}"
        self.tools = tools  # host:port pairs that it may call
        self.database = SQLite(place / "db.sqlite3") if kind == "sqlite" else PostgreSQL(place / "postgresql")
        self.redis = Redis() if kind == "redis" else None
        self.running: list[Running] = []
        self.clock = place / "clock"
        self.clock.write_text("+0")
        self.clock.chmod(0o644)
        self.ahead = 0  # seconds of its clock before the true time
        self.log = place / "log"

    # --- Its environment ---------------------------------------------------------------------------------------------

    def environment(self) -> dict[str, str]:
        """Of every process of the system."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.place),
            "PYTHONPATH": str(ROOT),
            "SOAK": self.mark,
            "DJANGO_SETTINGS_MODULE": "tests.soak.settings",
            "ENV_FILE": os.devnull,
            "HTTPS": "0",
            "SECRET_KEY": "only-for-soaking-" + "x" * 40,
            "ENCRYPTION_KEYS": "K9zLk5v1Q4WJYgqHc2mWb1xk8k2u0m7c0l2b4Q3n5pE=",
            "ALLOWED_HOSTS": "127.0.0.1",
            "ALLOWED_PRIVATE_HOSTS": ",".join(self.tools),
            "CLUSTER_NAME": self.mark,
            "DATABASE_URL": self.database.url,
            "REDIS_URL": self.redis.url if self.redis else "",
            "SENDER_SLOTS": "8",
            "SOAK_PLACE": str(self.place),
            **self.faked(),
        }

    def move(self, seconds: int) -> None:
        """Set its clock so far before the true time, for all who live by it, from now on."""
        new = self.place / "clock.new"
        new.write_text(f"{seconds:+d}")
        new.chmod(0o644)
        new.replace(self.clock)
        self.ahead = seconds

    def let_pass(self, seconds: int) -> None:
        """So much time is over in a moment: nobody waits for a lease or for the next try."""
        self.move(self.ahead + seconds)

    def faked(self) -> dict[str, str]:
        """What makes a process live by its clock."""
        return {
            "LD_PRELOAD": programs.faketime(),
            "FAKETIME_TIMESTAMP_FILE": str(self.clock),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DONT_RESET": "1",
        }

    # --- Its life ----------------------------------------------------------------------------------------------------

    def start(self, template: Path | None = None) -> None:
        """Its services, from the files of another one that was made ready, or new and empty."""
        if template is None:
            self.database.create()
        else:
            run(["cp", "-a", str(template), str(self.database.place)])
        self.database.start(**self.faked())
        if self.redis:
            self.redis.start()

    def stop(self) -> None:
        """Everything: nothing of it is left."""
        for one in self.running:
            one.kill()
        kill(*marked(self.mark))
        self.database.stop(signal.SIGQUIT)
        if self.redis:
            self.redis.stop(signal.SIGKILL)
        shutil.rmtree(self.place, ignore_errors=True)

    def launch(self, command: Sequence[str], **environment: str) -> Running:
        """Start a process of the system in a session of its own; what it says goes to the log."""
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**self.environment(), **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        running = Running(process)
        self.running.append(running)
        return running

    # --- What runs on it ---------------------------------------------------------------------------------------------

    def cluster(self, *, workers: int = 2) -> Running:
        """`manage.py cluster`, once it is known to live."""
        before = self.heartbeats("supervisor")
        running = self.launch([sys.executable, "manage.py", "cluster"], CLUSTER_WORKERS=str(workers))
        name = f"supervisor {socket.gethostname()} {running.process.pid}"
        wait_until(lambda: name in self.heartbeats("supervisor") - before, what="the cluster starts")
        return running

    def web(self) -> Running:
        """The web server at `self.address`."""
        command = [sys.executable, "-c", GUNICORN, "config.wsgi", "--bind", self.address, "--workers", "1"]
        running = self.launch([*command, "--no-control-socket", "--log-level", "warning"])
        host, port = self.address.split(":")

        def listens() -> bool:
            with suppress(OSError), socket.create_connection((host, int(port)), 1):
                return True
            return False

        wait_until(listens, what="the web server listens")
        return running

    @cached_property
    def address(self) -> str:
        return f"127.0.0.1:{free_port()}"

    def scene(self, *words: str) -> Any:
        """What `tests.soak.scene` says about this, to its end."""
        command = [sys.executable, "-m", "tests.soak.scene", *words]
        return json.loads(run(command, cwd=ROOT, env=self.environment()))

    def producer(self, *words: str) -> Running:
        """A process that records events, beside everything else."""
        return self.launch([sys.executable, "-m", "tests.soak.scene", "produce", *words])

    def manage(self, *words: str) -> str:
        return run([sys.executable, "manage.py", *words], cwd=ROOT, env=self.environment())

    # --- What can be seen of it --------------------------------------------------------------------------------------

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """What this query finds. Raises when the database is down."""
        return self.database.rows(sql)

    def count(self, where: str = "1 = 1") -> int:
        """Deliveries for which this holds."""
        number: int = self.rows(f"SELECT count(*) FROM events_delivery WHERE {where}")[0][0]
        return number

    def heartbeats(self, kind: str) -> set[str]:
        return {name for (name,) in self.rows(f"SELECT name FROM events_heartbeat WHERE kind = '{kind}'")}

    def senders(self, cluster: Running) -> list[int]:
        """The ids of the worker processes of this cluster that have sent something."""
        known = {int(name.rsplit(" ", 1)[1]) for name in self.heartbeats("sender")}
        return [process for process in cluster.tree if process in known]

    def unknown(self) -> dict[str, int]:
        """How often the outcome of a call was not known, by delivery."""
        rows = self.rows(
            "SELECT delivery_id, count(*) FROM events_attempt WHERE outcome = 'unknown' GROUP BY delivery_id"
        )
        return {str(delivery).replace("-", ""): number for delivery, number in rows}

    def said(self) -> str:
        """The end of what its processes said."""
        return self.log.read_text(errors="replace")[-20_000:] if self.log.exists() else ""


@contextmanager
def machine(place: Path, template: Path | None, **options: Any) -> Iterator[Machine]:
    """One that is ready, while the block runs."""
    place.mkdir(parents=True)
    place.chmod(0o755)  # PostgreSQL is another user
    new = Machine(place, **options)
    try:
        new.start(template)
        yield new
    finally:
        new.stop()
