"""What the demo asks, and what comes of it: recorded, matched or not, sent, received, logged."""

import json
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from itertools import count
from secrets import choice, randbelow
from textwrap import wrap
from typing import Any
from urllib.parse import urlsplit

from events.demo.shop import Arrival, Arrivals, Asked, DemoFailed, Shop

PAUSE = 3.0  # seconds to watch what arrives, before the next thing is asked
TELLING = (
    "wallettransaction_type",
    "wallettransaction_operation",
    "wallettransaction_amount",
    "wallettransaction_balance_after",
    "coupon_code",
    "offer_name",
)
NEWCOMERS = ("Ines Costa", "Hugo Lindqvist", "Meera Iyer", "Felix Wagner", "Chloe Martin", "Arjun Mehta")


class Show:
    """Asks, and says what comes of it: `say` prints a line of at most 80 columns, `alive` raises when the system died."""

    def __init__(
        self,
        shop: Shop,
        arrivals: Arrivals,
        *,
        send_events: list[dict[str, Any]],
        say: Callable[[str], object],
        alive: Callable[[], None],
    ) -> None:
        self._shop = shop
        self._arrivals = arrivals
        self._send_events = send_events
        self._say = say
        self._alive = alive

    def go_on(self) -> None:
        """A round of everything that can happen in a shop, and the next one; for ever."""
        for order in count(1001):
            for act in self._acts(order):
                try:
                    self._ask(act())
                except DemoFailed as error:  # the admin is open: whoever looks round there may have deleted anything
                    self._line("failed", str(error))
                self._watch(PAUSE)

    def _acts(self, order: int) -> list[Callable[[], Asked]]:
        """What this round asks, in its order. Numbers of orders are 1001, 1002 ...; friends have theirs beyond 100000."""
        shop, somebody, friend = self._shop, self._somebody, NEWCOMERS[order % len(NEWCOMERS)]
        return [
            lambda: self._a_reward(order),
            lambda: self._a_redemption(order),
            lambda: shop.order(somebody(), order=order, price=20 + 10 * randbelow(6)),
            lambda: shop.review(somebody(), rating=3 + randbelow(3)),
            lambda: shop.refer(somebody("referral_code"), friend=friend, number=100_000 + order),
            lambda: shop.use_coupon(self._a_coupon()),
            lambda: shop.tell(somebody(), topic="tasting_booked", seats=1 + randbelow(4), evening=True),
            lambda: shop.change_consent(somebody()),
            lambda: shop.reward_later(somebody(), coins=30, order=order),
            lambda: shop.reward_for_a_moment(somebody(), coins=5),
        ]

    def _somebody(self, having: str = "id") -> dict[str, Any]:
        """One of the customers who have this. Raises DemoFailed when nobody has."""
        found = [customer for customer in self._shop.customers() if customer[having]]
        if not found:
            raise DemoFailed(f"No customer has a {having}.")
        return choice(found)

    def _a_coupon(self) -> dict[str, Any]:
        coupons = self._shop.coupons()
        if not coupons:
            raise DemoFailed("Nobody has a coupon that can be used.")
        return choice(coupons)

    def check(self) -> None:
        """One reward and one redemption, each followed to its end. Raises DemoFailed for what is not as it should be."""
        self._follow(self._a_reward(1001, among=self._with_a_reward()), expected={"walletreward_create"})
        self._follow(self._a_redemption(1001), expected={"coins_redeemed", "coupon_create"})
        self._say("\nAll of it was received, once, and logged; what did not match was not sent.")

    def _a_reward(self, order: int, *, among: list[dict[str, Any]] | None = None) -> Asked:
        return self._shop.reward(choice(among or self._shop.customers()), coins=10 * (2 + randbelow(8)), order=order)

    def _with_a_reward(self) -> list[dict[str, Any]]:
        """Those who have enough for an offer already, so that more coins bring about nothing else."""
        cheapest = min((offer["price"] for offer in self._shop.offers() if offer["enabled"]), default=0)
        return [customer for customer in self._shop.customers() if customer["balance"] >= cheapest]

    def _a_redemption(self, order: int) -> Asked:
        offers = [offer for offer in self._shop.offers() if offer["enabled"]]
        pairs = [
            (customer, offer)
            for customer in self._shop.customers()
            for offer in offers
            if offer["price"] <= customer["balance"]
        ]
        if not pairs:
            raise DemoFailed("Nobody has the coins for any offer.")
        customer, offer = choice(pairs)
        return self._shop.redeem(customer, offer=offer, order=order)

    def _ask(self, asked: Asked) -> list[dict[str, Any]]:
        """Say what was asked, recorded, and not matched; returns the deliveries."""
        self._line("asked", asked.words, at=datetime.now(UTC))
        occurrences = self._shop.occurrences(asked)
        deliveries = self._shop.deliveries(asked, occurrences)
        self._line("recorded", _listed(occurrence["event_key"] for occurrence in occurrences))
        wanted = {(delivery["occurrence"], delivery["send_event"]) for delivery in deliveries}
        for occurrence in occurrences:
            for send_event in self._send_events:
                if send_event["event_key"] != occurrence["event_key"]:
                    continue
                if (occurrence["id"], send_event["id"]) not in wanted:
                    self._line("no match", f"{send_event['name']}: {', '.join(send_event['restrictions'])}")
        return deliveries

    def _watch(self, seconds: float) -> None:
        """Say what arrives within that time."""
        over = time.monotonic() + seconds
        while (left := over - time.monotonic()) > 0:
            self._alive()
            self._next(timeout=min(left, 0.25))

    def _next(self, *, timeout: float) -> Arrival | None:
        arrival = self._arrivals.next(timeout=timeout)
        if arrival:
            coins = f"{arrival.coins:+}" if arrival.coins else ""
            words = f"{arrival.event_name:24} {arrival.customer:16} {coins:>5} {arrival.latency_ms:>6} ms"
            self._line("arrived", words, at=arrival.received_at)
        return arrival

    def _follow(self, asked: Asked, *, expected: set[str]) -> None:
        """Until each of its deliveries arrived and is logged as sent."""
        deliveries = {delivery["id"]: delivery for delivery in self._ask(asked)}
        names = {delivery["event_name"] for delivery in deliveries.values()}
        if names != expected or len(deliveries) != len(expected):
            raise DemoFailed(f"{asked.words}: queued {_listed(names)} instead of {_listed(expected)}.")
        arrived: dict[str, Arrival] = {}
        while arrived.keys() != deliveries.keys():
            self._alive()
            if arrival := self._next(timeout=0.25):
                if arrival.delivery_id in arrived or arrival.delivery_id not in deliveries:
                    raise DemoFailed(f"{arrival.event_name} arrived though it should not have, or twice.")
                arrived[arrival.delivery_id] = arrival
        for id, arrival in arrived.items():
            self._verify(self._logged(id), arrival)

    def _logged(self, id: str) -> dict[str, Any]:
        """The delivery as logged: outcomes are written a moment after the answer."""
        while (delivery := self._shop.delivery(id))["status"] in ("pending", "sending"):
            self._alive()
            if self._next(timeout=0.1):
                raise DemoFailed(f"{delivery['event_name']} arrived twice.")
        return delivery

    def _verify(self, delivery: dict[str, Any], arrival: Arrival) -> None:
        """Say what was sent and received; the log must tell the same. Raises DemoFailed."""
        name, attempts = delivery["event_name"], delivery["attempts"]
        if delivery["status"] != "sent" or len(attempts) != 1:
            raise DemoFailed(f"{name} is {delivery['status']} after {len(attempts)} tries: {delivery['reason']}")
        call = attempts[0]["exchange"]
        sent = json.loads(call["request_body"])
        self._line("sent", f"{call['request_method']} {urlsplit(call['request_url']).path}")
        self._line("received", f"{arrival.event_name}: {_facts(arrival.payload)}")
        self._line("logged", f"{delivery['status']}, answer {call['response_status']} after {call['duration_ms']} ms")
        if call["response_status"] != 200 or (sent["type"], sent["data"]) != (arrival.event_name, arrival.payload):
            raise DemoFailed(f"{name}: the log and the sandbox do not tell the same.")

    def _line(self, word: str, text: str, *, at: datetime | None = None) -> None:
        """`word` is what happened; `at` the time that it shows."""
        start = f"{at.astimezone():%H:%M:%S}" if at else " " * 8
        for line in wrap(text, 80 - 20, break_long_words=False, break_on_hyphens=False):
            self._say(f"{start}  {word:9} {line}")
            start, word = " " * 8, ""


def _facts(payload: dict[str, Any]) -> str:
    """The most telling fields of a payload."""
    return " ".join(f"{name}={payload[name]}" for name in TELLING if payload.get(name) is not None)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"
