"""Which tests this run can run: one bound to another database, or to a Redis that is down, is skipped with its reason.

Under CI (the environment variable CI is set) nothing may hide behind a skip: tests bound to the other database are
deselected, because the run on that database has them, and every other skip is a failure. What looks at no database runs
once, with the suite on SQLite.
"""

import os
from collections.abc import Generator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import redis

CI = bool(os.environ.get("CI"))
EXCUSE = "../shared/contracts"  # a skip whose reason names it is none of ours, also under CI

REDIS_URL = os.environ.get("REDIS_URL") or "redis://127.0.0.1:6379"

DATABASES = {"postgresql": "PostgreSQL", "sqlite": "SQLite"}  # marker and vendor: name
EVERYTHING = (
    "sqlite"  # under CI, the run on this one has the tests that look at no database; the other repeats the rest
)
DATABASE_FIXTURES = frozenset({"db", "transactional_db", "live_server", "django_db_setup"})


@cache
def redis_answers() -> bool:
    """Whether there is a Redis at REDIS_URL."""
    with redis.Redis.from_url(REDIS_URL, socket_connect_timeout=1, socket_timeout=1) as client:
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """The soak kills services for minutes: only who names its folder gets it (`make soak`), whatever `-m` says."""
    soak = Path(__file__).parent / "soak"
    named = (Path(config.invocation_params.dir, str(one).split("::")[0]).resolve() for one in config.args)
    if collection_path == soak and not any(one.is_relative_to(soak) for one in named):
        return True
    return None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Take out, or skip, what is bound to something that this run does not have."""
    from django.db import connection

    elsewhere = {marker for marker in DATABASES if marker != connection.vendor}
    deselected = []
    for item in items:
        bound = next((marker for marker in elsewhere if item.get_closest_marker(marker)), None)
        if CI and (bound or (connection.vendor != EVERYTHING and not _looks_at_a_database(item))):
            deselected.append(item)
        elif bound:
            reason = f"bound to {DATABASES[bound]}: this run is on {DATABASES[connection.vendor]} (see DATABASE_URL)"
            item.add_marker(pytest.mark.skip(reason=reason))
        elif item.get_closest_marker("redis") and not redis_answers():
            item.add_marker(pytest.mark.skip(reason=f"needs Redis: none answers at {REDIS_URL} (see REDIS_URL)"))
    if deselected:
        config.hook.pytest_deselected(items=deselected)
        gone = set(deselected)
        items[:] = [item for item in items if item not in gone]


def _looks_at_a_database(item: pytest.Item) -> bool:
    """Whether its outcome could depend on which one it is."""
    asks = DATABASE_FIXTURES.intersection(getattr(item, "fixturenames", ()))
    return bool(asks) or any(item.get_closest_marker(marker) for marker in ("django_db", "redis", *DATABASES))


def _no_excuse(report: Any) -> Any:
    """Under CI, a skip becomes a failure that says why."""
    if CI and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if EXCUSE not in reason:
            report.outcome = "failed"
            report.longrepr = f"Nothing may be skipped under CI. {reason}"
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Of one test."""
    report: pytest.TestReport = _no_excuse((yield))
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Of a whole module that skips itself."""
    report: pytest.CollectReport = _no_excuse((yield))
    return report


__all__ = [
    "pytest_collection_modifyitems",
    "pytest_ignore_collect",
    "pytest_make_collect_report",
    "pytest_runtest_makereport",
]
