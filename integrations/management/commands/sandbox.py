"""`manage.py sandbox`: the sandbox receiver, a process of its own with its own port."""

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from gunicorn.app.base import BaseApplication

from integrations.models import SandboxRequest
from integrations.sandbox.receiver import Receiver


def told(request: SandboxRequest) -> None:
    """One line of JSON on standard output for a request that was kept."""
    line = {
        "inbox": str(request.integration_id),
        "delivery_id": request.delivery_id,
        "received_at": request.received_at.isoformat(),
        "answered": request.answered,
        "body": request.body,
    }
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


class Command(BaseCommand):
    help = "Runs the sandbox receiver at SANDBOX_ADDRESS. Needs SANDBOX=1."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--bind", default=settings.SANDBOX_ADDRESS, help="host:port, or fd://N of an open socket")
        parser.add_argument(
            "--tell", action="store_true", help="write each request to standard output, as a line of JSON"
        )

    def handle(self, *, bind: str, tell: bool, **options: Any) -> None:
        if not settings.SANDBOX:
            raise CommandError("The sandbox receiver starts only with SANDBOX=1 in the environment or in .env.")
        _Server(Receiver(kept=told) if tell else Receiver(), bind=bind).run()


class _Server(BaseApplication):  # type: ignore[misc]  # gunicorn carries no types
    """Gunicorn with one process of many threads: a slow answer must not keep the others waiting."""

    def __init__(self, receiver: Receiver, *, bind: str) -> None:
        self.receiver = receiver
        self.settings = {
            "bind": bind,
            "worker_class": "gthread",
            "workers": 1,
            "threads": 64,
            "keepalive": 30,
            "graceful_timeout": 2,
            "loglevel": "warning",
            "control_socket_disable": True,  # one socket in the home directory, for which all would fight
        }
        super().__init__()

    def load_config(self) -> None:
        for name, value in self.settings.items():
            self.cfg.set(name, value)

    def load(self) -> Receiver:
        return self.receiver
