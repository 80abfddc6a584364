"""`manage.py seed_demo`: a small coffee shop with customers, offers and send events, for the demo and for a look round."""

import json
import secrets
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from customers.models import ApiKey, Customer, Offer, Role, Store, StoreMembership, Tier
from customers.models.coins import Operation, Source, WalletTransactionType
from customers.models.offer import ValueType
from customers.models.store import TierCriterion
from events.catalogue import event_type, event_types
from events.models import Subscription
from events.recipes import RECIPES, plain
from integrations.models import Integration, SandboxInbox

STORE = "Bean & Leaf"
LOGIN = "mia@bean-and-leaf.example"

# Name, country, coins. Their numbers are those that the German regulator keeps for films.
CUSTOMERS = (
    ("Asha Rao", "IN", 180),
    ("Jonas Weber", "DE", 95),
    ("Marie Dubois", "FR", 240),
    ("Tom Becker", "DE", 40),
    ("Priya Nair", "IN", 310),
    ("Lena Hoffmann", "DE", 125),
    ("Luca Rossi", "IT", 70),
    ("Anna Kowalska", "PL", 205),
    ("Emil Larsen", "DK", 0),
    ("Sofia Garcia", "ES", 150),
    ("Noah de Vries", "NL", 85),
    ("Zeynep Kaya", "TR", 60),
)
OFFERS: tuple[dict[str, Any], ...] = (
    {"name": "Free espresso", "price": 60, "value": "2.80", "value_type": ValueType.AMOUNT},
    {"name": "Free shipping", "price": 80, "value": 0, "value_type": ValueType.FREE_SHIPPING},
    {"name": "5 off", "price": 100, "value": 5, "value_type": ValueType.AMOUNT, "minimum_order": 20},
    {"name": "15 percent off", "price": 150, "value": 15, "value_type": ValueType.PERCENT},
)


class Command(BaseCommand):
    help = f"Fills a new database with the store {STORE} and prints, as JSON, how to get in."

    def handle(self, **options: Any) -> None:
        if Store.objects.filter(name=STORE).exists():
            raise CommandError(f"There is a store {STORE} already: seed_demo is for a new database.")
        with transaction.atomic():
            entrance = seed()
            entrance["send_events"] += [_told(send_event) for send_event in seed_everything_else()]
        self.stdout.write(json.dumps(entrance))


def seed() -> dict[str, Any]:
    """Make everything; returns login, password, API key, and the send events, restrictions in words."""
    store = Store(
        name=STORE,
        coin_name="Beans",
        website="https://bean-and-leaf.example/",
        rewards_page="https://bean-and-leaf.example/beans",
        time_zone="Europe/Berlin",
        events_on=True,
    )
    store.full_clean()
    store.save()
    password = secrets.token_urlsafe(12)
    owner = User.objects.create_user(LOGIN, LOGIN, password, first_name="Mia", last_name="Brandt", is_staff=True)
    StoreMembership.objects.create(store=store, user=owner, role=Role.OWNER)
    _, key = ApiKey.objects.create_key(store=store, name="Web shop")
    for fields in OFFERS:
        offer = Offer(store=store, coupon_days=30, **fields)
        offer.full_clean()
        offer.save()
    for number, (name, country, coins) in enumerate(CUSTOMERS):
        _customer(store, number=number, name=name, country=country, coins=coins)
    return {
        "login": LOGIN,
        "password": password,
        "api_key": str(key),
        "send_events": [_told(send_event) for send_event in _send_events(store)],
    }


def _told(send_event: Subscription) -> dict[str, Any]:
    """As the demo shows it."""
    return {
        "id": str(send_event.pk),
        "event_key": send_event.event_key,
        "name": send_event.event_name,
        "restrictions": [str(restriction) for restriction in send_event.read_restrictions()],
    }


def seed_everything_else() -> list[Subscription]:
    """VIP tiers and referrals, and a send event to the sandbox of each event that had none; returns these."""
    store = Store.objects.get(name=STORE)
    store.tier_criterion = TierCriterion.AMOUNT_SPENT
    store.referrer_coins, store.referee_coins = 100, 50
    store.referral_offer = Offer.objects.get(store=store, name="Free shipping")
    store.full_clean()
    store.save()
    for name, threshold in (("Silver", 50), ("Gold", 150)):
        Tier.objects.create(store=store, name=name, threshold=threshold)
    sandbox = Integration.objects.get(store=store, destination="sandbox")
    there = {send_event.event_key for send_event in Subscription.objects.filter(store=store)}
    recipes = [RECIPES["coins_expired"], *(plain(kind) for key, kind in event_types().items() if key not in there)]
    return Subscription.objects.start(recipes, integration=sandbox, prefix="")


def _customer(store: Store, *, number: int, name: str, country: str, coins: int) -> None:
    """Imported, so to speak: nothing is sent about those who were there before the integration."""
    customer = Customer(
        store=store,
        external_id=str(1001 + number),
        name=name,
        email=f"{name.split()[0].lower()}@example.com",
        mobile=f"+49171392{number:04}",
        country=country,
        birth_date=date(1975 + 2 * number, 1 + number % 12, 3 + 2 * number),
        referral_code=f"{name.split()[0].upper()}10",
        consent_email=number % 3 != 0,
    )
    customer.full_clean()
    customer.save(silent=True)
    if coins:
        customer.wallet.record(
            type=WalletTransactionType.REWARD,
            operation=Operation.CREDIT,
            amount=coins,
            source=Source.IMPORT,
            title="Beans so far",
            expires_at=datetime.now(UTC) + timedelta(days=365),
            silent=True,
        )


def _send_events(store: Store) -> list[Subscription]:
    sandbox = Integration(store=store, name="Sandbox", destination="sandbox")
    sandbox.configure({})
    sandbox.full_clean()
    sandbox.save()
    SandboxInbox.objects.create(store=store, integration=sandbox)
    redeemed = [{"field": "wallettransaction_type", "operator": "any_of", "value": [WalletTransactionType.REDEEM]}]
    rewarded = [dict(one) for one in event_type("walletreward_create").initial_restrictions]
    send_events = [
        Subscription(store=store, integration=sandbox, event_key="walletreward_create", restrictions=rewarded),
        Subscription(
            store=store,
            integration=sandbox,
            event_key="walletreward_create",
            name="coins_redeemed",
            restrictions=redeemed,
        ),
        Subscription(store=store, integration=sandbox, event_key="coupon_create"),
        Subscription(store=store, integration=sandbox, event_key="lead_create"),
    ]
    for send_event in send_events:
        send_event.full_clean()
        send_event.save()
    return send_events
