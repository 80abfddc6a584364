"""Test events: one request, at once, to see whether an integration works, about a customer the store really has.

Refused (of `customers.refusals`) says, at the field it was entered in, why a test cannot be sent.
"""

import logging
import re
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

import phonenumbers
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from customers.models import Customer, Store
from customers.refusals import Refused
from events.catalogue import EventType
from events.log import exchange_of
from events.models import Attempt, Delivery, Exchange, Occurrence, Subscription
from events.models.delivery import DeliveryStatus, Outcome
from events.restrictions import Finding, Restriction, failing, judge
from events.sending import message_of
from integrations.calling import call, fault
from integrations.destinations import UnknownDestination
from integrations.destinations.base import Destination, Judgement, Selector, Skip, Verdict
from integrations.encryption import SecretsUnreadable
from integrations.models import Integration
from integrations.transcript import Transcript

logger = logging.getLogger(__name__)

LONGEST = timedelta(seconds=60)  # after it, an interrupted test is given up by the sweep
SUGGESTIONS = 8
LONGEST_NAME = 120  # characters of prefix and name together

_ENDS = {
    Verdict.ACCEPTED: (DeliveryStatus.SENT, Outcome.SENT),
    Verdict.SKIPPED: (DeliveryStatus.SKIPPED, Outcome.FAILED),
}


@dataclass(frozen=True, kw_only=True)
class Recipient:
    """The customer a test is about, and by which identifier the tool is to find her."""

    customer: Customer
    selector: Selector


@dataclass(frozen=True, kw_only=True)
class Report:
    """What came of a test, what was said, and whether its send event's restrictions would hold for it."""

    delivery: Delivery
    judgement: Judgement
    findings: list[Finding]
    said: list[Transcript]  # the calls in their order

    @property
    def failing(self) -> list[Finding]:
        """The restrictions that do not hold."""
        return failing(self.findings)

    @property
    def delivered(self) -> bool:
        """Whether the tool took it."""
        return self.judgement.verdict == Verdict.ACCEPTED

    @property
    def sentence(self) -> str:
        """What came of it, for a person."""
        return self.judgement.reason or f"{self.delivery.integration.kind.label} accepted it."


def recipient(store: Store, *, email: str = "", mobile: str = "") -> Recipient:
    """The customer of this store with that e-mail or mobile number. Raises Refused."""
    if bool(email) == bool(mobile):
        raise Refused("email", "Give either an e-mail address or a mobile number.", code="one_of_two")
    field, said = ("email", f"e-mail {email}") if email else ("mobile", f"mobile number {mobile}")
    try:
        customer = Customer.objects.find(store=store, email=email, mobile=mobile)
    except ValidationError as error:
        raise Refused(field, error.messages[0], code="invalid") from None
    if customer is None:
        raise Refused(field, f"No customer of {store} has the {said}.", code="does_not_exist")
    return Recipient(customer=customer, selector=Selector.EMAIL if email else Selector.MOBILE)


def suggestions(store: Store, *, mode: str, typed: str) -> list[tuple[str, str]]:
    """Identifier and name of customers whose `mode` (email or mobile) begins so, or whose name holds it; a few at most."""
    typed = typed.strip().replace("\0", "")
    if mode not in ("email", "mobile") or len(typed) < 2:
        return []
    start = typed.lower() if mode == "email" else _as_stored(typed, country=store.country)
    wanted = Q(name__icontains=typed) | (Q(**{f"{mode}__startswith": start}) if start else Q(pk=None))
    rows = Customer.objects.filter(wanted, store=store).exclude(**{mode: None}).order_by(mode)
    return list(rows.values_list(mode, "name")[:SUGGESTIONS])


def _as_stored(typed: str, *, country: str) -> str:
    """The beginning of a mobile number as numbers are stored: 0151 12 is +4915112 in Germany. Empty when it is none."""
    digits = re.sub(r"[^0-9]", "", typed)
    if typed.startswith(("+", "00")):
        return "+" + digits.removeprefix("00")
    return f"+{phonenumbers.country_code_for_region(country)}{digits.lstrip('0')}" if digits else ""


