"""Writes a first .env with random secrets, good for a look round on this machine. Never overwrites one."""

import os
import secrets
import tempfile
from pathlib import Path

from cryptography.fernet import Fernet

PLACE = Path(__file__).resolve().parent.parent / ".env"
NEEDED = ("SECRET_KEY", "ENCRYPTION_KEYS")
TEXT = """\
# Written by `make setup`, for a look round at http://127.0.0.1:8000. docs/operators.md lists every setting.
# What is set in the environment wins over what stands here. Not in git, and yours alone: it holds secrets.

# Signs sessions. The same on every machine.
SECRET_KEY={secret_key}

# Encrypt the credentials of integrations, newest key first. Without them those credentials cannot be read: keep a copy.
ENCRYPTION_KEYS={encryption_key}

# In production: the names people use (ALLOWED_HOSTS=loyalty.example.com), and HTTPS=1, behind a proxy that ends TLS
# and sets X-Forwarded-Proto (BEHIND_PROXY=1).
ALLOWED_HOSTS=127.0.0.1,localhost
HTTPS=0

# The built-in sandbox receiver: SANDBOX=1 offers it as a destination, and `make run` starts it.
SANDBOX=0
"""


def write(place: Path = PLACE) -> str:
    """Write it unless it, or a secret in the environment, is there. Returns a sentence that says which."""
    if given := [name for name in NEEDED if os.environ.get(name)]:
        return f"{' and '.join(given)} in the environment: no .env written."
    text = TEXT.format(secret_key=secrets.token_urlsafe(50), encryption_key=Fernet.generate_key().decode())
    with tempfile.NamedTemporaryFile(
        "w", dir=place.parent, prefix=".env.", suffix=".new"
    ) as new:  # readable by us only
        new.write(text)
        new.flush()
        try:
            os.link(new.name, place)  # whole or not at all, and never over another one
        except FileExistsError:
            return f"Kept {place.name} as it is."
    return f"Wrote {place.name} with new secrets, for use on this machine."


if __name__ == "__main__":
    print(write())
