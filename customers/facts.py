"""Facts: changes that others may want to hear of, announced inside the transaction that makes them.

Django's own `post_save` will not do: in autocommit the row is committed before its receivers run, it fires before the
parts of a fact exist, knows no previous values, and misses bulk writes. A fact model announces itself here instead.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, ClassVar, NoReturn, Self, TypeVar

from django.db import models, router, transaction
from django.dispatch import Signal

# Sent with `facts`: list[Fact], inside the transaction. Receivers that raise roll the facts back.
facts = Signal()

# What waits for the surrounding `together()`, each with the mark by which it is known whether it was rolled back.
_together: ContextVar[list[tuple[Callable[[], None], list["Fact"]]] | None] = ContextVar("together", default=None)


@dataclass(frozen=True)
class Fact:
    """One created or changed row.

    `previous` holds, for each column (and each of its parts) that changed, its value before, by attribute name; it is
    empty for a new row.
    `silent` facts (bulk imports) are recorded, but nothing is sent about them.
    """

    instance: models.Model
    created: bool
    previous: Mapping[str, Any]
    silent: bool = False


def announce(new: list[Fact]) -> None:
    """Tell the receivers now, or when the surrounding `together()` is complete."""
    if not new:
        return
    waiting = _together.get()
    if waiting is None:
        facts.send(sender=Fact, facts=new)
    else:

        def mark() -> None:
            """Does nothing: the connection forgets it when a savepoint around the facts is rolled back."""

        transaction.on_commit(mark)
        waiting.append((mark, new))


@contextmanager
def together() -> Iterator[None]:
    """Facts made inside are one transaction, and announced at once when the last of them is complete.

    What a savepoint inside rolled back is not announced.
    """
    with transaction.atomic():
        if _together.get() is not None:
            yield
            return
        waiting: list[tuple[Callable[[], None], list[Fact]]] = []
        token = _together.set(waiting)
        try:
            yield
        finally:
            _together.reset(token)
        kept = {mark for _, mark, _ in transaction.get_connection().run_on_commit}
        announce([fact for mark, new in waiting if mark in kept for fact in new])


M = TypeVar("M", bound="FactModel")


class FactQuerySet(models.QuerySet[M]):
    """Writes that would go unheard are refused; bulk_create announces once."""

    def update(self, **kwargs: Any) -> NoReturn:
        raise TypeError(
            f"{self.model.__name__} rows are facts: update() would change them unheard. Save the rows, or use their methods."
        )

    def bulk_update(self, objs: Iterable[M], fields: Any, batch_size: int | None = None) -> NoReturn:
        self.update()

    def change_all(self, locked: Iterable[M], **columns: Any) -> None:
        """Give these rows, which the caller read under their locks, the same new values; all are announced at once."""
        changed = []
        for row in locked:
            previous = {name: getattr(row, name) for name, value in columns.items() if getattr(row, name) != value}
            for name, value in columns.items():
                setattr(row, name, value)
            if previous:
                row.check_change(previous)
                changed.append(Fact(row, created=False, previous=previous))
        with transaction.atomic(using=self.db):
            rows = self.model._base_manager.using(self.db).filter(pk__in=[fact.instance.pk for fact in changed])
            rows.update(**columns)
            self.model.tell(changed)

    def keep_books(self, **columns: Any) -> int:
        """Write columns of the books (`BOOKS`), which are no facts and of which nobody hears; returns how many rows."""
        self._must_be_books(columns)
        return super().update(**columns)

    def keep_books_of(self, rows: Iterable[M], columns: Iterable[str]) -> None:
        """Write these columns of the books of many rows, each with its own values."""
        names = [*columns]
        self._must_be_books(names)
        self.model._base_manager.using(self.db).bulk_update(rows, names)

    def _must_be_books(self, columns: Iterable[str]) -> None:
        if facts := {*columns} - self.model.BOOKS:
            raise TypeError(f"{self.model.__name__}.{min(facts)} is a fact: save() announces it.")

    def bulk_create(
        self, objs: Iterable[M], batch_size: int | None = None, *args: Any, silent: bool = False, **kwargs: Any
    ) -> list[M]:
        """As Django's, with what belongs to the rows made and all of them announced at once."""
        if any(args) or any(kwargs.values()):
            raise TypeError("A fact is announced once and exactly: bulk_create() cannot ignore or update conflicts.")
        new = list(objs)
        for row in new:
            row.prepare()
        with transaction.atomic(using=self.db):
            created = super().bulk_create(new, batch_size)
            self.model.make_parts(created)
            self.model.tell([Fact(instance, created=True, previous={}, silent=silent) for instance in created])
        return created


