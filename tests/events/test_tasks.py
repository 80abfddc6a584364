"""The tasks that run by the clock: what they bring about, and that they work in small steps."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone
from django_q.models import Schedule

from customers.models import Coupon, Customer, Store, Tier
from events import tasks
from events.models import Occurrence
from tests import factories

pytestmark = pytest.mark.django_db

YESTERDAY = timedelta(days=-1)


def with_old_coins(store: Store, count: int) -> None:
    for _ in range(count):
        factories.give_coins(factories.make_customer(store), 10, expires_at=timezone.now() + YESTERDAY)


class TestSchedules:
    def test_each_names_a_task_that_there_is(self) -> None:
        schedules = {schedule.name: schedule for schedule in Schedule.objects.all()}
        assert schedules.keys() == {"sweep", "expire_coins", "expire_coupons", "review_tiers"}
        for name, schedule in schedules.items():
            assert schedule.func == f"events.tasks.{name}"
            assert callable(getattr(tasks, str(name)))
            assert schedule.repeats == -1


class TestExpireCoins:
    def test_it_is_told_as_an_event(self, customer: Customer, queued: list[Any]) -> None:
        factories.give_coins(customer, 10, expires_at=timezone.now() + YESTERDAY)
        assert tasks.expire_coins() == 1
        payload = Occurrence.objects.latest("id").payload
        assert (payload["event_key"], payload["wallettransaction_type"]) == ("walletreward_create", "expire")
        assert (payload["wallettransaction_amount"], payload["user_wallet_balance"]) == (10, 0)
        assert (tasks.expire_coins(), queued) == (0, [])

    def test_it_goes_on_until_nothing_is_left(self, store: Store, other_store: Store, queued: list[Any]) -> None:
        other_store.coins_expire_after = 2
        other_store.save()
        with time_machine.travel(timezone.now() - timedelta(days=100)):
            factories.make_customer(other_store, coins=10)
        with_old_coins(store, 5)  # these are another batch
        assert tasks.expire_coins() == 6
        assert queued == []

    def test_when_its_time_is_over_it_queues_the_next(
        self, store: Store, queued: list[Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with_old_coins(store, 5)
        monkeypatch.setattr(tasks, "BUDGET", 0)
        assert tasks.expire_coins() == 5
        assert len(queued) == 1
        assert tasks.expire_coins() == 0
        assert len(queued) == 1


class TestExpireCoupons:
    def test_it_is_told_as_an_event(self, customer: Customer) -> None:
        Coupon.objects.create(store=customer.store, customer=customer, expires_at=timezone.now() + YESTERDAY)
        assert tasks.expire_coupons() == 1
        payload = Occurrence.objects.latest("id").payload
        assert (payload["event_key"], payload["changed_fields"]) == ("coupon_update", ["coupon_status"])
        assert (payload["coupon_status"], payload["previous_coupon_status"]) == ("expired", "issued")
        assert tasks.expire_coupons() == 0


class TestReviewTiers:
    def test_it_is_told_as_an_event(self, store: Store, customer: Customer) -> None:
        store.tier_criterion, store.tier_months = "coins_earned", 2
        store.save()
        Tier.objects.create(store=store, name="Gold", threshold=100)
        with time_machine.travel(timezone.now() - timedelta(days=100)):
            factories.give_coins(customer, 100)
        assert tasks.review_tiers() == 1
        payload = Occurrence.objects.latest("id").payload
        assert (payload["event_key"], payload["tier_direction"], payload["user_tier"]) == (
            "viptier_create",
            "down",
            None,
        )
        assert (payload["tier_previous_name"], payload["tier_name"]) == ("Gold", None)
        assert tasks.review_tiers() == 0
