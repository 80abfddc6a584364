"""Accidents, prepared in every process of a scenario: a destination that is lethal, and a web process that dies in time."""

import os
import signal
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from django.apps import AppConfig

from integrations import destinations
from integrations.destinations.base import Message
from integrations.destinations.webhook import Webhook
from integrations.http import Request
from tests.trial import known_with

POISON = "poison"  # the customer id whose event kills whoever sends it
DEATHS = "deaths"  # a file: a letter for each worker that it killed
LETHAL_COMMIT = "lethal-commit"  # a file: the next process that commits an event dies of it, before it wakes anybody


class Lethal(Webhook):
    """Kills its worker, on one event each time."""

    key = "lethal"
    label = "Lethal"

    def calls(self, message: Message) -> Iterator[Request]:
        if message.payload["user_customer_id"] == POISON:
            with (Path(os.environ["SOAK_PLACE"]) / DEATHS).open("a") as deaths:
                deaths.write("x")
            os.kill(os.getpid(), signal.SIGKILL)
        yield from super().calls(message)


class SoakConfig(AppConfig):
    name = "tests.soak"
    label = "soak"

    def ready(self) -> None:
        outbox: Any = import_module("events.outbox")
        destinations.destinations = known_with(Lethal)  # type: ignore[assignment]
        wake = outbox.wake

        def wake_or_die() -> None:
            try:
                (Path(os.environ["SOAK_PLACE"]) / LETHAL_COMMIT).unlink()
            except FileNotFoundError:
                wake()
            else:
                os.kill(os.getpid(), signal.SIGKILL)

        outbox.wake = wake_or_die
