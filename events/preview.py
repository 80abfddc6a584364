"""What a send event would send: the exact request, secrets masked, for a recent real occurrence or a sample."""

import logging
from dataclasses import dataclass, replace
from uuid import UUID

from django.utils import timezone
from uuid_utils.compat import uuid7

from customers.models import Customer
from events.catalogue import EventType
from events.models import Occurrence
from events.restrictions import Finding, Restriction, failing, judge
from integrations.destinations import UnknownDestination
from integrations.destinations.base import Message, Skip
from integrations.encryption import SecretsUnreadable
from integrations.models import Integration
from integrations.transcript import Transcript, transcript

logger = logging.getLogger(__name__)

RECENT = 20  # occurrences among which one is looked for that would be sent


@dataclass(frozen=True, kw_only=True)
class Preview:
    """The requests in their order, or why there are none (`sentence`); what they are made of, and whether that would go."""

    requests: list[Transcript]
    occurrence: Occurrence | None  # None: made of a sample
    findings: list[Finding]
    sentence: str = ""

    @property
    def failing(self) -> list[Finding]:
        """The restrictions that do not hold."""
        return failing(self.findings)


def preview(
    *, kind: EventType, integration: Integration, event_name: str, restrictions: list[Restriction]
) -> Preview | None:
    """What would go out; None when the store has neither such an occurrence nor any customer."""
    occurrence = _recent(kind, store_id=integration.store_id, restrictions=restrictions)
    if occurrence is None:
        customer = Customer.objects.filter(store=integration.store_id).select_related("store", "wallet").first()
        if customer is None:
            return None
        payload = kind.sample(customer, event_id=uuid7(), occurred_at=timezone.now())
    else:
        payload = occurrence.read_payload()
    event_id = UUID(payload["event_id"])
    message = Message(
        id=event_id,
        event_id=event_id,
        event_key=kind.key,
        event_name=event_name,
        occurred_at=occurrence.occurred_at if occurrence else timezone.now(),
        payload=payload,
    )
    findings = judge(restrictions, payload)
    try:
        adapter = integration.adapter()
        message = replace(message, selector=integration.selector())
        if message.selector and not message.identifier:
            sentence = f"The customer has no {message.selector.label}, so this one would be skipped."
            return Preview(requests=[], occurrence=occurrence, findings=findings, sentence=sentence)
        requests = [transcript(request, None, secrets=adapter.secrets()) for request in adapter.calls(message)]
    except (UnknownDestination, SecretsUnreadable, Skip) as error:
        return Preview(requests=[], occurrence=occurrence, findings=findings, sentence=str(error))
    except Exception as error:  # a faulty adapter is something that the admin must see
        logger.exception("The destination %s failed for a preview", integration.destination)
        sentence = f"The destination itself failed: {type(error).__name__}: {error}"
        return Preview(requests=[], occurrence=occurrence, findings=findings, sentence=sentence)
    return Preview(requests=requests, occurrence=occurrence, findings=findings)


def _recent(kind: EventType, *, store_id: UUID, restrictions: list[Restriction]) -> Occurrence | None:
    """The newest one that would be sent, else the newest one."""
    rows = Occurrence.objects.filter(store=store_id, event_key=kind.key, error="", is_test=False)
    found = list(rows.order_by("-id")[:RECENT])
    holding = (one for one in found if all(finding.holds for finding in judge(restrictions, one.payload)))
    return next(holding, found[0] if found else None)
