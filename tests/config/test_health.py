"""The health pages: who may ask, what they say, and the status that an alert looks at."""

import json
import os
import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db.migrations.recorder import MigrationRecorder
from django.db.models.functions import Now
from django.test import Client

from customers.models import Store
from events import health
from events.models import Delivery, Heartbeat
from tests.factories import make_customer, make_integration, make_subscription, make_tally

pytestmark = pytest.mark.django_db

TOKEN = "a-long-token-of-the-operators"
GUARDED = ["/health/deliveries/", "/metrics/"]
LIES_DOWN = """
import django, json
django.setup()
from django.test import Client
client = Client()
answers = [client.get(path, headers={"Authorization": "Bearer %s"}) for path in %r]
print(json.dumps([[answer.status_code, answer.content.decode()] for answer in answers]))
"""


@pytest.fixture
def token(settings: Any) -> dict[str, str]:
    """The header of somebody who may ask."""
    settings.HEALTH_TOKEN = TOKEN
    return {"Authorization": f"Bearer {TOKEN}"}


class TestLive:
    def test_it_asks_nobody(self, client: Client, django_assert_num_queries: Any) -> None:
        with django_assert_num_queries(0):
            answer = client.get("/health/live/")
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
        assert "no-store" in answer["Cache-Control"]

    def test_it_is_only_read(self, client: Client) -> None:
        assert client.post("/health/live/").status_code == 405