def send_test(
    *,
    kind: EventType,
    integration: Integration,
    to: Recipient,
    event_name: str,
    restrictions: list[Restriction],
    subscription: Subscription | None = None,
) -> Report:
    """Send one test event now, whatever is switched off, and log it as a delivery marked as test; never tried again.

    Call it outside any transaction. Raises Refused when the tool cannot find customers by that identifier, when the
    event's name is too long to be logged, or when the integration cannot be used.
    """
    adapter = _adapter(integration)
    if len(event_name) > LONGEST_NAME:
        raise Refused("name", f"An event's name has at most {LONGEST_NAME} characters.", code="max_length")
    if adapter.selectors and to.selector not in adapter.selectors:
        ways = " or ".join(selector.label for selector in adapter.selectors)
        raise Refused(
            "email" if to.selector == Selector.EMAIL else "mobile",
            f"{adapter.label} finds customers by {ways}, not by {to.selector.label}.",
            code="selector",
        )
    occurrence, delivery = _record(
        kind=kind, integration=integration, to=to, event_name=event_name, subscription=subscription
    )
    started_at = timezone.now()
    said: list[Transcript] = []
    try:
        message = message_of(delivery, occurrence, selector=to.selector if adapter.selectors else None)
        judgement, said = call(adapter, message, lease_ends=time.monotonic() + LONGEST.total_seconds())
    except Skip as skip:
        judgement = Judgement(Verdict.SKIPPED, str(skip))
    except Exception as error:  # a faulty adapter is a result that the admin must see
        logger.exception("The destination %s failed for the test %s", adapter.key, delivery.pk)
        judgement = Judgement(Verdict.REJECTED, fault(error))
    _finish(delivery, judgement, said, started_at=started_at)
    findings = judge(restrictions, occurrence.payload)
    return Report(delivery=delivery, judgement=judgement, findings=findings, said=said)


def _adapter(integration: Integration) -> Destination:
    try:
        return integration.adapter()
    except (UnknownDestination, SecretsUnreadable) as error:
        raise Refused("integration", str(error), code="unusable") from None


def _record(
    *, kind: EventType, integration: Integration, to: Recipient, event_name: str, subscription: Subscription | None
) -> tuple[Occurrence, Delivery]:
    now = timezone.now()
    occurrence = Occurrence(
        store_id=integration.store_id, customer=to.customer, event_key=kind.key, occurred_at=now, is_test=True
    )
    occurrence.payload = kind.sample(to.customer, event_id=occurrence.event_id, occurred_at=now)
    delivery = Delivery(
        store_id=integration.store_id,
        occurrence=occurrence,
        subscription=subscription,
        integration=integration,
        customer=to.customer,
        event_key=kind.key,
        event_name=event_name,
        label=f"{event_name} → {integration.name}",
        status=DeliveryStatus.SENDING,
        claim=uuid4(),
        leased_until=now + LONGEST,
        is_test=True,
    )
    with transaction.atomic():
        occurrence.save()
        delivery.occurrence = occurrence
        delivery.save()
    return occurrence, delivery


def _finish(delivery: Delivery, judgement: Judgement, said: list[Transcript], *, started_at: datetime) -> None:
    status, outcome = _ENDS.get(judgement.verdict, (DeliveryStatus.FAILED, Outcome.FAILED))
    exchanges = [
        exchange_of(one, store_id=delivery.store_id, integration_id=delivery.integration_id, started_at=started_at)
        for one in said
    ]
    with transaction.atomic():
        Exchange.objects.bulk_create(exchanges)
        Attempt.objects.create(
            store_id=delivery.store_id,
            delivery=delivery,
            exchange=exchanges[-1] if exchanges else None,
            number=1,
            outcome=outcome,
            detail=judgement.reason[:500],
            started_at=started_at,
            duration_ms=sum(one.duration_ms for one in said),
        )
        Delivery.objects.filter(pk=delivery.pk, claim=delivery.claim).update(
            status=status, reason=judgement.reason[:500], tries=1, finished_at=Now(), claim=None, leased_until=None
        )
    delivery.refresh_from_db()
