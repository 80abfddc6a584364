"""The doctor: each trouble in a sentence with its cure, and an exit code for machines."""

import os
import re
import subprocess
import sys
from datetime import timedelta
from io import StringIO
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings as django_settings
from django.core.management import call_command
from django.db.migrations.recorder import MigrationRecorder
from django.db.models.functions import Now
from django.utils import timezone
from django_q.conf import Conf

from customers.models import Customer, Store
from events import heartbeat
from events.doctor import problems
from events.models import Delivery, Heartbeat, Lane, Occurrence
from integrations.models import Integration
from tests.events.declaring import changed
from tests.factories import give_coins, make_integration, make_subscription, make_tally

pytestmark = pytest.mark.django_db

NO_CLUSTER = "No cluster is running, so nothing is sent: start `manage.py cluster`."
A_WHILE = timedelta(minutes=5)


@pytest.fixture(autouse=True)
def cluster(db: None) -> None:
    """A cluster that runs, as far as anybody can see."""
    Heartbeat.objects.create(name="supervisor here 1", kind="supervisor")


@pytest.fixture
def tool(store: Store) -> Integration:
    return make_integration(store, name="Mailer")


@pytest.fixture
def delivery(tool: Integration, customer: Customer) -> Delivery:
    """One that is due."""
    make_subscription(tool)
    give_coins(customer, 10)
    return Delivery.objects.get()


