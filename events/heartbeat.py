"""Heartbeats: processes say that they live, in the database, for the supervisor, `doctor` and the health page."""

import os
import socket
import time
from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from django.db.models.functions import Now

from events.models import Heartbeat

EVERY = 1.0  # seconds
FORGOTTEN_AFTER = timedelta(hours=1)
AHEAD = timedelta(seconds=1)

_last: dict[tuple[str, int], float] = {}


def beat(kind: str, state: dict[str, Any] | None = None) -> None:
    """This process lives, and works as this kind (sender, supervisor). At most one write a second."""
    key = (kind, os.getpid())
    if time.monotonic() - _last.get(key, -EVERY) < EVERY:
        return
    _last[key] = time.monotonic()
    name = f"{kind} {socket.gethostname()} {os.getpid()}"
    Heartbeat.objects.bulk_create(
        [Heartbeat(name=name, kind=kind, beat_at=Now(), state=state or {})],
        update_conflicts=True,
        unique_fields=["name"],
        update_fields=["beat_at", "state"],
    )


def alive(kind: str, *, within: timedelta) -> bool:
    """Whether any process of this kind was heard of in this time."""
    return _heard(kind, within).exists()


def count(kind: str, *, within: timedelta) -> int:
    """How many processes of this kind were heard of in this time."""
    return _heard(kind, within).count()


def _heard(kind: str, within: timedelta) -> QuerySet[Heartbeat]:
    # What claims to come from the future was written before the clock was put back: it says nothing.
    return Heartbeat.objects.filter(kind=kind, beat_at__gte=Now() - within, beat_at__lte=Now() + AHEAD)


def forget_old() -> int:
    """Drop processes that have been silent for an hour; returns how many."""
    return Heartbeat.objects.filter(beat_at__lt=Now() - FORGOTTEN_AFTER).delete()[0]
