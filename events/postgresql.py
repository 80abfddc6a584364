"""What PostgreSQL does in one statement for many rows, where the ORM pays for each of them.

Rows travel as one JSON value: arrays of texts, which Django's own bulk insert uses, cost psycopg several times as much as
the insert itself (docs/performance.md). Each function has its counterpart for other databases beside its caller.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any, TypeVar
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connection, models
from django.db.models.base import ModelState

from events.models import Delivery, Lane, Occurrence, Subscription, Tally
from events.models.lane import COUNTS, HISTOGRAMS
from integrations.models import Integration

Row = TypeVar("Row", bound=models.Model)


def in_use() -> bool:
    """Whether this is the database."""
    return connection.vendor == "postgresql"


def _run(statement: str, params: Sequence[Any] | Mapping[str, Any], *, answers: bool = True) -> list[Any]:
    """Its rows. Parameters are bound by the server, which keeps the plans of our few statements where settings let it."""
    connection.ensure_connection()
    with connection.wrap_database_errors:
        bare = _cursor()(connection.connection)
    cursor = connection.make_debug_cursor(bare) if connection.queries_logged else connection.make_cursor(bare)
    with cursor:
        cursor.execute(statement, params)
        return cursor.fetchall() if answers else []


@cache
def _cursor() -> Any:
    """psycopg's cursor that binds by the server; psycopg is there where PostgreSQL is in use."""
    import psycopg

    class Cursor(psycopg.Cursor[Any]):
        def _convert_query(self, query: Any, params: Any = None) -> Any:
            self._query = super()._convert_query(query, params)  # from where Django's log of queries reads it
            return self._query

    return Cursor


