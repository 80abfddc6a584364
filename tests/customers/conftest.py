"""What tests of facts share: a clock that they set."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from time_machine import Traveller

START = datetime(2026, 1, 15, 10, 0, tzinfo=UTC)


@pytest.fixture
def clock() -> Iterator[Traveller]:
    """It is START, and time passes."""
    with time_machine.travel(START) as traveller:
        yield traveller


@pytest.fixture
def wait(clock: Traveller) -> Callable[[float], None]:
    """Lets so many days pass."""

    def pass_days(days: float) -> None:
        clock.shift(timedelta(days=days))

    return pass_days
