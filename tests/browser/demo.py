"""A coffee shop that has been open for a while: for pictures, and for tests of what only a store with a history shows."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from socketserver import ThreadingMixIn
from typing import Any
from uuid import UUID
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from django.contrib.auth.models import User
from django.db import connections

from customers.models import ApiKey, Coupon, Customer, Order, Referral, Review, Store, WalletTransaction
from events.models import Delivery, Occurrence, Subscription
from integrations.models import Integration
from integrations.sandbox.receiver import Receiver as Sandbox


@dataclass(frozen=True, kw_only=True)
class Demo:
    """The store, who works in it, and what is worth a picture."""

    store: Store
    owner: User
    sandbox: Integration
    klaviyo: Integration  # healthy; a customer without e-mail is skipped
    shop: Integration  # healthy, with one delivery that it refused for good
    warehouse: Integration  # does not answer just now: its deliveries are retrying
    till: Integration  # refuses its credentials: its lane is closed
    old: Integration  # was switched off by itself
    newsletter: Integration  # connected today, neither verified nor on: its deliveries are held
    customer: Customer  # with a ledger, coupons, and a delivery of each sort

    @property
    def big_reward(self) -> Subscription:
        """A send event with restrictions, prefix and name."""
        return self.shop.subscriptions.get(name="big_reward")

    @property
    def deliveries(self) -> dict[str, UUID]:
        """The newest delivery of each reading: sent, failed, skipped, held, retrying."""
        rows = Delivery.objects.filter(store=self.store).with_reading().order_by("id")
        return {row.reading: row.pk for row in rows}  # type: ignore[attr-defined]  # annotated

    @property
    def reward(self) -> Occurrence:
        """The customer's last reward: sent, retrying, held and not matched."""
        return Occurrence.objects.filter(customer=self.customer, event_key="walletreward_create").latest("id")

    @property
    def entry(self) -> WalletTransaction:
        """The customer's last ledger entry."""
        return self.customer.wallet.transactions.latest("id")

    @property
    def coupon(self) -> Coupon:
        """The customer's last coupon, not yet used."""
        return self.customer.coupons.latest("id")

    @property
    def order(self) -> Order:
        """The customer's last order: paid, not yet completed."""
        return self.customer.orders.latest("id")

    @property
    def review(self) -> Review:
        """The customer's."""
        return self.customer.reviews.get()

    @property
    def referral(self) -> Referral:
        """The customer's, not yet completed."""
        return self.customer.referrals.get()

    @property
    def api_key(self) -> ApiKey:
        """Of the web shop."""
        key: ApiKey = ApiKey.objects.get(store=self.store)
        return key


@contextmanager
def sandbox_receiver() -> Iterator[str]:
    """The sandbox's own application on a free port; its host:port."""

    class Server(ThreadingMixIn, WSGIServer):
        daemon_threads = True

    class Quiet(WSGIRequestHandler):
        def log_message(self, *args: Any) -> None:
            """Quiet."""

    receiver = Sandbox()

    def application(environ: Any, start_response: Any) -> Any:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))  # wsgiref itself knows no end
        environ["wsgi.input"] = BytesIO(body)
        try:
            return receiver(environ, start_response)
        finally:
            connections.close_all()  # of this thread

    server = make_server("127.0.0.1", 0, application, Server, Quiet)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
