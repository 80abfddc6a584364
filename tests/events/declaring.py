"""A registry of event types of the test's own, so that a test can declare or break one and nothing of it stays."""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from events import catalogue
from events.catalogue import event_type


@contextmanager
def own_registry() -> Iterator[None]:
    """What is declared or changed inside the block is gone after it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalogue, "_declared", dict(catalogue._declared))
        _forget()
        try:
            yield
        finally:
            patch.undo()
            _forget()


@contextmanager
def changed(key: str, **changes: Any) -> Iterator[None]:
    """The event type with this key is another one inside the block: `changed("lead_create", build=broken)`."""
    with own_registry():
        catalogue._declared[key] = dataclasses.replace(event_type(key), **changes)
        yield


@contextmanager
def removed(key: str) -> Iterator[None]:
    """There is no event type with this key inside the block."""
    with own_registry():
        event_type(key)
        del catalogue._declared[key]
        yield


def _forget() -> None:
    catalogue.event_types.cache_clear()
    catalogue.event_types_of.cache_clear()
