"""Stories in order of time: of one delivery (recorded, tried, sent again by somebody, ended), and of one person."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType

from events.explain import Explanation, explain_all
from events.models import Attempt, Delivery, Occurrence
from events.models.delivery import DeliveryStatus


@dataclass(frozen=True, kw_only=True)
class Step:
    """One thing that happened to it. `outcome`: of Outcome for a try, else a word of its own; `attempt` only for a try."""

    at: datetime
    title: str
    outcome: str
    detail: str = ""
    attempt: Attempt | None = None


def story_of(delivery: Delivery) -> list[Step]:
    """Everything that is known of it, oldest first. Two queries."""
    steps = [Step(at=delivery.recorded_at, title="Recorded", outcome="recorded"), *_tries(delivery), *_doings(delivery)]
    if delivery.finished_at and delivery.status in (DeliveryStatus.SKIPPED, DeliveryStatus.CANCELLED):
        title = delivery.get_status_display()
        steps.append(Step(at=delivery.finished_at, title=title, outcome=delivery.status, detail=delivery.reason))
    return sorted(steps, key=lambda step: step.at)


def _tries(delivery: Delivery) -> Iterable[Step]:
    for attempt in delivery.attempts.select_related("exchange"):
        title = f"Try {attempt.number}: {attempt.get_outcome_display().lower()}"
        yield Step(at=attempt.started_at, title=title, outcome=attempt.outcome, detail=attempt.detail, attempt=attempt)


def _doings(delivery: Delivery) -> Iterable[Step]:
    """What people did to it on the screens; that they cancelled it stands in its reason too."""
    kept = LogEntry.objects.filter(
        content_type=ContentType.objects.get_for_model(Delivery), object_id=str(delivery.pk)
    ).exclude(change_message="Cancelled")
    for entry in kept.select_related("user"):
        who = entry.user.get_full_name() or entry.user.get_username()
        yield Step(at=entry.action_time, title=f"{entry.get_change_message()} by {who}", outcome="done")


@dataclass(frozen=True, kw_only=True)
class Happening:
    """One event in a person's story: what was sent about it, and what was not."""

    occurrence: Occurrence
    sent: list[Explanation]  # those with a delivery, whatever became of it
    unsent: list[Explanation]

    @property
    def mark(self) -> str:
        """The gravest reading of its deliveries, empty without any."""
        readings = [one.reading for one in self.sent]
        return next((reading for reading in _GRAVEST if reading in readings), "")


_GRAVEST = ("failed", "held", "retrying", "pending", "sending", "sent")


def happenings(occurrences: Sequence[Occurrence]) -> list[Happening]:
    """These occurrences of one store, in their order, each with its verdicts. As many queries for one as for fifty."""
    verdicts = explain_all(occurrences)
    return [
        Happening(
            occurrence=occurrence,
            sent=[one for one in verdicts[occurrence.pk] if one.delivery],
            unsent=[one for one in verdicts[occurrence.pk] if not one.delivery],
        )
        for occurrence in occurrences
    ]
