"""Inserting many rows at once, by what is quickest on the database in use."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import models

from events import postgresql


def insert(model: type[models.Model], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert these rows, all with the same columns, by attribute name; a column that is left out gets its `db_default`."""
    if postgresql.in_use():
        postgresql.insert(model, rows)
    else:
        model._default_manager.bulk_create([model(**row) for row in rows], batch_size=500)
