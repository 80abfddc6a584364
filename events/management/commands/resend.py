"""`manage.py resend`: sends again what failed, was skipped or cancelled, or even what was sent."""

import time
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Q
from django.utils.dateparse import parse_datetime
from django.utils.timezone import is_naive, make_aware

from customers.models import Customer, Store
from customers.models.store import UUID_TEXT
from events import catalogue, replays
from events.models import Replay
from events.models.replay import BACKLOG, FASTEST, FINISHED, RATE, ReplayState
from integrations.models import Integration

TELL_EVERY = 1.0  # seconds between two words about progress
LOOK_AGAIN = 0.1


class Command(BaseCommand):
    help = "Counts the deliveries that match, and with --yes makes them due again, at a pace, and waits until all are."

    def add_arguments(self, parser: CommandParser) -> None:
        statuses = [value for value, _ in FINISHED]
        parser.add_argument(
            "--status", choices=statuses, default="failed", help="what became of them (default: failed)"
        )
        parser.add_argument("--store", help="the store's name or id")
        parser.add_argument("--integration", help="the integration's name or id")
        parser.add_argument("--event", help="the event's key")
        parser.add_argument("--customer", help="the customer's e-mail address, customer id, or id here")
        parser.add_argument("--since", help="recorded at or after this time (ISO 8601)")
        parser.add_argument("--until", help="recorded before this time (ISO 8601)")
        parser.add_argument("--new-id", action="store_true", help="under new ids: receivers take each for a new event")
        parser.add_argument("--rate", type=int, default=RATE, help=f"how many a second (default: {RATE})")
        parser.add_argument("--yes", action="store_true", help="do it, instead of counting only")
        parser.add_argument("--background", action="store_true", help="leave it to the cluster, do not wait")

    def handle(self, *, yes: bool, background: bool, **chosen: Any) -> None:
        wanted = [replay for replay in _replays(chosen) if replay.matching().exists()]
        if not yes:
            count = sum(replay.matching().count() for replay in wanted)
            self.stdout.write(f"{count} would be sent again. Add --yes to do it.")
            return
        for replay in wanted:
            replay.start()
        total = sum(replay.total for replay in wanted)
        if background:
            self.stdout.write(f"{total} will be sent again; the cluster does it in the background.")
            return
        try:
            self._wait(wanted)
        except KeyboardInterrupt:
            self.stdout.write("A running cluster goes on with it in the background.")
            return
        self.stdout.write(f"{sum(replay.done for replay in wanted)} will be sent again.")

    def _wait(self, started: list[Replay]) -> None:
        """Go on with them here, beside whoever else does, until none is running; tell how far it is."""
        total, told, said = sum(replay.total for replay in started), time.monotonic(), ""
        while any(replay.state == ReplayState.RUNNING for replay in started):
            replays.work(budget=1.0)
            for replay in started:
                replay.refresh_from_db()
            if time.monotonic() - told >= TELL_EVERY:
                words = f"{sum(replay.done for replay in started)} of {total} are due again."
                if any(replay.backlog() >= BACKLOG for replay in started if replay.state == ReplayState.RUNNING):
                    words += f" Waiting for the senders: more than {BACKLOG} are due already."
                if words != said:
                    self.stdout.write(words)
                told, said = time.monotonic(), words
            time.sleep(LOOK_AGAIN)


def _replays(chosen: dict[str, Any]) -> list[Replay]:
    """One, unsaved, for each store that the options name or leave open. Raises CommandError with what is wrong."""
    fields: dict[str, Any] = {"status": chosen["status"], "new_id": chosen["new_id"], "rate": chosen["rate"]}
    if not 1 <= chosen["rate"] <= FASTEST:
        raise CommandError(f"--rate is from 1 to {FASTEST}.")
    fields["started_by"] = "the command line"
    try:
        stores = [Store.objects.named(chosen["store"])] if chosen["store"] else list(Store.objects.all())
        if name := chosen["integration"]:
            tools = Integration.objects.existing().filter(store__in=stores)
            if tools.filter(name=name).count() > 1:
                raise CommandError(f"Several stores have an integration “{name}”: say which one with --store.")
            fields["integration"] = tools.named(name)
            stores = [fields["integration"].store]
        if name := chosen["customer"]:
            fields["customer"] = _customer(name, stores)
            stores = [fields["customer"].store]
    except ValidationError as error:
        raise CommandError(" ".join(error.messages)) from None
    if chosen["event"]:
        try:
            fields["event_key"] = catalogue.event_type(chosen["event"]).key
        except catalogue.UnknownEventType as error:
            raise CommandError(error.args[0]) from None
    for name, column in (("since", "recorded_at_after"), ("until", "recorded_at_before")):
        if chosen[name]:
            fields[column] = _moment(chosen[name])
    return [Replay(store=store, **fields) for store in stores]


def _customer(text: str, stores: list[Store]) -> Customer:
    """The one customer of these stores whom this names. Raises CommandError."""
    named = Q(email=text.lower()) | Q(external_id=text)
    if UUID_TEXT.fullmatch(text):
        named |= Q(pk=text)
    found = Customer.objects.filter(named, store__in=stores).select_related("store")[:2]
    if len(found) > 1:
        raise CommandError(f"Several customers are called “{text}”: give the id here, or --store.")
    if not found:
        raise CommandError(f"There is no customer “{text}”.")
    return found[0]


def _moment(text: str) -> Any:
    try:
        moment = parse_datetime(text) or parse_datetime(f"{text}T00:00")
    except ValueError:
        moment = None
    if moment is None:
        raise CommandError(f"{text} is not a time. Write it as 2026-11-24 or 2026-11-24T10:30+01:00.")
    return make_aware(moment) if is_naive(moment) else moment
