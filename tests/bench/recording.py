"""What recording adds to a write of the domain, beside two plain INSERTs in one transaction."""

import json
import time
from collections.abc import Callable, Iterator
from statistics import median

from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from customers.facts import facts
from customers.models import Store
from events.apps import hear_facts
from events.models import Delivery
from integrations.models import Integration
from tests import factories
from tests.bench import world
from tests.bench.measure import RUNS, Measure
from tests.bench.receiver import Receiver

ROUNDS = 150  # of each run; what is compared takes turns
PLAIN = "CREATE TABLE bench_plain (id bigserial PRIMARY KEY, at timestamptz DEFAULT now(), payload jsonb)"


def added(receiver: Receiver) -> Iterator[Measure]:
    """With one matching send event, and with fifty."""
    with connection.cursor() as cursor:
        cursor.execute(PLAIN)
    one, fifty = (_store(receiver, number) for number in (1, 50))
    queries = {number: _queries(store) for number, store in ((1, one), (50, fifty))}
    assert queries[1] == queries[50], f"{queries[1]} queries with one send event, {queries[50]} with fifty"
    runs: dict[str, list[float]] = {"plain": [], "one": [], "fifty": []}
    for _ in range(RUNS):
        times: dict[str, list[float]] = {"plain": [], "unheard": [], "one": [], "fifty": []}
        for _ in range(ROUNDS):
            times["plain"].append(_ms(_insert_twice))
            facts.disconnect(dispatch_uid="events.facts")
            times["unheard"].append(_ms(lambda: world.record_rewards(one, 1)))
            facts.connect(hear_facts, dispatch_uid="events.facts")
            times["one"].append(_ms(lambda: world.record_rewards(one, 1)))
            times["fifty"].append(_ms(lambda: world.record_rewards(fifty, 1)))
        unheard = median(times["unheard"])
        runs["plain"].append(median(times["plain"]))
        runs["one"].append(median(times["one"]) - unheard)
        runs["fifty"].append(median(times["fifty"]) - unheard)
    yield Measure.of("record_ms_1", runs["one"], "ms", baseline=runs["plain"])
    yield Measure.of("record_ms_50", runs["fifty"], "ms", baseline=runs["one"])


def _store(receiver: Receiver, number: int) -> Store:
    """One with so many send events that match each reward."""
    store = world.make_store(receiver, "/ok", integrations=1, name=f"Bench {number}")
    integration = Integration.objects.get(store=store)
    for position in range(1, number):
        factories.make_subscription(integration, name=f"reward {position}")
    world.record_rewards(store, 1, sources=world.SOURCES[:1])
    assert Delivery.objects.filter(store=store).count() == number
    return store


def _queries(store: Store) -> int:
    with CaptureQueriesContext(connection) as queries:
        world.record_rewards(store, 1)
    return len(queries)


def _insert_twice() -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        for number in range(2):
            cursor.execute("INSERT INTO bench_plain (payload) VALUES (%s)", [json.dumps({"number": number})])


def _ms(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000
