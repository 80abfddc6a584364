"""Inserting many rows at once, by what is quickest on the database in use."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from django.db import models
from django.db.models import NOT_PROVIDED

from events import postgresql


def insert(model: type[models.Model], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert these rows, all with the same columns, by attribute name; a column that is left out gets its default."""
    if postgresql.in_use():
        postgresql.insert(model, [{**_defaults(model), **row} for row in rows])
    else:
        model._default_manager.bulk_create([model(**row) for row in rows], batch_size=500)


@cache
def _defaults(model: type[models.Model]) -> dict[str, Any]:
    """What a row of this model has where nothing is said, but for what the database fills in or what differs by row."""
    same = [
        field
        for field in model._meta.concrete_fields
        if field.db_default is NOT_PROVIDED and (not field.has_default() or not callable(field.default))
    ]
    return {field.attname: value for field in same if (value := field.get_default()) is not None}
