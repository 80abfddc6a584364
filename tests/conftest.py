"""What every test finds: a database of its own run, two stores, the people who work in them, and doors to the system.

On-commit functions run only where a test commits: use `@pytest.mark.django_db(transaction=True)` where they matter, and
wherever threads, processes or servers look at the rows. Test databases are real ones, on SQLite a file.
"""

from collections.abc import Callable, Iterator
from typing import Any

import hypothesis
import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from rest_framework.test import APIClient

from customers.models import Customer, Offer, Role, Store
from tests import factories
from tests.payloads import _payloads_fit, _payloads_that_do_not_fit
from tests.receiver import Receiver, running
from tests.selection import (  # hooks, which pytest finds here
    CI,
    REDIS_URL,
    pytest_collection_modifyitems,
    pytest_ignore_collect,
    pytest_make_collect_report,
    pytest_runtest_makereport,
)

__all__ = [
    "_payloads_fit",
    "_payloads_that_do_not_fit",
    "pytest_collection_modifyitems",
    "pytest_ignore_collect",
    "pytest_make_collect_report",
    "pytest_runtest_makereport",
]

# An example may wait for its database: no deadline. Under CI the same examples every time.
hypothesis.settings.register_profile("default", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, database=None, print_blob=True)
hypothesis.settings.load_profile("ci" if CI else "default")


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    django_db_modify_db_settings_parallel_suffix: None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """On SQLite, a file for each run and each of its processes: threads and processes contend as they do in earnest."""
    database = settings.DATABASES["default"]
    if database["ENGINE"] == "django.db.backends.sqlite3":
        database.setdefault("TEST", {})["NAME"] = str(tmp_path_factory.mktemp("database") / "db.sqlite3")
        # Nobody pulls the plug between two tests: no waiting for the disk.
        database["OPTIONS"]["init_command"] += "PRAGMA synchronous=OFF;"
    else:
        database.setdefault("OPTIONS", {})["options"] = "-c synchronous_commit=off"


@pytest.fixture(scope="session")
def redis_url() -> str:
    """Of the Redis that tests with the marker `redis` may use: keep to keys with a prefix of your own."""
    return REDIS_URL


# --- Two stores and what is in them ----------------------------------------------------------------------------------


@pytest.fixture
def store(db: None) -> Store:
    """A German store."""
    return factories.make_store(name="Bean House", coin_name="Beans", website="https://beans.example")


@pytest.fixture
def other_store(db: None) -> Store:
    """An Indian one, with which nobody of the first has anything to do."""
    return factories.make_store(name="Tea House", currency="INR", country="IN", time_zone="Asia/Kolkata")


@pytest.fixture
def customer(store: Store) -> Customer:
    """Ada, of the first store, without coins."""
    return factories.make_customer(store, name="Ada", email="ada@example.com", mobile="+4915112345678")


@pytest.fixture
def offer(store: Store) -> Offer:
    """A discount of 5 for 100 coins, in the first store."""
    return factories.make_offer(store, name="5 off")


# --- The people of the first store, and one of the other -------------------------------------------------------------


@pytest.fixture
def owner(store: Store) -> User:
    return factories.make_member(store, Role.OWNER)


@pytest.fixture
def editor(store: Store) -> User:
    return factories.make_member(store, Role.EDITOR)


@pytest.fixture
def viewer(store: Store) -> User:
    return factories.make_member(store, Role.VIEWER)


@pytest.fixture
def stranger(other_store: Store) -> User:
    """The owner of the other store."""
    return factories.make_member(other_store, Role.OWNER)


@pytest.fixture
def superuser(db: None) -> User:
    return factories.make_user(is_superuser=True)


# --- The outside ------------------------------------------------------------------------------------------------------


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    """A tool's server that integrations may call."""
    with running() as server:
        settings.ALLOWED_PRIVATE_HOSTS = frozenset({server.host})
        yield server


# --- Doors -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def signed_in() -> Callable[[User], Client]:
    """A browser in which this user has signed in: `signed_in(editor).get("/admin/")`."""

    def sign_in(user: User) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return sign_in


@pytest.fixture
def api_key(store: Store) -> str:
    """A key of the first store."""
    return factories.make_api_key(store)


@pytest.fixture
def api_of() -> Callable[[Store], APIClient]:
    """An app that holds a key of this store: `api_of(other_store).get("/api/v1/customers/")`."""

    def with_key_of(store: Store) -> APIClient:
        return factories.make_api_client(factories.make_api_key(store))

    return with_key_of


@pytest.fixture
def api(api_key: str) -> APIClient:
    """An app that holds a key of the first store."""
    return factories.make_api_client(api_key)


@pytest.fixture
def heard() -> Iterator[list[Any]]:
    """Every announcement of facts, as it is made: a list of lists of `Fact`."""
    from customers.facts import facts

    announcements: list[Any] = []

    def hear(*, facts: list[Any], **_: Any) -> None:
        announcements.append(list(facts))

    facts.connect(hear)
    yield announcements
    facts.disconnect(hear)
