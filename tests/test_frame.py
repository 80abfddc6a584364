"""The test frame itself: its fixtures, and what it does with tests that this run cannot run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.db import connection
from django.http import HttpRequest

from customers.models import Customer, Offer, Store
from tests import factories
from tests.concurrency import ROOT, at_once, processes_at_once
from tests.selection import pytest_ignore_collect

TESTS = """
import pytest

@pytest.mark.postgresql
def test_of_postgresql(): pass

@pytest.mark.sqlite
def test_of_sqlite(): pass

def test_of_both(): pass
"""
SKIPS = """
import pytest

@pytest.mark.redis
def test_of_redis(): pass

def test_that_skips(): pytest.skip("no Chromium here")

@pytest.mark.xfail
def test_that_is_known_to_fail(): assert False
"""
EXCUSED = """
import pytest

def test_of_contracts(): pytest.skip("needs ../shared/contracts")
"""
SKIPPED_MODULE = """
import pytest

pytest.importorskip("no_such_module_anywhere")

def test_never_reached(): pass
"""
MARKERS = "[pytest]\nmarkers =\n  postgresql\n  sqlite\n  redis\n"


def run(directory: Path, tests: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A pytest of its own on these tests, on SQLite, without Redis."""
    (directory / "pytest.ini").write_text(MARKERS)
    (directory / "test_inner.py").write_text(tests)
    return subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-rsf", "-p", "tests.environment", "-p", "tests.selection"),
            *("-p", "no:randomly", "-p", "no:cacheprovider", "-c", directory / "pytest.ini", directory),
        ],
        env={
            **{name: value for name, value in os.environ.items() if name not in ("CI", "PYTEST_ADDOPTS")},
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "DATABASE_URL": f"sqlite:///{directory / 'db.sqlite3'}",
            "REDIS_URL": "redis://127.0.0.1:1",
            **environment,
        },
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


class TestSelection:
    def test_a_test_of_another_database_is_skipped_with_its_reason(self, tmp_path: Path) -> None:
        result = run(tmp_path, TESTS)
        assert result.returncode == 0, result.stdout
        assert "2 passed, 1 skipped" in result.stdout
        assert "bound to PostgreSQL: this run is on SQLite (see DATABASE_URL)" in result.stdout

    def test_under_ci_it_is_deselected(self, tmp_path: Path) -> None:
        result = run(tmp_path, TESTS, CI="true")
        assert result.returncode == 0, result.stdout
        assert "2 passed, 1 deselected" in result.stdout

    def test_a_skip_passes_in_a_plain_run(self, tmp_path: Path) -> None:
        result = run(tmp_path, SKIPS)
        assert result.returncode == 0, result.stdout
        assert "2 skipped, 1 xfailed" in result.stdout
        assert "needs Redis: none answers at redis://127.0.0.1:1 (see REDIS_URL)" in result.stdout

    @pytest.mark.parametrize("more", ["", "-p xdist -n 2"])
    def test_under_ci_a_skip_fails_the_run(self, tmp_path: Path, more: str) -> None:
        result = run(tmp_path, SKIPS, CI="true", PYTEST_ADDOPTS=more)
        assert result.returncode == 1, result.stdout
        assert "1 failed, 1 xfailed, 1 error" in result.stdout  # a marker skips in the set-up, which counts as an error
        assert "Nothing may be skipped under CI. Skipped: needs Redis" in result.stdout
        assert "Nothing may be skipped under CI. Skipped: no Chromium here" in result.stdout

    def test_under_ci_a_module_that_skips_itself_fails_the_run(self, tmp_path: Path) -> None:
        result = run(tmp_path, SKIPPED_MODULE, CI="true")
        assert result.returncode == 2, result.stdout
        assert "Nothing may be skipped under CI. " in result.stdout

    def test_the_contracts_are_excused(self, tmp_path: Path) -> None:
        result = run(tmp_path, EXCUSED, CI="true")
        assert result.returncode == 0, result.stdout
        assert "1 skipped" in result.stdout

    def test_the_soak_is_only_for_those_who_name_it(self, pytestconfig: pytest.Config) -> None:
        soak = Path(__file__).parent / "soak"
        ignored = pytest_ignore_collect(soak, pytestconfig)
        assert ignored is True, "whatever -m says: it kills services, for minutes"
        assert pytest_ignore_collect(soak.parent / "events", pytestconfig) is None


class TestFixtures:
    def test_the_rows_are_of_the_first_store(
        self, store: Store, customer: Customer, offer: Offer, other_store: Store
    ) -> None:
        assert customer.store == offer.store == store != other_store
        assert customer.wallet.balance == 0

    def test_a_key_opens_its_store(self, api_key: str, store: Store) -> None:
        from rest_framework.request import Request

        from customers.tenancy import ApiKeyAuthentication

        request = HttpRequest()
        request.META["HTTP_AUTHORIZATION"] = f"Api-Key {api_key}"
        authenticated = ApiKeyAuthentication().authenticate(Request(request))
        assert authenticated is not None
        assert authenticated[0].store == store

    def test_factories_make_what_they_say(self, store: Store) -> None:
        integration = factories.make_integration(store)
        subscription = factories.make_subscription(integration)
        assert subscription.event_name == "walletreward_create"
        assert factories.make_customer(store, coins=40).wallet.transactions.get().amount == 40


class TestDatabase:
    @pytest.mark.sqlite
    @pytest.mark.django_db
    def test_sqlite_is_a_file_in_wal(self) -> None:
        assert Path(connection.settings_dict["NAME"]).is_file()
        with connection.cursor() as cursor:
            assert cursor.execute("PRAGMA journal_mode").fetchone() == ("wal",)

    @pytest.mark.django_db(transaction=True)
    def test_threads_and_processes_see_the_rows(self) -> None:
        factories.make_store(name="Seen")
        assert at_once(Store.objects.count, lambda: Store.objects.get(name="Seen").name) == [1, "Seen"]
        program = "from customers.models import Store; ready(); print(Store.objects.get().name, sys.argv[1])"
        assert processes_at_once(program, [["a"], ["b"]]) == ["Seen a\n", "Seen b\n"]
