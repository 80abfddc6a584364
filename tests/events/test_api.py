"""The API of occurrences and deliveries."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from customers.models import Customer, Store
from events import replays
from events.models import Delivery, Lane, Occurrence, Replay, Subscription
from tests.api_fixtures import a_delivery, an_attempt, an_occurrence, problem, refusal
from tests.factories import make_customer, make_integration, make_subscription

pytestmark = pytest.mark.django_db

OCCURRENCES = "/api/v1/occurrences/"
DELIVERIES = "/api/v1/deliveries/"
REPLAYS = "/api/v1/replays/"


@pytest.fixture
def customer(store: Store) -> Customer:
    """A customer whose own creation is forgotten: the tests make the occurrences they want."""
    customer = make_customer(store)
    Occurrence.objects.all().delete()
    return customer


@pytest.fixture
def send_event(store: Store) -> Subscription:
    return make_subscription(make_integration(store, name="Shop hook"))


@pytest.fixture
def delivery(customer: Customer, send_event: Subscription) -> Delivery:
    return a_delivery(an_occurrence(customer), send_event)


def listed(api: APIClient, address: str, **filters: Any) -> list[Any]:
    response = api.get(address, filters)
    assert response.status_code == 200, response.content
    return [row["id"] for row in response.json()["results"]]


def lane_of(send_event: Subscription, **state: Any) -> None:
    Lane.objects.update_or_create(integration=send_event.integration, defaults={"store": send_event.store, **state})


class TestOccurrences:
    def test_one_is_shown_with_its_payload(self, api: APIClient, customer: Customer) -> None:
        occurrence = an_occurrence(customer, dedup_key="inner")
        shown = api.get(f"{OCCURRENCES}{occurrence.pk}/").json()
        assert shown == {
            "id": occurrence.pk,
            "event_id": str(occurrence.event_id),
            "event_key": "walletreward_create",
            "customer": str(customer.pk),
            "subject_id": None,
            "occurred_at": occurrence.occurred_at.isoformat().replace("+00:00", "Z"),
            "is_test": False,
            "silent": False,
            "error": "",
            "payload": {
                "user_name": "Asha Rao",
                "event_id": str(occurrence.event_id),
                "event_sequence": occurrence.pk,
            },
        }
        assert api.get(OCCURRENCES).json()["results"] == [shown]

    @pytest.mark.parametrize(
        ("filters", "which"),
        [
            ({"event_key": "wallettransaction_update"}, "other"),
            ({"event_key": "wallettrasaction_update"}, "other"),  # Nector's own spelling
            ({"customer": "{customer}"}, "found"),
            ({"is_test": "true"}, "other"),
            ({"is_test": "false"}, "found"),
            ({"has_error": "true"}, "other"),
            ({"has_error": "false"}, "found"),
            ({"occurred_at_after": "2024-01-01T00:00:00Z"}, "found"),
            ({"occurred_at_before": "2024-01-01T00:00:00Z"}, "other"),
        ],
    )
    def test_they_are_found_by(self, api: APIClient, customer: Customer, filters: dict[str, str], which: str) -> None:
        found = an_occurrence(customer)
        other = an_occurrence(
            make_customer(customer.store, email="b@x.de"),
            event_key="wallettransaction_update",
            is_test=True,
            error="Broken.",
            occurred_at="2023-05-01T00:00:00Z",
        )
        Occurrence.objects.filter(event_key="lead_create").delete()
        filters = {name: value.format(customer=customer.pk) for name, value in filters.items()}
        assert listed(api, OCCURRENCES, **filters) == [{"found": found, "other": other}[which].pk]

    def test_an_unknown_event_is_refused_with_the_known_ones(self, api: APIClient) -> None:
        field, code, sentence = refusal(api.get(OCCURRENCES, {"event_key": "walletreward"}))
        assert (field, code) == ("event_key", "unknown_event")
        assert sentence.startswith("There is no event with the key “walletreward”. The events are: ")
        assert "walletreward_create" in sentence

    @pytest.mark.parametrize("value", ["yes", "True", "maybe", "\x00"])
    def test_a_switch_that_cannot_be_read(self, api: APIClient, value: str) -> None:
        response = api.get(OCCURRENCES, {"is_test": value})
        assert refusal(response) == ("is_test", "invalid", "Enter true or false.")

    def test_they_are_only_read(self, api: APIClient, customer: Customer) -> None:
        address = f"{OCCURRENCES}{an_occurrence(customer).pk}/"
        assert problem(api.post(OCCURRENCES, {}), 405)
        for method in (api.patch, api.put, api.delete, api.post):
            assert problem(method(address, {}), 405)


class TestDeliveries:
    def test_one_is_shown_with_its_attempts(self, api: APIClient, delivery: Delivery) -> None:
        an_attempt(delivery, number=1)
        attempt = an_attempt(delivery, number=2)
        exchange = attempt.exchange
        assert exchange is not None
        shown = api.get(f"{DELIVERIES}{delivery.pk}/").json()
        attempts = shown.pop("attempts")
        assert [attempt["number"] for attempt in attempts] == [1, 2]
        assert attempts[1] == {
            "id": str(attempt.pk),
            "number": 2,
            "outcome": "retry",
            "detail": "Webhook answered 500.",
            "started_at": attempt.started_at.isoformat().replace("+00:00", "Z"),
            "duration_ms": 0,
            "exchange": {
                "id": str(exchange.pk),
                "started_at": exchange.started_at.isoformat().replace("+00:00", "Z"),
                "duration_ms": 0,
                "request_method": "POST",
                "request_url": "https://example.com/hook",
                "request_headers": {"authorization": "***"},
                "request_body": "{}",
                "response_status": 500,
                "response_headers": {},
                "response_body": "",
                "error": "",
            },
        }
        assert shown == api.get(DELIVERIES).json()["results"][0]

    def test_the_list_tells_no_claim(self, api: APIClient, delivery: Delivery) -> None:
        (shown,) = api.get(DELIVERIES).json()["results"]
        assert list(shown) == [
            "id",
            "message_id",
            "occurrence",
            "send_event",
            "label",
            "integration",
            "customer",
            "event_key",
            "event_name",
            "status",
            "reading",
            "reason",
            "tries",
            "is_test",
            "recorded_at",
            "next_attempt_at",
            "finished_at",
        ]
        assert shown["send_event"] == str(delivery.subscription_id)
        assert shown["label"] == "walletreward_create → Shop hook"

    @pytest.mark.parametrize("name", ["integration", "send_event", "customer", "event_key", "is_test"])
    def test_they_are_found_by(self, api: APIClient, delivery: Delivery, name: str) -> None:
        store = delivery.store
        other = make_subscription(make_integration(store, name="Other"), event_key="lead_create")
        a_delivery(an_occurrence(make_customer(store, email="b@x.de"), event_key="lead_create"), other, is_test=True)
        value = {
            "integration": delivery.integration_id,
            "send_event": delivery.subscription_id,
            "customer": delivery.customer_id,
            "event_key": delivery.event_key,
            "is_test": "false",
        }[name]
        found = listed(api, DELIVERIES, **{name: str(value)})
        recorded = set(Delivery.objects.filter(occurrence__event_key="lead_create", is_test=False))
        assert set(found) - {str(row.pk) for row in recorded} == {str(delivery.pk)}

    def test_a_range_of_time(self, api: APIClient, delivery: Delivery) -> None:
        delivery.refresh_from_db()
        later = (delivery.recorded_at + timedelta(seconds=1)).isoformat()
        assert listed(api, DELIVERIES, recorded_at_before=later) == [str(delivery.pk)]
        assert listed(api, DELIVERIES, recorded_at_after=later) == []

    @pytest.mark.parametrize("status", ["pending", "sending", "sent", "skipped", "failed", "cancelled"])
    def test_each_status_is_a_filter(
        self, api: APIClient, customer: Customer, send_event: Subscription, status: str
    ) -> None:
        rows = {
            each: a_delivery(an_occurrence(customer), send_event, status=each)
            for each in ("pending", "sending", "sent", "skipped", "failed", "cancelled")
        }
        assert listed(api, DELIVERIES, status=status) == [str(rows[status].pk)]

    def test_an_unknown_status_is_refused_with_the_known_ones(self, api: APIClient) -> None:
        sentence = "“lost” is not one of pending, sending, sent, skipped, failed, cancelled, held, retrying."
        assert refusal(api.get(DELIVERIES, {"status": "lost"})) == ("status", "invalid_choice", sentence)


def switch_store(send_event: Subscription) -> None:
    send_event.store.events_on = False
    send_event.store.save()


def switch_send_event(send_event: Subscription) -> None:
    send_event.enabled = False
    send_event.save()


def switch_integration(send_event: Subscription) -> None:
    send_event.integration.enabled = False
    send_event.integration.save()


def break_lane(send_event: Subscription) -> None:
    lane_of(send_event, closed="breaker")


def hold_lane(send_event: Subscription) -> None:
    lane_of(send_event, not_before=timezone.now() + timedelta(hours=1))


class TestReading:
    @pytest.mark.parametrize("hold", [switch_store, switch_send_event, switch_integration, break_lane, hold_lane])
    @pytest.mark.parametrize("tries", [0, 2])
    def test_pending_behind_what_is_closed_reads_as_held(
        self, api: APIClient, delivery: Delivery, send_event: Subscription, hold: Any, tries: int
    ) -> None:
        Delivery.objects.update(tries=tries)
        hold(send_event)
        (shown,) = api.get(DELIVERIES, {"status": "held"}).json()["results"]
        assert (shown["id"], shown["status"], shown["reading"]) == (str(delivery.pk), "pending", "held")
        assert listed(api, DELIVERIES, status="retrying") == []
        assert listed(api, DELIVERIES, status="pending") == [str(delivery.pk)]

    def test_pending_after_a_try_reads_as_retrying(
        self, api: APIClient, delivery: Delivery, send_event: Subscription
    ) -> None:
        lane_of(send_event, not_before=timezone.now() - timedelta(hours=1))
        Delivery.objects.update(tries=1)
        (shown,) = api.get(DELIVERIES, {"status": "retrying"}).json()["results"]
        assert (shown["status"], shown["reading"]) == ("pending", "retrying")
        assert listed(api, DELIVERIES, status="held") == []

    @pytest.mark.parametrize("status", ["pending", "sending", "sent", "skipped", "failed", "cancelled"])
    def test_everything_else_reads_as_its_status(
        self, api: APIClient, delivery: Delivery, send_event: Subscription, status: str
    ) -> None:
        Delivery.objects.update(status=status)
        assert api.get(f"{DELIVERIES}{delivery.pk}/").json()["reading"] == status
        if status != "pending":
            switch_store(send_event)
            assert api.get(f"{DELIVERIES}{delivery.pk}/").json()["reading"] == status

    def test_a_test_is_never_held(self, api: APIClient, delivery: Delivery, send_event: Subscription) -> None:
        Delivery.objects.update(is_test=True, subscription=None)
        switch_store(send_event)
        assert api.get(f"{DELIVERIES}{delivery.pk}/").json()["reading"] == "pending"

    def test_the_filters_and_the_reading_agree(
        self, api: APIClient, customer: Customer, send_event: Subscription
    ) -> None:
        off = make_subscription(make_integration(customer.store, name="Off", enabled=False))
        for where in (send_event, off):
            for status in ("pending", "sent"):
                for tries in (0, 1):
                    a_delivery(an_occurrence(customer), where, status=status, tries=tries)
        rows = api.get(DELIVERIES).json()["results"]
        assert len(rows) == 8
        for reading in ("held", "retrying"):
            expected = [row["id"] for row in rows if row["reading"] == reading]
            assert listed(api, DELIVERIES, status=reading) == expected != []


class TestResend:
    def test_a_finished_one_is_due_again(self, api: APIClient, delivery: Delivery) -> None:
        Delivery.objects.update(status="failed", tries=6, reason="Gave up.", finished_at=timezone.now())
        response = api.post(f"{DELIVERIES}{delivery.pk}/resend/")
        assert response.status_code == 200
        shown = response.json()
        assert (shown["id"], shown["status"], shown["reading"], shown["tries"], shown["reason"]) == (
            str(delivery.pk),
            "pending",
            "pending",
            0,
            "",
        )
        assert "attempts" not in shown

    def test_under_its_own_id_unless_a_new_one_is_asked_for(self, api: APIClient, delivery: Delivery) -> None:
        Delivery.objects.update(status="failed", finished_at=timezone.now())
        assert api.post(f"{DELIVERIES}{delivery.pk}/resend/").json()["message_id"] == str(delivery.pk)
        Delivery.objects.update(status="failed", finished_at=timezone.now())
        new = api.post(f"{DELIVERIES}{delivery.pk}/resend/", {"new_id": True}).json()
        assert new["id"] == str(delivery.pk) != new["message_id"]

    def test_one_that_waits_is_a_conflict(self, api: APIClient, delivery: Delivery) -> None:
        response = api.post(f"{DELIVERIES}{delivery.pk}/resend/")
        assert refusal(response, 409) == ("status", "unfinished", "It is already waiting to be sent.")

    def test_a_test_is_a_conflict(self, api: APIClient, delivery: Delivery) -> None:
        Delivery.objects.update(status="failed", is_test=True)
        response = api.post(f"{DELIVERIES}{delivery.pk}/resend/")
        assert refusal(response, 409)[1:] == ("is_test", "A test event is not sent again: send a new one.")


class TestResendMany:
    MANY = f"{DELIVERIES}resend/"

    @pytest.fixture
    def failed(self, customer: Customer, send_event: Subscription) -> list[Delivery]:
        """Three that failed, one of another customer; and one that was sent."""
        rows = [a_delivery(an_occurrence(customer), send_event) for _ in range(3)]
        rows.append(a_delivery(an_occurrence(make_customer(customer.store)), send_event))
        Occurrence.objects.filter(event_key="lead_create").delete()
        Delivery.objects.update(status="failed", finished_at=timezone.now())
        Delivery.objects.filter(pk=rows[0].pk).update(status="sent")
        return rows

    @pytest.mark.parametrize(
        ("fields", "count"),
        [
            ({}, 3),
            ({"status": "sent"}, 1),
            ({"status": "cancelled"}, 0),
            ({"event_key": "walletreward_create"}, 3),
            ({"event_key": "wallettrasaction_update"}, 0),  # Nector's own spelling
            ({"customer": "{customer}"}, 2),
            ({"integration": "{integration}"}, 3),
            ({"recorded_at_after": "2026-01-01T00:00:00Z"}, 3),
            ({"recorded_at_before": "2026-01-01T00:00:00Z"}, 0),
        ],
    )
    def test_a_dry_run_counts_them(
        self,
        api: APIClient,
        customer: Customer,
        send_event: Subscription,
        failed: list[Delivery],
        fields: dict[str, str],
        count: int,
    ) -> None:
        ids = {"customer": customer.pk, "integration": send_event.integration_id}
        body = {name: value.format(**ids) for name, value in fields.items()}
        answer = api.post(self.MANY, {**body, "dry_run": True})
        assert (answer.status_code, answer.json()) == (200, {"count": count})
        assert not Delivery.objects.filter(status="pending").exists()
        assert not Replay.objects.exists()

    def test_it_starts_a_replay_whose_progress_can_be_followed(
        self, api: APIClient, customer: Customer, failed: list[Delivery]
    ) -> None:
        answer = api.post(self.MANY, {"customer": str(customer.pk), "rate": 50})
        assert answer.status_code == 201
        started = answer.json()
        assert (started["state"], started["total"], started["done"]) == ("running", 2, 0)
        assert (started["status"], started["customer"], started["rate"]) == ("failed", str(customer.pk), 50)
        assert started["started_by"] == "API key shop"
        assert replays.work() == 2
        followed = api.get(f"{REPLAYS}{started['id']}/").json()
        assert (followed["state"], followed["done"]) == ("done", 2)
        assert followed["finished_at"]
        assert listed(api, REPLAYS) == [started["id"]]
        assert set(Delivery.objects.filter(status="pending").values_list("resent_as", flat=True)) == {None}

    def test_new_ids(self, api: APIClient, failed: list[Delivery]) -> None:
        api.post(self.MANY, {"new_id": True})
        replays.work()
        ids = Delivery.objects.filter(status="pending").values_list("resent_as", flat=True)
        assert len(set(ids)) == 3
        assert None not in ids

    def test_it_can_be_stopped(self, api: APIClient, failed: list[Delivery]) -> None:
        replay = api.post(self.MANY, {}).json()
        stopped = api.post(f"{REPLAYS}{replay['id']}/cancel/").json()
        assert (stopped["state"], stopped["done"]) == ("cancelled", 0)
        assert replays.work() == 0
        assert Delivery.objects.filter(status="failed").count() == 3
        assert refusal(api.post(f"{REPLAYS}{replay['id']}/cancel/"), 409) == (
            "state",
            "not_running",
            "It is over already.",
        )

    @pytest.mark.parametrize(
        ("body", "refused"),
        [
            ({"status": "pending"}, ("status", "invalid_choice")),
            ({"event_key": "coins"}, ("event_key", "unknown_event")),
            ({"rate": 0}, ("rate", "min_value")),
            ({"recorded_at_after": "yesterday"}, ("recorded_at_after", "invalid")),
            ({"customers": "all"}, ("customers", "unknown_field")),
        ],
    )
    def test_what_does_not_fit(self, api: APIClient, body: dict[str, Any], refused: tuple[str, str]) -> None:
        assert refusal(api.post(self.MANY, body))[:2] == refused


class TestCancel:
    def test_a_pending_one_is_never_sent(self, api: APIClient, delivery: Delivery) -> None:
        shown = api.post(f"{DELIVERIES}{delivery.pk}/cancel/").json()
        assert (shown["status"], shown["reading"], shown["reason"]) == (
            "cancelled",
            "cancelled",
            "cancelled through the API",
        )
        assert shown["finished_at"] is not None

    def test_one_that_was_sent_is_a_conflict(self, api: APIClient, delivery: Delivery) -> None:
        Delivery.objects.update(status="sent")
        response = api.post(f"{DELIVERIES}{delivery.pk}/cancel/")
        assert refusal(response, 409) == ("status", "not_pending", "Only a pending delivery can be cancelled.")

    def test_a_body_is_refused(self, api: APIClient, delivery: Delivery) -> None:
        response = api.post(f"{DELIVERIES}{delivery.pk}/cancel/", {"reason": "mine"})
        assert refusal(response)[:2] == ("reason", "unknown_field")


class TestQueries:
    """As many for twenty rows as for one."""

    @pytest.mark.parametrize("rows", [1, 20])
    @pytest.mark.parametrize("address", [OCCURRENCES, DELIVERIES])
    def test_a_list_takes_three(
        self,
        api: APIClient,
        customer: Customer,
        send_event: Subscription,
        django_assert_num_queries: Any,
        address: str,
        rows: int,
    ) -> None:
        for _ in range(rows):
            an_attempt(a_delivery(an_occurrence(customer), send_event, tries=1))
        with django_assert_num_queries(3):
            assert len(api.get(address).json()["results"]) == rows

    @pytest.mark.parametrize("attempts", [1, 20])
    def test_a_delivery_takes_four(
        self, api: APIClient, delivery: Delivery, django_assert_num_queries: Any, attempts: int
    ) -> None:
        for number in range(attempts):
            an_attempt(delivery, number=number + 1)
        with django_assert_num_queries(4):
            assert len(api.get(f"{DELIVERIES}{delivery.pk}/").json()["attempts"]) == attempts
