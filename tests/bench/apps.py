"""A destination that exists for the measures alone, in every process of theirs."""

from django.apps import AppConfig


class BenchConfig(AppConfig):
    name = "tests.bench"
    label = "bench"

    def ready(self) -> None:
        from integrations import destinations
        from tests.integrations.batches import Crate
        from tests.trial import known_with

        destinations.destinations = known_with(Crate)  # type: ignore[assignment]
