"""`Idempotency-Key`: the same request is done once and answered alike, whoever dies or is quicker."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import IntegrityError
from django.db.models import F
from rest_framework.test import APIClient

from customers.models import Customer, KeptAnswer, Store, WalletTransaction
from customers.models.kept_answer import KEPT, LEASE
from customers.refusals import Conflict
from events.tasks import sweep
from tests.api_fixtures import problem, refusal
from tests.concurrency import at_once
from tests.config.test_tenancy_api import BODIES, Route, store_of, world
from tests.factories import give_coins, make_api_client, make_api_key, make_customer
from tests.processes import script

pytestmark = pytest.mark.django_db

TRANSACTIONS = "/api/v1/wallet-transactions/"
CUSTOMERS = "/api/v1/customers/"
REUSED = "This Idempotency-Key was used for another request. Give each request a key of its own."
UNDER_WAY = "The request with this Idempotency-Key is still under way. Try again."
TAKEN_OVER = "This took so long that a repeated request took over; nothing was done here. Try again."
INVALID = "An Idempotency-Key is 1 to 255 letters, digits and signs of ASCII, such as a UUID."


def reward(api: APIClient, *, key: str = "one", **more: Any) -> Any:
    body = {"customer_email": "ada@example.com", "type": "reward", "operation": "cr", "amount": 50, **more}
    return api.post(TRANSACTIONS, body, HTTP_IDEMPOTENCY_KEY=key)


def balance(customer: Customer) -> int:
    customer.wallet.refresh_from_db()
    return customer.wallet.balance


def end_leases() -> None:
    KeptAnswer.objects.filter(status=None).update(leased_until=F("leased_until") - LEASE)


def a_day_later() -> None:
    KeptAnswer.objects.update(created_at=F("created_at") - KEPT)


class TestTheSameRequest:
    def test_it_is_done_once_and_answered_alike(self, api: APIClient, customer: Customer) -> None:
        first, second = reward(api), reward(api)
        assert (first.status_code, second.status_code) == (201, 201)
        assert (first.get("Idempotent-Replayed"), second.get("Idempotent-Replayed")) == (None, "true")
        assert second.content == first.content
        assert second["Content-Type"] == first["Content-Type"] == "application/json"
        assert (balance(customer), WalletTransaction.objects.count()) == (50, 1)

    def test_another_key_does_it_again(self, api: APIClient, customer: Customer) -> None:
        reward(api, key="one")
        reward(api, key="two")
        assert balance(customer) == 100

    def test_the_quotes_of_the_draft_mean_nothing(self, api: APIClient, customer: Customer) -> None:
        reward(api, key="one")
        assert reward(api, key='"one"')["Idempotent-Replayed"] == "true"

    def test_neither_does_how_the_body_is_written(self, api: APIClient, customer: Customer) -> None:
        fields = {"customer_email": "ada@example.com", "type": "reward", "operation": "cr", "amount": 50}
        for body in (json.dumps(fields), json.dumps(dict(reversed(fields.items())), indent=1)):
            response = api.generic(
                "POST", TRANSACTIONS, body, content_type="application/json", HTTP_IDEMPOTENCY_KEY="one"
            )
            assert response.status_code == 201
        assert balance(customer) == 50

    def test_a_refusal_is_kept_too(self, api: APIClient, customer: Customer) -> None:
        def redeem(key: str) -> Any:
            return reward(api, key=key, type="redeem", operation="dr")

        refused = redeem("one")
        assert refusal(refused) == ("amount", "not_enough_coins", "Only 0 coins are in the wallet.")
        give_coins(customer, 50)
        again = redeem("one")
        assert (again.status_code, again.content, again["Content-Type"]) == (
            400,
            refused.content,
            "application/problem+json",
        )
        assert again["Idempotent-Replayed"] == "true"
        assert redeem("two").status_code == 201

    def test_each_store_has_keys_of_its_own(self, api: APIClient, other_store: Store, customer: Customer) -> None:
        make_customer(other_store, email="ada@example.com")
        reward(api)
        theirs = reward(make_api_client(make_api_key(other_store)))
        assert (theirs.status_code, theirs.get("Idempotent-Replayed")) == (201, None)

    @pytest.mark.parametrize(("route", "method", "action"), [body for body in BODIES if body[1] == "post"], ids=str)
    def test_every_post_keeps_to_it(self, route: Route, method: str, action: str) -> None:
        rows = world("Ours")
        api = make_api_client(make_api_key(store_of(rows)))
        address = route.at(rows)
        first, second = (api.post(address, {}, HTTP_IDEMPOTENCY_KEY="one") for _ in range(2))
        assert first.status_code < 500
        assert (second.status_code, second.content) == (first.status_code, first.content)
        assert second["Idempotent-Replayed"] == "true"

    def test_what_only_reads_or_patches_does_not_look_at_it(self, api: APIClient, customer: Customer) -> None:
        for _ in range(2):
            address = f"{CUSTOMERS}{customer.pk}/"
            assert api.get(address, HTTP_IDEMPOTENCY_KEY="").status_code == 200
            assert api.patch(address, {"name": "A."}, HTTP_IDEMPOTENCY_KEY="one").status_code == 200
        assert not KeptAnswer.objects.exists()


class TestAnotherRequest:
    def test_another_body_is_a_conflict(self, api: APIClient, customer: Customer) -> None:
        reward(api)
        assert refusal(reward(api, amount=60), 409) == ("Idempotency-Key", "key_reused", REUSED)
        assert balance(customer) == 50

    def test_so_is_another_address(self, api: APIClient, customer: Customer) -> None:
        reward(api)
        response = api.post(CUSTOMERS, {"email": "b@x.de"}, HTTP_IDEMPOTENCY_KEY="one")
        assert refusal(response, 409) == ("Idempotency-Key", "key_reused", REUSED)

    def test_a_conflict_is_not_kept_in_place_of_the_answer(self, api: APIClient, customer: Customer) -> None:
        reward(api)
        reward(api, amount=60)
        assert reward(api).status_code == 201


class TestKeys:
    @pytest.mark.parametrize("key", ["", " ", '""', "x" * 256, "ü", "a\tb"])
    def test_what_can_be_none_is_refused(self, api: APIClient, customer: Customer, key: str) -> None:
        assert refusal(reward(api, key=key)) == ("Idempotency-Key", "invalid", INVALID)
        assert balance(customer) == 0

    def test_one_of_the_longest(self, api: APIClient, customer: Customer) -> None:
        assert reward(api, key="x" * 255).status_code == 201

    def test_without_a_good_api_key_none_is_used_up(self, api: APIClient, customer: Customer) -> None:
        assert reward(APIClient()).status_code == 401
        assert reward(api).status_code == 201

    def test_a_body_that_cannot_be_read_uses_none_up(self, api: APIClient, customer: Customer) -> None:
        broken = api.generic("POST", TRANSACTIONS, "{", content_type="application/json", HTTP_IDEMPOTENCY_KEY="one")
        assert refusal(broken)[1] == "parse_error"
        assert reward(api).status_code == 201

    def test_after_a_day_a_key_is_free_again(self, api: APIClient, customer: Customer) -> None:
        reward(api)
        a_day_later()
        assert reward(api, amount=60).status_code == 201
        assert balance(customer) == 110

    def test_the_sweep_deletes_what_is_older(self, api: APIClient, customer: Customer) -> None:
        reward(api, key="old")
        a_day_later()
        reward(api, key="new")
        sweep()
        assert [kept.key for kept in KeptAnswer.objects.all()] == ["new"]

    def test_so_does_prune(self, api: APIClient, customer: Customer) -> None:
        reward(api, key="old")
        a_day_later()
        reward(api, key="new")
        call_command("prune", verbosity=0)
        assert [kept.key for kept in KeptAnswer.objects.all()] == ["new"]


class TestUnderWay:
    @pytest.fixture
    def under_way(self, api: APIClient, customer: Customer) -> None:
        """A request of another process, which has its claim and has not come to anything."""
        reward(api)
        WalletTransaction.objects.all().delete()
        type(customer.wallet).objects.update(balance=0)
        answered = KeptAnswer.objects.get()
        KeptAnswer.objects.all().delete()
        KeptAnswer.objects.begin(store=customer.store, key="one", fingerprint=answered.fingerprint)

    def test_the_same_request_is_a_conflict(self, api: APIClient, customer: Customer, under_way: None) -> None:
        assert refusal(reward(api), 409) == ("Idempotency-Key", "under_way", UNDER_WAY)
        assert balance(customer) == 0

    def test_another_one_is_told_so(self, api: APIClient, under_way: None) -> None:
        assert refusal(reward(api, amount=60), 409)[1] == "key_reused"

    def test_when_it_died_it_is_done_anew(self, api: APIClient, customer: Customer, under_way: None) -> None:
        end_leases()
        assert reward(api).status_code == 201
        assert reward(api)["Idempotent-Replayed"] == "true"
        assert balance(customer) == 50

    def test_another_request_does_not_take_over_what_died(self, api: APIClient, under_way: None) -> None:
        end_leases()
        assert refusal(reward(api, amount=60), 409)[1] == "key_reused"

    def test_one_that_was_taken_over_keeps_no_answer(self, customer: Customer, under_way: None) -> None:
        late = KeptAnswer.objects.get()
        end_leases()
        KeptAnswer.objects.begin(store=customer.store, key="one", fingerprint=late.fingerprint)
        with pytest.raises(Conflict, match=TAKEN_OVER):
            late.keep(status=201, media_type="application/json", body="{}")
        late.forget()
        assert KeptAnswer.objects.get().status is None

    @pytest.mark.postgresql  # on SQLite one that has begun to write keeps all others out
    @pytest.mark.django_db(transaction=True)
    def test_one_that_was_taken_over_does_nothing(
        self, api: APIClient, customer: Customer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        record = type(customer.wallet).record

        def taken_over() -> None:
            end_leases()
            kept = KeptAnswer.objects.get()
            KeptAnswer.objects.begin(store=customer.store, key="one", fingerprint=kept.fingerprint)

        def slowly(*args: Any, **kwargs: Any) -> Any:
            assert at_once(taken_over) == [None]
            return record(*args, **kwargs)

        monkeypatch.setattr(type(customer.wallet), "record", slowly)
        assert refusal(reward(api), 409) == ("Idempotency-Key", "taken_over", TAKEN_OVER)
        assert balance(customer) == 0
        assert KeptAnswer.objects.get().status is None


class TestFailures:
    def test_our_own_failure_does_nothing_and_frees_the_key(
        self, api: APIClient, customer: Customer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: Any, **__: Any) -> None:
            raise RuntimeError("a bug")

        api.raise_request_exception = False
        with monkeypatch.context() as patch:
            patch.setattr(KeptAnswer, "keep", fail)  # the last step: all else was done
            assert reward(api).status_code == 500
        assert balance(customer) == 0
        assert reward(api).status_code == 201

    def test_a_write_that_lost_a_race_may_be_tried_again(
        self, api: APIClient, customer: Customer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def lose(*_: Any, **__: Any) -> None:
            raise IntegrityError("UNIQUE constraint failed")

        with monkeypatch.context() as patch:
            patch.setattr(type(customer.wallet), "record", lose)
            assert refusal(reward(api), 409)[1] == "conflict"
        assert reward(api).status_code == 201


# A process that answers one request under the key "one", and dies: {when} is before or after its transaction ends.
DIES = """
import os
from django.db import connection
from customers.models import KeptAnswer
from rest_framework.test import APIClient
{when}
api = APIClient()
api.credentials(HTTP_AUTHORIZATION="Api-Key {key}")
api.post(
    "/api/v1/wallet-transactions/",
    {{"customer_email": "ada@example.com", "type": "reward", "operation": "cr", "amount": 50}},
    format="json", HTTP_IDEMPOTENCY_KEY="one", HTTP_HOST="localhost",
)
"""
BEFORE_COMMIT = "KeptAnswer.keep = lambda *_, **__: os._exit(9)"
AFTER_COMMIT = """
import customers.idempotency
customers.idempotency.OnceMixin.finalize_response = lambda *_, **__: os._exit(9)
"""


@pytest.mark.django_db(transaction=True)
class TestDeath:
    def test_one_that_died_before_its_commit_did_nothing(
        self, api: APIClient, api_key: str, customer: Customer
    ) -> None:
        assert script(DIES.format(key=api_key, when=BEFORE_COMMIT)).returncode == 9
        assert balance(customer) == 0
        assert refusal(reward(api), 409)[1] == "under_way"
        end_leases()
        assert reward(api).status_code == 201
        assert balance(customer) == 50

    def test_one_that_died_after_its_commit_is_answered(self, api: APIClient, api_key: str, customer: Customer) -> None:
        assert script(DIES.format(key=api_key, when=AFTER_COMMIT)).returncode == 9
        assert balance(customer) == 50
        again = reward(api)
        assert (again.status_code, again["Idempotent-Replayed"]) == (201, "true")
        assert balance(customer) == 50


@pytest.mark.django_db(transaction=True)
class TestAtOnce:
    def test_one_of_many_does_it(self, api_key: str, customer: Customer) -> None:
        answers: list[Any] = at_once(*[lambda: reward(make_api_client(api_key))] * 8)
        assert balance(customer) == 50
        done = [answer for answer in answers if answer.status_code == 201]
        assert len({answer.content for answer in done}) == 1
        assert len([answer for answer in done if "Idempotent-Replayed" not in answer]) == 1
        for answer in answers:
            if answer.status_code != 201:
                assert problem(answer, 409)[0]["code"] == "under_way"

    def test_who_waits_for_the_same_wallet_gets_no_deadlock(self, api_key: str, customer: Customer) -> None:
        jobs = [lambda key=key: reward(make_api_client(api_key), key=key) for key in "abcd" * 2]
        answers: list[Any] = at_once(*jobs)
        assert {answer.status_code for answer in answers} <= {201, 409}
        assert balance(customer) == 200


def test_the_lease_outlives_every_request() -> None:
    assert timedelta(seconds=60) < LEASE  # of a test event, the longest
