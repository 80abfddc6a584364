"""Looks whether there is anything: statements that are always the same, of which Django is told once.

It takes longer to build one than the database to answer it, and they come with every fact and every run of a sender.
"""

from collections.abc import Callable, Hashable
from functools import cache
from itertools import chain
from typing import Any

from django.db import connection
from django.db.models import QuerySet

Rows = Callable[..., QuerySet[Any]]
Look = tuple[Rows] | tuple[Rows, Hashable]  # a function, and what it is called with


def there(*looks: Look) -> tuple[bool, ...]:
    """Whether there is any row of these query sets, all in one statement.

    Each is asked for once in the life of the process: nothing in it may change but what the database itself knows.
    """
    sql, params = _statement(looks)
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return tuple(map(bool, cursor.fetchone()))


@cache
def _statement(looks: tuple[Look, ...]) -> tuple[str, tuple[Any, ...]]:
    rows = [make(*values) for make, *values in looks]
    parts = [one.order_by().values("pk")[:1].query.sql_with_params() for one in rows]
    return "SELECT " + ", ".join(f"EXISTS ({sql})" for sql, _ in parts), tuple(chain.from_iterable(p for _, p in parts))
