"""`manage.py deliver`: sends what is due now, without a cluster."""

from typing import Any

from django.core.management.base import BaseCommand

from events import claims, sending


class Command(BaseCommand):
    help = "Sends what is due now, in this process, and ends. For machines without a cluster, and for a look."
    requires_migrations_checks = True

    def handle(self, **options: Any) -> None:
        tries = 0
        while made := sending.deliver():
            tries += made
            if not claims.anything_to_do():
                break
        self.stdout.write(f"{tries} {'delivery' if tries == 1 else 'deliveries'} tried.")
