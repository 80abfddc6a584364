"""Many rows of one call, written by the hundred; each is taken or refused by itself, as if it had come alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from django.db import DataError, IntegrityError, models, transaction

from customers.models.store import Store

PAGE = 100  # rows of one transaction

R = TypeVar("R")
M = TypeVar("M", bound=models.Model)


@dataclass(frozen=True)
class Outcome(Generic[M]):
    """What became of one row: it, and whether it is new (False: it was counted before); or why it was refused."""

    row: M | None = None
    new: bool = False
    refusal: Exception | None = None

    def result(self) -> tuple[M, bool]:
        """The row, and whether it is new. Raises the refusal."""
        if self.refusal is not None:
            raise self.refusal
        assert self.row is not None
        return self.row, self.new


# Judges rows in their order and writes those taken: all of them, or raises.
Write = Callable[[Sequence[R]], list[Outcome[M]]]


def take_turns(store: Store) -> None:
    """Until the transaction ends, nobody else writes many rows of this store.

    Two who insert the same references in another order would wait for each other for ever. Those who write a single row
    are not kept waiting.
    """
    bool(Store.objects.select_for_update(no_key=True).filter(pk=store.pk))


def write_many(store: Store, rows: Sequence[R], write: Write[R, M]) -> list[Outcome[M]]:
    """Write these rows in their order, each hundred of them in one transaction; what became of each."""

    def in_turn(page: Sequence[R]) -> list[Outcome[M]]:
        take_turns(store)
        return write(page)

    pages = [rows[begin : begin + PAGE] for begin in range(0, len(rows), PAGE)]
    return [outcome for page in pages for outcome in write_page(page, in_turn)]


def write_page(page: Sequence[R], write: Write[R, M]) -> list[Outcome[M]]:
    """Write these rows in one transaction.

    When the database refuses that, because somebody else was quicker with the same reference, nothing of it is there: each
    row is then judged anew, and written alone.
    """
    try:
        with transaction.atomic():
            return write(page)
    except (IntegrityError, DataError):
        return [outcome for row in page for outcome in _alone(row, write)]


def _alone(row: R, write: Write[R, M]) -> list[Outcome[M]]:
    """By itself; once more when somebody was quicker again, whose row the look now finds."""
    refusal: Exception
    for _ in range(2):
        try:
            with transaction.atomic():
                return write([row])
        except (IntegrityError, DataError) as error:
            refusal = error
    return [Outcome(refusal=refusal)]
