"""Pages of lists that may be long: nobody leafs through ten thousand rows, so that nobody waits until all are counted."""

from typing import Any

from django.core.paginator import Paginator
from django.utils.functional import cached_property

MOST = 10_000  # rows that are counted and can be leafed through


class ShortPaginator(Paginator[Any]):
    """Counts to MOST, and then only knows that there are more."""

    @cached_property
    def _found(self) -> int:
        rows: Any = self.object_list
        return int(rows.values("pk")[: MOST + 1].count())  # in their order: that is the one the indexes have

    @cached_property
    def count(self) -> int:
        """How many there are, at most MOST."""
        return min(self._found, MOST)

    @property
    def more(self) -> bool:
        """There are more than MOST: ask to narrow the list."""
        return self._found > MOST
