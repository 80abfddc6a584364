"""The doctor's questions: is anything stuck, impossible or misconfigured? Each answer is a sentence with its cure."""

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Count
from django.db.models.functions import Now
from django_q.brokers import get_broker

from events import healing, health, heartbeat
from events.models import Delivery, Lane, Occurrence
from integrations.destinations import UnknownDestination
from integrations.encryption import SecretsUnreadable
from integrations.models import Integration

PATIENCE = timedelta(seconds=60)  # after it, what is due should have been tried

Question = Callable[[], Iterator[str]]


def database() -> Iterator[str]:
    """Whether it answers, with the tables of this version."""
    try:
        executor = MigrationExecutor(connection)
        behind = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError as error:
        yield f"The database cannot be used; look at DATABASE_URL. It said: {str(error).strip()}"
        return
    if behind:
        yield "The database is not up to date: run `manage.py migrate`."


def cluster() -> Iterator[str]:
    """Whether anybody sends."""
    if not heartbeat.alive("supervisor", within=health.ALIVE):
        yield "No cluster is running, so nothing is sent: start `manage.py cluster`."


def broker() -> Iterator[str]:
    """Whether the senders can be woken."""
    try:
        get_broker().ping()
    except Exception as error:  # noqa: BLE001 - each broker has errors of its own
        yield f"The senders cannot be woken; look at REDIS_URL. The broker said: {error}"


def stuck() -> Iterator[str]:
    """Whether something that should have been tried was not."""
    late = Now() - PATIENCE
    open_lanes = {
        lane.integration_id
        for lane in Lane.objects.passable().filter(closed="").select_related("integration")
        if lane.integration.calls_per_second is None  # else a queue is what its limit is for
    }
    waiting = Delivery.objects.due().filter(next_attempt_at__lt=late).order_by().values_list("integration")
    if count := sum(number for key, number in waiting.annotate(Count("pk")) if key in open_lanes):
        yield f"Deliveries due for more than a minute: {count}. Is the cluster running, and fast enough?"
    if count := Delivery.objects.lost().filter(leased_until__lt=late).count():
        yield f"Deliveries held by senders that are gone: {count}. The cluster gives them back when it runs."


def impossible() -> Iterator[str]:
    """Whether there are rows that the rules exclude."""
    for state in healing.IMPOSSIBLE:
        if count := state.count():
            cure = "" if state.cure is None else " The cluster's sweep puts them right within a minute."
            yield f"Deliveries {state.words}: {count}.{cure} Please report this as a bug."
    if count := Integration.objects.filter(lane=None).count():
        yield f"Integrations without a lane: {count}. The cluster's sweep makes them within a minute."


def misconfigured() -> Iterator[str]:
    """Whether an integration that is on cannot work."""
    for integration in Integration.objects.existing().filter(enabled=True).select_related("store"):
        where = f"{integration.store}: the integration {integration}"
        try:
            kind = type(integration.adapter())
        except (UnknownDestination, SecretsUnreadable) as error:
            yield f"{where} cannot be used. {error.args[0]}"
            continue
        if not kind.offered():
            yield f"{where} needs a destination that is not switched on here ({kind.label})."
    if settings.DEBUG:
        yield "DEBUG is on: errors show their inner life to everybody. Unset it for anything but development."


def attention() -> Iterator[str]:
    """Whether facts wait for somebody to mend a declaration or a restriction."""
    if count := Occurrence.objects.needing_attention().count():
        yield f"Occurrences not evaluated in full: {count}. See Occurrences in the admin, and evaluate them again."
    for lane in Lane.objects.exclude(closed="").select_related("integration", "store"):
        yield f"{lane.store}: {lane.integration} is held: {lane.get_closed_display()}."


QUESTIONS: tuple[Question, ...] = (database, cluster, broker, stuck, impossible, misconfigured, attention)
# What stops or endangers the sending of everybody, and not only what one store has to mend: the health page alerts on it.
ALARMS: tuple[Question, ...] = (database, cluster, broker, stuck)


def problems(questions: Sequence[Question] = QUESTIONS) -> list[str]:
    """Everything that somebody should see to, worst first; empty when all is well. The database is asked first."""
    found = list(questions[0]())
    return found or [sentence for question in questions[1:] for sentence in question()]
