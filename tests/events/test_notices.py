"""Notices: the people of a store hear once that an integration was switched off, by e-mail too, whatever else is down."""

from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.utils import timezone
from django_q.conf import Conf

from customers.models import Customer, Role, Store
from events import notices, sending, tasks
from events.models import Notice
from integrations.models import Integration
from tests.concurrency import at_once
from tests.factories import give_coins, make_member, make_subscription
from tests.receiver import Answer, Receiver

pytestmark = pytest.mark.django_db

TEXT = "The integration Mailer was switched off: it wants nothing more. Its deliveries are held."


def a_notice(integration: Integration) -> Notice:
    notices.tell(store_id=integration.store_id, integration_id=integration.pk, text=TEXT)
    return Notice.objects.get()


@pytest.fixture
def integration(integration: Integration) -> Integration:
    integration.name = "Mailer"
    integration.save()
    return integration


class TestMailWaiting:
    def test_owners_and_editors_of_the_store_are_told(
        self, store: Store, other_store: Store, integration: Integration, mailoutbox: list[mail.EmailMessage]
    ) -> None:
        make_member(store, Role.OWNER, email="olga@example.com")
        make_member(store, Role.EDITOR, email="ed@example.com")
        make_member(store, Role.EDITOR, email="")
        make_member(store, Role.EDITOR, email="gone@example.com", is_active=False)
        make_member(store, Role.VIEWER, email="vera@example.com")
        make_member(other_store, Role.OWNER, email="stranger@example.com")
        a_notice(integration)
        assert notices.mail_waiting() == 1
        (letter,) = mailoutbox
        assert letter.to == ["ed@example.com", "olga@example.com"]
        assert letter.subject == "Bean House: Mailer needs you"
        assert letter.body == (
            f"{TEXT}\n\nNothing is lost: it waits until somebody mends the settings and switches the integration on "
            "again.\n\nYou get this because you are an owner or editor of Bean House.\n"
        )

    def test_once(self, integration: Integration, owner: Any, mailoutbox: list[mail.EmailMessage]) -> None:
        a_notice(integration)
        assert [notices.mail_waiting(), notices.mail_waiting()] == [1, 0]
        assert len(mailoutbox) == 1

    @pytest.mark.django_db(transaction=True)
    def test_once_when_several_mail_at_the_same_time(self, integration: Integration, owner: Any) -> None:
        a_notice(integration)
        mail.outbox.clear()
        assert sorted(at_once(*[notices.mail_waiting] * 4)) == [0, 0, 0, 1]  # type: ignore[type-var]
        assert len(mail.outbox) == 1

    def test_a_mail_server_that_is_down_is_asked_again(
        self, integration: Integration, owner: Any, settings: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        notice = a_notice(integration)
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
        assert notices.mail_waiting() == 0
        assert f"The notice {notice.pk} could not be mailed; look at EMAIL_URL" in caplog.text
        settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
        assert notices.mail_waiting() == 1

    def test_not_after_a_day_nor_when_it_was_dismissed(self, integration: Integration, owner: Any) -> None:
        notice = a_notice(integration)
        Notice.objects.update(created_at=timezone.now() - timedelta(hours=25))
        assert notices.mail_waiting() == 0
        Notice.objects.filter(pk=notice.pk).update(created_at=timezone.now(), dismissed_at=timezone.now())
        assert notices.mail_waiting() == 0

    def test_nobody_to_tell(self, integration: Integration, mailoutbox: list[mail.EmailMessage]) -> None:
        a_notice(integration)
        assert notices.mail_waiting() == 0
        assert mailoutbox == []

    def test_a_name_with_a_line_break_breaks_no_header(
        self, integration: Integration, owner: Any, mailoutbox: list[mail.EmailMessage]
    ) -> None:
        Integration.objects.update(name="Mail\nBcc: eve@example.com")
        a_notice(integration)
        notices.mail_waiting()
        assert mailoutbox[0].subject == "Bean House: Mail Bcc: eve@example.com needs you"


@pytest.mark.django_db(transaction=True)
class TestSwitchedOff:
    @pytest.fixture(params=["the broker answers", "the broker is down"])
    def broker(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
        if request.param == "the broker is down":
            monkeypatch.setattr(Conf, "ORM", None)
            monkeypatch.setattr(Conf, "REDIS", "redis://127.0.0.1:1?socket_connect_timeout=1")

    def test_a_tool_that_wants_nothing_more(
        self, integration: Integration, customer: Customer, owner: Any, receiver: Receiver, broker: None
    ) -> None:
        make_subscription(integration)
        for _ in range(3):
            give_coins(customer, 10)
        receiver.choose = lambda _: Answer(410)
        assert sending.deliver() >= 1
        mail.outbox.clear()
        tasks.sweep()
        tasks.mail_notices()
        (letter,) = mail.outbox
        assert letter.to == [owner.email]
        assert letter.body.startswith(
            "The integration Mailer was switched off: Webhook answered 410: it wants nothing more at this address. "
            "Its deliveries are held.\n"
        )
