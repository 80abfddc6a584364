"""The system from outside: what the demo can ask of the API, and what it sees at the sandbox.

DemoFailed      the system did not do what the demo asked of it, in a sentence
"""

import contextlib
import json
import queue
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import IO, Any

import requests


class DemoFailed(Exception):
    """Why the demo cannot go on."""


@dataclass(frozen=True)
class Arrival:
    """One request as the sandbox received it."""

    delivery_id: str
    event_name: str
    payload: dict[str, Any]
    received_at: datetime
    answered: int

    @classmethod
    def read(cls, line: str | bytes) -> "Arrival":
        """From a line of `manage.py sandbox --tell`."""
        told = json.loads(line)
        envelope = json.loads(told["body"])
        return cls(
            delivery_id=told["delivery_id"],
            event_name=envelope["type"],
            payload=envelope["data"],
            received_at=datetime.fromisoformat(told["received_at"]),
            answered=told["answered"],
        )

    @property
    def latency_ms(self) -> int:
        """From the moment of recording, just before the commit, until it arrived."""
        recorded_at = datetime.fromisoformat(self.payload["event_occurred_at"])
        return round((self.received_at - recorded_at).total_seconds() * 1000)

    @property
    def customer(self) -> str:
        """Whom it is about, as a person says it."""
        return str(self.payload.get("user_name") or self.payload.get("user_email") or "")

    @property
    def coins(self) -> int:
        """How the event moved the wallet; 0 where it did not."""
        amount: int = self.payload.get("wallettransaction_amount", 0)
        return -amount if self.payload.get("wallettransaction_operation") == "dr" else amount


class Arrivals:
    """What the sandbox tells, read from its standard output as it comes."""

    def __init__(self, told: IO[bytes]) -> None:
        self._queue: queue.SimpleQueue[Arrival] = queue.SimpleQueue()
        threading.Thread(target=self._read, args=(told,), daemon=True).start()

    def next(self, *, timeout: float) -> Arrival | None:
        """The next one, or None when none came in so many seconds."""
        try:
            return self._queue.get(timeout=timeout)
        except queue.Empty:
            return None

    def _read(self, told: Iterable[bytes]) -> None:
        for line in told:
            with contextlib.suppress(KeyError, TypeError, ValueError):  # somebody else may POST to the inbox, anything
                self._queue.put(Arrival.read(line))


@dataclass(frozen=True)
class Asked:
    """Something that was asked of the API and done: in words, and the rows it made, by which its events are found.

    `event_key`: the one event of it, where the row was there before and has others.
    """

    words: str
    customer: str
    subjects: frozenset[str]
    event_key: str = ""


