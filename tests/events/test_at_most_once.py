"""At most once, where an admin chose it: what nobody can say the outcome of ends as failed, and is not repeated."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from customers.models import Customer, Store
from events import claims, sending
from events.models import Attempt, Delivery, Lane
from events.models.delivery import Outcome
from integrations import destinations
from integrations.destinations.base import Destination, Judgement, Message
from integrations.http import Request, Response
from integrations.models import Integration
from tests.factories import give_coins, make_integration, make_subscription
from tests.integrations.stranger import Stranger, Visit, once
from tests.receiver import Answer, Receiver

pytestmark = pytest.mark.django_db

NOT_REPEATED = "Nobody can say whether it arrived, and this integration sends at most once."


@pytest.fixture
def hangs_up(settings: Any) -> Iterator[Stranger]:
    """A tool that reads the whole request, and hangs up instead of answering."""
    with Stranger(once(b"")) as server:
        settings.ALLOWED_PRIVATE_HOSTS = frozenset({server.pair})
        yield server


def a_delivery(integration: Integration, customer: Customer) -> Delivery:
    make_subscription(integration)
    give_coins(customer, 10)
    return Delivery.objects.get(integration=integration)


def leads_to(server: Stranger, store: Store, **fields: Any) -> Integration:
    values = {"url": server.url, "signing_secret": "whsec_" + "c2VjcmV0" * 4, "headers": ""}
    return make_integration(store, values=values, **fields)


class Illegible(Destination):
    """It sends well, and cannot read any answer."""

    key = "illegible"
    label = "Illegible"

    def calls(self, message: Message) -> Iterator[Request]:
        yield Request(url=self.settings["url"], headers={}, body=b"{}")

    def judge(self, response: Response) -> Judgement:
        raise KeyError("status")


class TestAmbiguousCall:
    def test_an_answer_that_never_came_ends_it(self, store: Store, customer: Customer, hangs_up: Stranger) -> None:
        delivery = a_delivery(leads_to(hangs_up, store, at_most_once=True), customer)
        assert sending.deliver() == 1
        delivery.refresh_from_db()
        assert (delivery.status, delivery.tries) == ("failed", 1)
        assert delivery.reason == f"{NOT_REPEATED} 127.0.0.1 closed the connection without an answer."
        assert delivery.finished_at
        assert Attempt.objects.get().outcome == Outcome.UNKNOWN
        assert Lane.objects.get().failures == 1, "the tool has failed, whatever becomes of the delivery"
        assert sending.deliver() == 0
        assert len(hangs_up.requests) == 1

    def test_it_is_repeated_by_every_other_integration(
        self, store: Store, customer: Customer, hangs_up: Stranger
    ) -> None:
        delivery = a_delivery(leads_to(hangs_up, store), customer)
        sending.deliver()
        delivery.refresh_from_db()
        assert (delivery.status, delivery.tries) == ("pending", 1)
        assert delivery.reason == "127.0.0.1 closed the connection without an answer."

    def test_an_answer_that_broke_off_ends_it(self, store: Store, customer: Customer, settings: Any) -> None:
        def broken(visit: Visit) -> None:
            visit.read()
            visit.write(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhalf")

        with Stranger(broken) as server:
            settings.ALLOWED_PRIVATE_HOSTS = frozenset({server.pair})
            delivery = a_delivery(leads_to(server, store, at_most_once=True), customer)
            sending.deliver()
        delivery.refresh_from_db()
        assert (delivery.status, delivery.reason.startswith(NOT_REPEATED)) == ("failed", True)

    def test_a_request_that_never_went_out_is_tried_again(
        self, store: Store, customer: Customer, hangs_up: Stranger
    ) -> None:
        delivery = a_delivery(leads_to(hangs_up, store, at_most_once=True), customer)
        hangs_up.__exit__()  # nobody listens any more
        sending.deliver()
        delivery.refresh_from_db()
        assert (delivery.status, delivery.tries) == ("pending", 1)

    def test_an_answer_of_500_is_tried_again(
        self, integration: Integration, customer: Customer, receiver: Receiver
    ) -> None:
        """It says that it failed: nothing about that is unknown."""
        Integration.objects.update(at_most_once=True)
        receiver.next.append(Answer(500))
        delivery = a_delivery(integration, customer)
        sending.deliver()
        delivery.refresh_from_db()
        assert (delivery.status, delivery.reason) == ("pending", "Webhook answered 500.")

    def test_an_adapter_that_cannot_read_the_answer_ends_it(
        self, store: Store, customer: Customer, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        known = {**destinations.destinations(), "illegible": Illegible}
        monkeypatch.setattr(destinations, "destinations", lambda: known)
        careful = make_integration(store, destination="illegible", values={"url": receiver.url}, at_most_once=True)
        delivery = a_delivery(careful, customer)
        sending.deliver()
        delivery.refresh_from_db()
        assert delivery.status == "failed"
        assert delivery.reason == f"{NOT_REPEATED} The destination itself failed: KeyError: 'status'"
        assert Lane.objects.get().failures == 0, "the tool is not to blame"


class TestLostLease:
    def test_what_a_dead_worker_held_has_failed(self, store: Store, customer: Customer) -> None:
        delivery = a_delivery(make_integration(store, at_most_once=True), customer)
        assert len(claims.claim(free=8, slots=8, flying={}).deliveries) == 1
        Delivery.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
        assert claims.release_lost() == 1
        delivery.refresh_from_db()
        assert (delivery.status, delivery.claim) == ("failed", None)
        assert delivery.reason == f"Its worker stopped before it could say how the call ended. {NOT_REPEATED}"
        assert delivery.attempts.get().outcome == Outcome.UNKNOWN
        assert not claims.anything_to_do()

    def test_an_admin_may_send_it_again(self, store: Store, customer: Customer) -> None:
        delivery = a_delivery(make_integration(store, at_most_once=True), customer)
        Delivery.objects.update(status="failed", finished_at=timezone.now())
        delivery.refresh_from_db()
        delivery.resend()
        assert delivery.status == "pending"
