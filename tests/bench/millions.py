"""With five million deliveries in the log: what a claim takes, and the admin's list of them with each of its filters.

The rows are made once, in a database that is kept: `dropdb loyalty_bench_5m` frees its 8 GB.
"""

import sys
import time
from collections.abc import Iterator
from statistics import median
from typing import Any

from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from customers.models import Customer, Store
from customers.models.store import Role
from events import claims
from events.models import Delivery, Subscription
from tests import factories
from tests.bench import world
from tests.bench.measure import RUNS, Measure
from tests.bench.receiver import Receiver

MANY, FEW = 5_000_000, 50_000
CHUNK = 100_000  # rows of a transaction: what was interrupted is gone on with
CUSTOMERS = 200
CLAIMS = 40  # of one run
SLOTS = 64

# Finished deliveries of the last 50 days, oldest first, each with its occurrence; 1 in 100 failed, 1 in 200 pending after a
# try (held: the store's events are off).
FILL = """
WITH made AS (
    INSERT INTO events_occurrence (event_id, store_id, customer_id, event_key, payload, occurred_at, silent, is_test, error)
    SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '70008' || substr(md5(n::text), 1, 15))::uuid,
           %(store)s, (%(customers)s::uuid[])[1 + n %% %(people)s], 'walletreward_create', '{"user_wallet_balance": 10}', at,
           n %% 300 = 1, n %% 400 = 3, ''
    FROM (SELECT n, now() - interval '50 days' * (%(rows)s - n) / %(rows)s AS at
          FROM generate_series(%(first)s, %(last)s) n) AS times
    RETURNING id, event_id, store_id, customer_id, event_key, occurred_at, is_test
)
INSERT INTO events_delivery (id, store_id, occurrence_id, subscription_id, integration_id, customer_id, event_key, event_name,
                             label, status, reason, tries, is_test, recorded_at, next_attempt_at, suspect, deaths)
SELECT event_id, store_id, id, (%(subscriptions)s::uuid[])[1 + rare], (%(integrations)s::uuid[])[1 + rare], customer_id,
       event_key, event_key, 'walletreward_create', case when id %% 100 = 0 then 'failed' when id %% 200 = 7 then 'pending'
       else 'sent' end, '', 1, is_test, occurred_at, occurred_at, false, 0
FROM (SELECT *, (id %% 97 = 0)::int AS rare FROM made) AS made ORDER BY id
"""


def claiming(receiver: Receiver) -> Iterator[Measure]:
    """One claim for 64 slots over four integrations, beside the same with 50,000 finished deliveries."""
    taken: dict[str, list[float]] = {"public": [], "small": []}
    for schema, rows in (("small", FEW), ("public", MANY)):
        _use(schema)
        _fill(rows)
    for _ in range(RUNS):
        for schema, runs in taken.items():
            _use(schema)
            runs.append(_claim_ms(receiver))
    _use("public")
    yield Measure.of("claim_ms_5m", taken["public"], "ms", baseline=taken["small"])


def lists(receiver: Receiver) -> Iterator[Measure]:
    """The slowest of the list's filters and searches, in server time."""
    store = _fill(MANY)
    owner = User.objects.filter(username="millions").first()
    client = Client(HTTP_HOST="loyalty.example")
    client.force_login(owner or factories.make_member(store, Role.OWNER, username="millions"))
    addresses = list(_addresses(store))
    for address in addresses:  # to the page cache, as in a house that looks at its log
        _get_ms(client, address)
    runs = [{address: _get_ms(client, address) for address in addresses} for _ in range(RUNS)]
    medians = {address: median(run[address] for run in runs) for address in addresses}
    slowest, *others = sorted(medians, key=lambda address: -medians[address])[:3]
    print(
        f"slowest of {len(addresses)} lists: {slowest}, then {' and '.join(others)}",
        end=" ",
        file=sys.stderr,
        flush=True,
    )
    yield Measure.of("list_ms_5m", [run[slowest] for run in runs], "ms")


