"""The events application: hears the facts, and what happens to integrations."""

from typing import Any

from django.apps import AppConfig


class EventsConfig(AppConfig):
    name = "events"
    verbose_name = "Events"

    def ready(self) -> None:
        from django.db.models.signals import post_migrate, post_save

        from customers.facts import facts
        from integrations.models import Integration, archived, mended

        facts.connect(hear_facts, dispatch_uid="events.facts")
        post_save.connect(open_lane, sender=Integration, dispatch_uid="events.lane")
        archived.connect(cancel_pending, sender=Integration, dispatch_uid="events.archived")
        mended.connect(begin_anew, sender=Integration, dispatch_uid="events.mended")
        post_migrate.connect(make_schedules, sender=self, dispatch_uid="events.schedules")


def hear_facts(facts: list[Any], **kwargs: Any) -> None:
    """The one receiver of facts."""
    from events.outbox import record

    record(facts)


def open_lane(instance: Any, created: bool, raw: bool = False, **kwargs: Any) -> None:
    """Every integration has its lane."""
    from events.models import Lane

    if created and not raw:
        Lane.objects.get_or_create(integration=instance, defaults={"store_id": instance.store_id})


def cancel_pending(integration: Any, **kwargs: Any) -> None:
    """What was pending for a deleted integration is never sent."""
    integration.deliveries.cancel(reason="the integration was deleted")
    for subscription in integration.subscriptions.existing():
        subscription.archive(reason="the integration was deleted")


def begin_anew(integration: Any, **kwargs: Any) -> None:
    """What failed before an integration was mended no longer counts, and what was held goes out."""
    from django.db import transaction

    from events.models import Lane, Notice
    from events.waking import wake

    for lane in Lane.objects.filter(integration=integration):
        lane.reopen()
    if integration.enabled:
        Notice.objects.settle(integration=integration)
        transaction.on_commit(wake, robust=True)


def make_schedules(**kwargs: Any) -> None:
    """What is due by the clock, in Django-Q's own scheduler. The sweep is a second net under the cluster's clock."""
    from django_q.models import Schedule

    for name, minutes in (("sweep", 1), ("expire_coins", 5), ("expire_coupons", 5), ("review_tiers", 5)):
        Schedule.objects.update_or_create(
            name=name,
            defaults={
                "func": f"events.tasks.{name}",
                "schedule_type": Schedule.MINUTES,
                "minutes": minutes,
                "repeats": -1,
            },
        )
