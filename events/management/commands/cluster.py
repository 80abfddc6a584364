"""`manage.py cluster`: sends what is recorded. Run it on every machine that shall send; never bare `qcluster`."""

from typing import Any

from django.core.management.base import BaseCommand

from events.supervisor import Supervisor


class Command(BaseCommand):
    help = "Runs the senders (Django-Q's cluster) under their supervisor until SIGTERM or Ctrl-C."
    requires_migrations_checks = True

    def handle(self, **options: Any) -> None:
        Supervisor().run()
