"""A clock that was put back must keep nobody waiting for the time that passes twice.

All waiting is by the database's clock. What was planned while it was an hour ahead would wait an hour too long, so nothing
may wait longer than its own rule says, whoever planned it. Put forward, a clock does no harm: leases end early, and what a
sender still has under way is tried again under its old id.
"""

import logging
from datetime import timedelta

from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone
from django_q.models import Schedule

from events.claims import LEASE
from events.lanes import PROBES
from events.models import Delivery, Lane
from events.models.delivery import DeliveryStatus
from events.results import JITTER, RETRY_DELAYS
from integrations.destinations.base import LONGEST_WAIT

logger = logging.getLogger(__name__)

EVERY = 20.0  # seconds between two looks
TOLERANCE = timedelta(seconds=15)  # clocks of several machines, and rows under way
# How long a delivery may wait after so many tries; it waits longer only while its lane was asked to wait.
WAITS = (timedelta(), *(timedelta(seconds=seconds * (1 + JITTER)) for seconds in RETRY_DELAYS))


def correct() -> int:
    """Nothing waits longer than its rule says; returns how many rows did. Harmless at any time, from any process."""
    corrected = _deliveries() + _lanes() + _schedules()
    if corrected:
        logger.warning("The database's clock was put back: %d rows were planned too late, and are due now", corrected)
    return corrected


def _later_than(name: str, wait: timedelta) -> Q:
    return Q(**{f"{name}__gt": Now() + wait + TOLERANCE})


def _deliveries() -> int:
    asked_to_wait = Lane.objects.filter(not_before__gt=Now()).values("integration")
    too_late = Q()
    for tries, wait in enumerate(WAITS):
        too_late |= Q(tries=tries) & _later_than("next_attempt_at", wait)
    pending = Delivery.objects.cancellable().filter(too_late)
    sending = Delivery.objects.filter(_later_than("leased_until", LEASE), status=DeliveryStatus.SENDING)
    return pending.exclude(integration__in=asked_to_wait).update(next_attempt_at=Now()) + sending.update(
        leased_until=Now() + LEASE
    )


def _lanes() -> int:
    probe = Q()
    for closed, gaps in PROBES.items():
        probe |= Q(closed=closed) & _later_than("probe_at", timedelta(seconds=max(gaps)))
    rows = Lane.objects.all()
    return (
        rows.filter(probe).update(probe_at=Now())
        + rows.filter(_later_than("not_before", timedelta(seconds=LONGEST_WAIT))).update(not_before=Now())
        + rows.filter(_later_than("tokens_at", timedelta())).update(tokens_at=Now())
        + rows.filter(_later_than("served_at", timedelta())).update(served_at=Now())
    )


def _schedules() -> int:
    now = timezone.now()  # by which Django-Q plans
    late = [
        one.pk
        for one in Schedule.objects.filter(schedule_type=Schedule.MINUTES)
        if one.next_run > now + timedelta(minutes=one.minutes) + TOLERANCE
    ]
    return Schedule.objects.filter(pk__in=late).update(next_run=now) if late else 0