class TestDoctor:
    def test_all_is_well(self, delivery: Delivery) -> None:
        out = StringIO()
        call_command("doctor", stdout=out, no_color=True)
        assert re.sub(r"\d+ s", "N s", out.getvalue()) == (
            "Clusters alive: 1. Due: 1 (the oldest for N s). In flight: 0. Held: 0.\nAll is well.\n"
        )

    def test_it_tells_how_each_integration_did(self, store: Store, tool: Integration) -> None:
        make_tally(tool, minutes=2, tries=4, failed_tries=1)
        make_tally(tool, minutes=200, tries=6)
        make_tally(make_integration(store, name="Quiet"), minutes=2000, tries=9)
        make_tally(make_integration(store, name="Slow"), minutes=30, tries=3, failed_tries=3)
        out = StringIO()
        call_command("doctor", stdout=out, no_color=True)
        assert out.getvalue() == (
            "Clusters alive: 1. Due: 0. In flight: 0. Held: 0.\n"
            "Bean House, Mailer: 3 of 4 tries accepted (75 %) in 5 minutes, 9 of 10 tries accepted (90 %) in 24 hours.\n"
            "Bean House, Slow: no tries in 5 minutes, 0 of 3 tries accepted (0 %) in 24 hours.\n"
            "All is well.\n"
        )

    def test_a_problem_is_told_and_ends_it_with_exit_code_1(self, delivery: Delivery) -> None:
        Heartbeat.objects.all().delete()
        out = StringIO()
        with pytest.raises(SystemExit) as raised:
            call_command("doctor", stdout=out, no_color=True)
        assert raised.value.code == 1
        assert re.sub(r"\d+ s", "N s", out.getvalue()) == (
            f"Clusters alive: 0. Due: 1 (the oldest for N s). In flight: 0. Held: 0.\n- {NO_CLUSTER}\n"
        )

    def test_a_database_that_does_not_answer_is_met_by_a_sentence(self) -> None:
        answer = subprocess.run(
            [sys.executable, "manage.py", "doctor"],
            cwd=django_settings.BASE_DIR,
            env={**os.environ, "DATABASE_URL": "postgres://nobody@127.0.0.1:1/nothing"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert answer.returncode == 1, answer.stderr
        assert answer.stdout.startswith("- The database cannot be used; look at DATABASE_URL. It said: connection ")
        assert "Traceback" not in answer.stdout + answer.stderr


class TestDatabase:
    def test_missing_migrations_are_all_it_says(self, delivery: Delivery) -> None:
        Heartbeat.objects.all().delete()
        MigrationRecorder.Migration.objects.filter(app="events").delete()
        assert problems() == ["The database is not up to date: run `manage.py migrate`."]


class TestCluster:
    def test_its_supervisor_was_not_heard_of_for_a_while(self) -> None:
        Heartbeat.objects.update(beat_at=Now() - timedelta(seconds=16))
        assert problems() == [NO_CLUSTER]

    def test_a_sender_alone_is_no_cluster(self) -> None:
        Heartbeat.objects.all().delete()
        heartbeat.beat("sender")
        assert problems() == [NO_CLUSTER]


class TestBroker:
    def test_it_does_not_answer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Conf, "ORM", None)
        monkeypatch.setattr(Conf, "REDIS", "redis://127.0.0.1:1?socket_connect_timeout=1")
        (sentence,) = problems()
        assert sentence.startswith("The senders cannot be woken; look at REDIS_URL. The broker said: Error 111 ")


class TestStuck:
    def test_what_should_have_been_tried_was_not(self, delivery: Delivery) -> None:
        Delivery.objects.update(next_attempt_at=Now() - A_WHILE)
        assert problems() == [
            "Deliveries due for more than a minute: 1. Is the cluster running, and fast enough?",
        ]

    @pytest.mark.parametrize("switch", ["store", "integration", "send event", "Retry-After"])
    def test_what_is_held_is_not_stuck(self, store: Store, tool: Integration, delivery: Delivery, switch: str) -> None:
        Delivery.objects.update(next_attempt_at=Now() - A_WHILE)
        if switch == "store":
            Store.objects.update(events_on=False)
        elif switch == "integration":
            Integration.objects.update(enabled=False)
        elif switch == "send event":
            tool.subscriptions.update(enabled=False)
        else:
            Lane.objects.update(not_before=timezone.now() + A_WHILE)
        assert problems() == []

    def test_what_waits_for_its_rate_is_not_stuck(self, tool: Integration, delivery: Delivery) -> None:
        Delivery.objects.update(next_attempt_at=Now() - A_WHILE)
        Integration.objects.update(rate_limit=0.1)
        assert problems() == []

    def test_what_waits_for_its_next_try_is_not_stuck(self, delivery: Delivery) -> None:
        Delivery.objects.update(next_attempt_at=Now() + A_WHILE, tries=1, recorded_at=Now() - A_WHILE)
        assert problems() == []

    def test_what_a_closed_lane_holds_is_told_once(self, store: Store, delivery: Delivery) -> None:
        Delivery.objects.update(next_attempt_at=Now() - A_WHILE)
        Lane.objects.update(closed="credentials", probe_at=timezone.now())
        assert problems() == ["Bean House: Mailer is held: its credentials were refused."]

    def test_senders_are_gone_with_it(self, delivery: Delivery) -> None:
        Delivery.objects.update(status="sending", claim=uuid4(), leased_until=Now() - A_WHILE)
        assert problems() == ["Deliveries held by senders that are gone: 1. The cluster gives them back when it runs."]

    def test_a_lease_that_only_just_ran_out_is_the_senders_business(self, delivery: Delivery) -> None:
        Delivery.objects.update(status="sending", claim=uuid4(), leased_until=Now() - timedelta(seconds=5))
        assert problems() == []


HEALED = "The cluster's sweep puts them right within a minute. Please report this as a bug."


class TestImpossible:
    @pytest.mark.parametrize(
        ("changes", "sentence"),
        [
            ({"status": "sending", "claim": None}, "Deliveries being sent without a claim: 1."),
            ({"is_test": True}, "Deliveries pending although they are tests: 1."),
            ({"subscription": None}, "Deliveries pending without a send event: 1."),
            ({"status": "sent"}, "Deliveries finished without a time: 1."),
        ],
    )
    def test_a_row_that_cannot_be(self, delivery: Delivery, changes: dict[str, Any], sentence: str) -> None:
        Delivery.objects.update(**changes)
        assert problems() == [f"{sentence} {HEALED}"]

    def test_pending_for_something_deleted(self, tool: Integration, delivery: Delivery) -> None:
        tool.subscriptions.update(archived_at=timezone.now())
        assert problems() == [f"Deliveries pending for something deleted: 1. {HEALED}"]

    def test_of_another_store(self, other_store: Store, delivery: Delivery) -> None:
        Occurrence.objects.filter(pk=delivery.occurrence_id).update(store=other_store)
        assert problems() == ["Deliveries of another store than their occurrence: 1. Please report this as a bug."]

    def test_without_a_lane(self, tool: Integration) -> None:
        Lane.objects.all().delete()
        assert problems() == ["Integrations without a lane: 1. The cluster's sweep makes them within a minute."]

    def test_what_was_deleted_as_it_should_be_is_well(self, tool: Integration, delivery: Delivery) -> None:
        tool.archive()
        assert problems() == []


class TestMisconfigured:
    def test_its_secrets_cannot_be_read(self, tool: Integration, settings: Any) -> None:
        settings.ENCRYPTION_KEYS = ["ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA="]
        assert problems() == [
            "Bean House: the integration Mailer cannot be used. The stored secrets cannot be read: the key that encrypted "
            "them is not among ENCRYPTION_KEYS. Put that key back (at the end of the list), or enter the secrets anew."
        ]

    def test_its_destination_is_gone(self, tool: Integration) -> None:
        Integration.objects.update(destination="pigeon")
        assert problems() == [
            "Bean House: the integration Mailer cannot be used. There is no destination “pigeon” in this version."
        ]

    def test_its_destination_is_not_offered_here(self, store: Store, settings: Any) -> None:
        make_integration(store, name="Trial", destination="sandbox")
        settings.SANDBOX = False
        assert problems() == [
            "Bean House: the integration Trial needs a destination that is not switched on here (Sandbox)."
        ]

    @pytest.mark.parametrize("way", ["off", "deleted"])
    def test_what_is_off_or_deleted_troubles_nobody(self, tool: Integration, way: str) -> None:
        Integration.objects.update(destination="pigeon")
        tool.refresh_from_db()
        if way == "off":
            Integration.objects.update(enabled=False)
        else:
            tool.archive()
        assert problems() == []

    def test_debug_is_on(self, settings: Any) -> None:
        settings.DEBUG = True
        assert problems() == [
            "DEBUG is on: errors show their inner life to everybody. Unset it for anything but development."
        ]


class TestAttention:
    def test_occurrences_that_could_not_be_evaluated(self, customer: Customer) -> None:
        with changed("walletreward_create", build=len):
            give_coins(customer, 10)
        assert problems() == [
            "Occurrences not evaluated in full: 1. See Occurrences in the admin, and evaluate them again."
        ]

    def test_a_closed_lane(self, tool: Integration) -> None:
        Lane.objects.update(closed="breaker")
        assert problems() == ["Bean House: Mailer is held: too many failures in a row."]
