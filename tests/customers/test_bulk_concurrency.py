"""Bulk calls at once, and single ones between them: each item is written once, and nobody waits for ever."""

import random
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from rest_framework.test import APIClient

from customers.models import Customer, Store, Wallet, WalletTransaction
from events.models import Delivery, Occurrence
from tests.api_fixtures import app_of
from tests.concurrency import at_once
from tests.customers.test_bulk import CUSTOMERS, TRANSACTIONS, redeem, reward, statuses
from tests.customers.test_concurrency import WRITERS, assert_books
from tests.factories import give_coins, make_customer, make_integration, make_subscription

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def apps(store: Store) -> list[APIClient]:
    """One for each writer. Every reward and every customer is told."""
    tool = make_integration(store)
    for key in ("lead_create", "walletreward_create"):
        make_subscription(tool, key)
    return [app_of(store) for _ in range(WRITERS)]


def run(*jobs: Callable[[], Any]) -> list[Any]:
    """What the jobs returned, all of which come to an end."""
    done = at_once(*jobs)
    assert [end for end in done if isinstance(end, Exception)] == []
    return done


def shuffled(items: list[Any], seed: int) -> list[Any]:
    """In an order that each writer has for itself."""
    return random.Random(seed).sample(items, len(items))


def send(api: APIClient, address: str, items: list[Any], **headers: Any) -> list[int]:
    response = api.post(f"{address}bulk/", {"items": items}, **headers)
    assert response.status_code == 200, response.content[:2000]
    return [result["status"] for result in response.json()["results"]]


def assert_told_once() -> None:
    """Every row by one occurrence, and every occurrence that is sent by one delivery."""
    told = Occurrence.objects.filter(event_key="walletreward_create")
    entries = WalletTransaction.objects.filter(status="success")
    assert Counter(told.values_list("subject_id", flat=True)) == Counter(entries.values_list("pk", flat=True))
    assert Delivery.objects.filter(event_key="walletreward_create").count() == entries.count()


class TestEntries:
    @pytest.mark.parametrize("with_key", [False, True], ids=["a transaction for each hundred", "one transaction"])
    def test_the_same_references_on_many_wallets(self, store: Store, apps: list[APIClient], with_key: bool) -> None:
        emails = [make_customer(store, email=f"{number}@example.com").email or "" for number in range(40)]
        items = [reward(emails[number % 40], reference=f"order-{number}") for number in range(130)]
        ends = run(
            *(
                partial(
                    send,
                    api,
                    TRANSACTIONS,
                    shuffled(items, number),
                    **({"HTTP_IDEMPOTENCY_KEY": f"key-{number}"} if with_key else {}),
                )
                for number, api in enumerate(apps)
            )
        )
        assert Counter(status for end in ends for status in end) == {201: 130, 200: 130 * (WRITERS - 1)}
        assert sum(Wallet.objects.values_list("balance", flat=True)) == 1300
        assert_books(store)
        assert_told_once()

    def test_the_same_references_with_other_bodies(self, store: Store, apps: list[APIClient], customer: Any) -> None:
        jobs = [
            partial(send, api, TRANSACTIONS, [reward(amount=1 + number, reference=f"order-{one}") for one in range(20)])
            for number, api in enumerate(apps)
        ]
        counts = Counter(status for end in run(*jobs) for status in end)
        assert counts == {201: 20, 409: 20 * (WRITERS - 1)}
        assert_books(store)
        assert_told_once()

    def test_the_last_coins_are_spent_once(self, store: Store, apps: list[APIClient], customer: Customer) -> None:
        give_coins(customer, 135)
        ends = run(*(partial(send, api, TRANSACTIONS, [redeem(amount=10)] * 5) for api in apps))
        assert Counter(status for end in ends for status in end) == {201: 13, 400: 5 * WRITERS - 13}
        assert Wallet.objects.get().balance == 5
        assert sum(WalletTransaction.objects.values_list("remaining", flat=True)) == 5
        assert_books(store)

    def test_single_calls_between_them(self, store: Store, apps: list[APIClient], customer: Customer) -> None:
        other = make_customer(store, email="lea@example.com")

        def singly(api: APIClient, number: int) -> list[int]:
            items = shuffled([reward("lea@example.com", reference=f"order-{one}") for one in range(15)], number)
            return [api.post(TRANSACTIONS, item).status_code for item in items]

        many = [reward("lea@example.com", reference=f"order-{one}") for one in range(15)] + [reward()] * 5
        half = WRITERS // 2
        ends = run(
            *(partial(send, api, TRANSACTIONS, shuffled(many, number)) for number, api in enumerate(apps[:half])),
            *(partial(singly, api, number) for number, api in enumerate(apps[half:])),
        )
        assert Counter(status for end in ends for status in end) == {201: 15 + 5 * half, 200: 15 * (WRITERS - 1)}
        assert Wallet.objects.get(customer=other).balance == 150
        assert Wallet.objects.get(customer=customer).balance == 50 * half
        assert_books(store)
        assert_told_once()


class TestCustomers:
    @pytest.mark.parametrize("with_key", [False, True], ids=["a transaction for each hundred", "one transaction"])
    def test_the_same_list_in_any_order(self, store: Store, apps: list[APIClient], with_key: bool) -> None:
        items = [{"email": f"{number}@example.com", "external_id": f"{number}"} for number in range(110)]
        ends = run(
            *(
                partial(
                    send,
                    api,
                    CUSTOMERS,
                    shuffled(items, number),
                    **({"HTTP_IDEMPOTENCY_KEY": f"key-{number}"} if with_key else {}),
                )
                for number, api in enumerate(apps)
            )
        )
        assert Counter(status for end in ends for status in end) == {201: 110, 400: 110 * (WRITERS - 1)}
        assert Customer.objects.count() == Wallet.objects.count() == 110
        assert Occurrence.objects.count() == Delivery.objects.filter(event_key="lead_create").count() == 110

    def test_single_calls_between_them(self, store: Store, apps: list[APIClient]) -> None:
        items = [{"email": f"{number}@example.com"} for number in range(20)]

        def singly(api: APIClient, number: int) -> list[int]:
            return [api.post(CUSTOMERS, item).status_code for item in shuffled(items, number)]

        half = WRITERS // 2
        ends = run(
            *(partial(send, api, CUSTOMERS, shuffled(items, number)) for number, api in enumerate(apps[:half])),
            *(partial(singly, api, number) for number, api in enumerate(apps[half:])),
        )
        assert Counter(status for end in ends for status in end) == {201: 20, 400: 20 * (WRITERS - 1)}
        assert Customer.objects.count() == Delivery.objects.filter(event_key="lead_create").count() == 20


class TestWaking:
    def test_a_hundred_wake_once(
        self, apps: list[APIClient], customer: Customer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        woken: list[int] = []
        monkeypatch.setattr("events.outbox.wake", lambda: woken.append(Delivery.objects.count()))
        assert statuses(apps[0], TRANSACTIONS, [reward()] * 100) == [201] * 100
        assert woken == [Delivery.objects.count()]  # when all of them were committed
