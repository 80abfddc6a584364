"""Replays: what is sent again, at which pace, and that a crash in the middle costs nothing but time."""

import signal
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from customers.models import Customer, Store
from events import claims, replays, sending, tasks
from events.models import Delivery, Lane, Replay, WakeUp
from events.supervisor import Supervisor
from integrations.models import Integration
from tests.concurrency import at_once
from tests.factories import give_coins, make_customer, make_integration, make_subscription
from tests.processes import script
from tests.receiver import Receiver

pytestmark = pytest.mark.django_db

LONG_AGO = timezone.now() - timedelta(days=2)


def make_failed(integration: Integration, count: int) -> list[Delivery]:
    """So many deliveries of this integration that failed, oldest first."""
    if not integration.subscriptions.exists():
        make_subscription(integration, "lead_create")
    for _ in range(count):
        make_customer(integration.store)
    rows = integration.deliveries.order_by("id")
    rows.filter(status="pending").update(status="failed", finished_at=timezone.now(), tries=6, reason="Gave up.")
    return list(rows)


@pytest.fixture
def tool(store: Store) -> Integration:
    return make_integration(store)


def pay(replay: Replay, seconds: float = 5) -> None:
    """So much time passes for its pace."""
    Replay.objects.filter(pk=replay.pk).update(paid_until=timezone.now() - timedelta(seconds=seconds))


class TestMatching:
    def test_only_what_is_over_and_can_be_sent_again(self, store: Store, tool: Integration) -> None:
        rows = make_failed(tool, 4)
        Delivery.objects.filter(pk=rows[0].pk).update(is_test=True)
        Delivery.objects.filter(pk=rows[1].pk).update(status="pending", finished_at=None)
        Delivery.objects.filter(pk=rows[2].pk).update(status="sent")
        assert list(Replay(store=store).matching()) == [rows[3]]
        assert list(Replay(store=store, status="sent").matching()) == [rows[2]]
        tool.archive()
        assert list(Replay(store=store).matching()) == []

    def test_never_of_another_store(self, store: Store, other_store: Store, tool: Integration) -> None:
        make_failed(tool, 1)
        theirs = make_integration(other_store)
        make_failed(theirs, 2)
        assert Replay(store=store).matching().count() == 1
        with pytest.raises(ValidationError, match=r"This integration is not one of this store's\."):
            Replay.objects.start(store=store, integration=theirs)
        with pytest.raises(ValidationError, match=r"This customer is not one of this store's\."):
            Replay.objects.start(store=store, customer=make_customer(other_store))

    def test_not_what_ended_after_it_started(self, store: Store, tool: Integration) -> None:
        """A replay of what was sent must not send what was sent while it ran."""
        make_failed(tool, 2)
        replay = Replay.objects.start(store=store)
        make_failed(tool, 1)
        assert (replay.total, replays.work()) == (2, 2)
        assert Delivery.objects.filter(status="failed").count() == 1


class TestStart:
    def test_without_anything_to_do_it_is_done(self, store: Store) -> None:
        replay = Replay.objects.start(store=store)
        assert (replay.state, replay.total) == ("done", 0)
        assert replay.finished_at

    def test_it_says_how_far_it_is(self, store: Store, tool: Integration) -> None:
        make_failed(tool, 3)
        replay = Replay.objects.start(store=store)
        assert str(replay) == "0 of 3 (running)"
        replays.work()
        replay.refresh_from_db()
        assert str(replay) == "3 of 3 (done)"


