"""Rows for tests: plain functions with plain defaults; name what the test is about, leave the rest."""

from datetime import timedelta
from itertools import count
from typing import Any

from django.contrib.auth.models import User
from django.utils import timezone
from rest_framework.test import APIClient

from customers.models import ApiKey, Customer, Offer, Role, Store, StoreMembership
from customers.models.coins import Operation, WalletTransactionType
from events.models import Subscription, Tally
from integrations.models import Integration

_numbers = count(1)


def make_store(**fields: Any) -> Store:
    """A German store whose events are on."""
    return Store.objects.create(**{"name": f"Store {next(_numbers)}", "events_on": True, **fields})


def make_customer(store: Store, *, coins: int = 0, **fields: Any) -> Customer:
    """A customer with an e-mail address of their own, and this many coins (one reward)."""
    customer = Customer(store=store, **{"email": f"customer{next(_numbers)}@example.com", **fields})
    customer.full_clean()
    customer.save()
    if coins:
        give_coins(customer, coins)
    return customer


def give_coins(customer: Customer, coins: int, **fields: Any) -> None:
    """Reward the customer."""
    customer.wallet.record(type=WalletTransactionType.REWARD, operation=Operation.CREDIT, amount=coins, **fields)


def make_offer(store: Store, **fields: Any) -> Offer:
    """A discount of 5 for 100 coins."""
    return Offer.objects.create(store=store, **{"name": f"Offer {next(_numbers)}", "price": 100, "value": 5, **fields})


def make_integration(
    store: Store, *, destination: str = "webhook", values: dict[str, Any] | None = None, **fields: Any
) -> Integration:
    """An integration; `values` are its destination's settings, secrets among them."""
    integration = Integration(
        store=store, destination=destination, **{"name": f"Integration {next(_numbers)}", **fields}
    )
    defaults = {"url": "https://receiver.example/events", "signing_secret": "whsec_" + "c2VjcmV0" * 4, "headers": ""}
    integration.configure(values if values is not None else defaults if destination == "webhook" else {})
    integration.save()
    return integration


def make_subscription(
    integration: Integration, event_key: str = "walletreward_create", *restrictions: dict[str, Any], **fields: Any
) -> Subscription:
    """A send event of this integration, with these restrictions (as they are stored)."""
    return Subscription.objects.create(
        store=integration.store,
        integration=integration,
        event_key=event_key,
        restrictions=list(restrictions),
        **fields,
    )


def make_tally(integration: Integration, *, minutes: int = 0, **counts: Any) -> Tally:
    """What a send event of this integration did in the minute that began so many minutes ago."""
    subscription = integration.subscriptions.first() or make_subscription(integration)
    minute = timezone.now().replace(second=0, microsecond=0) - timedelta(minutes=minutes)
    return Tally.objects.create(
        store=integration.store, integration=integration, subscription=subscription, minute=minute, **counts
    )


def make_user(**fields: Any) -> User:
    """A user who may enter the admin; sign in with the fixture `signed_in` (there is no password)."""
    name = f"user{next(_numbers)}"
    return User.objects.create_user(**{"username": name, "email": f"{name}@example.com", "is_staff": True, **fields})


def make_member(store: Store, role: Role, **fields: Any) -> User:
    """A user with this role in this store."""
    user = make_user(**fields)
    StoreMembership.objects.create(store=store, user=user, role=role)
    return user


def make_api_key(store: Store, name: str = "shop") -> str:
    """A new key of this store, as its app holds it."""
    _, key = ApiKey.objects.create_key(store=store, name=name)
    return str(key)


def make_api_client(key: str) -> APIClient:
    """An app that calls the API with this key."""
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Api-Key {key}")
    return client
