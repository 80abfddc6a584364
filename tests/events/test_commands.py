"""The operators' commands: what they do, what they say, and that bad input is met by a sentence."""

import json
import threading
from datetime import timedelta
from io import StringIO
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.utils import timezone
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from customers.models import Customer, Store
from events import catalogue, sending, tasks
from events.management.commands import prune
from events.models import Attempt, Delivery, Exchange, Occurrence, Replay, Tally
from events.models.delivery import DeliveryStatus, Outcome
from integrations.models import Integration, SandboxRequest
from tests.events.conftest import webhook
from tests.factories import give_coins, make_customer, make_integration, make_store, make_subscription
from tests.receiver import Answer, Receiver

pytestmark = pytest.mark.django_db


def run(*words: str) -> str:
    """What the command prints."""
    out = StringIO()
    call_command(*words, stdout=out, no_color=True)
    return out.getvalue()


def refused(*words: str) -> str:
    """The sentence with which the command ends."""
    with pytest.raises(CommandError) as raised:
        run(*words)
    return str(raised.value)


def make_deliveries(integration: Integration, customer: Customer, *statuses: str, **fields: Any) -> list[Delivery]:
    """A delivery of each of these statuses, oldest first."""
    make_subscription(integration)
    for _ in statuses:
        give_coins(customer, 10)
    deliveries = list(Delivery.objects.filter(integration=integration).order_by("id"))
    for delivery, status in zip(deliveries, statuses, strict=True):
        over = status not in {"pending", "sending"}
        Delivery.objects.filter(pk=delivery.pk).update(
            status=status, finished_at=timezone.now() if over else None, tries=6 if over else 0, **fields
        )
        delivery.refresh_from_db()
    return deliveries


class TestExportCatalogue:
    def test_it_tells_all_of_every_event(self) -> None:
        events = json.loads(run("export_catalogue"))["events"]
        assert [one["key"] for one in events] == [*catalogue.event_types()]
        for one in events:
            kind = catalogue.event_type(one["key"])
            assert (one["schema"], one["example"]) == (kind.schema(), kind.example())
            Draft202012Validator(one["schema"]).validate(one["example"])


class TestDeliver:
    pytestmark = pytest.mark.django_db(transaction=True)

    def test_it_sends_what_is_due(self, integration: Integration, customer: Customer, receiver: Receiver) -> None:
        make_subscription(integration)
        give_coins(customer, 10)
        assert run("deliver") == "1 delivery tried.\n"
        assert len(receiver.got) == 1
        assert Delivery.objects.get().status == DeliveryStatus.SENT

    def test_it_counts_all_it_tried(self, integration: Integration, customer: Customer, receiver: Receiver) -> None:
        make_subscription(integration)
        for _ in range(3):
            give_coins(customer, 10)
        receiver.next.append(Answer(500))
        assert run("deliver") == "3 deliveries tried.\n"
        assert sorted(Delivery.objects.values_list("status", flat=True)) == ["pending", "sent", "sent"]

    def test_nothing_is_due(self, db: None) -> None:
        assert run("deliver") == "0 deliveries tried.\n"


