"""`manage.py create_store`: a new store, and who owns it."""

import json
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import IntegrityError, models, transaction

from customers.models import Role, Store, StoreMembership
from customers.people import person
from customers.refusals import Refused

FIELDS = ("coin_name", "currency", "country", "time_zone", "website", "rewards_page")


class Command(BaseCommand):
    help = "Makes a store. Its events are off, unless you say --events-on: they are recorded and held, nothing is sent."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="how the business is called, each name once")
        for name in FIELDS:
            field = Store._meta.get_field(name)
            assert isinstance(field, models.Field)
            default = field.get_default()
            said = f"{field.verbose_name} (default: {default})" if default else str(field.verbose_name)
            parser.add_argument(_option(name), default=default, help=said)
        parser.add_argument("--events-on", action="store_true", help="send events from the start")
        parser.add_argument("--owner", metavar="EMAIL", help="who owns it: a user who is there, or a new one")
        parser.add_argument("--password", help="of a new owner (default: a random one, printed once)")
        parser.add_argument("--json", action="store_true", dest="as_json", help="print JSON, for scripts")

    def handle(
        self, *, name: str, owner: str | None, password: str | None, events_on: bool, as_json: bool, **options: Any
    ) -> None:
        if password is not None and owner is None:
            raise CommandError("--password is that of a new owner: say who with --owner.")
        with transaction.atomic():
            store = _store(name.strip(), events_on=events_on, **{field: options[field] for field in FIELDS})
            user, shown = _owner(owner, password) if owner else (None, None)
            if user:
                StoreMembership.objects.create(store=store, user=user, role=Role.OWNER)
        if as_json:
            login = {"username": user.get_username(), "email": user.email, "password": shown} if user else None
            self.stdout.write(json.dumps({"id": str(store.pk), "name": store.name, "owner": login}))
            return
        self.stdout.write(self.style.SUCCESS(f"Made the store {store.name}.") + f"\nId: {store.pk}")
        if user:
            self.stdout.write(f"Owner: {user.get_username()}")
        if shown:
            self.stdout.write(f"Password (shown only now): {shown}")


def _store(name: str, **fields: Any) -> Store:
    """The new store. Raises CommandError that names the option."""
    if there := Store.objects.filter(name=name).first():
        raise CommandError(f"There is a store “{name}” already; its id is {there.pk}.")
    store = Store(name=name, **fields)
    store.currency, store.country = store.currency.upper(), store.country.upper()
    try:
        store.full_clean()
    except ValidationError as error:
        said = error.message_dict.items()
        raise CommandError(" ".join(f"{_option(field)}: {messages[0]}" for field, messages in said)) from None
    try:
        with transaction.atomic():
            store.save()
    except IntegrityError:  # another one was quicker
        raise CommandError(f"There is a store “{name}” already.") from None
    return store


def _option(field: str) -> str:
    return "name" if field == "name" else f"--{field.replace('_', '-')}"


def _owner(email: str, password: str | None) -> tuple[User, str | None]:
    """Who owns it, with a new one's password. Raises CommandError that names the option."""
    try:
        return person(email, password=password)
    except Refused as error:
        option = "--owner" if "email" in error.message_dict else "--password"
        raise CommandError(f"{option}: {error.sentence}") from None
