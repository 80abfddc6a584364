"""What PostgreSQL does in one statement for many rows, where the ORM pays for each of them.

Rows travel as one JSON value: arrays of texts, which Django's own bulk insert uses, cost psycopg several times as much as
the insert itself (docs/performance.md). Each function has its counterpart for other databases beside its caller.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db import connection, models

from events.models import Delivery, Occurrence, Tally
from events.models.lane import COUNTS, HISTOGRAMS


def in_use() -> bool:
    """Whether this is the database."""
    return connection.vendor == "postgresql"


def insert(model: type[models.Model], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert these rows, all with the same columns; times and UUIDs as they are, JSON columns as what they hold."""
    if not rows:
        return
    columns = ", ".join(rows[0])
    table = model._meta.db_table
    statement = f"INSERT INTO {table} ({columns}) SELECT {columns} FROM json_populate_recordset(NULL::{table}, %s)"  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(statement, [_json(rows)])


_DUE = """
SELECT lane.integration_id, due.id
FROM json_to_recordset(%s) AS lane(integration_id uuid, most int)
CROSS JOIN LATERAL (
    SELECT delivery.id
    FROM events_delivery delivery
    WHERE delivery.integration_id = lane.integration_id AND delivery.status = 'pending'
      AND NOT delivery.is_test AND NOT delivery.suspect AND delivery.next_attempt_at <= statement_timestamp()
      AND EXISTS (
          SELECT FROM events_subscription subscription
          WHERE subscription.id = delivery.subscription_id AND subscription.enabled
      )
    ORDER BY delivery.next_attempt_at, delivery.id
    LIMIT lane.most
) due
"""


def due(most: Mapping[UUID, int]) -> dict[UUID, list[UUID]]:
    """The deliveries that are due, the longest waiting first, at most so many of each integration."""
    found: dict[UUID, list[UUID]] = {integration: [] for integration in most}
    lanes = [{"integration_id": integration, "most": number} for integration, number in most.items()]
    with connection.cursor() as cursor:
        cursor.execute(_DUE, [_json(lanes)])
        for integration, delivery in cursor.fetchall():
            found[integration].append(delivery)
    return found


def _columns(model: type[models.Model], *wanted: str) -> list[str]:
    """In the order in which Django makes a row of them."""
    return [field.attname for field in model._meta.concrete_fields if field.attname in wanted]


def _of(alias: str, columns: Iterable[str]) -> str:
    return ", ".join(f"{alias}.{column}" for column in columns)


# What sending needs to know, and no more: each time costs psycopg as much as all the rest of a row.
_DELIVERY = _columns(
    Delivery,
    *("id", "store_id", "occurrence_id", "subscription_id", "integration_id", "customer_id", "event_key", "event_name"),
    *("status", "tries", "is_test", "recorded_at", "claim", "suspect", "resent_as"),
)
_OCCURRENCE = _columns(Occurrence, "id", "event_id", "event_key", "occurred_at")  # and its payload
_TAKE = f"""
UPDATE events_delivery delivery
SET status = 'sending', claim = %s, leased_until = statement_timestamp() + make_interval(secs => %s)
FROM events_occurrence occurrence
WHERE delivery.id = ANY(%s) AND delivery.status = 'pending' AND occurrence.id = delivery.occurrence_id
RETURNING {_of("delivery", _DELIVERY)}, {_of("occurrence", _OCCURRENCE)}, occurrence.payload
"""  # noqa: S608 - our own names


def take(ids: Sequence[UUID], *, mark: UUID, lease: float) -> list[Delivery]:
    """Mark these as claimed for `lease` seconds; returns those that were still pending, each with its occurrence."""
    taken = []
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, [mark, lease, list(ids)])
        for row in cursor.fetchall():
            delivery = Delivery.from_db(connection.alias, _DELIVERY, row[: len(_DELIVERY)])
            delivery.occurrence = Occurrence.from_db(connection.alias, _OCCURRENCE, row[len(_DELIVERY) : -1])
            delivery.occurrence.payload = json.loads(row[-1])
            taken.append(delivery)
    return taken


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
    with connection.cursor() as cursor:
        cursor.execute(_SETTLE, [_json(rows)])
        return {row[0] for row in cursor.fetchall()}


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
    with connection.cursor() as cursor:
        cursor.execute(statement, [_json([{name: getattr(tally, name) for name in names} for tally in tallies])])


def _json(rows: Sequence[Mapping[str, Any]]) -> str:
    return json.dumps(rows, default=str)