class TestReady:
    def test_the_database_is_there(self, client: Client) -> None:
        answer = client.get("/health/ready/")
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})

    def test_a_migration_is_missing(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(health, "_migrated", False)
        MigrationRecorder.Migration.objects.filter(app="events").delete()
        answer = client.get("/health/ready/")
        assert (answer.status_code, answer.json()) == (503, {"status": "trouble"})

    def test_it_is_cheap_once_it_was_ready(self, client: Client, django_assert_num_queries: Any) -> None:
        client.get("/health/ready/")
        with django_assert_num_queries(1):
            client.get("/health/ready/")


class TestToken:
    @pytest.mark.parametrize("path", GUARDED)
    def test_without_one_in_the_settings_there_is_nothing(self, client: Client, settings: Any, path: str) -> None:
        settings.HEALTH_TOKEN = ""
        for header in ("", "Bearer", "Bearer "):
            assert client.get(path, headers={"Authorization": header}).status_code == 404

    @pytest.mark.parametrize("path", GUARDED)
    @pytest.mark.parametrize("header", ["", "Bearer", "Bearer wrong", f"Basic {TOKEN}", TOKEN, "Bearer ü"])
    def test_who_does_not_hold_it_is_told_how(
        self, client: Client, token: dict[str, str], path: str, header: str
    ) -> None:
        answer = client.get(path, headers={"Authorization": header})
        assert answer.status_code == 401
        assert answer["WWW-Authenticate"] == 'Bearer realm="health"'
        assert answer.content == b"This page needs the header Authorization: Bearer and HEALTH_TOKEN.\n"

    @pytest.mark.parametrize("path", GUARDED)
    def test_an_api_key_or_a_session_is_no_token(
        self, client: Client, api_key: str, superuser: Any, token: dict[str, str], path: str
    ) -> None:
        client.force_login(superuser)
        assert client.get(path, headers={"Authorization": f"Api-Key {api_key}"}).status_code == 401

    @pytest.mark.parametrize("path", GUARDED)
    def test_over_plain_http_from_within(self, client: Client, token: dict[str, str], path: str, settings: Any) -> None:
        settings.SECURE_SSL_REDIRECT = True
        assert client.get(path, headers=token).status_code != 301


class TestDeliveries:
    def test_all_is_well(self, client: Client, token: dict[str, str], store: Store) -> None:
        Heartbeat.objects.create(name="supervisor a 1", kind="supervisor")
        tool = make_integration(store, name="Mailer")
        make_tally(tool, tries=3, failed_tries=1)
        make_subscription(tool, "lead_create")
        make_customer(store)
        answer = client.get("/health/deliveries/", headers=token)
        said = answer.json()
        age = said.pop("oldest_due_seconds")
        assert 0 <= age < 60
        assert said["integrations"][0].pop("oldest_due_seconds") == age
        assert (answer.status_code, said) == (
            200,
            {
                "status": "ok",
                "clusters": 1,
                "due": 1,
                "in_flight": 0,
                "held": 0,
                "integrations": [
                    {
                        "store": "Bean House",
                        "integration": "Mailer",
                        "id": str(tool.pk),
                        "on": True,
                        "closed": "",
                        "due": 1,
                        "in_flight": 0,
                        "held": 0,
                        "last_5_minutes": {"tries": 3, "failed_tries": 1, "success_percent": 67},
                        "last_24_hours": {"tries": 3, "failed_tries": 1, "success_percent": 67},
                    }
                ],
                "problems": [],
            },
        )

    def test_no_cluster_is_trouble(self, client: Client, token: dict[str, str]) -> None:
        answer = client.get("/health/deliveries/", headers=token)
        assert answer.status_code == 503
        said = answer.json()
        assert (said["status"], said["clusters"]) == ("trouble", 0)
        assert said["problems"] == ["No cluster is running, so nothing is sent: start `manage.py cluster`."]

    def test_something_stuck_is_trouble(self, client: Client, token: dict[str, str], store: Store) -> None:
        Heartbeat.objects.create(name="supervisor a 1", kind="supervisor")
        make_subscription(make_integration(store), "lead_create")
        make_customer(store)
        Delivery.objects.update(next_attempt_at=Now() - timedelta(minutes=5))
        answer = client.get("/health/deliveries/", headers=token)
        assert answer.status_code == 503
        assert answer.json()["problems"] == [
            "Deliveries due for more than a minute: 1. Is the cluster running, and fast enough?"
        ]

    def test_what_a_store_has_to_mend_is_none_of_the_operators(
        self, client: Client, token: dict[str, str], store: Store
    ) -> None:
        Heartbeat.objects.create(name="supervisor a 1", kind="supervisor")
        lane = make_integration(store).lane
        lane.closed = "credentials"
        lane.save()
        answer = client.get("/health/deliveries/", headers=token)
        assert answer.status_code == 200
        assert answer.json()["integrations"][0]["closed"] == "its credentials were refused"


class TestMetrics:
    def test_as_prometheus_reads_them(self, client: Client, token: dict[str, str], store: Store) -> None:
        make_integration(store, name="Mailer")
        answer = client.get("/metrics/", headers=token)
        assert answer.status_code == 200
        assert answer["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert 'loyalty_deliveries_due{integration="Mailer",store="Bean House"} 0.0\n' in answer.content.decode()


class TestWithoutADatabase:
    def test_each_says_so(self) -> None:
        paths = ["/health/live/", "/health/ready/", "/health/deliveries/", "/metrics/"]
        result = subprocess.run(
            [sys.executable, "-c", LIES_DOWN % (TOKEN, paths)],
            cwd=django_settings.BASE_DIR,
            env={
                **os.environ,
                "DJANGO_SETTINGS_MODULE": "config.settings",
                "DATABASE_URL": "postgres://nobody@127.0.0.1:1/nothing",
                "HEALTH_TOKEN": TOKEN,
                "LOG_LEVEL": "CRITICAL",
            },
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert result.returncode == 0, result.stderr
        live, ready, deliveries, prometheus = json.loads(result.stdout)
        assert live == [200, '{"status": "ok"}']
        assert ready == [503, '{"status": "trouble"}']
        assert deliveries[0] == 503
        (problem,) = json.loads(deliveries[1])["problems"]
        assert problem.startswith("The database cannot be used; look at DATABASE_URL. It said: ")
        assert prometheus == [503, "# The database cannot be used.\n"]
