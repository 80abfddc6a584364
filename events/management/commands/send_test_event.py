"""`manage.py send_test_event`: tries an integration from the command line, as the admin's button does."""

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from customers.models import Store
from customers.refusals import Refused
from events import catalogue
from events.catalogue import UnknownEventType
from events.models import Subscription
from events.models.delivery import DeliveryStatus
from events.restrictions import Restriction, RestrictionError
from events.testing import recipient, send_test
from integrations.models import Integration


class Command(BaseCommand):
    help = "Sends a test event about a customer of the store, at once, and shows what the other side answered."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("event", help="the event's key, such as walletreward_create")
        parser.add_argument("--store", required=True, help="the store's name or id")
        parser.add_argument("--integration", required=True, help="the integration's name or id")
        parser.add_argument("--email", default="", help="e-mail address of a customer of the store")
        parser.add_argument("--mobile", default="", help="mobile number of a customer of the store")
        parser.add_argument("--name", default="", help="the event's name in the tool (default: that of its send event)")

    def handle(self, *, event: str, store: str, integration: str, email: str, mobile: str, name: str, **_: Any) -> None:
        try:
            kind = catalogue.event_type(event)
            owner = Store.objects.named(store)
            tool = Integration.objects.existing().filter(store=owner).named(integration)
            subscription = (
                Subscription.objects.existing().filter(store=owner, integration=tool, event_key=kind.key).first()
            )
            report = send_test(
                kind=kind,
                integration=tool,
                to=recipient(owner, email=email, mobile=mobile),
                event_name=name or (subscription.event_name if subscription else kind.key),
                restrictions=self._restrictions(subscription) if subscription else [],
                subscription=subscription,
            )
        except (UnknownEventType, Refused) as error:
            raise CommandError(error.sentence if isinstance(error, Refused) else error.args[0]) from None
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None
        attempt = report.delivery.attempts.select_related("exchange").get()
        if exchange := attempt.exchange:
            self.stdout.write(f"{exchange.request_method} {exchange.request_url}\n{exchange.request_body}")
            self.stdout.write(f"Answer after {exchange.duration_ms} ms: {exchange.response_status or exchange.error}")
        for finding in report.findings:
            self.stdout.write(
                f"{'Holds' if finding.holds else 'Does not hold'}: {finding.problem or finding.restriction}"
            )
        if report.delivery.status != DeliveryStatus.SENT:
            raise CommandError(f"The test event was not accepted. {report.judgement.reason}")
        self.stdout.write(self.style.SUCCESS(f"Sent: {report.delivery.event_name} to {tool}."))

    def _restrictions(self, subscription: Subscription) -> list[Restriction]:
        """Those of the send event; none where they do not fit the event any more, which stops no test."""
        try:
            return subscription.read_restrictions()
        except RestrictionError as error:
            self.stdout.write(f"Its restrictions cannot be judged: {error}")
            return []
