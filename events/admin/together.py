"""Something done to many deliveries at once: first it says to how many, and then it does it to no more than these."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Count

from events.admin.paginator import MOST
from events.models import Delivery
from events.models.delivery import DeliveryQuerySet, DeliveryStatus

BATCH = 1000  # rows in one statement, so that senders and recorders are not kept waiting
LABELS = 12  # send events that are counted one by one


@dataclass(frozen=True, kw_only=True)
class Doing:
    """What can be done to many: which rows it fits, how it is done (returns how many), and its words."""

    fitting: Callable[[DeliveryQuerySet], DeliveryQuerySet]
    do: Callable[[DeliveryQuerySet, str], int]
    question: str  # with how many deliveries
    button: str
    told: str  # afterwards
    otherwise: str  # why the others stay as they are
    noted: str  # in the history
    destroys: bool = False


DOINGS: Mapping[str, Doing] = {
    "resend": Doing(
        fitting=lambda rows: rows.resendable(),
        do=lambda rows, _: rows.resend(),
        question="Send {} again?",
        button="Send {} again",
        told="{} will be sent again now, under the same ids.",
        otherwise="they wait already, are test events, or their send event or integration was deleted.",
        noted="Sent again",
    ),
    "cancel": Doing(
        fitting=lambda rows: rows.cancellable(),
        do=lambda rows, who: rows.cancel(reason=f"cancelled by {who}"),
        question="Cancel {}?",
        button="Cancel {}",
        told="{} cancelled: they will not be sent.",
        otherwise="only what waits to be sent can be cancelled.",
        noted="Cancelled",
        destroys=True,
    ),
}


@dataclass(frozen=True, kw_only=True)
class Reach:
    """What a doing would reach, counted before it is done."""

    chosen: int
    fitting: int
    too_many: bool  # more than anybody means: narrow first
    sent: int  # of the fitting ones: accepted before
    labels: list[tuple[str, int]]  # the send events with the most of them
    newest: UUID | None  # nothing that is recorded from now on is meant

    @property
    def more_labels(self) -> int:
        """How many belong to send events that are not counted one by one."""
        return self.fitting - sum(number for _, number in self.labels)

    @property
    def others(self) -> int:
        return self.chosen - self.fitting


def reach_of(doing: Doing, rows: DeliveryQuerySet) -> Reach:
    """Count what it would reach among these rows. Counts to MOST."""
    ids = list(rows.order_by("-id").values_list("pk", flat=True)[: MOST + 1])
    if len(ids) > MOST:
        return Reach(chosen=MOST, fitting=MOST, too_many=True, sent=0, labels=[], newest=None)
    few = rows.order_by("-id").filter(pk__gte=ids[-1], pk__lte=ids[0]) if ids else rows.none()
    fitting = doing.fitting(few).order_by()
    labels = fitting.values_list("label").annotate(found=Count("pk")).order_by("-found", "label")
    by_label = list(labels)
    return Reach(
        chosen=len(ids),
        fitting=sum(found for _, found in by_label),
        too_many=False,
        sent=fitting.filter(status=DeliveryStatus.SENT).count(),
        labels=by_label[:LABELS],
        newest=ids[0] if ids else None,
    )


def do(doing: Doing, rows: DeliveryQuerySet, *, who: str) -> int:
    """Do it to those of these rows that it fits, at most MOST; returns to how many."""
    ids = list(doing.fitting(rows).order_by("-id").values_list("pk", flat=True)[:MOST])
    return sum(doing.do(Delivery.objects.filter(pk__in=batch), who) for batch in _batches(ids))


def in_words(number: int) -> str:
    """Such as `1 delivery` or `1,200 deliveries`."""
    return "1 delivery" if number == 1 else f"{number:,} deliveries"


def _batches(ids: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(ids), BATCH):
        yield ids[start : start + BATCH]
