"""Waking those who work: a task says only "look", so that a lost or doubled one is harmless. The rows are the jobs."""

import logging
from collections.abc import Callable
from datetime import timedelta

from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django_q.tasks import async_task

from events.looks import there
from events.models import WakeUp

logger = logging.getLogger(__name__)

LOST_AFTER = timedelta(seconds=5)  # a wake-up that nobody followed for so long is sent again
AHEAD = timedelta(seconds=1)  # one that was asked for later than this was asked for before the clock was put back
SENDERS, REPLAYS = 1, 2  # a row of WakeUp for each


def wake() -> None:
    """Queue one wake-up, unless one is on its way. Never raises: without a broker, the cluster's clock finds the work."""
    _wake(SENDERS, send_wake_up)


def send_wake_up() -> None:
    """Queue a wake-up in any case: the successor of a sender whose time is over."""
    async_task("events.tasks.send_due", task_name="send-due")


def wake_replays() -> None:
    """The same for those who go on with replays."""
    _wake(REPLAYS, lambda: async_task("events.tasks.go_on_with_replays", task_name="replays"))


def woken(row: int = SENDERS) -> None:
    """The wake-up arrived: who commits from now on asks for another one."""
    WakeUp.objects.filter(pk=row, asked_at__isnull=False).update(asked_at=None)


def _wake(row: int, queue: Callable[[], object]) -> None:
    try:
        if _ask(row):
            queue()
    except Exception:
        logger.exception("The workers could not be woken; the cluster's clock will find the work")


_UNDER_WAY = Q(asked_at__gt=Now() - LOST_AFTER, asked_at__lte=Now() + AHEAD)


def _on_its_way(row: int) -> QuerySet[WakeUp]:
    return WakeUp.objects.filter(_UNDER_WAY, pk=row)


def _ask(row: int) -> bool:
    """Whether this caller is the one to queue the wake-up."""
    (on_its_way,) = there((_on_its_way, row))  # a look costs no write lock
    if on_its_way:
        return False
    if WakeUp.objects.filter(Q(asked_at=None) | ~_UNDER_WAY, pk=row).update(asked_at=Now()):
        return True
    if WakeUp.objects.filter(pk=row).exists():
        return False
    WakeUp.objects.bulk_create([WakeUp(pk=row, asked_at=Now())], ignore_conflicts=True)
    return True