class TestStep:
    def test_each_row_is_due_again_as_if_it_were_new(self, store: Store, tool: Integration) -> None:
        (row,) = make_failed(tool, 1)
        Replay.objects.start(store=store).step()
        row.refresh_from_db()
        assert (row.status, row.tries, row.reason, row.finished_at, row.message_id) == ("pending", 0, "", None, row.pk)
        assert list(Delivery.objects.due()) == [row]

    def test_each_row_once(self, store: Store, tool: Integration, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("events.models.replay.BATCH", 2)
        rows = make_failed(tool, 5)
        replay = Replay.objects.start(store=store)
        assert replay.step() == 2
        # It failed again at once; its turn is over all the same.
        Delivery.objects.filter(pk=rows[0].pk).update(status="failed", finished_at=LONG_AGO)
        assert [replay.step() for _ in range(4)] == [2, 1, 0, 0]
        replay.refresh_from_db()
        assert (replay.done, replay.state) == (5, "done")

    def test_no_faster_than_its_pace(self, store: Store, tool: Integration) -> None:
        make_failed(tool, 20)
        replay = Replay.objects.start(store=store, rate=2)
        assert replay.step() == 2, "a second's worth at once"
        assert replay.step() == 0
        pay(replay, 1.6)
        assert replay.step() == 3
        pay(replay, 3600)
        assert replay.step() == 10, "five seconds' worth may be made up for, no more"

    def test_a_clock_that_was_put_back_does_not_stop_it(self, store: Store, tool: Integration) -> None:
        make_failed(tool, 4)
        replay = Replay.objects.start(store=store, rate=2)
        pay(replay, -3600)
        assert replay.step() == 0
        replay.refresh_from_db()
        pay(replay, 1.2)  # SQLite tells the time in milliseconds
        assert replay.step() == 2

    def test_it_waits_for_the_senders_so_that_new_events_do_not_queue_behind_it(
        self, store: Store, tool: Integration, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("events.models.replay.BACKLOG", 3)
        make_failed(tool, 5)
        replay = Replay.objects.start(store=store)
        assert [replay.step(), replay.step()] == [3, 0]
        Delivery.objects.filter(status="pending").update(status="sent", finished_at=timezone.now())
        assert replay.step() == 2

    def test_what_is_held_is_in_nobodys_way(
        self, store: Store, tool: Integration, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("events.models.replay.BACKLOG", 3)
        make_failed(tool, 5)
        Lane.objects.update(closed="breaker")
        replay = Replay.objects.start(store=store)
        assert [replay.step(), replay.step()] == [3, 2]

    @pytest.mark.django_db(transaction=True)
    def test_at_once_by_several_processes(
        self, store: Store, tool: Integration, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("events.models.replay.BATCH", 3)
        make_failed(tool, 20)
        replay = Replay.objects.start(store=store)
        seen = at_once(*[replays.work] * 4)
        while more := replays.work():
            seen.append(more)
        assert sum(seen) == 20  # type: ignore[arg-type]
        replay.refresh_from_db()
        assert (replay.done, replay.state) == (20, "done")

    @pytest.mark.django_db(transaction=True)
    def test_a_process_killed_in_the_middle_costs_nothing(self, store: Store, tool: Integration) -> None:
        """The rows and the cursor move together."""
        make_failed(tool, 10)
        replay = Replay.objects.start(store=store)
        died = script(
            """
import os, signal
from events import replays
from events.models import Replay, replay
replay.BATCH = 4
save, seen = Replay.save, []
def killed(self, **kwargs):
    seen.append(1)
    if len(seen) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    save(self, **kwargs)
Replay.save = killed
replays.work()
"""
        )
        assert died.returncode == -signal.SIGKILL
        replay.refresh_from_db()
        assert (replay.done, replay.state) == (4, "running")
        assert Delivery.objects.filter(status="pending").count() == 4
        pay(replay)
        assert replays.work() == 6
        replay.refresh_from_db()
        assert (replay.done, replay.state) == (10, "done")


class TestWork:
    def test_it_stops_in_time(self, store: Store, tool: Integration, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("events.models.replay.BATCH", 2)
        make_failed(tool, 6)
        Replay.objects.start(store=store)
        assert replays.work(budget=0) == 0
        assert replays.work() == 6

    def test_the_clock_of_the_cluster_goes_on_with_it(
        self, store: Store, tool: Integration, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        make_failed(tool, 1)
        Replay.objects.start(store=store)
        clock = Supervisor()
        monkeypatch.setattr(clock, "_restart", lambda why: None)
        clock.tick()
        assert WakeUp.objects.get(pk=2).asked_at, "it is asked for"
        tasks.go_on_with_replays()
        assert WakeUp.objects.get(pk=2).asked_at is None
        assert Delivery.objects.get().status == "pending"

    def test_sending_again_beside_a_pending_retry(
        self, integration: Integration, customer: Customer, receiver: Receiver
    ) -> None:
        """What waits for its next try is not over: a replay leaves it alone."""
        make_subscription(integration)
        give_coins(customer, 10)
        Delivery.objects.update(tries=1, next_attempt_at=timezone.now() + timedelta(hours=1))
        assert Replay.objects.start(store=customer.store).total == 0
        assert sending.deliver() == 0


class TestResend:
    @pytest.mark.django_db(transaction=True)
    def test_by_many_at_once_beside_the_senders_it_is_claimed_once(self, tool: Integration) -> None:
        (row,) = make_failed(tool, 1)

        def resend() -> int:
            return Delivery.objects.filter(pk=row.pk).resend()

        def claim() -> int:
            return len(claims.claim(free=8, slots=8, flying={}).deliveries)

        done: list[Any] = at_once(*[resend] * 3, *[claim] * 3)
        assert sum(done[:3]) == 1
        done[3:] = [*done[3:], claim()]
        assert sum(done[3:]) == 1

    @pytest.mark.django_db(transaction=True)
    def test_under_new_ids_by_many_at_once(self, tool: Integration) -> None:
        rows = make_failed(tool, 3)
        done = at_once(*[lambda: Delivery.objects.all().resend(new_id=True)] * 3)
        assert sorted(done) == [0, 0, 3]  # type: ignore[type-var]
        ids = {row.message_id for row in Delivery.objects.all()}
        assert len(ids) == 3
        assert not ids & {row.pk for row in rows}

    def test_the_receiver_can_tell_a_repeat_unless_a_new_id_was_asked_for(
        self, integration: Integration, customer: Customer, receiver: Receiver
    ) -> None:
        make_subscription(integration)
        give_coins(customer, 10)
        delivery = Delivery.objects.get()
        sending.deliver()
        for new_id in (False, True, False):
            delivery.refresh_from_db()
            delivery.resend(new_id=new_id)
            assert sending.deliver() == 1
        first, same, new, again = [request.headers["webhook-id"] for request in receiver.got]
        assert first == same == str(delivery.pk)
        assert new == again != first
        assert Delivery.objects.get().status == "sent"