class Shop:
    """The shop's own app: it holds a key of the API, and knows nothing else of the system."""

    def __init__(self, *, address: str, key: str) -> None:
        self._api = f"{address}/api/v1/"
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy stands between us and ourselves
        self._session.headers["Authorization"] = f"Api-Key {key}"

    def customers(self) -> list[dict[str, Any]]:
        """The customers with their balances."""
        return self._list("customers/")

    def offers(self) -> list[dict[str, Any]]:
        """What they get for their coins."""
        return self._list("offers/")

    def reward(self, customer: dict[str, Any], *, coins: int, order: int) -> Asked:
        """Coins for an order."""
        entry = self._post(
            "wallet-transactions/",
            customer=customer["id"],
            type="reward",
            operation="cr",
            source="order",
            amount=coins,
            title=f"Order {order}",
            reference=f"order-{order}",
        )
        words = f"{customer['name']} gets {coins} Beans for order {order}"
        return Asked(words, customer["id"], frozenset({entry["id"]}))

    def redeem(self, customer: dict[str, Any], *, offer: dict[str, Any], order: int) -> Asked:
        """Coins for a coupon."""
        coupon = self._post(f"offers/{offer['id']}/redeem/", customer=customer["id"], reference=f"redeem-{order}")
        words = f"{customer['name']} redeems {offer['price']} Beans: {offer['name']}"
        return Asked(words, customer["id"], frozenset({coupon["id"], coupon["wallet_transaction"]}))

    def sign_up(self, name: str, *, number: int) -> Asked:
        """A new customer."""
        customer = self._post("customers/", name=name, external_id=str(number), email=f"customer{number}@example.com")
        return Asked(f"{name} joins", customer["id"], frozenset({customer["id"]}))

    def reward_later(self, customer: dict[str, Any], *, coins: int, order: int) -> Asked:
        """Coins that wait until the order cannot be sent back any more; here that is at once."""
        entry = self._post(
            "wallet-transactions/",
            customer=customer["id"],
            type="reward",
            operation="cr",
            amount=coins,
            status="pending",
            title=f"Order {order}, after 14 days",
        )
        self._post(f"wallet-transactions/{entry['id']}/settle/")
        return Asked(f"{customer['name']}'s {coins} pending Beans count", customer["id"], frozenset({entry["id"]}))

    def reward_for_a_moment(self, customer: dict[str, Any], *, coins: int) -> Asked:
        """Coins that run out: a task by the clock writes them off."""
        ends = datetime.now(UTC) + timedelta(seconds=30)
        entry = self._post(
            "wallet-transactions/",
            customer=customer["id"],
            type="reward",
            operation="cr",
            amount=coins,
            title="Only today",
            expires_at=ends.isoformat(),
        )
        words = f"{customer['name']} gets {coins} Beans that expire in half a minute"
        return Asked(words, customer["id"], frozenset({entry["id"]}))

    def order(self, customer: dict[str, Any], *, order: int, price: int) -> Asked:
        """Something bought, and paid."""
        placed = self._post(
            "orders/",
            customer=customer["id"],
            reference_order_id=str(order),
            name=f"#{order}",
            items=[{"product_id": "espresso-1kg", "title": "Espresso, 1 kg", "price": f"{price}.00"}],
        )
        self._call("PATCH", f"orders/{placed['id']}/", json={"status": "completed", "financial_status": "paid"})
        words = f"{customer['name']} orders for {placed['amount']} {placed['currency']}, and pays"
        return Asked(words, customer["id"], frozenset({placed["id"]}))

    def review(self, customer: dict[str, Any], *, rating: int) -> Asked:
        """What somebody says of a product, which the store shows to others."""
        review = self._post("reviews/", customer=customer["id"], rating=rating, reference_product_id="espresso-1kg")
        self._call("PATCH", f"reviews/{review['id']}/", json={"is_featured": True})
        words = f"{customer['name']} gives the espresso {rating} of 5 stars"
        return Asked(words, customer["id"], frozenset({review["id"]}))

    def refer(self, referrer: dict[str, Any], *, friend: str, number: int) -> Asked:
        """Somebody new, who was brought by a customer, and orders something: both are rewarded."""
        joined = self.sign_up(friend, number=number)
        referral = self._post("referrals/", customer=joined.customer, referral_code=referrer["referral_code"])
        self.order({"id": joined.customer, "name": friend}, order=number, price=20)
        words = f"{referrer['name']} brings {friend}, who joins and orders"
        return Asked(words, referrer["id"], frozenset({referral["id"]}))

    def use_coupon(self, coupon: dict[str, Any]) -> Asked:
        """A coupon that was used in an order."""
        self._post(f"coupons/{coupon['id']}/redeem/")
        words = f"The coupon {coupon['code']} is used"
        return Asked(words, coupon["customer"], frozenset({coupon["id"]}), "coupon_update")

    def coupons(self) -> list[dict[str, Any]]:
        """Those that can be used."""
        return self._list("coupons/", status="issued")

    def tell(self, customer: dict[str, Any], *, topic: str, **properties: Any) -> Asked:
        """Something that only this shop knows of."""
        event = self._post("events/", customer=customer["id"], topic=topic, properties=properties)
        return Asked(f"{customer['name']}: {topic}", customer["id"], frozenset({event["id"]}))

    def change_consent(self, customer: dict[str, Any]) -> Asked:
        """Another answer to whether mails are welcome."""
        agreed = not customer["consent_email"]
        self._call("PATCH", f"customers/{customer['id']}/", json={"consent_email": agreed})
        words = f"{customer['name']} {'agrees to' if agreed else 'wants no'} e-mail"
        return Asked(words, customer["id"], frozenset({customer["id"]}), "lead_update")

    def occurrences(self, asked: Asked) -> list[dict[str, Any]]:
        """The events that were recorded about it."""
        only = {"event_key": asked.event_key} if asked.event_key else {}
        found = self._list("occurrences/", customer=asked.customer, **only)
        return [occurrence for occurrence in found if occurrence["subject_id"] in asked.subjects]

    def deliveries(self, asked: Asked, occurrences: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The deliveries of these occurrences, each with its send event and status."""
        ids = {occurrence["id"] for occurrence in occurrences}
        found = self._list("deliveries/", customer=asked.customer)
        return [delivery for delivery in found if delivery["occurrence"] in ids]

    def delivery(self, id: str) -> dict[str, Any]:
        """One delivery with its attempts and their HTTP calls."""
        return self._call("GET", f"deliveries/{id}/")

    def _list(self, path: str, **filters: str) -> list[dict[str, Any]]:
        results: list[dict[str, Any]] = self._call("GET", path, params={**filters, "page_size": "200"})["results"]
        return results

    def _post(self, path: str, **fields: Any) -> dict[str, Any]:
        return self._call("POST", path, json=fields)

    def _call(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        """The parsed answer. Raises DemoFailed when it is none, or a problem."""
        try:
            answer = self._session.request(method, self._api + path, timeout=20, **more)
        except requests.RequestException as error:
            raise DemoFailed(f"The API did not answer {method} {path}: {error}") from None
        if not answer.ok:
            raise DemoFailed(f"The API answered {method} {path} with {answer.status_code}: {answer.text[:400]}")
        content: dict[str, Any] = answer.json()
        return content
