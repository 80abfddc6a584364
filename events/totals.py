"""Totals: what the tallies of each integration add up to, so that metrics only grow and never scan what is old."""

from datetime import UTC, datetime, timedelta

from django.db import transaction
from django.utils import timezone

from events.models import Tally, Total
from integrations.models import Integration

SETTLED_AFTER = timedelta(minutes=10)  # nobody adds to the tally of a minute that is so long over
NEVER = datetime(1970, 1, 1, tzinfo=UTC)


def add_up() -> None:
    """Take what is settled into the totals. Harmless when several do it at once."""
    with transaction.atomic():
        _add_missing()
        totals = {total.integration_id: total for total in Total.objects.order_by("pk").select_for_update()}
        through = timezone.now() - SETTLED_AFTER
        since = max((total.through for total in totals.values()), default=NEVER)
        if through <= since:
            return
        for tally in Tally.objects.filter(minute__gt=since, minute__lte=through).iterator():
            totals[tally.integration_id].add(tally)
        for total in totals.values():
            total.through = through
            total.save()


def now() -> list[Total]:
    """Everything counted of each existing integration until now, unsaved; by store and name."""
    known = {total.integration_id: total for total in Total.objects.all()}
    since = max((total.through for total in known.values()), default=NEVER)
    totals = {}
    for integration in Integration.objects.existing().select_related("store").order_by("store__name", "name"):
        total = known.get(integration.pk) or Total(store=integration.store, integration=integration)
        total.integration = integration  # with its store
        totals[integration.pk] = total
    for tally in Tally.objects.filter(minute__gt=since).iterator():
        if tally.integration_id in totals:
            totals[tally.integration_id].add(tally)
    return list(totals.values())


def _add_missing() -> None:
    missing = Integration.objects.filter(total=None)
    Total.objects.bulk_create(
        [Total(store_id=one.store_id, integration=one, through=NEVER) for one in missing], ignore_conflicts=True
    )
