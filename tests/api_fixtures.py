"""Rows that the tests of the API begin with, beside those of factories.py, and a close look at problem details."""

from typing import Any

from rest_framework.test import APIClient

from customers.models import Coupon, Customer, Order, Referral, Review, Store, WalletTransaction
from events.models import Attempt, Delivery, Exchange, Occurrence, Subscription
from tests.factories import make_api_client, make_api_key, make_customer


def app_of(store: Store) -> APIClient:
    """An app with a key of this store."""
    return make_api_client(make_api_key(store))


def an_entry(customer: Customer, **more: Any) -> WalletTransaction:
    facts: dict[str, Any] = {"type": "reward", "operation": "cr", "amount": 50, **more}
    return customer.wallet.record(**facts)[0]


def a_coupon(customer: Customer, **more: Any) -> Coupon:
    coupon = Coupon(store=customer.store, customer=customer, **more)
    coupon.save()
    return coupon


def an_order(customer: Customer, **more: Any) -> Order:
    facts: dict[str, Any] = {"reference_order_id": "1042", "items": [{"title": "Beans", "price": 20}], **more}
    return Order.objects.place(store=customer.store, customer=customer, **facts)


def a_review(customer: Customer, **more: Any) -> Review:
    review = Review(store=customer.store, customer=customer, **{"rating": 5, **more})
    review.save()
    return review


def a_referral(customer: Customer, friend: Customer | None = None) -> Referral:
    """A friend of this customer, whose store gets its setting and who gets a code where there is none."""
    if customer.store.referrer_coins is None:
        customer.store.referrer_coins = 200
        customer.store.save()
    if not customer.referral_code:
        customer.referral_code = f"C{customer.pk.hex}"
        customer.save()
    friend = friend or make_customer(customer.store)
    return Referral.objects.start(store=customer.store, referee=friend, referral_code=customer.referral_code)


def an_occurrence(customer: Customer, **more: Any) -> Occurrence:
    facts: dict[str, Any] = {"event_key": "walletreward_create", "payload": {"user_name": "Asha Rao"}, **more}
    return Occurrence.objects.create(store=customer.store, customer=customer, **facts)


def a_delivery(occurrence: Occurrence, send_event: Subscription, **more: Any) -> Delivery:
    facts: dict[str, Any] = {
        "event_key": occurrence.event_key,
        "event_name": send_event.event_name,
        "label": send_event.label,
        "customer": occurrence.customer,
        **more,
    }
    return Delivery.objects.create(
        store=occurrence.store,
        occurrence=occurrence,
        subscription=send_event,
        integration=send_event.integration,
        **facts,
    )


def an_attempt(delivery: Delivery, *, number: int = 1, **more: Any) -> Attempt:
    exchange = Exchange.objects.create(
        store=delivery.store,
        integration=delivery.integration,
        request_method="POST",
        request_url="https://example.com/hook",
        request_headers={"authorization": "***"},
        request_body="{}",
        response_status=500,
    )
    facts: dict[str, Any] = {"outcome": "retry", "detail": "Webhook answered 500.", **more}
    return Attempt.objects.create(store=delivery.store, delivery=delivery, exchange=exchange, number=number, **facts)


def problem(response: Any, status: int) -> list[dict[str, str]]:
    """The errors of a problem answer, after a look at the whole of it."""
    assert response.status_code == status, (response.status_code, response.content[:2000])
    assert response["Content-Type"] == "application/problem+json"
    content = response.json()
    assert list(content) == ["type", "title", "status", "detail", "instance", "errors"]
    assert content["status"] == status
    assert all(list(error) == ["field", "code", "message"] for error in content["errors"])
    errors: list[dict[str, str]] = content["errors"]
    return errors


def refusal(response: Any, status: int = 400) -> tuple[str, str, str]:
    """Field, code and message of the one error."""
    errors = problem(response, status)
    assert len(errors) == 1, errors
    return errors[0]["field"], errors[0]["code"], errors[0]["message"]
