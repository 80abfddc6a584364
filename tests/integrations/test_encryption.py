"""Secrets at rest: what is stored says nothing, keys rotate, and a lost key is told in a sentence."""

import base64
from typing import Any

import pytest
from cryptography.fernet import Fernet

from integrations.encryption import SecretsUnreadable, decrypt, encrypt, rotate

SECRETS = {"api_key": "pk_0123456789abcdef", "headers": "X-Token: Zoë “Ω” 🔑\nX-Other: \\ \"b\" 'c'"}
LOST = (
    "The stored secrets cannot be read: the key that encrypted them is not among ENCRYPTION_KEYS. "
    "Put that key back (at the end of the list), or enter the secrets anew."
)


@pytest.fixture
def old(settings: Any) -> str:
    """The only key in use."""
    key = Fernet.generate_key().decode()
    settings.ENCRYPTION_KEYS = [key]
    return key


@pytest.fixture
def new() -> str:
    return Fernet.generate_key().decode()


class TestEncrypt:
    def test_comes_back_as_it_was(self, old: str) -> None:
        assert decrypt(encrypt(SECRETS)) == SECRETS

    def test_what_is_stored_says_nothing(self, old: str) -> None:
        token = encrypt(SECRETS)
        stored = base64.urlsafe_b64decode(token)
        for secret in ("pk_0123456789abcdef", "api_key", "X-Token"):
            assert secret not in token
            assert secret.encode() not in stored

    def test_the_same_secrets_are_stored_differently_each_time(self, old: str) -> None:
        assert encrypt(SECRETS) != encrypt(SECRETS)

    def test_no_secrets_are_an_empty_text(self, old: str) -> None:
        assert encrypt({}) == ""
        assert decrypt("") == {}
        assert rotate("") == ""


class TestKeyRing:
    def test_a_new_key_in_front_writes_and_the_old_one_still_reads(self, old: str, new: str, settings: Any) -> None:
        before = encrypt(SECRETS)
        settings.ENCRYPTION_KEYS = [new, old]
        assert decrypt(before) == SECRETS
        after = encrypt(SECRETS)
        settings.ENCRYPTION_KEYS = [new]
        assert decrypt(after) == SECRETS

    def test_rotated_secrets_no_longer_need_the_old_key(self, old: str, new: str, settings: Any) -> None:
        before = encrypt(SECRETS)
        settings.ENCRYPTION_KEYS = [new, old]
        after = rotate(before)
        assert after != before
        settings.ENCRYPTION_KEYS = [new]
        assert decrypt(after) == SECRETS
        with pytest.raises(SecretsUnreadable):
            decrypt(before)


class TestUnreadable:
    def test_a_lost_key_is_told_with_its_cure(self, old: str, new: str, settings: Any) -> None:
        token = encrypt(SECRETS)
        settings.ENCRYPTION_KEYS = [new]
        for read in (decrypt, rotate):
            with pytest.raises(SecretsUnreadable) as raised:
                read(token)
            assert str(raised.value) == LOST
            assert raised.value.__suppress_context__, "the library's own error says nothing more"

    @pytest.mark.parametrize(
        "spoil", [lambda _: "nonsense", lambda t: t[:-10], lambda t: t[:-5] + "AAAA=", str.swapcase]
    )
    def test_a_token_that_was_tampered_with_is_unreadable(self, old: str, spoil: Any) -> None:
        with pytest.raises(SecretsUnreadable):
            decrypt(spoil(encrypt(SECRETS)))
