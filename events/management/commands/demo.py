"""`manage.py demo`: the main job, with nothing but this checkout, shown as it happens. `make demo` runs it.

The whole system runs as it would in earnest, in processes of their own, with settings, secrets and a database that were
made for this one demo and are removed with it. This process itself only asks the API and listens to the sandbox.
"""

import contextlib
import json
import os
import secrets
import socket
import subprocess
import tempfile
from argparse import ArgumentParser
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cryptography.fernet import Fernet
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from events.demo.shop import Arrivals, DemoFailed, Shop
from events.demo.show import Show
from events.processes import ProcessDied, Processes, manage, web

LIMIT = 45  # seconds that --check may take; stopping everything comes on top
KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH")  # of the caller's environment: no settings


class Command(BaseCommand):
    help = "Shows how rewards and redemptions become delivered events, until Ctrl-C; --check does one round."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--check", action="store_true", help="one round, verified; exit code 0 if all was right")

    def handle(self, *, check: bool, **options: Any) -> None:
        settings.VAR_DIR.mkdir(exist_ok=True)
        try:
            with (
                Processes(grace=10, limit=LIMIT if check else 0) as processes,
                tempfile.TemporaryDirectory(prefix="demo-", dir=settings.VAR_DIR) as directory,
            ):
                try:
                    self._perform(processes, Path(directory), check=check)
                except (ProcessDied, DemoFailed, TimeoutError):
                    self._show_log(Path(directory))
                    raise
                finally:
                    processes.stop()  # before the directory goes
        except (ProcessDied, DemoFailed) as error:
            raise CommandError(f"The demo failed: {error}") from None
        except TimeoutError:
            raise CommandError(f"The demo failed: the round was not complete after {LIMIT} s.") from None
        except KeyboardInterrupt:
            if check:
                raise CommandError("The demo was stopped before its round was complete.") from None
            self.stdout.write("\nEverything is stopped, and nothing is left behind.")

    def _perform(self, processes: Processes, directory: Path, *, check: bool) -> None:
        self.stdout.write("Making a database and a coffee shop ...")
        # The system's sockets are opened here and handed on: a port that is only looked up may be taken by then.
        with contextlib.ExitStack() as stack:
            log = stack.enter_context((directory / "log").open("ab"))
            door, inbox = (stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(2))
            address = "http://{}:{}".format(*door.getsockname())
            env = environment(directory, sandbox="{}:{}".format(*inbox.getsockname()))
            processes.run("migration", manage("migrate", "--verbosity=0"), env=env, stderr=log)
            entrance = json.loads(processes.run("sample data", manage("seed_demo"), env=env, stderr=log))
            output: dict[str, Any] = {"env": env, "stderr": log, "stdout": log}
            processes.start("web server", web(bind=f"fd://{door.fileno()}"), pass_fds=[door.fileno()], **output)
            processes.start("cluster", manage("cluster"), **output)
            sandbox = processes.start(
                "sandbox receiver",
                manage("sandbox", "--tell", f"--bind=fd://{inbox.fileno()}"),
                pass_fds=[inbox.fileno()],
                **{**output, "stdout": subprocess.PIPE},
            )
        assert sandbox.stdout is not None
        self.stdout.write(f"  Admin     {address}/admin/\n  Login     {entrance['login']}")
        self.stdout.write(f"  Password  {entrance['password']}\n")
        show = Show(
            Shop(address=address, key=entrance["api_key"]),
            Arrivals(sandbox.stdout),
            send_events=entrance["send_events"],
            say=self.stdout.write,
            alive=processes.check,
        )
        if check:
            show.check()
        else:
            self.stdout.write("Ctrl-C stops everything.\n")
            show.go_on()

    def _show_log(self, directory: Path) -> None:
        lines = (directory / "log").read_text(errors="replace").splitlines()[-30:]
        self.stderr.write("\n".join(["The last lines of the log:", *lines]))


def environment(directory: Path, *, sandbox: str) -> dict[str, str]:
    """Complete settings of a system in this directory, whose sandbox receiver is at that address (host:port)."""
    return {
        **{name: os.environ[name] for name in KEPT if name in os.environ},
        "ENV_FILE": os.devnull,
        "DATABASE_URL": f"sqlite:///{quote(str(directory / 'db.sqlite3'))}",
        "SECRET_KEY": secrets.token_urlsafe(50),
        "ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "ALLOWED_HOSTS": "127.0.0.1",
        "HTTPS": "0",
        "SANDBOX": "1",
        "SANDBOX_ADDRESS": sandbox,
        "CLUSTER_NAME": directory.name,
    }
