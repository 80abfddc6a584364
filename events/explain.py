"""Why it was (not) sent: every send event of the store with its verdict on one occurrence, in words.

Judged by the version of each send event that was in force when the fact happened, never by what it says today.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils import timezone

from events import catalogue
from events.models import Delivery, Lane, Occurrence, Subscription, SubscriptionVersion
from events.models.delivery import HELD, RETRYING, DeliveryStatus
from events.restrictions import Finding, RestrictionError, judge, read_restrictions

# Readings beside those of a delivery.
OFF, NOT_MATCHED, LATER, UNCLEAR, SILENT, GONE = "off", "not_matched", "later", "unclear", "silent", "gone"

# Each reading as a person reads it: first what became of a delivery, then why there is none.
READINGS = {
    **dict(DeliveryStatus.choices),
    HELD: "Held",
    RETRYING: "Retrying",
    OFF: "Off",
    NOT_MATCHED: "Not matched",
    LATER: "Made later",
    UNCLEAR: "Not evaluated",
    SILENT: "Imported silently",
    GONE: "No longer kept",
}
_SENTENCES = {
    "pending": "It is waiting for its turn.",
    "sending": "It is being sent.",
    "sent": "It was accepted.",
    "skipped": "It was skipped.",
    "failed": "It failed.",
    "cancelled": "It was cancelled.",
    RETRYING: "It is tried again later.",
    OFF: "The send event was off when it happened.",
    NOT_MATCHED: "Its restrictions did not hold.",
    LATER: "The send event was made later.",
    UNCLEAR: "It could not be evaluated.",
    SILENT: "It was imported silently: recorded, and not sent.",
    GONE: "It matched. What became of it is no longer kept.",
}


@dataclass(frozen=True)
class Hold:
    """One reason why a pending delivery is held; and what comes next by itself, and when, if that is known."""

    sentence: str
    then: str = ""
    at: datetime | None = None

    def __str__(self) -> str:
        return self.sentence


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """One send event's verdict: a reading of its delivery, or why there is none; with what each restriction found.

    `label` is that of the delivery, else of the version in force; `subscription` is None for a test of an unsaved one.
    """

    label: str
    subscription: Subscription | None
    version: SubscriptionVersion | None
    reading: str
    sentence: str
    delivery: Delivery | None
    findings: list[Finding] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)

    @property
    def failed(self) -> list[Finding]:
        """The restrictions that did not hold."""
        return [finding for finding in self.findings if not finding.holds]

    @property
    def next_try(self) -> datetime | None:
        """When it is tried next: of what is pending and not held."""
        return self.delivery.next_attempt_at if self.delivery and self.reading in ("pending", RETRYING) else None


def explain(occurrence: Occurrence) -> list[Explanation]:
    """A verdict for each send event of this event in its store, deliveries first."""
    return explain_all([occurrence])[occurrence.pk]


def explain_all(occurrences: Sequence[Occurrence]) -> dict[int, list[Explanation]]:
    """For each of these occurrences of one store, by its id: a verdict for each send event of its event.

    At most four queries, however many occurrences and send events there are.
    """
    keys = {occurrence.event_key for occurrence in occurrences}
    stores = {occurrence.store_id for occurrence in occurrences}
    subscriptions = list(
        Subscription.objects.filter(store__in=stores, event_key__in=keys).select_related("integration")
    )
    versions: dict[UUID, list[SubscriptionVersion]] = {}
    known = SubscriptionVersion.objects.filter(subscription__in=[one.pk for one in subscriptions])
    for version in known.select_related("integration").order_by("number"):
        versions.setdefault(version.subscription_id, []).append(version)
    deliveries = _deliveries(occurrences)
    lanes = _lanes([one for those in deliveries.values() for one in those])
    found = {}
    for occurrence in occurrences:
        mine = deliveries.get(occurrence.pk, [])
        concerned = {one.subscription_id for one in mine}
        told = [
            _of_delivery(occurrence, one, _in_force(versions.get(one.subscription_id, []), occurrence), lanes)  # type: ignore[arg-type]
            for one in mine
        ]
        told += [
            _without_delivery(occurrence, one, _in_force(versions.get(one.pk, []), occurrence))
            for one in subscriptions
            if one.event_key == occurrence.event_key
            and one.pk not in concerned
            and not occurrence.is_test  # a test is sent to one send event, and the others have nothing to say to it
            and not _gone_before(one, occurrence.occurred_at)
        ]
        found[occurrence.pk] = sorted(told, key=lambda one: (one.delivery is None, one.label))
    return found


def why_held(delivery: Delivery) -> list[Hold]:
    """Everything that holds this pending delivery now; empty for one that is not held."""
    return _holds(delivery, _lanes([delivery]).get(delivery.integration_id))


def _deliveries(occurrences: Sequence[Occurrence]) -> dict[int, list[Delivery]]:
    rows = Delivery.objects.filter(occurrence__in=[occurrence.pk for occurrence in occurrences]).with_reading()
    found: dict[int, list[Delivery]] = {}
    for delivery in rows.select_related("integration", "subscription", "store"):
        found.setdefault(delivery.occurrence_id, []).append(delivery)
    return found


def _lanes(deliveries: Iterable[Delivery]) -> dict[UUID, Lane]:
    """The closed lanes of those that are pending."""
    pending = {one.integration_id for one in deliveries if one.status == DeliveryStatus.PENDING and not one.is_test}
    if not pending:
        return {}
    return {lane.integration_id: lane for lane in Lane.objects.closed().filter(integration__in=pending)}


def _holds(delivery: Delivery, lane: Lane | None) -> list[Hold]:
    found = []
    integration, subscription = delivery.integration, delivery.subscription
    if not delivery.store.events_on:
        found.append(Hold("Events are off in this store."))
    if subscription and not subscription.enabled:
        found.append(Hold("The send event is off."))
    if not integration.enabled:
        why = integration.switched_off_reason.rstrip(".")
        found.append(Hold(f"{integration.name} is off{f': {why}' if why else ''}."))
    if lane and lane.closed:
        closed = f"{integration.name} is held, because {lane.get_closed_display()}."
        found.append(Hold(closed, "It is tried with one delivery at", lane.probe_at))
    if lane and lane.not_before and lane.not_before > timezone.now():
        found.append(Hold(f"{integration.name} asked to wait.", "It goes on at", lane.not_before))
    return found


def _in_force(versions: Iterable[SubscriptionVersion], occurrence: Occurrence) -> SubscriptionVersion | None:
    """The last of these versions (by number) that was there when it happened."""
    past = [version for version in versions if version.since <= occurrence.occurred_at]
    return past[-1] if past else None


def _gone_before(subscription: Subscription, moment: datetime) -> bool:
    return subscription.archived_at is not None and subscription.archived_at <= moment


def _of_delivery(
    occurrence: Occurrence, delivery: Delivery, version: SubscriptionVersion | None, lanes: dict[UUID, Lane]
) -> Explanation:
    findings, _ = _judged(occurrence, version)
    reading: Any = delivery.reading  # type: ignore[attr-defined]  # annotated
    holds = _holds(delivery, lanes.get(delivery.integration_id)) if reading == HELD else []
    sentence = delivery.reason or _SENTENCES.get(reading, "")
    return Explanation(
        label=delivery.label,
        subscription=delivery.subscription,
        version=version,
        reading=reading,
        sentence=" ".join(map(str, holds)) or sentence,
        delivery=delivery,
        findings=findings,
        holds=holds,
    )


def _without_delivery(
    occurrence: Occurrence, subscription: Subscription, version: SubscriptionVersion | None
) -> Explanation:
    findings, unclear = _judged(occurrence, version)
    reading = _reading(occurrence, version, findings, unclear)
    label = f"{version.event_name} → {version.integration.name}" if version else subscription.label
    sentence = _SENTENCES[reading]
    if reading == UNCLEAR and unclear:
        sentence = f"{sentence} {unclear}"
    return Explanation(
        label=label,
        subscription=subscription,
        version=version,
        reading=reading,
        sentence=sentence,
        delivery=None,
        findings=findings,
    )


def _judged(occurrence: Occurrence, version: SubscriptionVersion | None) -> tuple[list[Finding], str]:
    """The findings by this version, and what could not be evaluated."""
    if version is None:
        return [], ""
    if not occurrence.payload:
        return [], occurrence.error
    try:
        restrictions = read_restrictions(catalogue.event_type(occurrence.event_key), version.restrictions)
    except (RestrictionError, catalogue.UnknownEventType) as error:
        return [], str(error)
    findings = judge(restrictions, occurrence.payload)
    problems = " ".join(finding.problem for finding in findings if finding.problem)
    return findings, problems or _noted(occurrence, version)


def _noted(occurrence: Occurrence, version: SubscriptionVersion) -> str:
    """What the recorder noted about this send event, when it could not evaluate it then."""
    start = f"{version.event_name}: "
    return " ".join(line.removeprefix(start) for line in occurrence.error.splitlines() if line.startswith(start))


def _reading(occurrence: Occurrence, version: SubscriptionVersion | None, findings: list[Finding], unclear: str) -> str:
    if version is None:
        return LATER
    if not version.enabled:
        return OFF
    if occurrence.silent:
        return SILENT
    if any(not finding.holds and not finding.problem for finding in findings):
        return NOT_MATCHED
    return UNCLEAR if unclear else GONE
