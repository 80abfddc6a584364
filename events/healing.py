"""Deliveries in states that the rules exclude: what the doctor calls them, and how the sweep puts them right."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import F, Q
from django.db.models.functions import Now

from events.claims import LEASE
from events.models import Delivery
from events.models.delivery import UNFINISHED, DeliveryStatus

logger = logging.getLogger(__name__)

PENDING = Q(status=DeliveryStatus.PENDING)
DELETED = {
    "status": DeliveryStatus.CANCELLED,
    "reason": "Its send event or its integration was deleted.",
    "finished_at": Now(),
}


@dataclass(frozen=True)
class Impossible:
    """A state that no delivery should be in; `cure`: what is set to leave it, nothing where only a person can tell."""

    words: str
    rows: Q
    cure: Mapping[str, Any] | None

    def count(self) -> int:
        """How many are in it now."""
        return Delivery.objects.filter(self.rows).count()

    def heal(self) -> int:
        """Put them right; returns how many."""
        if self.cure is None:
            return 0
        ill = Delivery.objects.filter(self.rows).order_by().values("pk")
        return Delivery.objects.filter(pk__in=ill).update(**self.cure)


IMPOSSIBLE = (
    Impossible(
        "being sent without a claim",
        Q(status=DeliveryStatus.SENDING) & (Q(claim=None) | Q(leased_until=None)),
        {"claim": None, "leased_until": Now() - LEASE},  # as lost as those of a dead sender, and given back like them
    ),
    Impossible(
        "pending although they are tests",
        PENDING & Q(is_test=True),
        {
            "status": DeliveryStatus.FAILED,
            "reason": "The test was interrupted before it was sent.",
            "finished_at": Now(),
        },
    ),
    Impossible("pending without a send event", PENDING & Q(subscription=None, is_test=False), DELETED),
    Impossible(
        "pending for something deleted",
        PENDING & (Q(subscription__archived_at__isnull=False) | Q(integration__archived_at__isnull=False)),
        DELETED,
    ),
    Impossible("finished without a time", ~Q(status__in=UNFINISHED) & Q(finished_at=None), {"finished_at": Now()}),
    Impossible("of another store than their occurrence", ~Q(store=F("occurrence__store")), None),
)


def heal() -> int:
    """Put right all that can be; returns how many rows. Each is a bug that somebody should hear of, so it is logged."""
    healed = 0
    for state in IMPOSSIBLE:
        if count := state.heal():
            logger.error("Deliveries %s: %d, put right. Please report this as a bug.", state.words, count)
            healed += count
    return healed