def insert(model: type[models.Model], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert these rows, all with the same columns; times and UUIDs as they are, JSON columns as what they hold."""
    if not rows:
        return
    columns = ", ".join(rows[0])
    table = model._meta.db_table
    statement = f"INSERT INTO {table} ({columns}) SELECT {columns} FROM json_populate_recordset(NULL::{table}, %s)"  # noqa: S608
    _run(statement, [_json(rows)], answers=False)


def wanting(store_id: UUID, event_keys: Iterable[str]) -> list[Subscription]:
    """As SubscriptionQuerySet.wanting() has it, with what recording needs; of each one's integration, that is its name."""
    found = []
    integrations: dict[UUID, Integration] = {}
    for *row, name in _run(_WANTING, [store_id, list(event_keys)]):
        row[_RESTRICTIONS] = json.loads(row[_RESTRICTIONS])
        subscription = _loaded(Subscription, _SUBSCRIPTION, row)
        key = subscription.integration_id
        if key not in integrations:
            integrations[key] = _loaded(Integration, ["id", "name"], [key, name])
        subscription.integration = integrations[key]
        found.append(subscription)
    return found


def record(occurrences: Sequence[Mapping[str, Any]], deliveries: Sequence[Mapping[str, Any]]) -> None:
    """Insert both, all occurrences with the same columns and all deliveries too, these with the `event_id` of theirs."""
    if not deliveries:
        insert(Occurrence, occurrences)
        return
    statement = _record(tuple(occurrences[0]), tuple(name for name in deliveries[0] if name != "event_id"))
    _run(statement, [_json(occurrences), _json(deliveries)], answers=False)


@cache
def _record(occurrence: tuple[str, ...], delivery: tuple[str, ...]) -> str:
    names = ", ".join(occurrence)
    types = ", ".join(f"{name} {Delivery._meta.get_field(name).db_type(connection)}" for name in delivery)
    return f"""
WITH happened AS (
    INSERT INTO events_occurrence ({names}) SELECT {names} FROM json_populate_recordset(NULL::events_occurrence, %s)
    RETURNING id, event_id
)
INSERT INTO events_delivery (occurrence_id, {", ".join(delivery)})
SELECT happened.id, {_of("delivery", delivery)}
FROM json_to_recordset(%s) AS delivery(event_id uuid, {types}) JOIN happened USING (event_id)
"""  # noqa: S608 - our own names


def _columns(model: type[models.Model], *wanted: str) -> list[str]:
    """In the order in which Django makes a row of them; all where none is named."""
    return [field.attname for field in model._meta.concrete_fields if not wanted or field.attname in wanted]


def _of(alias: str, columns: Iterable[str]) -> str:
    return ", ".join(f"{alias}.{column}" for column in columns)


_SUBSCRIPTION = _columns(
    Subscription, "id", "store_id", "integration_id", "event_key", "prefix", "name", "restrictions"
)
_RESTRICTIONS = _SUBSCRIPTION.index("restrictions")
_WANTING = f"""
SELECT {_of("subscription", _SUBSCRIPTION)}, integration.name
FROM events_subscription subscription JOIN integrations_integration integration ON integration.id = integration_id
WHERE subscription.store_id = %s AND subscription.event_key = ANY(%s) AND subscription.enabled
  AND subscription.archived_at IS NULL AND integration.archived_at IS NULL
ORDER BY subscription.event_key, subscription.id
"""  # noqa: S608 - our own names

# As DeliveryQuerySet.due() and LaneQuerySet.passable() have it.
_IS_DUE = """
    delivery.integration_id = lane.integration_id AND delivery.status = 'pending' AND NOT delivery.is_test
    AND NOT delivery.suspect AND delivery.next_attempt_at <= statement_timestamp()
    AND EXISTS (
        SELECT FROM events_subscription subscription
        WHERE subscription.id = delivery.subscription_id AND subscription.enabled
    )"""
_IS_PASSABLE = """
    integration.enabled AND integration.archived_at IS NULL AND store.events_on
    AND (lane.not_before IS NULL OR lane.not_before <= statement_timestamp())
    AND (lane.closed = '' OR lane.probe_at <= statement_timestamp())"""

_LANE, _INTEGRATION = _columns(Lane), _columns(Integration)
_SETTINGS = _INTEGRATION.index("settings")
# The first one instead of EXISTS, which PostgreSQL may answer by reading all the deliveries of an integration.
_LOCK_LANES = f"""
SELECT {_of("lane", _LANE)}, {_of("integration", _INTEGRATION)}, statement_timestamp()
FROM events_lane lane
JOIN integrations_integration integration ON integration.id = lane.integration_id
JOIN customers_store store ON store.id = integration.store_id
WHERE {_IS_PASSABLE} AND (
    SELECT delivery.id FROM events_delivery delivery WHERE {_IS_DUE} ORDER BY delivery.next_attempt_at, delivery.id LIMIT 1
) IS NOT NULL
ORDER BY lane.served_at
LIMIT %s
FOR UPDATE OF lane SKIP LOCKED
"""  # noqa: S608 - our own names


def lock_lanes(most: int) -> list[Lane]:
    """The passable lanes in which something is due and that nobody else has, the longest unserved first, each with `now`."""
    lanes = []
    for row in _run(_LOCK_LANES, [most]):
        lane = _loaded(Lane, _LANE, row[: len(_LANE)])
        values = list(row[len(_LANE) : -1])
        values[_SETTINGS] = json.loads(values[_SETTINGS])
        lane.integration = _loaded(Integration, _INTEGRATION, values)
        lane.now = row[-1]  # type: ignore[attr-defined]
        lanes.append(lane)
    return lanes


# The calls under way are counted here, where the lanes are locked already: a sender that was before us has committed.
_DUE = f"""
WITH found AS (
    SELECT lane.integration_id, lane.place, (due.number - 1) / lane.size AS turn, due.number, due.id
    FROM json_to_recordset(%s) AS lane(integration_id uuid, calls int, at_once int, size int, place int)
    CROSS JOIN LATERAL (
        SELECT first.id, row_number() OVER (ORDER BY first.next_attempt_at, first.id) AS number
        FROM (
            SELECT delivery.id, delivery.next_attempt_at
            FROM events_delivery delivery
            WHERE {_IS_DUE}
            ORDER BY delivery.next_attempt_at, delivery.id
            LIMIT lane.size * greatest(0, least(lane.calls, lane.at_once - (
                SELECT count(DISTINCT under_way.claim) FROM events_delivery under_way
                WHERE under_way.integration_id = lane.integration_id AND under_way.status = 'sending'
            )))
        ) first
    ) due
), counted AS (SELECT *, dense_rank() OVER (ORDER BY turn, place) AS call FROM found)
SELECT call, integration_id, id FROM counted WHERE call <= %s ORDER BY call, number
"""  # noqa: S608


def due(rooms: Iterable[Mapping[str, Any]], free: int) -> list[tuple[UUID, list[UUID]]]:
    """Up to `free` calls (integration, its deliveries): one for each lane in turn, each its longest waiting deliveries.

    `rooms`: what each lane may start, in their order, as `events.claims.Room` has it.
    """
    lanes = [{**room, "place": place} for place, room in enumerate(rooms)]
    calls: dict[int, tuple[UUID, list[UUID]]] = {}
    for call, integration, delivery in _run(_DUE, [_json(lanes), free]):
        calls.setdefault(call, (integration, []))[1].append(delivery)
    return list(calls.values())


# What sending needs to know, and no more.
_DELIVERY = _columns(
    Delivery,
    *("id", "store_id", "occurrence_id", "subscription_id", "integration_id", "customer_id", "event_key", "event_name"),
    *("status", "tries", "is_test", "claim", "suspect", "resent_as"),
)
_OCCURRENCE = _columns(Occurrence, "id", "event_id", "event_key")
_TAKE = f"""
UPDATE events_delivery delivery
SET status = 'sending', claim = (%(marks)s::uuid[])[array_position(%(ids)s::uuid[], delivery.id)],
    leased_until = statement_timestamp() + make_interval(secs => %(lease)s)
FROM events_occurrence occurrence
WHERE delivery.id = ANY(%(ids)s::uuid[]) AND delivery.status = 'pending' AND occurrence.id = delivery.occurrence_id
RETURNING {_of("delivery", _DELIVERY)}, {_of("occurrence", _OCCURRENCE)}, occurrence.payload,
    extract(epoch FROM delivery.recorded_at)::float8, extract(epoch FROM occurrence.occurred_at)::float8
"""  # noqa: S608 - our own names


def take(marks: Mapping[UUID, UUID], *, lease: float, lanes: Mapping[UUID, Lane]) -> list[Delivery]:
    """Mark these (delivery: mark) as claimed for `lease` seconds; returns those still pending.

    Each has its occurrence and, from its lane, its integration.
    """
    taken = []
    for row in _run(_TAKE, {"ids": list(marks), "marks": list(marks.values()), "lease": lease}):
        *values, payload, recorded_at, occurred_at = row
        delivery = _loaded(Delivery, _DELIVERY, values[: len(_DELIVERY)])
        occurrence = _loaded(Occurrence, _OCCURRENCE, values[len(_DELIVERY) :])
        occurrence.payload = json.loads(payload)
        delivery.recorded_at = datetime.fromtimestamp(recorded_at, UTC)  # times cost psycopg as much as all the rest
        occurrence.occurred_at = datetime.fromtimestamp(occurred_at, UTC)
        integration = lanes[delivery.integration_id].integration
        delivery._state.fields_cache.update(occurrence=occurrence, integration=integration)
        taken.append(delivery)
    return taken


def _loaded(model: type[Row], names: Sequence[str], values: Sequence[Any]) -> Row:
    """As Model.from_db makes a row; its signals and descriptors cost more than the statement that found it."""
    row = model.__new__(model)
    row._state = ModelState()
    row._state.adding, row._state.db = False, DEFAULT_DB_ALIAS
    row.__dict__.update(zip(names, values, strict=True))
    return row


_SETTLE = """
UPDATE events_delivery delivery
SET status = 'sent', reason = '', tries = delivery.tries + 1, finished_at = statement_timestamp(), suspect = false,
    claim = NULL, leased_until = NULL
FROM json_to_recordset(%s) AS accepted(id uuid, claim uuid), events_lane lane
WHERE delivery.id = accepted.id AND delivery.claim = accepted.claim AND delivery.status = 'sending'
  AND lane.integration_id = delivery.integration_id
  AND lane.closed = '' AND lane.failures = 0 AND lane.failing_since IS NULL
RETURNING delivery.id
"""


def settle(accepted: Iterable[tuple[UUID, UUID]]) -> set[UUID]:
    """End these (delivery, claim) as sent; returns those whose claim still held, in lanes with a clean record."""
    rows = [{"id": delivery, "claim": claim} for delivery, claim in accepted]
    return {row[0] for row in _run(_SETTLE, [_json(rows)])}


_ADD_TALLIES = """
INSERT INTO events_tally AS tally ({columns})
SELECT {columns} FROM json_populate_recordset(NULL::events_tally, %s) ORDER BY integration_id, subscription_id, minute
ON CONFLICT (subscription_id, integration_id, minute) DO UPDATE SET {changes}
"""
_SUM = "{name} = tally.{name} + excluded.{name}"
_SUM_EACH = """{name} = (
    SELECT jsonb_agg(coalesce((tally.{name} ->> (place - 1)::int)::bigint, 0) + added::bigint ORDER BY place)
    FROM jsonb_array_elements_text(excluded.{name}) WITH ORDINALITY AS each (added, place)
)"""


def add_tallies(tallies: Sequence[Tally]) -> None:
    """Add each to the stored one of its minute; rows are taken in the order of integration, send event and minute."""
    names = [field.attname for field in Tally._meta.concrete_fields]
    changes = [_SUM.format(name=name) for name in COUNTS] + [_SUM_EACH.format(name=name) for name in HISTOGRAMS]
    statement = _ADD_TALLIES.format(columns=", ".join(names), changes=", ".join(changes))
    _run(statement, [_json([{name: getattr(tally, name) for name in names} for tally in tallies])], answers=False)


def _json(rows: Sequence[Mapping[str, Any]]) -> str:
    return json.dumps(rows, default=str)
