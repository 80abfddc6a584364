"""From facts to deliveries: recorded in the transaction of the fact itself, so that neither exists without the other."""

import json
import logging
from collections.abc import Iterable, Sequence
from typing import Any

from django.db import DatabaseError, transaction
from django.utils import timezone
from uuid_utils.compat import uuid7

from customers.facts import Fact
from events import catalogue, postgresql, rows
from events.catalogue import EventType
from events.models import Delivery, Occurrence, Subscription
from events.restrictions import RestrictionError, judge
from events.waking import wake

logger = logging.getLogger(__name__)


def record(facts: Sequence[Fact]) -> None:
    """Record what these facts bring about: an Occurrence for each event type, a Delivery for each send event that matches.

    Three queries (two on PostgreSQL), however many send events there are. A payload or restriction that raises leaves its
    reason on the Occurrence, where it can be evaluated again; only errors of the database itself come through and roll
    the fact back.
    """
    occurrences = [occurrence for fact in facts for occurrence in _occurrences(fact)]
    if not occurrences:
        return
    by_store: dict[Any, list[Occurrence]] = {}
    for occurrence in occurrences:
        by_store.setdefault(occurrence.store_id, []).append(occurrence)
    for store_id, those in by_store.items():
        heard = [occurrence for occurrence in those if not occurrence.silent]
        keys = {occurrence.event_key for occurrence in heard}
        subscriptions = _wanting(store_id, keys) if keys else []
        matching = [(one, subscription) for one in heard for subscription in _matching(one, subscriptions)]
        rows.record(those, [(one, _delivery(one, subscription)) for one, subscription in matching])
        if matching:
            transaction.on_commit(wake, robust=True)


def evaluate_again(occurrence: Occurrence) -> int:
    """Build and evaluate anew what failed when it was recorded; returns how many deliveries that added.

    Send events made since the fact happened stay out of it: they apply to later occurrences.
    """
    with transaction.atomic():
        occurrence = Occurrence.objects.select_for_update().get(pk=occurrence.pk)
        if not occurrence.error:
            return 0
        occurrence.error = ""
        if occurrence.unbuilt is not None:
            _build_again(occurrence)
            if occurrence.unbuilt is None and not occurrence.payload:  # now it can be told that nothing happened
                occurrence.delete()
                return 0
        wanting = Subscription.objects.wanting(store_id=occurrence.store_id, event_keys={occurrence.event_key})
        known = occurrence.deliveries.values("subscription")
        subscriptions = wanting.filter(created_at__lte=occurrence.occurred_at).exclude(pk__in=known)
        matching = [] if occurrence.silent else _matching(occurrence, list(subscriptions))
        occurrence.save(update_fields=["error", "customer", "payload", "unbuilt"])
        if matching:
            rows.insert(Delivery, [{"occurrence_id": occurrence.pk, **_delivery(occurrence, one)} for one in matching])
            transaction.on_commit(wake, robust=True)
    return len(matching)


def _wanting(store_id: Any, keys: set[str]) -> list[Subscription]:
    """The send events of these events, as `SubscriptionQuerySet.wanting` has them."""
    if postgresql.in_use():
        return postgresql.wanting(store_id, keys)
    return list(Subscription.objects.wanting(store_id=store_id, event_keys=keys))


def _delivery(occurrence: Occurrence, subscription: Subscription) -> dict[str, Any]:
    """The row of this delivery, but for its occurrence's key."""
    return {
        "id": uuid7(),
        "store_id": occurrence.store_id,
        "subscription_id": subscription.pk,
        "integration_id": subscription.integration_id,
        "customer_id": occurrence.customer_id,
        "event_key": occurrence.event_key,
        "event_name": subscription.event_name,
        "label": subscription.label,
    }


def _occurrences(fact: Fact) -> Iterable[Occurrence]:
    for kind in catalogue.event_types_of(type(fact.instance)):
        try:
            happened = kind.when(fact)
        except DatabaseError:
            raise
        except Exception as error:  # noqa: BLE001 - a declaration's bug must not undo a customer's reward
            yield _unbuilt(kind, fact, error)
            continue
        if happened:
            yield _occurrence(kind, fact)


def _occurrence(kind: EventType, fact: Fact) -> Occurrence:
    instance: Any = fact.instance
    occurrence = Occurrence(
        store_id=instance.store_id,
        event_key=kind.key,
        subject_id=instance.pk,
        occurred_at=timezone.now(),
        silent=fact.silent,
    )
    try:
        _build(occurrence, kind, fact)
    except DatabaseError:
        raise
    except Exception as error:  # noqa: BLE001
        return _unbuilt(kind, fact, error)
    return occurrence


def _build(occurrence: Occurrence, kind: EventType, fact: Fact) -> None:
    """Set its customer, and its payload frozen as JSON: what is none raises here, where it cannot undo the fact."""
    occurrence.customer = kind.customer(fact.instance)
    payload = kind.payload(fact, event_id=occurrence.event_id, occurred_at=occurrence.occurred_at)
    occurrence.payload = json.loads(json.dumps(payload, allow_nan=False))


def _unbuilt(kind: EventType, fact: Fact, error: Exception) -> Occurrence:
    """An occurrence whose payload could not be built, with what is needed to build it later."""
    instance: Any = fact.instance
    logger.error("The payload of %s could not be built for %s", kind.key, instance.pk, exc_info=error)
    return Occurrence(
        store_id=instance.store_id,
        event_key=kind.key,
        subject_id=instance.pk,
        silent=fact.silent,
        error=f"The payload could not be built: {_said(error)}",
        unbuilt={"created": fact.created, "previous": dict(fact.previous)},
    )


def _build_again(occurrence: Occurrence) -> None:
    """Build the payload from the row as it is now and what it was before the fact."""
    try:
        kind = catalogue.event_type(occurrence.event_key)
        instance = kind.model._default_manager.filter(pk=occurrence.subject_id).first()
        if instance is None:
            occurrence.error = "The payload could not be built: what it is about was deleted."
            return
        stored = occurrence.unbuilt or {}
        columns = {column.attname: column for column in kind.model._meta.concrete_fields}
        previous = {  # parts of the row (an order's items) are no columns, and JSON already
            name: columns[name].to_python(value) if name in columns else value
            for name, value in stored.get("previous", {}).items()
        }
        fact = Fact(instance, created=stored.get("created", True), previous=previous, silent=occurrence.silent)
        if kind.when(fact):
            _build(occurrence, kind, fact)
        occurrence.unbuilt = None
    except DatabaseError:
        raise
    except Exception as error:  # noqa: BLE001
        occurrence.error = f"The payload could not be built: {_said(error)}"


def _matching(occurrence: Occurrence, subscriptions: list[Subscription]) -> list[Subscription]:
    """Those of these send events that match; what cannot be judged is noted on the occurrence."""
    if occurrence.unbuilt is not None or not occurrence.payload:
        return []
    matching = []
    for subscription in subscriptions:
        if subscription.event_key != occurrence.event_key:
            continue
        try:
            findings = judge(subscription.read_restrictions(), occurrence.payload)
            problems = [finding.problem for finding in findings if finding.problem]
            matches = all(finding.holds for finding in findings)
        except DatabaseError:
            raise
        except RestrictionError as error:
            matches, problems = False, [str(error)]
        except Exception as error:
            logger.exception("Send event %s could not be evaluated", subscription.pk)
            matches, problems = False, [_said(error)]
        if problems:
            occurrence.error = f"{occurrence.error}\n{subscription.event_name}: {' '.join(problems)}".strip()
        if matches:
            matching.append(subscription)
    return matching


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:400]
