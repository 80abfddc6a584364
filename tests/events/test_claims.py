"""Claims: whose turn it is, how much, and what a dead sender leaves behind."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from customers.models import Store
from events import claims, results
from events.models import Attempt, Delivery, Lane
from events.models.delivery import Outcome
from events.results import Result
from integrations.destinations.base import Judgement, Verdict
from integrations.models import Integration
from tests import factories
from tests.factories import make_integration, make_subscription

pytestmark = pytest.mark.django_db


def queue(store: Store, count: int, **fields: Any) -> Integration:
    """An integration of this store with so many due deliveries."""
    integration = make_integration(store, **fields)
    make_subscription(integration, "lead_create")
    for _ in range(count):
        factories.make_customer(store)
    return integration


def taken(claim: claims.Claim) -> dict[str, int]:
    """How many of each integration."""
    names = [delivery.integration.name for delivery in claim.deliveries]
    return {name: names.count(name) for name in set(names)}


def take(free: int = 8, slots: int = 100) -> claims.Claim:
    return claims.claim(free=free, slots=slots, flying={})


class TestClaim:
    def test_each_lane_gets_its_share(self, store: Store, other_store: Store) -> None:
        queue(store, 10, name="many")
        queue(other_store, 10, name="others")
        assert taken(take(8)) == {"many": 4, "others": 4}

    def test_the_longest_unserved_lane_is_first(self, store: Store, other_store: Store) -> None:
        queue(store, 5, name="many")
        queue(other_store, 5, name="others")
        first, second = taken(take(1)), taken(take(1))
        assert {*first, *second} == {"many", "others"}

    def test_what_is_claimed_is_nobody_elses(self, store: Store) -> None:
        queue(store, 5)
        first, second = take(3), take(8)
        assert (len(first.deliveries), first.full) == (3, True)
        assert (len(second.deliveries), second.full) == (2, False)
        assert not {row.pk for row in first.deliveries} & {row.pk for row in second.deliveries}
        assert take().deliveries == []

    def test_no_lane_holds_more_than_three_quarters_of_the_slots(self, store: Store) -> None:
        integration = queue(store, 10)
        assert len(claims.claim(free=8, slots=8, flying={}).deliveries) == 6
        assert claims.claim(free=2, slots=8, flying={integration.pk: 6}).deliveries == []

    def test_concurrency_is_kept_across_all_senders(self, store: Store) -> None:
        queue(store, 6, concurrency_limit=2)
        assert len(take().deliveries) == 2
        assert take().deliveries == []

    def test_a_rate_is_kept_across_all_senders(self, store: Store) -> None:
        integration = queue(store, 6, rate_limit=2)
        Lane.objects.update(tokens=0, tokens_at=timezone.now() - timedelta(seconds=0.6))
        assert len(take().deliveries) == 1
        assert take().deliveries == []
        Lane.objects.filter(integration=integration).update(tokens_at=timezone.now() - timedelta(hours=1))
        assert len(take().deliveries) == 2, "a second's worth may be saved up, no more"

    def test_the_first_call_of_a_new_lane_need_not_wait(self, store: Store) -> None:
        queue(store, 3, rate_limit=1)
        Lane.objects.update(tokens_at=timezone.now() + timedelta(seconds=1))
        assert len(take().deliveries) == 1

    def test_the_earliest_due_goes_first(self, store: Store) -> None:
        queue(store, 3)
        rows = list(Delivery.objects.order_by("next_attempt_at"))
        Delivery.objects.filter(pk=rows[2].pk).update(next_attempt_at=timezone.now() - timedelta(hours=1))
        assert [row.pk for row in take(1).deliveries] == [rows[2].pk]

    def test_a_constant_number_of_queries(self, store: Store, django_assert_max_num_queries: Any) -> None:
        queue(store, 20)
        with django_assert_max_num_queries(12):
            assert len(take(20).deliveries) == 20

    @pytest.mark.postgresql
    def test_what_it_would_have_to_read_past_is_vacuumed_soon(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT reloptions FROM pg_class WHERE oid = 'events_delivery'::regclass")
            assert cursor.fetchone() == (["autovacuum_vacuum_scale_factor=0.01"],)

    def test_a_test_event_is_never_claimed(self, store: Store) -> None:
        queue(store, 1)
        Delivery.objects.update(is_test=True)
        assert take().deliveries == []


class TestLost:
    def lose(self, claim: claims.Claim) -> None:
        """The sender died: the lease runs out."""
        ids = [row.pk for row in claim.deliveries]
        Delivery.objects.filter(pk__in=ids).update(leased_until=timezone.now() - timedelta(seconds=1))

    def test_a_lease_that_ran_out_is_given_back_and_then_taken_alone(self, store: Store) -> None:
        queue(store, 3)
        self.lose(take())
        assert claims.anything_to_do()
        assert claims.release_lost() == 3
        assert set(Attempt.objects.values_list("outcome", flat=True)) == {Outcome.UNKNOWN}
        assert take().deliveries == []
        assert len(claims.claim_suspect().deliveries) == 1
        assert set(Delivery.objects.values_list("deaths", "tries")) == {(0, 0)}, "nobody is blamed for dying in company"

    def test_three_deaths_alone_fail_it_as_poison(self, store: Store) -> None:
        queue(store, 1)
        self.lose(take())
        claims.release_lost()
        for deaths in (1, 2, 3):
            claim = claims.claim_suspect()
            assert len(claim.deliveries) == 1
            self.lose(claim)
            claims.release_lost()
            assert Delivery.objects.get().deaths == deaths
        delivery = Delivery.objects.get()
        assert (delivery.status, delivery.reason) == ("failed", "Its worker died 3 times while sending it alone.")
        assert delivery.attempts.count() == 4

    def test_a_lease_that_runs_is_left_alone(self, store: Store) -> None:
        queue(store, 1)
        take()
        assert claims.release_lost() == 0

    def test_a_late_result_changes_nothing(self, store: Store) -> None:
        """The sender was stopped beyond its lease; another one has the row by now."""
        queue(store, 1)
        (late,) = take().deliveries
        self.lose(claims.Claim([late], frozenset(), full=False))
        claims.release_lost()
        (now,) = claims.claim_suspect().deliveries
        assert results.write([result_of(late, Verdict.REJECTED)]) == 0
        assert Delivery.objects.get().status == "sending"
        assert results.write([result_of(now, Verdict.ACCEPTED)]) == 1
        delivery = Delivery.objects.get()
        assert (delivery.status, delivery.suspect) == ("sent", False)
        assert results.write([result_of(now, Verdict.REJECTED)]) == 0
        assert Delivery.objects.get().status == "sent"

    def test_an_interrupted_test_is_ended(self, store: Store) -> None:
        queue(store, 1)
        self.lose(take())
        Delivery.objects.update(is_test=True)
        claims.release_lost()
        delivery = Delivery.objects.get()
        assert delivery.status == "failed"
        assert delivery.reason == "The test was interrupted; whether it arrived is not known."


def result_of(delivery: Delivery, verdict: Verdict, **more: Any) -> Result:
    """A result as a sender would bring it."""
    return Result(
        delivery=delivery,
        judgement=Judgement(verdict, "because", more.pop("retry_after", None)),
        started_at=timezone.now(),
        ended_at=timezone.now(),
        **more,
    )
