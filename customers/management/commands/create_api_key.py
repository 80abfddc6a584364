"""`manage.py create_api_key`: a key with which an app of a store calls the API."""

import json
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from customers.models import ApiKey, Store


class Command(BaseCommand):
    help = "Makes an API key of a store and prints it, this once: only its hash is kept."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("store", help="the store's name or id")
        parser.add_argument("name", help="what the key is for, such as the app's name")
        parser.add_argument("--json", action="store_true", dest="as_json", help="print JSON, for scripts")

    def handle(self, *, store: str, name: str, as_json: bool, **options: Any) -> None:
        name = name.strip()
        try:
            owner = Store.objects.named(store)
            ApiKey._meta.get_field("name").clean(name, None)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None
        # A script that runs again would pile up keys that nobody knows of.
        if ApiKey.objects.filter(store=owner, name=name, revoked=False).exists():
            raise CommandError(f"{owner} has a key “{name}” already: revoke it first, or choose another name.")
        row, key = ApiKey.objects.create_key(store=owner, name=name)
        if as_json:
            self.stdout.write(json.dumps({"id": str(row.pk), "store": str(owner.pk), "name": name, "key": key}))
            return
        self.stdout.write(self.style.SUCCESS(f"Made the API key “{name}” of {owner}. It is shown only now:"))
        self.stdout.write(key)
        self.stdout.write(f"Send it as the header  Authorization: Api-Key {key}")
