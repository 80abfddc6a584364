"""Test events: one real request at once, logged and marked, that nothing else ever touches."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now
from django.utils import timezone

from customers.models import Customer, Store
from customers.refusals import Conflict, Refused
from events import claims, sending
from events.catalogue import event_type
from events.models import Attempt, Delivery, Exchange, Occurrence, Tally
from events.models.delivery import DeliveryStatus, Outcome
from events.restrictions import read_restrictions
from events.testing import LONGEST, Report, recipient, send_test
from integrations import destinations
from integrations.destinations.base import Destination, Message, Selector, Skip, Verdict, json_body
from integrations.http import Request
from integrations.models import Integration
from tests.factories import give_coins, make_customer, make_integration, make_subscription
from tests.receiver import Answer, Receiver
from tests.trial import known_with

pytestmark = pytest.mark.django_db

REWARD = event_type("walletreward_create")
SECRETS = ("a-long-secret-token", "c2VjcmV0" * 4)


@pytest.fixture
def ada(customer: Customer) -> Customer:
    """Ada, with coins."""
    give_coins(customer, 70)
    return customer


def send(integration: Integration, **more: Any) -> Report:
    """Send a test of a reward about Ada."""
    defaults: dict[str, Any] = {"kind": REWARD, "event_name": "shop_coins", "restrictions": []}
    if "to" not in more:
        defaults["to"] = recipient(integration.store, email="ada@example.com")
    return send_test(integration=integration, **{**defaults, **more})


class TestRecipient:
    def test_the_customer_is_found_by_email_or_mobile(self, store: Store, customer: Customer) -> None:
        by_email = recipient(store, email=" ADA@example.com ")
        by_mobile = recipient(store, mobile="01511 2345678")
        assert (by_email.customer, by_email.selector) == (customer, Selector.EMAIL)
        assert (by_mobile.customer, by_mobile.selector) == (customer, Selector.MOBILE)

    @pytest.mark.parametrize(
        ("given", "field", "sentence"),
        [
            ({}, "email", "Give either an e-mail address or a mobile number."),
            (
                {"email": "ada@example.com", "mobile": "+4915112345678"},
                "email",
                "Give either an e-mail address or a mobile number.",
            ),
            (
                {"email": "eve@example.com"},
                "email",
                "No customer of Bean House has the e-mail eve@example.com.",
            ),
            (
                {"mobile": "+4915100000000"},
                "mobile",
                "No customer of Bean House has the mobile number +4915100000000.",
            ),
            (
                {"mobile": "12"},
                "mobile",
                "12 is not a mobile number. Write it with its country code, such as +49 1511 2345678.",
            ),
        ],
    )
    def test_who_cannot_be_found_is_refused_at_the_field(
        self, store: Store, customer: Customer, given: dict[str, str], field: str, sentence: str
    ) -> None:
        with pytest.raises(Refused) as raised:
            recipient(store, **given)
        assert raised.value.message_dict == {field: [sentence]}

    def test_another_stores_customers_are_unknown(self, store: Store, other_store: Store) -> None:
        make_customer(other_store, email="eve@example.com")
        with pytest.raises(Refused, match=r"^No customer of Bean House has the e-mail eve@example\.com\.$"):
            recipient(store, email="eve@example.com")


class TestSendTest:
    def test_one_real_request_carries_the_customers_own_data(
        self, integration: Integration, ada: Customer, receiver: Receiver
    ) -> None:
        report = send(integration)
        (request,) = receiver.got
        assert request.headers["webhook-id"] == str(report.delivery.pk)
        assert request.json()["type"] == "shop_coins"
        data = request.json()["data"]
        assert (data["event_is_test"], data["event_key"]) == (True, "walletreward_create")
        assert (data["user_email"], data["user_name"], data["user_wallet_balance"]) == ("ada@example.com", "Ada", 70)
        assert data["wallettransaction_amount"] == REWARD.fields["wallettransaction_amount"].sample
        assert data["event_sequence"] == report.delivery.occurrence_id

    def test_it_is_logged_as_a_test(self, integration: Integration, ada: Customer, store: Store) -> None:
        subscription = make_subscription(integration)
        report = send(integration, subscription=subscription)
        delivery = Delivery.objects.get()
        assert report.delivery == delivery
        assert (delivery.is_test, delivery.status, delivery.tries, delivery.reason) == (True, "sent", 1, "")
        assert (delivery.store, delivery.customer, delivery.integration) == (store, ada, integration)
        assert (delivery.subscription, delivery.event_key) == (subscription, "walletreward_create")
        assert (delivery.event_name, delivery.label) == ("shop_coins", f"shop_coins → {integration.name}")
        assert (delivery.claim, delivery.leased_until) == (None, None)
        assert delivery.finished_at
        occurrence = delivery.occurrence
        assert (occurrence.is_test, occurrence.customer, occurrence.silent) == (True, ada, False)
        attempt = Attempt.objects.get()
        assert (attempt.delivery, attempt.number, attempt.outcome) == (delivery, 1, Outcome.SENT)
        exchange = attempt.exchange
        assert exchange
        assert (exchange.request_method, exchange.response_status, exchange.response_body) == ("POST", 200, "ok")
        assert '"type":"shop_coins"' in exchange.request_body
        assert attempt.started_at <= delivery.finished_at

    def test_secrets_are_masked_in_the_log(self, integration: Integration, ada: Customer, receiver: Receiver) -> None:
        receiver.next.append(Answer(400, {"X-Echo": SECRETS[0]}, f"bad token {SECRETS[0]} {SECRETS[1]}".encode()))
        send(integration)
        (request,) = receiver.got
        assert request.headers["X-Token"] == SECRETS[0]
        (logged,) = Exchange.objects.values()
        assert logged["request_headers"]["X-Token"] == "••••••"
        assert [secret for secret in SECRETS if secret in str(logged)] == []

    def test_an_unsaved_send_event_can_be_tried(self, integration: Integration, ada: Customer) -> None:
        assert send(integration).delivery.subscription is None

    def test_each_test_is_a_delivery_of_its_own(self, integration: Integration, ada: Customer) -> None:
        subscription = make_subscription(integration)
        first, second = (send(integration, subscription=subscription).delivery for _ in range(2))
        assert first.pk != second.pk
        assert first.occurrence.event_id != second.occurrence.event_id

    def test_it_goes_out_while_everything_is_off(
        self, integration: Integration, ada: Customer, store: Store, receiver: Receiver
    ) -> None:
        subscription = make_subscription(integration, enabled=False)
        Store.objects.update(events_on=False)
        Integration.objects.update(enabled=False)
        integration.lane.closed = "breaker"
        integration.lane.save()
        integration.refresh_from_db()
        assert send(integration, subscription=subscription).judgement.verdict is Verdict.ACCEPTED
        assert len(receiver.got) == 1

    def test_it_works_on_settings_that_are_not_saved(
        self, integration: Integration, ada: Customer, receiver: Receiver
    ) -> None:
        integration.configure({"url": f"http://{receiver.host}/new", "signing_secret": "", "headers": ""})
        send(integration)
        assert receiver.got[0].path == "/new"
        integration.refresh_from_db()
        assert integration.settings["url"] == f"http://{receiver.host}/events"

    def test_restrictions_are_not_asked_but_told(self, integration: Integration, ada: Customer) -> None:
        stored = [
            {"field": "wallettransaction_type", "operator": "any_of", "value": ["reward"]},
            {"field": "user_wallet_balance", "operator": "at_least", "value": 100},
        ]
        report = send(integration, restrictions=read_restrictions(REWARD, stored))
        assert report.delivery.status == DeliveryStatus.SENT
        assert [(str(finding.restriction), finding.found, finding.holds) for finding in report.findings] == [
            ("Wallet Transaction Types is one of Reward", "reward", True),
            ("Wallet balance is at least 100", 70, False),
        ]

    @pytest.mark.parametrize(
        ("answer", "verdict", "reason"),
        [
            (Answer(400), Verdict.REJECTED, "Webhook refused it (answer 400)."),
            (Answer(401), Verdict.CREDENTIALS_REFUSED, "Webhook refused the credentials (answer 401)."),
            (Answer(410), Verdict.GONE, "Webhook answered 410: it wants nothing more at this address."),
            (Answer(429, {"Retry-After": "9"}), Verdict.RETRY, "Webhook answered 429."),
            (Answer(500), Verdict.RETRY, "Webhook answered 500."),
        ],
    )
    def test_a_failure_is_shown_and_never_tried_again(
        self,
        integration: Integration,
        ada: Customer,
        receiver: Receiver,
        answer: Answer,
        verdict: Verdict,
        reason: str,
    ) -> None:
        receiver.next.append(answer)
        report = send(integration)
        assert (report.judgement.verdict, report.judgement.reason) == (verdict, reason)
        delivery = Delivery.objects.get()
        assert (delivery.status, delivery.reason, delivery.tries) == (DeliveryStatus.FAILED, reason, 1)
        attempt = Attempt.objects.get()
        assert (attempt.outcome, attempt.detail) == (Outcome.FAILED, reason)
        assert attempt.exchange
        assert attempt.exchange.response_status == answer.status
        integration.refresh_from_db()
        assert integration.enabled, "what a test meets switches nothing off"
        assert (integration.lane.closed, integration.lane.failures, integration.lane.not_before) == ("", 0, None)

    def test_a_server_that_is_down_is_shown(self, integration: Integration, ada: Customer, settings: Any) -> None:
        integration.configure({"url": "http://127.0.0.1:1/", "signing_secret": "whsec_" + SECRETS[1], "headers": ""})
        settings.ALLOWED_PRIVATE_HOSTS = frozenset({"127.0.0.1:1"})
        report = send(integration)
        assert report.delivery.status == DeliveryStatus.FAILED
        exchange = Exchange.objects.get()
        assert exchange.response_status is None
        assert exchange.error == report.judgement.reason == report.delivery.reason != ""


class TestNothingElseTouchesIt:
    @pytest.fixture
    def under_way(self, integration: Integration, ada: Customer) -> Delivery:
        """A test whose request is not answered yet."""
        send(integration, subscription=make_subscription(integration))
        Delivery.objects.update(status="sending", finished_at=None, leased_until=timezone.now() + LONGEST)
        return Delivery.objects.get()

    def test_no_sender_claims_it(self, under_way: Delivery) -> None:
        for status in DeliveryStatus:
            Delivery.objects.update(status=status, next_attempt_at=Now() - timedelta(hours=1))
            assert not Delivery.objects.due().exists()
            assert claims.claim(free=10, slots=10, flying={}).deliveries == []
            assert claims.claim_suspect().deliveries == []
        assert not claims.anything_to_do()

    def test_it_is_no_part_of_what_is_held_or_pending(self, under_way: Delivery, store: Store) -> None:
        Store.objects.update(events_on=False)
        assert not Delivery.objects.held().exists()
        assert not Delivery.objects.unfinished().exists()

    def test_it_is_not_sent_again(self, integration: Integration, ada: Customer) -> None:
        delivery = send(integration).delivery
        with pytest.raises(Conflict, match=r"^A test event is not sent again: send a new one\.$"):
            delivery.resend()
        assert not Delivery.objects.resendable().exists()

    def test_it_is_not_tallied(self, integration: Integration, ada: Customer, receiver: Receiver) -> None:
        receiver.next.append(Answer(500))
        send(integration, subscription=make_subscription(integration))
        send(integration)
        assert not Tally.objects.exists()

    def test_an_interrupted_one_is_given_up(self, under_way: Delivery) -> None:
        Delivery.objects.update(leased_until=Now() - timedelta(seconds=1), claim="0" * 32)
        assert claims.release_lost() == 1
        under_way.refresh_from_db()
        assert (under_way.status, under_way.reason) == (
            DeliveryStatus.FAILED,
            "The test was interrupted; whether it arrived is not known.",
        )
        assert under_way.finished_at

    def test_deleting_the_send_event_leaves_it_readable(self, integration: Integration, ada: Customer) -> None:
        subscription = make_subscription(integration)
        delivery = send(integration, subscription=subscription).delivery
        subscription.archive()
        delivery.refresh_from_db()
        assert delivery.status == DeliveryStatus.SENT


class Picky(Destination):
    """Finds customers by mobile number alone; does as it is told."""

    key = "picky"
    label = "Picky"
    selectors = (Selector.MOBILE,)
    trouble: Exception | None = None
    silent = False

    def calls(self, message: Message) -> Iterator[Request]:
        if self.trouble:
            raise self.trouble
        if not self.silent:
            yield Request(url=self.settings["url"], headers={}, body=json_body({"mobile": message.identifier}))


@pytest.fixture
def picky(store: Store, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> Integration:
    monkeypatch.setattr(destinations, "destinations", known_with(Picky))
    return make_integration(store, destination="picky", values={"url": receiver.url})


class TestDestination:
    def test_the_customer_is_identified_by_what_was_entered(
        self, picky: Integration, ada: Customer, store: Store, receiver: Receiver
    ) -> None:
        send(picky, to=recipient(store, mobile="+4915112345678"))
        assert receiver.got[0].json() == {"mobile": "+4915112345678"}

    def test_what_the_tool_cannot_find_customers_by_is_refused(
        self, picky: Integration, ada: Customer, receiver: Receiver
    ) -> None:
        with pytest.raises(Refused) as raised:
            send(picky)
        assert raised.value.message_dict == {"email": ["Picky finds customers by mobile number, not by e-mail."]}
        assert (receiver.got, Delivery.objects.count()) == ([], 0)

    def test_what_it_skips_is_told(
        self, picky: Integration, ada: Customer, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Picky, "trouble", Skip("Picky takes no samples."))
        report = send(picky, to=recipient(store, mobile="+4915112345678"))
        assert (report.delivery.status, report.delivery.reason) == ("skipped", "Picky takes no samples.")

    def test_nothing_to_send_is_told(
        self, picky: Integration, ada: Customer, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Picky, "silent", True)
        report = send(picky, to=recipient(store, mobile="+4915112345678"))
        assert (report.delivery.status, report.delivery.reason) == (
            "skipped",
            "Picky had nothing to send for this event.",
        )

    def test_a_faulty_adapter_is_a_result_like_any_other(
        self,
        picky: Integration,
        ada: Customer,
        store: Store,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        monkeypatch.setattr(Picky, "trouble", KeyError("colour"))
        report = send(picky, to=recipient(store, mobile="+4915112345678"))
        assert (report.delivery.status, report.delivery.reason) == (
            "failed",
            "The destination itself failed: KeyError: 'colour'",
        )
        assert Attempt.objects.get().exchange is None
        assert caplog.messages == [f"The destination picky failed for the test {report.delivery.pk}"]

    def test_a_destination_that_is_gone_is_refused(self, picky: Integration, ada: Customer) -> None:
        picky.destination = "removed"
        with pytest.raises(Refused) as raised:
            send(picky)
        assert raised.value.message_dict == {"integration": ["There is no destination “removed” in this version."]}
        assert not Occurrence.objects.filter(is_test=True).exists()

    def test_a_name_that_is_too_long_is_refused(self, integration: Integration, ada: Customer) -> None:
        with pytest.raises(Refused) as raised:
            send(integration, event_name="x" * 121)
        assert raised.value.message_dict == {"name": ["An event's name has at most 120 characters."]}
        assert not Occurrence.objects.filter(is_test=True).exists()


class TestBesideRealDeliveries:
    @pytest.mark.django_db(transaction=True)
    def test_senders_send_what_is_due_and_leave_the_test(
        self, integration: Integration, ada: Customer, receiver: Receiver
    ) -> None:
        subscription = make_subscription(integration)
        test = send(integration, subscription=subscription).delivery
        give_coins(ada, 10)
        sending.deliver()
        first, _ = receiver.got
        assert first.headers["webhook-id"] == str(test.pk)
        assert Tally.objects.get().tries == 1
