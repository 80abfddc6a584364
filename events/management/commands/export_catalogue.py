"""`manage.py export_catalogue`: every event type with its JSON Schema and an example, for those who build receivers."""

import json
from typing import Any

from django.core.management.base import BaseCommand

from events.catalogue import event_types
from events.catalogue_serializers import EventTypeDetailSerializer


class Command(BaseCommand):
    help = (
        "Prints the catalogue of events as JSON: of each its fields, JSON Schema and an example, as the API tells it."
    )
    requires_system_checks = ()

    def handle(self, **options: Any) -> None:
        kinds = [EventTypeDetailSerializer(kind).data for kind in event_types().values()]
        self.stdout.write(json.dumps({"events": kinds}, indent=2, ensure_ascii=False))