class TestSendTestEvent:
    def test_it_shows_what_was_sent_and_answered(
        self, integration: Integration, customer: Customer, receiver: Receiver
    ) -> None:
        make_subscription(
            integration,
            "walletreward_create",
            {"field": "wallettransaction_type", "operator": "any_of", "value": ["redeem"]},
            {"field": "user_has_email", "operator": "is", "value": True},
            prefix="shop_",
        )
        said = run(*WORDS, f"--integration={integration.name}", "--email=ada@example.com")
        (request,) = receiver.got
        exchange = Exchange.objects.get()
        assert said == (
            f"POST {receiver.url}\n"
            f"{request.body.decode()}\n"
            f"Answer after {exchange.duration_ms} ms: 200\n"
            "Does not hold: Wallet Transaction Types is one of Redeem\n"
            "Holds: Has e-mail: yes\n"
            f"Sent: shop_walletreward_create to {integration.name}.\n"
        )

    def test_by_id_by_mobile_and_with_a_name(
        self, store: Store, integration: Integration, customer: Customer, receiver: Receiver
    ) -> None:
        words = [f"--integration={integration.pk}", "--mobile=+4915112345678", "--name=coins"]
        assert run("send_test_event", "lead_create", f"--store={store.pk}", *words).endswith(
            f"\nSent: coins to {integration.name}.\n"
        )
        assert receiver.got[0].json()["type"] == "coins"

    def test_nectors_own_spelling_is_understood(
        self, integration: Integration, customer: Customer, receiver: Receiver
    ) -> None:
        words = ["--store=Bean House", f"--integration={integration.name}", "--email=ada@example.com"]
        run("send_test_event", "wallettrasaction_update", *words)
        assert receiver.got[0].json()["type"] == "wallettransaction_update"

    def test_restrictions_that_no_longer_fit_stop_no_test(
        self, integration: Integration, customer: Customer, receiver: Receiver
    ) -> None:
        make_subscription(integration, "walletreward_create", {"field": "wings", "operator": "is", "value": 2})
        said = run(*WORDS, f"--integration={integration.name}", "--email=ada@example.com")
        assert "Its restrictions cannot be judged: Wallet Coins Rewarded cannot be restricted by “wings”.\n" in said
        assert len(receiver.got) == 1

    def test_an_answer_that_is_no_success_ends_it_with_the_reason(
        self, integration: Integration, customer: Customer, receiver: Receiver
    ) -> None:
        receiver.next.append(Answer(422))
        sentence = refused(*WORDS, f"--integration={integration.name}", "--email=ada@example.com")
        assert sentence == "The test event was not accepted. Webhook refused it (answer 422)."

    @pytest.mark.parametrize(
        ("words", "sentence"),
        [
            (
                ["lead_crate", "--store=Bean House", "--integration=Mailer", "--email=ada@example.com"],
                "There is no event with the key “lead_crate”. The events are: coupon_create, ",
            ),
            (
                ["lead_create", "--store=Beans", "--integration=Mailer", "--email=ada@example.com"],
                "There is no store “Beans”. There are: Bean House.",
            ),
            (
                ["lead_create", "--store=Bean House", "--integration=Post", "--email=ada@example.com"],
                "There is no integration “Post”. There are: Mailer.",
            ),
            (
                ["lead_create", "--store=Bean House", "--integration=Mailer", "--email=eve@example.com"],
                "No customer of Bean House has the e-mail eve@example.com.",
            ),
            (
                ["lead_create", "--store=Bean House", "--integration=Mailer", "--mobile=12"],
                "12 is not a mobile number. Write it with its country code, such as +49 1511 2345678.",
            ),
            (
                ["lead_create", "--store=Bean House", "--integration=Mailer"],
                "Give either an e-mail address or a mobile number.",
            ),
            (
                [
                    "lead_create",
                    "--store=Bean House",
                    "--integration=Mailer",
                    "--email=ada@example.com",
                    f"--name={'x' * 121}",
                ],
                "An event's name has at most 120 characters.",
            ),
        ],
    )
    def test_what_does_not_fit_is_met_by_a_sentence(
        self, store: Store, customer: Customer, receiver: Receiver, words: list[str], sentence: str
    ) -> None:
        webhook(store, receiver, name="Mailer")
        assert refused("send_test_event", *words).startswith(sentence)
        assert receiver.got == []

    def test_a_deleted_integration_is_unknown(self, store: Store, customer: Customer, receiver: Receiver) -> None:
        webhook(store, receiver, name="Mailer").archive()
        sentence = refused(*WORDS, "--integration=Mailer", "--email=ada@example.com")
        assert sentence == "There is no integration “Mailer”. There is none yet."


WORDS = ("send_test_event", "walletreward_create", "--store=Bean House")


