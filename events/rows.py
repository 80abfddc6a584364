"""Inserting many rows at once, by what is quickest on the database in use."""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import NOT_PROVIDED

from events import postgresql
from events.models import Delivery, Occurrence


def insert(model: type[models.Model], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert these rows, all with the same columns, by attribute name; a column that is left out gets its default."""
    if postgresql.in_use():
        postgresql.insert(model, [{**_defaults(model), **row} for row in rows])
    else:
        model._default_manager.bulk_create([model(**row) for row in rows], batch_size=500)


def record(occurrences: Sequence[Occurrence], deliveries: Sequence[tuple[Occurrence, Mapping[str, Any]]]) -> None:
    """Insert these occurrences, and a delivery of one of them for each of these rows.

    On PostgreSQL the occurrences do not learn their keys: that would take a second statement.
    """
    if postgresql.in_use():
        rows = [{**_defaults(Delivery), "event_id": occurrence.event_id, **row} for occurrence, row in deliveries]
        postgresql.record([_happened(occurrence) for occurrence in occurrences], rows)
    else:
        Occurrence.objects.bulk_create(occurrences)
        insert(Delivery, [{"occurrence_id": occurrence.pk, **row} for occurrence, row in deliveries])


def _happened(occurrence: Occurrence) -> dict[str, Any]:
    row = {field.attname: getattr(occurrence, field.attname) for field in Occurrence._meta.concrete_fields}
    del row["id"]  # the database counts
    return {**row, "unbuilt": json.loads(json.dumps(occurrence.unbuilt, cls=DjangoJSONEncoder))}


@cache
def _defaults(model: type[models.Model]) -> dict[str, Any]:
    """What a row of this model has where nothing is said, but for what the database fills in or what differs by row."""
    same = [
        field
        for field in model._meta.concrete_fields
        if field.db_default is NOT_PROVIDED and (not field.has_default() or not callable(field.default))
    ]
    return {field.attname: value for field in same if (value := field.get_default()) is not None}
