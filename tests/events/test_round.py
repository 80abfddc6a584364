"""The whole way with real processes: recorded here, sent by `manage.py cluster`, received by a real server."""

import os
import signal
import subprocess
import threading

import pytest

from customers.models import Customer, Offer
from events.models import Attempt, Delivery, Heartbeat, Occurrence
from integrations.models import Integration
from tests.factories import give_coins, make_subscription
from tests.processes import cluster, script, wait_until
from tests.receiver import Answer, Receiver

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.cluster]


def all_sent(count: int) -> bool:
    return Delivery.objects.filter(status="sent").count() == count


def children_of(process: int) -> list[int]:
    """The ids of the processes that this one started."""
    listed = subprocess.run(["pgrep", "-P", str(process)], capture_output=True, text=True).stdout.split()
    return [int(one) for one in listed]


def below(process: int) -> list[int]:
    """The ids of all processes below this one, the lowest last."""
    own = children_of(process)
    return own + [lower for child in own for lower in below(child)]


class TestRound:
    def test_a_reward_and_a_redemption_become_delivered_events(
        self, integration: Integration, customer: Customer, offer: Offer, receiver: Receiver
    ) -> None:
        rewards = {"field": "wallettransaction_type", "operator": "any_of", "value": ["reward"]}
        make_subscription(integration, "walletreward_create", rewards, name="rewarded")
        make_subscription(integration, "coupon_create", name="coupon")
        with cluster():
            give_coins(customer, 150)
            coupon, _ = offer.redeem(customer)
            got = receiver.wait_for(2, seconds=60)
            wait_until(lambda: all_sent(2))
            wait_until(lambda: Heartbeat.objects.filter(kind="supervisor").exists())
        by_type = {request.json()["type"]: request.json()["data"] for request in got}
        assert by_type["rewarded"]["wallettransaction_amount"] == 150
        assert by_type["coupon"]["coupon_code"] == coupon.code
        assert by_type["coupon"]["user_wallet_balance"] == 50
        assert Occurrence.objects.filter(event_key="walletreward_create").count() == 2, (
            "the redemption's own wallet transaction was recorded, and held back"
        )
        assert Attempt.objects.count() == 2

    def test_a_process_killed_right_after_commit_still_delivers(
        self, integration: Integration, customer: Customer, receiver: Receiver
    ) -> None:
        """Nobody was woken: the cluster's clock finds the work."""
        make_subscription(integration)
        with cluster():
            wait_until(lambda: Heartbeat.objects.filter(kind="supervisor").exists(), seconds=60)
            died = script(
                f"""
import os, signal
from django.db import transaction
from customers.models import Customer
with transaction.atomic():
    transaction.on_commit(lambda: os.kill(os.getpid(), signal.SIGKILL))
    Customer.objects.get(pk="{customer.pk}").wallet.record(type="reward", operation="cr", amount=7)
"""
            )
            assert died.returncode == -signal.SIGKILL
            (request,) = receiver.wait_for(1, seconds=60)
            wait_until(lambda: all_sent(1))
        assert request.json()["data"]["wallettransaction_amount"] == 7

    def test_it_goes_on_after_all_its_workers_were_killed(
        self, integration: Integration, customer: Customer, receiver: Receiver
    ) -> None:
        make_subscription(integration)
        with cluster() as process:
            give_coins(customer, 1)
            receiver.wait_for(1, seconds=60)
            wait_until(lambda: all_sent(1))
            for child in reversed(below(process.pid)):
                os.kill(child, signal.SIGKILL)
            give_coins(customer, 2)
            receiver.wait_for(2, seconds=60)
            wait_until(lambda: all_sent(2))

    def test_it_goes_on_after_an_idle_worker_was_killed(
        self, integration: Integration, customer: Customer, receiver: Receiver
    ) -> None:
        """Django-Q keeps the dead worker's lock on its queue and runs nothing for ever: its supervisor starts it anew."""
        make_subscription(integration)
        with cluster() as process:
            give_coins(customer, 1)
            receiver.wait_for(1, seconds=60)
            wait_until(lambda: all_sent(1))
            (main,) = children_of(process.pid)
            (sentinel,) = children_of(main)
            for worker in children_of(sentinel):
                os.kill(worker, signal.SIGKILL)
            give_coins(customer, 2)
            receiver.wait_for(2, seconds=60)
            wait_until(lambda: all_sent(2))

    def test_sigterm_lets_what_is_under_way_finish(
        self, integration: Integration, customer: Customer, receiver: Receiver
    ) -> None:
        make_subscription(integration)
        gate = threading.Event()
        receiver.next.append(Answer(gate=gate))
        with cluster() as process:
            give_coins(customer, 1)
            receiver.wait_for(1, seconds=60)
            process.terminate()
            gate.set()
            assert process.wait(40) == 0
        assert all_sent(1)
        assert len(receiver.got) == 1
