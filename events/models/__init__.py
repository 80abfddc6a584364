"""Occurrences, send events, deliveries, and the rows by which the senders agree."""

from events.models.delivery import Attempt, Delivery, Exchange
from events.models.lane import Heartbeat, Lane, Notice, Tally, Total, WakeUp
from events.models.occurrence import Occurrence
from events.models.replay import Replay
from events.models.subscription import Subscription, SubscriptionVersion

__all__ = [
    "Attempt",
    "Delivery",
    "Exchange",
    "Heartbeat",
    "Lane",
    "Notice",
    "Occurrence",
    "Replay",
    "Subscription",
    "SubscriptionVersion",
    "Tally",
    "Total",
    "WakeUp",
]
