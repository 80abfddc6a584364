"""What the measures have in common: a store with its integrations, events that are due, and a real cluster that sends."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from itertools import count, cycle
from typing import Any

from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from customers.models import Customer, Store, WalletTransaction
from customers.models.coins import Source
from events import switching
from events.models import Delivery, Heartbeat
from events.models.delivery import UNFINISHED
from integrations.models import Integration
from tests import factories
from tests.bench import place
from tests.bench.receiver import ROOT, Receiver

SOURCES = (Source.ORDER, Source.SIGNUP, Source.REFERRAL, Source.REVIEW)
WARM_UP = 200

_references = (f"{os.getpid()}-{time.time_ns()}-{number}" for number in count(1))  # some databases are kept


def make_tables() -> None:
    """The schema, in the database of this group."""
    call_command("migrate", verbosity=0)


def make_store(receiver: Receiver, path: str, *, integrations: int = 4, name: str = "Bench", **fields: Any) -> Store:
    """A store whose events are off, with so many integrations; each gets the rewards of a source of its own."""
    store = factories.make_store(name=name, events_on=False)
    for source in SOURCES[:integrations]:
        add_integration(store, receiver, f"{path}/{source}", source=source, **fields)
    return store


def add_integration(store: Store, receiver: Receiver, path: str, *, source: str, **fields: Any) -> Integration:
    """One more, with a send event for the rewards of this source."""
    values = {"url": receiver.url(path), "signing_secret": "whsec_" + "c2VjcmV0" * 4, "headers": "", "token": ""}
    integration = factories.make_integration(store, values=values, **fields)
    only = {"field": "wallettransaction_source", "operator": "any_of", "value": [source]}
    factories.make_subscription(integration, "walletreward_create", only)
    return integration


def record_rewards(store: Store, total: int, *, sources: Sequence[str] = SOURCES) -> None:
    """So many rewards, in turn from each source: facts, occurrences and deliveries by the usual way, 1,000 a transaction."""
    customer = Customer.objects.filter(store=store).first() or factories.make_customer(
        store, name="Ada Lovelace", external_id="1815", mobile="+4915112345678", country="DE"
    )
    customer.store = customer.wallet.store = store  # as whoever writes has it
    turn = cycle(sources)
    while total > 0:
        now = timezone.now()
        entries = [
            WalletTransaction(
                store=store,
                wallet=customer.wallet,
                type="reward",
                operation="cr",
                amount=10,
                source=next(turn),
                status="success",
                balance_after=10,
                effective_at=now,
                title="Order 1042",
                reference=next(_references),
            )
            for _ in range(min(total, 1000))
        ]
        WalletTransaction.objects.bulk_create(entries)
        total -= len(entries)


def wait_until(holds: Callable[[], Any], *, seconds: float, every: float = 0.01) -> None:
    """Until it holds. Raises TimeoutError when that is not in time."""
    ends = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > ends:
            raise TimeoutError(f"It took longer than {seconds:g} s.")
        time.sleep(every)


def unfinished(store: Store) -> bool:
    """Whether a delivery of this store is pending or being sent: looks at an index, whatever the planner guesses."""
    newest = Delivery.objects.filter(store=store).order_by("-id").values_list("pk")
    return any(newest.filter(status=status).first() for status in UNFINISHED)


def count_unfinished(store: Store) -> int:
    """How many."""
    return Delivery.objects.unfinished().filter(store=store).order_by().count()


def time_to_send(store: Store, *, seconds: float = 120) -> float:
    """Open the store's events switch: seconds until everything that it held is sent and written. Closes it again."""
    connection.cursor().execute("ANALYZE")  # so that no run meets the planner's first guesses and another does not
    started = time.monotonic()
    switching.switch_on(store)
    wait_until(lambda: not unfinished(store), seconds=seconds, every=0.05)  # each look costs what is being measured
    took = time.monotonic() - started
    switching.switch_off(store)
    stranded = Delivery.objects.filter(store=store).exclude(status="sent").order_by().count()
    assert not stranded, f"{stranded} deliveries were not accepted"
    return took


@contextmanager
def cluster(**more: str) -> Iterator["subprocess.Popen[bytes]"]:
    """`manage.py cluster` with this group's settings, for as long as the block runs."""
    process = subprocess.Popen([sys.executable, "manage.py", "cluster"], cwd=ROOT, env={**os.environ, **more})
    try:
        wait_until(lambda: Heartbeat.objects.filter(kind="supervisor").exists(), seconds=60, every=0.1)
        yield process
    finally:
        process.terminate()
        process.wait(60)
        if os.environ["REDIS_URL"]:
            place.forget_queue(os.environ["CLUSTER_NAME"])
        Heartbeat.objects.all().delete()


def warm_up(store: Store) -> None:
    """Let every worker send, until each was heard of: modules imported, connections open."""

    def all_heard() -> bool:
        alive = Heartbeat.objects.filter(kind="sender", beat_at__gte=timezone.now() - timedelta(seconds=60))
        return alive.count() >= place.WORKERS

    for _ in range(20):
        record_rewards(store, WARM_UP)
        time_to_send(store)
        if all_heard():
            return
    raise TimeoutError("Not all workers were heard of.")


def workers() -> list[int]:
    """The process ids of the workers that were heard of."""
    return [int(beat.name.split()[-1]) for beat in Heartbeat.objects.filter(kind="sender")]


def percentile(values: Iterable[float], share: float) -> float:
    """The value that this share (0 to 1) of them does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
