"""The screens of events: what is sent where, what happened, and what became of it."""

from events.admin.delivery import DeliveryAdmin
from events.admin.integration import IntegrationAdmin
from events.admin.notice import NoticeAdmin
from events.admin.occurrence import OccurrenceAdmin
from events.admin.subscription import SubscriptionAdmin

__all__ = ["DeliveryAdmin", "IntegrationAdmin", "NoticeAdmin", "OccurrenceAdmin", "SubscriptionAdmin"]
