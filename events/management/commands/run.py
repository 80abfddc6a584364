"""`manage.py run`: the real system on one machine: web server, cluster, and with SANDBOX=1 the sandbox receiver."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections
from django.db.migrations.executor import MigrationExecutor

from events.processes import ProcessDied, Processes, manage, web


class Command(BaseCommand):
    help = "Runs the web server, the cluster and, with SANDBOX=1, the sandbox receiver, until Ctrl-C."

    def handle(self, **options: Any) -> None:
        if not migrated():
            raise CommandError("The database is not up to date: run `make setup`, then start again.")
        connections.close_all()
        try:
            with Processes(grace=40) as processes:
                processes.start("web server", web(bind=settings.BIND))
                processes.start("cluster", manage("cluster"))
                if settings.SANDBOX:
                    processes.start("sandbox receiver", manage("sandbox"))
                self.stdout.write(f"Loyalty Events runs at http://{settings.BIND}/ (Ctrl-C stops it).")
                processes.wait()
        except ProcessDied as died:
            raise CommandError(f"{died} The others were stopped.") from None
        except KeyboardInterrupt:
            self.stdout.write("Stopped.")


def migrated() -> bool:
    """Whether every migration is applied. Raises CommandError when the database cannot be reached."""
    try:
        executor = MigrationExecutor(connections[DEFAULT_DB_ALIAS])
    except DatabaseError as error:
        raise CommandError(f"The database cannot be reached: {error}") from None
    return not executor.migration_plan(executor.loader.graph.leaf_nodes())
