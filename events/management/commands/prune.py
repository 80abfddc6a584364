"""`manage.py prune`: deletes what is old and finished, in small steps, beside running senders."""

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import models, transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from customers.models import KeptAnswer
from events import totals
from events.models import Attempt, Delivery, Exchange, Occurrence, Replay, Tally
from integrations.models import SandboxRequest

BATCH = 1000  # rows of one transaction
LEAST, LONGEST = 1, 36_500  # days


class Command(BaseCommand):
    help = "Deletes finished deliveries, their log, and occurrences that nothing refers to, older than --days."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--days", type=int, default=90, help="how many days to keep (default: 90)")

    def handle(self, *, days: int, **_: Any) -> None:
        if not LEAST <= days <= LONGEST:
            raise CommandError(
                f"--days is from {LEAST} to {LONGEST}: what is younger than a day may still be looked at."
            )
        totals.add_up()  # what the metrics have counted stays counted
        before = timezone.now() - timedelta(days=days)
        referred = Delivery.objects.filter(occurrence=OuterRef("pk"))
        logged = Attempt.objects.filter(exchange=OuterRef("pk"))
        old = {
            "Deliveries": Delivery.objects.finished().filter(finished_at__lt=before),
            "Exchanges": Exchange.objects.filter(~Exists(logged), started_at__lt=before),
            "Occurrences": Occurrence.objects.filter(~Exists(referred), occurred_at__lt=before, error=""),
            "Replays": Replay.objects.filter(finished_at__lt=before),
            "Tallies": Tally.objects.filter(minute__lt=before),
            "Sandbox requests": SandboxRequest.objects.filter(received_at__lt=before),
            "Kept answers": KeptAnswer.objects.expired(),  # of Idempotency-Keys: a day, whatever --days says
        }
        for name, rows in old.items():
            self.stdout.write(f"{name}: {_delete(rows)} deleted")


def _delete(rows: models.QuerySet[Any]) -> int:
    """Delete these rows, oldest first, a batch at a time; what was deleted stays so when this is interrupted."""
    gone = 0
    while count := _delete_some(rows):
        gone += count
    return gone


def _delete_some(rows: models.QuerySet[Any]) -> int:
    with transaction.atomic():
        # Locked first, or one of them might be made due anew between the look and the deletion; what somebody else is
        # at is left for another time. Keys grow with time: the oldest rows are found from the start of the primary key.
        locked = rows.order_by("pk").select_for_update(skip_locked=True, of=("self",))
        ids = list(locked.values_list("pk", flat=True)[:BATCH])
        rows.filter(pk__in=ids).delete()  # asked again, now that nobody can change them
    return len(ids)