def _use(schema: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        cursor.execute(f"SET search_path TO {schema}")
    world.make_tables()


def _fill(rows: int) -> Store:
    """The store whose log has so many deliveries: made, or gone on with, or as it is."""
    store = Store.objects.filter(name="Millions").first() or factories.make_store(name="Millions", events_on=False)
    for number in range(Customer.objects.filter(store=store).count(), CUSTOMERS):
        factories.make_customer(store, email=f"ada{number}@example.com")
    while Subscription.objects.filter(store=store).count() < 2:
        factories.make_subscription(factories.make_integration(store))
    subscriptions = list(Subscription.objects.filter(store=store).order_by("pk"))
    values: dict[str, Any] = {
        "store": store.pk,
        "rows": rows,
        "people": CUSTOMERS,
        "customers": list(Customer.objects.filter(store=store).order_by("pk").values_list("pk", flat=True)),
        "subscriptions": [one.pk for one in subscriptions],
        "integrations": [one.integration_id for one in subscriptions],
    }
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS bench_filled (last int)")
        cursor.execute("SELECT coalesce(max(last), 0) FROM bench_filled")
        last: int = cursor.fetchone()[0]
        if last >= rows:
            return store
        cursor.execute("SET session_replication_role = replica")  # foreign keys hold by the statement itself
        while last < rows:
            first, last = last + 1, min(last + CHUNK, rows)
            cursor.execute("BEGIN")
            cursor.execute(FILL, {**values, "first": first, "last": last})
            cursor.execute("INSERT INTO bench_filled VALUES (%s)", [last])
            cursor.execute("COMMIT")
        cursor.execute("SET session_replication_role = origin")
        cursor.execute("VACUUM ANALYZE")
    return store


def _claim_ms(receiver: Receiver) -> float:
    """The median of some claims, each in a transaction of its own; all of them are finished afterwards."""
    store = Store.objects.filter(name="Claimed").first()
    if store is None:
        store = world.make_store(receiver, "/ok", name="Claimed")
    store.events_on = True
    store.save()
    world.record_rewards(store, (CLAIMS + 5) * SLOTS)
    with connection.cursor() as cursor:  # as autovacuum leaves it, also where the claims of earlier runs are still dead
        cursor.execute("VACUUM (INDEX_CLEANUP ON, ANALYZE) events_delivery")
    times = []
    for number in range(CLAIMS + 5):
        started = time.perf_counter()
        claim = claims.claim(free=SLOTS, slots=2 * SLOTS, flying={})
        took = (time.perf_counter() - started) * 1000
        assert len(claim.deliveries) == SLOTS, f"{len(claim.deliveries)} were claimed"
        if number >= 5:
            times.append(took)
        ids = [delivery.pk for delivery in claim.deliveries]  # or their number would soon reach what may be in flight
        Delivery.objects.filter(pk__in=ids).update(status="sent", claim=None, leased_until=None)
    return median(times)


def _addresses(store: Store) -> Iterator[str]:
    customer = Customer.objects.filter(store=store).latest("pk")
    yield from ("", "p=9", "q=nobody", f"q={customer.email}", "event=walletreward_create", "event=coupon_create")
    yield from (
        f"status={one}" for one in ("pending", "sending", "sent", "skipped", "failed", "cancelled", "held", "retrying")
    )
    yield from (f"time={one}" for one in ("hour", "day", "week", "month"))
    yield from ("test=yes", "test=no", "status=failed&time=week")
    for one in Subscription.objects.filter(store=store):
        yield f"integration={one.integration_id}"
        yield f"send_event={one.pk}"


def _get_ms(client: Client, query: str) -> float:
    started = time.perf_counter()
    answer = client.get(f"/admin/events/delivery/?{query}", secure=True)
    took = (time.perf_counter() - started) * 1000
    assert answer.status_code == 200, f"{query}: {answer.status_code} {answer.headers.get('Location', '')}"
    return took
