"""A destination for a trial, beside those of this version."""

from collections.abc import Callable, Mapping

from integrations import destinations
from integrations.destinations.base import Destination


def known_with(kind: type[Destination]) -> Callable[[], Mapping[str, type[Destination]]]:
    """What takes the place of `destinations.destinations`, so that this one is known too."""
    known = {**destinations.destinations(), kind.key: kind}
    return lambda: known