class FactModel(models.Model):
    """A model whose rows are announced when they are created or changed, in the same transaction.

    Fixtures (`loaddata`) do not pass through `save()` and stay unheard.
    """

    UNALTERABLE: ClassVar[frozenset[str]] = frozenset()  # columns that no later save may change, by attribute name
    # Columns that the system itself keeps beside the facts (what is left of a credit): `keep_books()` alone changes them.
    BOOKS: ClassVar[frozenset[str]] = frozenset()

    objects = FactQuerySet.as_manager()

    class Meta:
        abstract = True

    def save(
        self, *args: Any, silent: bool = False, parts_before: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> None:
        """As Django's, announced. With `update_fields`, the other columns become what the database holds.

        `parts_before`: of parts that the caller changed with the row (an order's items), what they were before.
        Raises DoesNotExist when the row was deleted meanwhile, TypeError when the change is none that may be made.
        """
        using = kwargs.get("using") or router.db_for_write(type(self), instance=self)
        self.prepare()
        with transaction.atomic(using=using):
            created = self._state.adding
            previous = {} if created else {**self._previous(using, kwargs.get("update_fields")), **(parts_before or {})}
            if previous:
                self.check_change(previous)
            if self.BOOKS and not created and kwargs.get("update_fields") is None:
                kwargs["update_fields"] = self._written_by_save()
            super().save(*args, **kwargs)
            if created:
                self.make_parts([self])
            if created or previous:
                self.tell([Fact(self, created=created, previous=previous, silent=silent)])

    def prepare(self) -> None:
        """Bring what was typed into its one spelling, before the row is written. Raises ValidationError."""

    def check_change(self, previous: Mapping[str, Any]) -> None:
        """Raise when this change may not be made; `previous` is what the locked row holds of each changed column."""
        if altered := self.UNALTERABLE & previous.keys():
            raise TypeError(f"{type(self).__name__}.{min(altered)} is never altered once it is written.")

    @classmethod
    def make_parts(cls, new: list[Self]) -> None:
        """Make what belongs to new rows before they are announced (a customer's wallet, an order's items)."""

    @classmethod
    def tell(cls, new: list[Fact]) -> None:
        """Announce facts about rows of this model, then do what follows from them."""
        announce(new)
        cls.follow(new)

    @classmethod
    def follow(cls, new: list[Fact]) -> None:
        """Do what follows from facts that were announced (a customer's tier), still in their transaction."""

    def _written_by_save(self) -> list[str]:
        """The columns that a plain save of a row that is there writes."""
        unwritten = self.get_deferred_fields() | self.BOOKS
        return [
            field.name
            for field in self._meta.concrete_fields
            if not field.primary_key and field.attname not in unwritten
        ]

    def _previous(self, using: str, update_fields: Iterable[str] | None) -> dict[str, Any]:
        """What the database holds now of each column that this save changes; the row is locked until the end.

        Columns that it does not write are read: another writer may have changed them, and what is announced is the row.
        """
        rows = type(self)._base_manager.using(using).select_for_update(no_key=True)
        stored = rows.values(*(field.attname for field in self._meta.concrete_fields)).get(pk=self.pk)
        wanted = None if update_fields is None else {*update_fields}
        if wanted and (books := wanted & self.BOOKS):
            raise TypeError(f"{type(self).__name__}.{min(books)} is no fact: keep_books() writes it.")
        unwritten = self.get_deferred_fields() | self.BOOKS
        previous = {}
        for field in self._meta.concrete_fields:
            name = field.attname
            if name in unwritten or (wanted is not None and not wanted & {field.name, name}):
                setattr(self, name, stored[name])
            elif field.to_python(getattr(self, name)) != stored[name]:
                previous[name] = stored[name]
        return previous
