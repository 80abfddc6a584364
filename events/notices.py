"""Notices: what a store's admins must hear of, in the admin at once and by e-mail as soon as the mail server takes it."""

import logging
from datetime import timedelta
from uuid import UUID

from django.core.mail import EmailMessage
from django.db import transaction
from django_q.tasks import async_task

from customers.models import Role, StoreMembership
from events.models import Notice

logger = logging.getLogger(__name__)

MAILED_WITHIN = timedelta(hours=24)  # what could not be mailed for so long is only shown in the admin


def tell(*, store_id: UUID, integration_id: UUID, text: str) -> None:
    """Show this to the store's admins, and mail it to its owners and editors once the transaction has committed."""
    Notice.objects.create(store_id=store_id, integration_id=integration_id, text=text[:500])
    transaction.on_commit(_have_mailed, robust=True)


def mail_waiting() -> int:
    """Mail the notices that nobody has mailed yet; returns how many. One that fails is tried again by the next sweep."""
    mailed = 0
    for notice in Notice.objects.unmailed(within=MAILED_WITHIN).select_related("store", "integration"):
        if not notice.take_for_mailing():
            continue  # another process has it
        try:
            mailed += _mail(notice)
        except Exception:
            logger.exception("The notice %s could not be mailed; look at EMAIL_URL", notice.pk)
            Notice.objects.filter(pk=notice.pk).update(mailed_at=None)
    return mailed


def _have_mailed() -> None:
    """By a task: a mail server may take long, and whoever wrote the notice has deliveries to see to."""
    async_task("events.tasks.mail_notices", task_name="mail-notices")


def _mail(notice: Notice) -> int:
    people = StoreMembership.objects.filter(
        store=notice.store_id, role__in=(Role.OWNER, Role.EDITOR), user__is_active=True
    ).exclude(user__email="")
    addresses = sorted(set(people.values_list("user__email", flat=True)))
    if not addresses:
        return 0
    about = notice.integration.name if notice.integration else notice.store.name
    return EmailMessage(
        subject=" ".join(f"{notice.store}: {about} needs you".split()),  # a header takes no line break
        body=(
            f"{notice.text}\n\n"
            f"Nothing is lost: it waits until somebody mends the settings and switches the integration on again.\n\n"
            f"You get this because you are an owner or editor of {notice.store}.\n"
        ),
        to=addresses,
    ).send()
