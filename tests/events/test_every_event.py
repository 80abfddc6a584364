"""Every event of the catalogue, from what brings it about to what arrives: through its models, and by the ways from outside.

The receiver is the sandbox as it runs in earnest: a process of its own, over HTTP.
"""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from customers.models import Customer, Store
from events import sending, tasks
from events.catalogue import event_type, event_types
from events.models import Attempt, Delivery, Occurrence
from integrations.models import Integration, SandboxRequest
from tests.concurrency import ROOT, database_url
from tests.events.test_catalogue import FACTS
from tests.factories import give_coins, make_customer, make_integration, make_offer, make_subscription
from tests.payloads import misfits

pytestmark = pytest.mark.django_db(transaction=True)

KEYS = sorted(event_types())


class Outside:
    """An app with a key of the store, and the clock: no way of theirs leads past the API and the tasks."""

    def __init__(self, api: APIClient, customer: Customer) -> None:
        self.api, self.customer, self.store = api, customer, customer.store

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        answer = self.api.post(f"/api/v1/{path}/", body)
        assert answer.status_code in (200, 201), answer.content
        content: dict[str, Any] = answer.json()
        return content

    def patch(self, path: str, **body: Any) -> None:
        answer = self.api.patch(f"/api/v1/{path}/", body)
        assert answer.status_code == 200, answer.content

    def about(self, path: str, **body: Any) -> dict[str, Any]:
        """Something about this customer."""
        return self.post(path, customer_email=self.customer.email, **body)

    # --- How each event comes about from outside ----------------------------------------------------------------------

    def lead_create(self) -> None:
        self.post("customers", email="lea@example.com", name="Lea")

    def lead_update(self) -> None:
        self.patch(f"customers/{self.customer.pk}", name="Ada L.")

    def walletreward_create(self) -> None:
        give_coins(self.customer, 10, expires_at=timezone.now() - timedelta(days=1))
        assert tasks.expire_coins() == 1
        self.reward(50)

    def reward(self, amount: int, **more: Any) -> dict[str, Any]:
        return self.about("wallet-transactions", type="reward", operation="cr", amount=amount, **more)

    def wallettransaction_update(self) -> None:
        self.post(f"wallet-transactions/{self.reward(50, status='pending')['id']}/settle")

    def coupon_create(self) -> None:
        self.reward(100)
        offer = self.post("offers", name="5 off", price=100, value="5.00")
        self.about(f"offers/{offer['id']}/redeem")

    def coupon_update(self) -> None:
        self.about("coupons", code="WELCOME", expires_at=(timezone.now() - timedelta(days=1)).isoformat())
        assert tasks.expire_coupons() == 1

    def order_create(self) -> dict[str, Any]:
        return self.about("orders", reference_order_id="1042", items=[{"title": "Beans", "price": "19.95"}])

    def order_update(self) -> None:
        self.patch(f"orders/{self.order_create()['id']}", status="completed")

    def review_create(self) -> dict[str, Any]:
        return self.about("reviews", rating=4)

    def review_update(self) -> None:
        self.patch(f"reviews/{self.review_create()['id']}", is_featured=True)

    def viptier_create(self) -> None:
        Store.objects.filter(pk=self.store.pk).update(tier_criterion="coins_earned")
        self.reward(500)
        self.post("tiers", name="Gold", threshold="500")
        Store.objects.filter(pk=self.store.pk).update(tiers_changed_at=timezone.now() - timedelta(hours=1))
        assert tasks.review_tiers() == 1

    def referral_create(self) -> dict[str, Any]:
        """The customer brings a friend."""
        self.has_referrals()
        make_customer(self.store, email="lea@example.com", name="Lea")
        return self.post("referrals", customer_email="lea@example.com", referral_code="ADA10")

    def referral_complete(self) -> None:
        self.referral_create()
        order = {"reference_order_id": "1042", "amount": "20.00", "financial_status": "paid"}
        self.post("orders", customer_email="lea@example.com", **order)

    def referrernotify_create(self) -> None:
        self.post(f"referrals/{self.referral_create()['id']}/complete")

    def refereenotify_create(self) -> None:
        """A friend brings the customer."""
        self.has_referrals()
        make_customer(self.store, email="lea@example.com", name="Lea", referral_code="LEA10")
        self.about("referrals", referral_code="LEA10")

    def has_referrals(self) -> None:
        Store.objects.filter(pk=self.store.pk).update(referrer_coins=200, referral_offer=make_offer(self.store))

    def rewardavailable_create(self) -> None:
        self.post("offers", name="5 off", price=100, value="5.00")
        self.reward(100)

    def custom(self) -> None:
        self.about("events", topic="quiz_finished", properties={"score": 8})


@pytest.fixture(scope="module")
def sandbox(django_db_setup: None) -> Iterator[str]:
    """The running receiver's address."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "manage.py"), "sandbox", f"--bind=fd://{door.fileno()}"],
            env={**os.environ, "DATABASE_URL": database_url()},
            pass_fds=[door.fileno()],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        address = f"127.0.0.1:{door.getsockname()[1]}"
    try:
        yield address
    finally:
        process.terminate()
        assert process.wait(timeout=30) == 0


@pytest.fixture
def tool(store: Store, sandbox: str, settings: Any) -> Integration:
    """The store's sandbox integration, which leads there."""
    settings.SANDBOX, settings.SANDBOX_ADDRESS = True, sandbox
    settings.ALLOWED_PRIVATE_HOSTS = frozenset({sandbox})
    return make_integration(store, destination="sandbox")


@pytest.fixture
def ada(store: Store) -> Customer:
    return make_customer(store, name="Ada", email="ada@example.com", referral_code="ADA10")


def arrives(key: str, tool: Integration) -> None:
    """Each occurrence of this event fits its schema, and is at the sandbox exactly as it was recorded, once."""
    occurrences = {str(row.event_id): row for row in Occurrence.objects.filter(event_key=key)}
    assert occurrences, f"{key} did not happen"
    sending.deliver()
    received = [json.loads(request.body) for request in SandboxRequest.objects.filter(integration=tool)]
    assert sorted(one["data"]["event_id"] for one in received) == sorted(occurrences)
    for one in received:
        assert one["type"] == f"shop_{key}"
        assert one["data"] == occurrences[one["data"]["event_id"]].read_payload()
        assert misfits(event_type(key), one["data"]) == []
    assert {delivery.status for delivery in Delivery.objects.all()} == {"sent"}
    assert Attempt.objects.count() == len(occurrences)


class TestEveryEvent:
    def test_none_is_left_out(self) -> None:
        assert sorted(name for name in vars(Outside) if name in KEYS) == sorted(FACTS) == KEYS

    @pytest.mark.parametrize("key", KEYS)
    def test_a_change_of_its_model_arrives(self, ada: Customer, tool: Integration, key: str) -> None:
        if key == "lead_create":
            Occurrence.objects.all().delete()
            make_subscription(tool, key, prefix="shop_")
            make_customer(ada.store)
        else:
            make_subscription(tool, key, prefix="shop_")
            FACTS[key](ada)
        arrives(key, tool)

    @pytest.mark.parametrize("key", KEYS)
    def test_what_an_app_or_the_clock_brings_about_arrives(
        self, ada: Customer, tool: Integration, api: APIClient, key: str
    ) -> None:
        if key == "lead_create":
            Occurrence.objects.all().delete()
        make_subscription(tool, key, prefix="shop_")
        act: Callable[[], Any] = getattr(Outside(api, Customer.objects.select_related("store").get(pk=ada.pk)), key)
        act()
        arrives(key, tool)
