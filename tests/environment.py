"""The environment of every test run: loaded before the settings, so that a developer's own .env changes nothing."""

import os
from pathlib import Path

VAR = Path(__file__).resolve().parent.parent / "var"
(VAR / "static").mkdir(parents=True, exist_ok=True)  # whitenoise warns without it

os.environ.update(
    ENV_FILE=os.devnull,
    DEBUG="0",
    HTTPS="0",
    SECRET_KEY="only-for-tests-" + "x" * 40,
    ENCRYPTION_KEYS="K9zLk5v1Q4WJYgqHc2mWb1xk8k2u0m7c0l2b4Q3n5pE=",
    ALLOWED_HOSTS="testserver,127.0.0.1,localhost",
    ALLOWED_PRIVATE_HOSTS="",
    BEHIND_PROXY="0",
    CSRF_TRUSTED_ORIGINS="",
    EMAIL_URL="memorymail://",
    SANDBOX="1",
    LOG_LEVEL="WARNING",
    CLUSTER_NAME=f"tests-{os.getpid()}",  # so that runs beside each other do not take each other's wake-ups from Redis
)
# What the caller chooses for the whole run: the database, and Redis as the broker.
os.environ.setdefault("DATABASE_URL", f"sqlite:///{VAR / 'unused.sqlite3'}")  # conftest.py gives each run its own file
os.environ.setdefault("REDIS_URL", "")
