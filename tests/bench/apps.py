"""A destination that exists for the measures alone, in every process of theirs."""

from typing import Any

from django.apps import AppConfig


class BenchConfig(AppConfig):
    name = "tests.bench"
    label = "bench"

    def ready(self) -> None:
        from integrations import destinations
        from tests.integrations.batches import Crate

        known: dict[str, Any] = {**destinations.destinations(), Crate.key: Crate}
        destinations.destinations = lambda: known  # type: ignore[assignment]
