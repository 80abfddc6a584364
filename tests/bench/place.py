"""Where the measures run: a PostgreSQL, a Redis, a database of their own, and complete production settings.

Without Django, because what is set here must be set before Django is. Other servers than the usual ones:
BENCH_DATABASE_URL (its user may create databases), BENCH_REDIS_URL.
"""

import os
from urllib.parse import urlsplit

import psycopg
import redis
from psycopg import sql

DATABASE_URL = os.environ.get("BENCH_DATABASE_URL", "postgres://postgres@127.0.0.1:5432/loyalty_bench")
REDIS_URL = os.environ.get("BENCH_REDIS_URL", "redis://127.0.0.1:6379/0")
WORKERS = 2


class Missing(Exception):
    """Something that the measures need is not there; its text says what, in a sentence."""


def check() -> None:
    """Whether PostgreSQL and Redis answer. Raises Missing."""
    try:
        _server().close()
    except psycopg.Error as error:
        reason = str(error).strip().splitlines()[-1]
        raise Missing(
            f"PostgreSQL is missing: {_where(DATABASE_URL)} does not let us in ({reason}); "
            "start it, or say where another one is with BENCH_DATABASE_URL."
        ) from None
    try:
        with redis.Redis.from_url(REDIS_URL, socket_connect_timeout=2) as client:
            client.ping()
    except redis.RedisError as error:
        raise Missing(
            f"Redis is missing: {_where(REDIS_URL)} does not answer ({error}); "
            "start it, or say where another one is with BENCH_REDIS_URL."
        ) from None


def fresh_database() -> str:
    """An empty database, in place of the one of the last run; returns its URL."""
    name = sql.Identifier(_name(DATABASE_URL))
    with _server() as server:
        server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
        server.execute(sql.SQL("CREATE DATABASE {}").format(name))
    return DATABASE_URL


def kept_database() -> str:
    """The database that is kept from run to run, for the five million rows; returns its URL."""
    name = f"{_name(DATABASE_URL)}_5m"
    with _server() as server:
        if not server.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
            server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return DATABASE_URL.replace(f"/{_name(DATABASE_URL)}", f"/{name}")


def drop_database() -> None:
    """Away with the fresh one."""
    with _server() as server:
        name = sql.Identifier(_name(DATABASE_URL))
        server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))


def environment(*, database: str, receiver: str, settings: str, broker: str) -> dict[str, str]:
    """The environment of a group of measures and of all its processes: production settings, nobody's .env.

    `receiver` is the one private host:port that may be called; `broker` is redis or orm.
    """
    ours = ("BENCH_", "PATH", "HOME", "LANG", "LC_", "TMPDIR", "PYTHON")
    return {
        **{name: value for name, value in os.environ.items() if name.startswith(ours)},
        "ENV_FILE": os.devnull,
        "DJANGO_SETTINGS_MODULE": settings,
        "DATABASE_URL": database,
        "REDIS_URL": REDIS_URL if broker == "redis" else "",
        "CLUSTER_NAME": f"bench-{os.getpid()}",
        "CLUSTER_WORKERS": str(WORKERS),
        "ALLOWED_HOSTS": "loyalty.example",
        "ALLOWED_PRIVATE_HOSTS": receiver,
        "SECRET_KEY": "only-to-be-measured-4GvP8mZt2bQx7RkN1sWc5yHd9uJf3eLa",
        "ENCRYPTION_KEYS": "K9zLk5v1Q4WJYgqHc2mWb1xk8k2u0m7c0l2b4Q3n5pE=",
        "EMAIL_URL": "dummymail://",
        "LOG_LEVEL": "WARNING",
    }


def forget_queue(name: str) -> None:
    """Take what is left of this cluster's wake-ups out of Redis."""
    with redis.Redis.from_url(REDIS_URL) as client:
        for key in client.scan_iter(match=f"django_q:{name}:*"):
            client.delete(key)


def _server() -> "psycopg.Connection[tuple[object, ...]]":
    """A connection to the database `postgres` of the same server: databases are made and dropped from there."""
    url = DATABASE_URL.replace(f"/{_name(DATABASE_URL)}", "/postgres")
    return psycopg.connect(url, autocommit=True, connect_timeout=5)


def _name(url: str) -> str:
    return urlsplit(url).path.removeprefix("/")


def _where(url: str) -> str:
    """Host and port, without user and password."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}"
