"""One file per tool. Every module of this package that declares a Destination is found by itself; nothing lists them."""

import pkgutil
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from inspect import isabstract
from types import MappingProxyType
from typing import TypeGuard

from integrations.destinations.base import Destination


class UnknownDestination(LookupError):
    """A destination that this version does not have (removed, or a typing error)."""

    def __init__(self, key: str) -> None:
        super().__init__(f"There is no destination “{key}” in this version.")


def _declared_in(module: str, thing: object) -> TypeGuard[type[Destination]]:
    """Whether this is a destination, whole (not a base of others), and not only imported there."""
    return (
        isinstance(thing, type)
        and issubclass(thing, Destination)
        and not isabstract(thing)
        and thing.__module__ == module
    )


@cache
def destinations() -> Mapping[str, type[Destination]]:
    """Every destination by its key, in the order of their labels."""
    found: dict[str, type[Destination]] = {}
    for module in pkgutil.iter_modules(__path__, prefix=f"{__name__}."):
        for thing in vars(import_module(module.name)).values():
            if _declared_in(module.name, thing):
                if other := found.get(thing.key):
                    raise TypeError(f"{thing} and {other} have the same key {thing.key!r}.")
                found[thing.key] = thing
    return MappingProxyType(dict(sorted(found.items(), key=lambda item: item[1].label.lower())))


def destination(key: str) -> type[Destination]:
    """The destination with this key. Raises UnknownDestination."""
    try:
        return destinations()[key]
    except KeyError:
        raise UnknownDestination(key) from None


def choices() -> list[tuple[str, str]]:
    """Key and label of every destination that is offered here; a callable, so that a new one costs no migration."""
    return [(key, kind.label) for key, kind in destinations().items() if kind.offered()]
