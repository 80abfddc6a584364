"""`rotate_keys`: afterwards the newest key reads everything."""

from io import StringIO
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command

from customers.models import Store
from integrations.models import Integration
from tests.factories import make_integration

pytestmark = pytest.mark.django_db

OLD, NEW, LOST = (Fernet.generate_key().decode() for _ in range(3))


def rotated() -> str:
    out = StringIO()
    call_command("rotate_keys", stdout=out)
    return out.getvalue()


def secrets(integration: Integration) -> Any:
    return Integration.objects.get(pk=integration.pk).adapter().settings["signing_secret"]


class TestRotateKeys:
    def test_afterwards_the_old_key_can_go(self, store: Store, other_store: Store, settings: Any) -> None:
        settings.ENCRYPTION_KEYS = [OLD]
        tools = make_integration(store), make_integration(other_store)
        before = [secrets(tool) for tool in tools]
        settings.ENCRYPTION_KEYS = [NEW, OLD]
        assert rotated() == (
            "Secrets encrypted with the newest key: 2.\nThe older keys can be removed from ENCRYPTION_KEYS.\n"
        )
        settings.ENCRYPTION_KEYS = [NEW]
        assert [secrets(tool) for tool in tools] == before

    def test_what_no_key_reads_is_named_and_left_as_it_is(self, store: Store, settings: Any) -> None:
        settings.ENCRYPTION_KEYS = [LOST]
        lost = make_integration(store, name="Mailer")
        settings.ENCRYPTION_KEYS = [OLD]
        well = make_integration(store, name="Shop")
        kept = Integration.objects.get(pk=lost.pk).encrypted_secrets
        settings.ENCRYPTION_KEYS = [NEW, OLD]
        with pytest.raises(CommandError, match=r"reads the secrets of these.*: Bean House: Mailer\."):
            rotated()
        assert Integration.objects.get(pk=lost.pk).encrypted_secrets == kept
        settings.ENCRYPTION_KEYS = [NEW]
        assert secrets(well)
