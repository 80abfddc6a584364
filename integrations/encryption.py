"""Secrets at rest: encrypted with the first key of ENCRYPTION_KEYS, readable with each of them, so that keys can rotate."""

import json
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings


class SecretsUnreadable(Exception):
    """The stored secrets were encrypted with a key that ENCRYPTION_KEYS no longer has."""

    def __init__(self) -> None:
        super().__init__(
            "The stored secrets cannot be read: the key that encrypted them is not among ENCRYPTION_KEYS. "
            "Put that key back (at the end of the list), or enter the secrets anew."
        )


def _ring() -> MultiFernet:
    return MultiFernet([Fernet(key) for key in settings.ENCRYPTION_KEYS])


def encrypt(secrets: dict[str, Any]) -> str:
    """The secrets as one token; an empty text when there are none."""
    return _ring().encrypt(json.dumps(secrets).encode()).decode() if secrets else ""


def decrypt(token: str) -> dict[str, Any]:
    """What was encrypted. Raises SecretsUnreadable when no key fits."""
    if not token:
        return {}
    try:
        secrets: dict[str, Any] = json.loads(_ring().decrypt(token.encode()))
    except InvalidToken:
        raise SecretsUnreadable from None
    return secrets


def rotate(token: str) -> str:
    """The same secrets, encrypted with the newest key. Raises SecretsUnreadable when no key fits."""
    try:
        return _ring().rotate(token.encode()).decode() if token else ""
    except InvalidToken:
        raise SecretsUnreadable from None