class TestResend:
    """With `--yes` it also tells how far it is when that takes a while: the last line counts."""

    def test_it_counts_first(self, store: Store, customer: Customer) -> None:
        make_deliveries(make_integration(store), customer, "failed", "failed", "sent", "pending", "sending")
        assert run("resend") == "2 would be sent again. Add --yes to do it.\n"
        assert Delivery.objects.filter(status="failed").count() == 2

    def test_with_yes_they_are_due_under_the_same_ids(self, store: Store, customer: Customer) -> None:
        failed, sent, _ = make_deliveries(make_integration(store), customer, "failed", "sent", "cancelled")
        assert run("resend", "--yes").endswith("1 will be sent again.\n")
        failed.refresh_from_db()
        assert (failed.status, failed.tries, failed.finished_at) == ("pending", 0, None)
        assert list(Delivery.objects.due()) == [failed]
        sent.refresh_from_db()
        assert sent.status == "sent"

    @pytest.mark.parametrize(("status", "count"), [("sent", 2), ("skipped", 1), ("cancelled", 1), ("failed", 0)])
    def test_by_status(self, store: Store, customer: Customer, status: str, count: int) -> None:
        make_deliveries(make_integration(store), customer, "sent", "sent", "skipped", "cancelled", "pending")
        assert run("resend", f"--status={status}").startswith(f"{count} would be sent again.")

    def test_by_store_integration_and_event(self, store: Store, other_store: Store, customer: Customer) -> None:
        mailer, other = make_integration(store, name="Mailer"), make_integration(store)
        make_deliveries(mailer, customer, "failed")
        make_deliveries(other, customer, "failed")
        counts = {
            (): 2,
            ("--store=Bean House",): 2,
            ("--store=Tea House",): 0,
            (f"--store={store.pk}",): 2,
            ("--integration=Mailer",): 1,
            (f"--integration={other.pk}",): 1,
            ("--event=walletreward_create",): 2,
            ("--event=coupon_create",): 0,
        }
        Delivery.objects.filter(integration=mailer).exclude(pk=mailer.deliveries.earliest("id").pk).delete()
        assert {words: int(run("resend", *words).split()[0]) for words in counts} == counts

    def test_a_name_in_several_stores_needs_the_store(
        self, store: Store, other_store: Store, customer: Customer
    ) -> None:
        make_integration(other_store, name="Mailer")
        make_deliveries(make_integration(store, name="Mailer"), customer, "failed")
        assert refused("resend", "--integration=Mailer") == (
            "Several stores have an integration “Mailer”: say which one with --store."
        )
        assert run("resend", "--integration=Mailer", "--store=Bean House").startswith("1 would")
        assert run("resend", "--integration=Mailer", "--store=Tea House").startswith("0 would")

    def test_by_time(self, store: Store, customer: Customer) -> None:
        day = timezone.now().replace(year=2026, month=3, day=10, hour=12, minute=0, second=0, microsecond=0)
        make_deliveries(make_integration(store), customer, "failed", recorded_at=day)
        counts = {
            ("--since=2026-03-10",): 1,
            ("--since=2026-03-10T12:00",): 1,
            ("--since=2026-03-10T13:00+01:00",): 1,
            ("--since=2026-03-10T12:01",): 0,
            ("--until=2026-03-10T12:00",): 0,
            ("--until=2026-03-10T12:01",): 1,
            ("--since=2026-03-01", "--until=2026-04-01"): 1,
        }
        assert {words: int(run("resend", *words).split()[0]) for words in counts} == counts

    def test_tests_and_what_was_deleted_are_left(self, store: Store, customer: Customer) -> None:
        first, second = make_deliveries(make_integration(store), customer, "failed", "failed")
        Delivery.objects.filter(pk=first.pk).update(is_test=True)
        assert second.subscription
        assert run("resend").startswith("1 would")
        second.subscription.archive()
        assert run("resend", "--yes").endswith("0 will be sent again.\n")

    def test_many_are_done_in_steps(self, store: Store, customer: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("events.models.replay.BATCH", 2)
        make_deliveries(make_integration(store), customer, *["failed"] * 5)
        assert run("resend", "--yes").endswith("5 will be sent again.\n")
        assert Delivery.objects.due().count() == 5

    def test_of_all_stores_at_once(self, store: Store, other_store: Store, customer: Customer) -> None:
        make_deliveries(make_integration(store), customer, "failed")
        make_deliveries(make_integration(other_store), make_customer(other_store), "failed")
        make_store()
        assert run("resend", "--yes").endswith("2 will be sent again.\n")
        assert set(Replay.objects.values_list("store", "total", "done", "started_by")) == {
            (store.pk, 1, 1, "the command line"),
            (other_store.pk, 1, 1, "the command line"),
        }

    def test_of_one_customer(self, store: Store, customer: Customer) -> None:
        make_deliveries(make_integration(store), customer, "failed", "failed")
        other = make_customer(store, external_id="eve")
        first = Delivery.objects.earliest("id")
        Delivery.objects.filter(pk=first.pk).update(customer=other)
        for words, count in {"eve": 1, "Ada@example.com": 1, str(other.pk): 1}.items():
            assert run("resend", f"--customer={words}").startswith(f"{count} would"), words

    def test_a_customer_of_several_stores_needs_the_store(
        self, store: Store, other_store: Store, customer: Customer
    ) -> None:
        make_customer(other_store, email="ada@example.com")
        assert refused("resend", "--customer=ada@example.com") == (
            "Several customers are called “ada@example.com”: give the id here, or --store."
        )
        assert run("resend", "--customer=ada@example.com", "--store=Tea House").startswith("0 would")

    def test_under_new_ids(self, store: Store, customer: Customer) -> None:
        (failed,) = make_deliveries(make_integration(store), customer, "failed")
        run("resend", "--yes")
        failed.refresh_from_db()
        assert failed.message_id == failed.pk
        Delivery.objects.update(status="failed", finished_at=timezone.now())
        run("resend", "--yes", "--new-id")
        failed.refresh_from_db()
        assert failed.message_id != failed.pk

    def test_in_the_background(self, store: Store, customer: Customer) -> None:
        make_deliveries(make_integration(store), customer, "failed")
        assert run("resend", "--yes", "--background") == (
            "1 will be sent again; the cluster does it in the background.\n"
        )
        assert Delivery.objects.get().status == "failed"
        assert tasks.go_on_with_replays() == 1
        assert Delivery.objects.get().status == "pending"

    def test_it_tells_how_far_it_is_and_what_it_waits_for(
        self, store: Store, customer: Customer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for module in ("events.models.replay", "events.management.commands.resend"):
            monkeypatch.setattr(f"{module}.BACKLOG", 2)
        monkeypatch.setattr("events.management.commands.resend.TELL_EVERY", 0)
        make_deliveries(make_integration(store), customer, *["failed"] * 5)
        told: list[str] = []

        class Reader(StringIO):
            """Sees what is told, and sends what is due, as a cluster would."""

            def write(self, text: str) -> int:
                told.append(text)
                Delivery.objects.filter(status="pending").update(status="sent", finished_at=timezone.now())
                return len(text)

        call_command("resend", "--yes", stdout=Reader(), no_color=True)
        assert told == [
            "2 of 5 are due again. Waiting for the senders: more than 2 are due already.\n",
            "4 of 5 are due again. Waiting for the senders: more than 2 are due already.\n",
            "5 of 5 are due again.\n",
            "5 will be sent again.\n",
        ]

    @pytest.mark.parametrize(
        ("words", "sentence"),
        [
            (["--customer=eve"], "There is no customer “eve”."),
            (["--rate=0"], "--rate is from 1 to 10000."),
            (["--store=Beans"], "There is no store “Beans”. There are: Bean House."),
            (["--integration=Post"], "There is no integration “Post”. There are: Mailer."),
            (["--event=lead_crate"], "There is no event with the key “lead_crate”. The events are: coupon_create, "),
            (["--since=yesterday"], "yesterday is not a time. Write it as 2026-11-24 or 2026-11-24T10:30+01:00."),
            (["--until=2026-13-01"], "2026-13-01 is not a time. Write it as 2026-11-24 or 2026-11-24T10:30+01:00."),
            (["--status=pending"], "Error: argument --status: invalid choice: 'pending' "),
        ],
    )
    def test_what_does_not_fit_is_met_by_a_sentence(self, store: Store, words: list[str], sentence: str) -> None:
        make_integration(store, name="Mailer")
        assert refused("resend", *words, "--yes").startswith(sentence)


class TestPrune:
    LONG_AGO = timezone.now() - timedelta(days=100)

    @pytest.fixture
    def logged(self, store: Store, customer: Customer) -> list[Delivery]:
        """One delivery of each status, each with an attempt and its exchange."""
        deliveries = make_deliveries(make_integration(store), customer, *DeliveryStatus.values)
        for delivery in deliveries:
            exchange = Exchange.objects.create(
                store=store, integration=delivery.integration, request_method="POST", request_url="https://x.example"
            )
            Attempt.objects.create(store=store, delivery=delivery, exchange=exchange, number=1, outcome=Outcome.SENT)
        return deliveries

    def age(self) -> None:
        """All of it is of long ago."""
        Delivery.objects.update(recorded_at=self.LONG_AGO)
        Delivery.objects.exclude(finished_at=None).update(finished_at=self.LONG_AGO)
        Exchange.objects.update(started_at=self.LONG_AGO)
        Attempt.objects.update(started_at=self.LONG_AGO)
        Occurrence.objects.update(occurred_at=self.LONG_AGO)

    def test_old_and_finished_ones_go_and_unfinished_ones_stay(self, logged: list[Delivery]) -> None:
        self.age()
        assert run("prune") == (
            "Deliveries: 4 deleted\nExchanges: 4 deleted\nOccurrences: 5 deleted\nReplays: 0 deleted\n"
            "Tallies: 0 deleted\nSandbox requests: 0 deleted\nKept answers: 0 deleted\n"
        )  # the fifth occurrence told of the new customer, and nobody wanted it
        assert set(Delivery.objects.values_list("status", flat=True)) == {"pending", "sending"}
        assert Attempt.objects.count() == Exchange.objects.count() == Occurrence.objects.count() == 2

    def test_young_ones_stay(self, logged: list[Delivery]) -> None:
        assert run("prune", "--days=1").count(": 0 deleted") == 7
        assert Delivery.objects.count() == len(DeliveryStatus)

    def test_what_ended_lately_stays_with_its_log_however_old_it_is(self, logged: list[Delivery]) -> None:
        self.age()
        Delivery.objects.filter(status="sent").update(finished_at=timezone.now())
        run("prune")
        kept = Delivery.objects.get(status="sent")
        assert kept.occurrence.payload
        assert kept.attempts.get().exchange

    def test_what_needs_attention_stays(self, logged: list[Delivery]) -> None:
        self.age()
        broken = Occurrence.objects.get(event_key="lead_create")
        Occurrence.objects.filter(pk=broken.pk).update(error="The payload could not be built: nobody knows.")
        run("prune")
        assert Occurrence.objects.needing_attention().get() == broken

    def test_an_exchange_stays_while_one_of_its_batch_does(self, logged: list[Delivery]) -> None:
        self.age()
        shared = Attempt.objects.get(delivery__status="pending").exchange
        Attempt.objects.update(exchange=shared)
        run("prune")
        assert shared in Exchange.objects.all()

    def test_tallies_and_the_sandbox_are_pruned(self, store: Store, customer: Customer) -> None:
        integration = make_integration(store)
        subscription = make_subscription(integration)
        for minute in (self.LONG_AGO, timezone.now()):
            Tally.objects.create(store=store, integration=integration, subscription=subscription, minute=minute)
            SandboxRequest.objects.create(store=store, integration=integration, body="{}", answered=200)
        SandboxRequest.objects.filter(pk=SandboxRequest.objects.earliest("id").pk).update(received_at=self.LONG_AGO)
        assert "Tallies: 1 deleted\nSandbox requests: 1 deleted\n" in run("prune")
        assert (Tally.objects.count(), SandboxRequest.objects.count()) == (1, 1)

    def test_replays_that_are_over_are_pruned(self, store: Store) -> None:
        old, young, running = (Replay.objects.start(store=store) for _ in range(3))
        Replay.objects.filter(pk=old.pk).update(finished_at=self.LONG_AGO)
        Replay.objects.filter(pk=running.pk).update(state="running", finished_at=None, started_at=self.LONG_AGO)
        assert "Replays: 1 deleted\n" in run("prune")
        assert set(Replay.objects.values_list("pk", flat=True)) == {young.pk, running.pk}

    @pytest.mark.postgresql
    @pytest.mark.django_db(transaction=True)
    def test_what_is_made_due_at_the_same_moment_stays(self, logged: list[Delivery]) -> None:
        """On SQLite one waits for the other, as a whole."""
        self.age()
        row = Delivery.objects.get(status="failed")
        resent, pruned = threading.Event(), threading.Event()

        def resend() -> None:
            with transaction.atomic():
                Delivery.objects.filter(pk=row.pk).resend()
                resent.set()
                pruned.wait(60)
            connection.close()

        resender = threading.Thread(target=resend)
        resender.start()
        resent.wait(60)
        assert run("prune").startswith("Deliveries: 3 deleted\n")
        pruned.set()
        resender.join()
        row.refresh_from_db()
        assert row.status == "pending"
        assert row.attempts.get().exchange
        assert row.occurrence.payload

    def test_interrupted_it_is_gone_on_with(self, logged: list[Delivery], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("events.management.commands.prune.BATCH", 1)
        self.age()
        steps = iter([1, 1])
        step = prune._delete_some

        def interrupted(rows: Any) -> int:
            if next(steps, None) is None:
                raise KeyboardInterrupt
            return step(rows)

        monkeypatch.setattr(prune, "_delete_some", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run("prune")
        monkeypatch.setattr(prune, "_delete_some", step)
        assert Delivery.objects.finished().count() == 2
        assert run("prune").startswith("Deliveries: 2 deleted\n")

    @pytest.mark.django_db(transaction=True)
    def test_beside_running_senders(
        self, integration: Integration, customer: Customer, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Everything is sent once and then deleted, whichever comes first; nothing unfinished is touched."""
        monkeypatch.setattr("events.management.commands.prune.LEAST", -1)
        monkeypatch.setattr("events.management.commands.prune.BATCH", 5)
        make_subscription(integration)
        for _ in range(30):
            give_coins(customer, 10)
        pruning = threading.Event()

        def go_on_pruning() -> None:
            while not pruning.wait(0.05):  # or on SQLite the senders would hardly get their turn
                run("prune", "--days=-1")
            connection.close()

        pruner = threading.Thread(target=go_on_pruning)
        pruner.start()
        try:
            sending.deliver(budget=60)
        finally:
            pruning.set()
            pruner.join()
        run("prune", "--days=-1")
        assert len({request.headers["webhook-id"] for request in receiver.got}) == len(receiver.got) == 30
        assert not Delivery.objects.exists()
        assert not Attempt.objects.exists()

    def test_it_goes_in_small_steps(self, logged: list[Delivery], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("events.management.commands.prune.BATCH", 1)
        self.age()
        assert run("prune").startswith("Deliveries: 4 deleted\n")

    @pytest.mark.parametrize("days", ["0", "-1", "36501", "99999999999"])
    def test_days_that_make_no_sense_are_refused(self, logged: list[Delivery], days: str) -> None:
        self.age()
        sentence = "--days is from 1 to 36500: what is younger than a day may still be looked at."
        assert refused("prune", f"--days={days}") == sentence
        assert Delivery.objects.count() == len(DeliveryStatus)

    def test_days_that_are_no_number_are_refused(self) -> None:
        assert refused("prune", "--days=soon") == "Error: argument --days: invalid int value: 'soon'"


class TestIds:
    def test_an_unknown_id_is_met_like_an_unknown_name(self, store: Store) -> None:
        unknown = uuid4()
        assert refused("resend", f"--integration={unknown}") == (
            f"There is no integration “{unknown}”. There is none yet."
        )
