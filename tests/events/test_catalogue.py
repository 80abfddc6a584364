"""The catalogue: what every event type says of itself, what is sent, and that a new one is one declaration."""

import json
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import call_command
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from customers.models import Coupon, Customer, CustomEvent, Order, Referral, Review, Store, Tier
from events import catalogue, sending, types
from events.catalogue import EventType, UnknownEventType, event_type, event_types
from events.models import Delivery, Occurrence, Subscription
from events.restrictions import operators_for, read_restrictions
from integrations.models import Integration
from tests import factories
from tests.api_fixtures import a_referral
from tests.events.declaring import own_registry
from tests.payloads import misfits
from tests.receiver import Receiver

KEYS = sorted(event_types())
SNAPSHOT = Path(__file__).with_name("catalogue.json")

LABELS = {
    "lead_create": "Customer Is Created",
    "lead_update": "Customer Is Updated",
    "walletreward_create": "Wallet Coins Rewarded",
    "wallettransaction_update": "Wallet Transaction Is Updated",
    "coupon_create": "Coupon Is Created",
    "coupon_update": "Coupon Is Updated",
    "order_create": "Order Is Created",
    "order_update": "Order Is Updated",
    "review_create": "Review Is Created",
    "review_update": "Review Is Updated",
    "viptier_create": "VIP Tier Changed",
    "referral_create": "Referral Started",
    "referral_complete": "Referral Completed",
    "refereenotify_create": "Referee Notified",
    "referrernotify_create": "Referrer Notified",
    "rewardavailable_create": "Reward Available",
    "custom": "Custom Event",
}
COMMON = {
    *("event_id", "event_sequence", "event_key", "event_occurred_at", "event_is_test"),
    *("business_name", "business_uri", "nector_business_uri", "business_coin_name"),
    *("business_currency_code", "business_currency_symbol"),
    *("user_customer_id", "user_name", "user_email", "user_mobile", "user_tier", "user_type", "user_country"),
    *("user_wallet_balance", "user_referral_code", "user_referred_by_referral_code", "user_birth_date"),
}
WALLET = {
    *("wallettransaction_id", "wallettransaction_type", "wallettransaction_operation", "wallettransaction_source"),
    *("wallettransaction_amount", "wallettransaction_balance_after", "wallettransaction_title"),
    *("wallettransaction_description", "wallettransaction_status", "wallettransaction_reference"),
    *("wallettransaction_expires_at", "wallettransaction_created_at"),
}
COUPON = {
    *("coupon_id", "coupon_code", "coupon_type", "coupon_source", "coupon_status", "coupon_value"),
    *("coupon_value_type", "coupon_coin_amount", "coupon_minimum_order", "coupon_expires_at", "coupon_redirect_link"),
    *("offer_id", "offer_name", "offer_description"),
}
ORDER = {
    *("order_id", "order_reference_order_id", "order_name", "order_status", "order_financial_status"),
    *("order_delivery_status", "order_amount", "order_currency_code", "order_item_count", "order_items"),
    "order_created_at",
}
REVIEW = {
    *("review_id", "review_rating", "review_title", "review_description", "review_is_verified", "review_is_featured"),
    *("review_reference_product_id", "review_reference_product_source"),
}
REFERRAL = {
    *("referral_id", "referral_status", "referral_link", "referral_coupon_code", "referral_reward_amount"),
    *("referrer_name", "referrer_email", "referrer_mobile", "referrer_referral_code"),
    *("referee_name", "referee_email", "referee_mobile", "referee_referral_code"),
}
NAMES = {  # exactly those that receivers already know
    "lead_create": COMMON,
    "lead_update": COMMON,
    "walletreward_create": COMMON | WALLET,
    "wallettransaction_update": COMMON | WALLET,
    "coupon_create": COMMON | COUPON,
    "coupon_update": COMMON | COUPON,
    "order_create": COMMON | ORDER,
    "order_update": COMMON | ORDER,
    "review_create": COMMON | REVIEW,
    "review_update": COMMON | REVIEW,
    "viptier_create": COMMON | {"tier_name", "tier_previous_name", "tier_direction", "tier_expires_at"},
    "referral_create": COMMON | REFERRAL,
    "referral_complete": COMMON | REFERRAL,
    "refereenotify_create": COMMON | REFERRAL,
    "referrernotify_create": COMMON | REFERRAL,
    "custom": COMMON | {"custom_topic"},
    "rewardavailable_create": COMMON | {"reward_coin_amount", "offer_id", "offer_name", "offer_description"},
}


@pytest.fixture
def ada(store: Store) -> Customer:
    """A customer of whom everything is known."""
    return factories.make_customer(
        store,
        external_id="1001",
        name="Ada",
        email="ada@example.com",
        mobile="+4915112345678",
        country="DE",
        birth_date=date(1990, 5, 17),
        referral_code="ADA10",
        referred_by_code="LEA10",
        consent_email=True,
    )


def settle(customer: Customer) -> None:
    entry, _ = customer.wallet.record(type="reward", operation="cr", amount=50, status="pending")
    entry.settle()


def redeem(customer: Customer) -> Coupon:
    factories.give_coins(customer, 100)
    coupon, _ = factories.make_offer(customer.store, name="5 off", coupon_days=30).redeem(customer)
    return coupon


def rename(customer: Customer) -> None:
    customer.name, customer.email = "Ada L.", "ada@lovelace.example"
    customer.save()


def reward(customer: Customer) -> None:
    factories.give_coins(
        customer, 50, source="order", title="Order 1042", reference="1042", expires_at=datetime(2036, 1, 1, tzinfo=UTC)
    )


def place(customer: Customer, **more: Any) -> Order:
    items: list[dict[str, Any]] = [
        {"product_id": "beans", "title": "Beans, 1 kg", "quantity": 2, "price": "19.95"},
        {"title": "Cup", "price": "10"},
    ]
    return Order.objects.place(
        store=customer.store, customer=customer, items=items, reference_order_id="1042", name="#1042", **more
    )


def review(customer: Customer) -> Review:
    return Review.objects.create(
        store=customer.store, customer=customer, rating=4, title="Good", reference_product_id="beans"
    )


def rise(customer: Customer) -> None:
    Store.objects.filter(pk=customer.store_id).update(tier_criterion="coins_earned", tier_months=12)
    Tier.objects.create(store=customer.store, name="Gold", threshold=500)
    factories.give_coins(customer, 500)


def bring(customer: Customer) -> Referral:
    """This customer brings a friend."""
    friend = factories.make_customer(customer.store, name="Lea", email="lea@example.com")
    return with_coupon(customer, friend)


def come(customer: Customer) -> Referral:
    """A friend brings this customer, who gets a discount."""
    return with_coupon(factories.make_customer(customer.store, name="Lea", email="lea@example.com"), customer)


def with_coupon(referrer: Customer, friend: Customer) -> Referral:
    referrer.store.referral_offer = factories.make_offer(referrer.store, name="5 off")
    referrer.store.referee_coins = 50
    return a_referral(referrer, friend)


def save_up(customer: Customer) -> None:
    factories.make_offer(customer.store, name="5 off")
    factories.give_coins(customer, 100)


def tell(customer: Customer) -> None:
    properties: dict[str, Any] = {"score": 8, "level": "hard", "passed": True, "ratio": 0.5, "coach": None}
    CustomEvent.objects.emit(store=customer.store, customer=customer, topic="quiz_finished", properties=properties)


# How each event comes about; a new event type adds its fact here.
FACTS: dict[str, Callable[[Customer], Any]] = {
    "lead_create": lambda customer: None,
    "lead_update": rename,
    "walletreward_create": reward,
    "wallettransaction_update": settle,
    "coupon_create": redeem,
    "coupon_update": lambda customer: redeem(customer).redeem(),
    "order_create": place,
    "order_update": lambda customer: place(customer).move(status="completed", financial_status="paid"),
    "review_create": review,
    "review_update": lambda customer: review(customer).feature(),
    "viptier_create": rise,
    "referral_create": bring,
    "referral_complete": lambda customer: bring(customer).complete(),
    "refereenotify_create": come,
    "referrernotify_create": lambda customer: bring(customer).complete(),
    "rewardavailable_create": save_up,
    "custom": tell,
}


def happened(key: str, customer: Customer) -> Occurrence:
    """The occurrence of this event, brought about by a real fact."""
    FACTS[key](customer)
    return Occurrence.objects.filter(event_key=key, customer=customer).latest("id")


def must_fit(kind: EventType, payload: dict[str, Any]) -> None:
    """Fail when the payload is not as the event's JSON Schema says, or says more than is described."""
    assert misfits(kind, payload) == []


class TestEveryEventType:
    def test_those_of_the_main_job_are_there(self) -> None:
        assert {key: kind.label for key, kind in event_types().items()}.items() >= LABELS.items()

    def test_each_comes_about_in_these_tests(self) -> None:
        assert sorted(FACTS) == KEYS

    @pytest.mark.parametrize("key", KEYS)
    def test_it_speaks_for_itself(self, key: str) -> None:
        kind = event_type(key)
        assert (kind.key, bool(kind.group)) == (key, True)
        assert all(word[0].isupper() for word in kind.label.split())
        assert kind.help.startswith("Fires when ")
        assert kind.help.endswith(".")
        assert all(field.label for field in kind.fields.values())

    @pytest.mark.parametrize("key", KEYS)
    def test_its_samples_are_of_their_fields_types(self, key: str) -> None:
        for field in event_type(key).fields.values():
            if not field.derive:
                Draft202012Validator(field.schema()).validate(field.sample)
                assert field.read({field.name: field.sample}) is not None, field.name

    @pytest.mark.parametrize("key", KEYS)
    def test_what_can_restrict_it_has_operators(self, key: str) -> None:
        restrictable = event_type(key).restrictable
        assert [name for name, field in restrictable.items() if not operators_for(field)] == []
        everywhere = {"user_tier", "user_type", "user_country", "user_wallet_balance"}
        assert everywhere | {"user_has_email", "user_has_mobile"} <= set(restrictable)

    @pytest.mark.parametrize("key", KEYS)
    def test_what_new_send_events_of_it_start_with_fits(self, key: str) -> None:
        kind = event_type(key)
        read = read_restrictions(kind, list(kind.initial_restrictions))
        assert [one.stored() for one in read] == list(kind.initial_restrictions)

    def test_a_reward_starts_as_its_label_says(self) -> None:
        kind = event_type("walletreward_create")
        assert [str(one) for one in read_restrictions(kind, list(kind.initial_restrictions))] == [
            "Wallet Transaction Types is one of Reward",
            "Wallet Transaction Operations is one of Credited",
        ]

    @pytest.mark.parametrize("key", sorted(NAMES))
    def test_it_carries_the_names_that_receivers_know(self, key: str) -> None:
        assert set(event_type(key).schema()["required"]) >= NAMES[key]

    def test_no_field_was_ever_renamed_or_removed(self) -> None:
        """What is new is added to the snapshot; what is there stays, with its type."""
        known = json.loads(SNAPSHOT.read_text())
        now = {key: {name: field["type"] for name, field in properties(key).items()} for key in KEYS}
        lost = [
            f"{key}: {name} ({kind})"
            for key, fields in known.items()
            for name, kind in fields.items()
            if now.get(key, {}).get(name) != kind
        ]
        assert lost == [], "receivers rely on these"
        assert now == known, f"add what is new to {SNAPSHOT.name}"


def properties(key: str) -> dict[str, Any]:
    found: dict[str, Any] = event_type(key).schema()["properties"]
    return found


@pytest.mark.django_db
class TestPayload:
    @pytest.mark.parametrize("key", KEYS)
    def test_a_real_one_is_as_its_schema_says(self, ada: Customer, key: str) -> None:
        payload = happened(key, ada).read_payload()
        must_fit(event_type(key), payload)

    @pytest.mark.parametrize("key", KEYS)
    def test_what_is_unknown_is_null_and_never_left_out(self, store: Store, key: str) -> None:
        payload = happened(key, factories.make_customer(store, email="", external_id="7")).read_payload()
        must_fit(event_type(key), payload)
        assert (payload["user_country"], payload["user_mobile"], payload["user_birth_date"]) == (None, None, None)

    @pytest.mark.parametrize("key", KEYS)
    def test_a_test_events_is_as_its_schema_says(self, ada: Customer, key: str) -> None:
        kind = event_type(key)
        payload = kind.sample(ada, event_id=uuid4(), occurred_at=datetime(2026, 11, 24, 10, 30, tzinfo=UTC))
        must_fit(kind, {**payload, "event_sequence": 1})
        assert (payload["user_email"], payload["event_is_test"]) == ("ada@example.com", True)
        assert payload["event_occurred_at"] == "2026-11-24T10:30:00+00:00"

    def test_a_test_event_about_the_customer_carries_nothing_made_up(self, ada: Customer) -> None:
        payload = event_type("lead_create").sample(ada, event_id=uuid4(), occurred_at=datetime.now(UTC))
        assert (payload["user_consent_email"], payload["user_consent_sms"], payload["user_tier"]) == (True, False, None)

    def test_the_common_fields(self, ada: Customer) -> None:
        occurrence = happened("walletreward_create", ada)
        payload = occurrence.read_payload()
        assert {name: payload[name] for name in sorted(COMMON)} == {
            "business_coin_name": "Beans",
            "business_currency_code": "EUR",
            "business_currency_symbol": "€",
            "business_name": "Bean House",
            "business_uri": "https://beans.example",
            "event_id": str(occurrence.event_id),
            "event_is_test": False,
            "event_key": "walletreward_create",
            "event_occurred_at": occurrence.occurred_at.isoformat(),
            "event_sequence": occurrence.pk,
            "nector_business_uri": "https://beans.example",
            "user_birth_date": "1990-05-17",
            "user_country": "DE",
            "user_customer_id": "1001",
            "user_email": "ada@example.com",
            "user_mobile": "+4915112345678",
            "user_name": "Ada",
            "user_referral_code": "ADA10",
            "user_referred_by_referral_code": "LEA10",
            "user_tier": None,
            "user_type": "customer",
            "user_wallet_balance": 50,
        }

    def test_the_rewards_page_is_told_where_the_store_has_one(self, store: Store, ada: Customer) -> None:
        store.rewards_page = "https://beans.example/rewards"
        store.save()
        ada.store = store
        factories.give_coins(ada, 5)
        assert Occurrence.objects.latest("id").payload["nector_business_uri"] == "https://beans.example/rewards"

    def test_a_reward(self, ada: Customer) -> None:
        payload = happened("walletreward_create", ada).payload
        entry = ada.wallet.transactions.get()
        assert {name: payload[name] for name in sorted(WALLET)} == {
            "wallettransaction_amount": 50,
            "wallettransaction_balance_after": 50,
            "wallettransaction_created_at": entry.created_at.isoformat(),
            "wallettransaction_description": None,
            "wallettransaction_expires_at": "2036-01-01T00:00:00+00:00",
            "wallettransaction_id": str(entry.pk),
            "wallettransaction_operation": "cr",
            "wallettransaction_reference": "1042",
            "wallettransaction_source": "order",
            "wallettransaction_status": "success",
            "wallettransaction_title": "Order 1042",
            "wallettransaction_type": "reward",
        }

    def test_a_coupon(self, ada: Customer) -> None:
        payload = happened("coupon_create", ada).payload
        coupon = ada.coupons.get()
        assert coupon.expires_at
        assert coupon.offer
        assert {name: payload[name] for name in sorted(COUPON)} == {
            "coupon_code": coupon.code,
            "coupon_coin_amount": 100,
            "coupon_expires_at": coupon.expires_at.isoformat(),
            "coupon_id": str(coupon.pk),
            "coupon_minimum_order": "0.00",
            "coupon_redirect_link": None,
            "coupon_source": "nector",
            "coupon_status": "issued",
            "coupon_type": "private",
            "coupon_value": "5.00",
            "coupon_value_type": "amount",
            "offer_description": None,
            "offer_id": str(coupon.offer.pk),
            "offer_name": "5 off",
        }
        assert payload["user_wallet_balance"] == 0

    def test_an_order(self, ada: Customer) -> None:
        payload = happened("order_create", ada).payload
        order = ada.orders.get()
        assert {name: payload[name] for name in sorted(ORDER)} == {
            "order_amount": "49.90",
            "order_created_at": order.created_at.isoformat(),
            "order_currency_code": "EUR",
            "order_delivery_status": "pending",
            "order_financial_status": "pending",
            "order_id": str(order.pk),
            "order_item_count": 3,
            "order_items": [
                {"product_id": "beans", "title": "Beans, 1 kg", "quantity": 2, "price": "19.95"},
                {"product_id": None, "title": "Cup", "quantity": 1, "price": "10.00"},
            ],
            "order_name": "#1042",
            "order_reference_order_id": "1042",
            "order_status": "pending",
        }

    def test_an_update_of_an_order_tells_what_changed(self, ada: Customer) -> None:
        payload = happened("order_update", ada).payload
        assert payload["changed_fields"] == ["order_status", "order_financial_status"]
        assert (payload["order_status"], payload["previous_order_status"]) == ("completed", "pending")

    def test_changed_items_are_told_with_those_before(self, ada: Customer) -> None:
        place(ada).write(items=[{"title": "Cup", "price": "10"}])
        payload = Occurrence.objects.get(event_key="order_update").payload
        assert payload["changed_fields"] == ["order_item_count", "order_items"]
        assert (payload["order_item_count"], payload["previous_order_item_count"]) == (1, 3)
        assert [item["title"] for item in payload["previous_order_items"]] == ["Beans, 1 kg", "Cup"]

    def test_a_review(self, ada: Customer) -> None:
        payload = happened("review_update", ada).payload
        assert {name: payload[name] for name in sorted(REVIEW)} == {
            "review_description": None,
            "review_id": str(ada.reviews.get().pk),
            "review_is_featured": True,
            "review_is_verified": False,
            "review_rating": 4,
            "review_reference_product_id": "beans",
            "review_reference_product_source": None,
            "review_title": "Good",
        }
        assert (payload["changed_fields"], payload["previous_review_is_featured"]) == (["review_is_featured"], False)

    def test_a_tier(self, ada: Customer) -> None:
        payload = happened("viptier_create", ada).payload
        ada.refresh_from_db()
        assert ada.tier_expires_at
        assert (payload["tier_name"], payload["tier_previous_name"], payload["tier_direction"]) == ("Gold", None, "up")
        assert payload["tier_expires_at"] == ada.tier_expires_at.isoformat()
        assert payload["user_tier"] == "Gold"

    def test_a_referral(self, ada: Customer) -> None:
        payload = happened("referral_complete", ada).payload
        referral = ada.referrals.get()
        assert referral.coupon
        assert {name: payload[name] for name in sorted(REFERRAL)} == {
            "referee_email": "lea@example.com",
            "referee_mobile": None,
            "referee_name": "Lea",
            "referee_referral_code": None,
            "referral_coupon_code": referral.coupon.code,
            "referral_id": str(referral.pk),
            "referral_link": "https://beans.example/?ref=ADA10",
            "referral_reward_amount": 200,
            "referral_status": "completed",
            "referrer_email": "ada@example.com",
            "referrer_mobile": "+4915112345678",
            "referrer_name": "Ada",
            "referrer_referral_code": "ADA10",
        }
        assert payload["user_wallet_balance"] == 200

    def test_an_update_of_a_customer_tells_what_changed(self, ada: Customer) -> None:
        payload = happened("lead_update", ada).payload
        assert sorted(payload["changed_fields"]) == ["user_email", "user_name"]
        assert (payload["user_name"], payload["previous_user_name"]) == ("Ada L.", "Ada")
        assert (payload["user_email"], payload["previous_user_email"]) == ("ada@lovelace.example", "ada@example.com")
        assert sorted(name for name in payload if name.startswith("previous_")) == [
            "previous_user_email",
            "previous_user_name",
        ]

    def test_an_update_of_a_coupon_tells_what_changed(self, ada: Customer) -> None:
        payload = happened("coupon_update", ada).payload
        assert payload["changed_fields"] == ["coupon_status"]
        assert (payload["coupon_status"], payload["previous_coupon_status"]) == ("redeemed", "issued")


class TestMisfits:
    """What fails a test whose payload does not fit (`tests/payloads.py`)."""

    def test_they_are_told(self) -> None:
        kind = event_type("order_create")
        payload = {field.name: field.sample for field in kind.fields.values() if not field.derive}
        assert misfits(kind, payload) == []
        del payload["order_name"]
        items = [{"title": "Cup", "quantity": 1, "price": "1.00"}]
        assert misfits(kind, {**payload, "order_status": "shipped", "order_items": items, "order_colour": "red"}) == [
            "order_create: $.order_status 'shipped' is not one of "
            "['pending', 'processing', 'completed', 'cancelled', 'refunded', 'unknown']",
            "order_create: $.order_items[0] 'product_id' is a required property",
            "order_create: $ 'order_name' is a required property",
            "order_create: order_colour is not described",
        ]


class TestEventTypeByKey:
    def test_nectors_own_spelling_is_understood(self) -> None:
        assert event_type("wallettrasaction_update") is event_type("wallettransaction_update")

    def test_an_unknown_key_is_met_by_those_that_there_are(self) -> None:
        with pytest.raises(UnknownEventType) as raised:
            event_type("order_shipped")
        assert str(raised.value) == (
            f"There is no event with the key “order_shipped”. The events are: {', '.join(event_types())}."
        )

    def test_only_facts_of_its_model_bring_it_about(self) -> None:
        kinds = catalogue.event_types_of(Coupon)
        assert [kind.key for kind in kinds] == ["coupon_create", "coupon_update"]
        assert catalogue.event_types_of(Store) == ()


class TestChoices:
    def test_they_are_key_and_label_of_each(self) -> None:
        assert dict(catalogue.choices()).items() >= LABELS.items()
        assert Subscription(event_key="coupon_create").get_event_key_display() == "Coupon Is Created"


TRIAL = '''
"""Events about trials."""

from customers.models import Customer
from events.catalogue import created, declare
from events.fields import Field, Kind


@declare(
    key="trial_create",
    label="Trial Begins",
    group="Trials",
    model=Customer,
    when=created,
    customer=lambda customer: customer,
    fields=(Field(name="trial_days", kind=Kind.INTEGER, label="Trial days", sample=14, nullable=False),),
)
def trial_create(customer):
    """Fires when a customer begins a trial."""
    return {"trial_days": 14 if customer.country == "DE" else 7}
'''


@pytest.fixture
def trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EventType]:
    """A new event type, by one file in a directory that counts as `events/types/` for as long as the test runs."""
    (tmp_path / "trials.py").write_text(TRIAL)
    monkeypatch.setattr(types, "__path__", [*types.__path__, str(tmp_path)])
    with own_registry():
        yield event_type("trial_create")
        del sys.modules["events.types.trials"]
        vars(types).pop("trials")
        monkeypatch.undo()


class TestANewEventTypeInOneFile:
    def test_it_has_everything_that_the_others_have(self, trial: EventType) -> None:
        assert (trial.label, trial.help) == ("Trial Begins", "Fires when a customer begins a trial.")
        assert ("trial_create", "Trial Begins") in catalogue.choices()
        assert trial.schema()["properties"]["trial_days"] == {"type": "integer", "title": "Trial days"}
        assert next(iter(trial.restrictable)) == "trial_days"

    @pytest.mark.django_db
    def test_it_needs_no_migration(self, trial: EventType) -> None:
        call_command("makemigrations", "events", check=True, dry_run=True, verbosity=0)  # exits when there is one

    @pytest.mark.django_db(transaction=True)
    def test_it_is_recorded_restricted_sent_and_logged(
        self, trial: EventType, store: Store, integration: Integration, receiver: Receiver
    ) -> None:
        subscription = Subscription(
            store=store,
            integration=integration,
            event_key="trial_create",
            restrictions=[{"field": "trial_days", "operator": "at_least", "value": "10"}],
        )
        subscription.full_clean()
        subscription.save()
        factories.make_customer(store, country="IN")
        customer = factories.make_customer(store, country="DE")
        assert Occurrence.objects.filter(event_key="trial_create").count() == 2
        sending.deliver()
        (request,) = receiver.got
        assert request.json()["type"] == "trial_create"
        must_fit(trial, request.json()["data"])
        assert (request.json()["data"]["trial_days"], request.json()["data"]["user_email"]) == (14, customer.email)
        assert Delivery.objects.get().status == "sent"


class TestDeclare:
    @pytest.fixture(autouse=True)
    def nothing_stays(self) -> Iterator[None]:
        with own_registry():
            event_types()
            yield

    @staticmethod
    def declare(key: str, build: Callable[[Any], dict[str, Any]]) -> None:
        catalogue.declare(
            key=key,
            label="Nothing",
            group="Nothing",
            model=Customer,
            when=catalogue.created,
            customer=lambda customer: customer,
            fields=(),
        )(build)

    def test_a_key_is_declared_once(self) -> None:
        def build(_: Any) -> dict[str, Any]:
            """Fires never."""
            return {}

        with pytest.raises(TypeError, match=r"^The event lead_create is declared twice\.$"):
            self.declare("lead_create", build)

    def test_a_docstring_is_needed(self) -> None:
        with pytest.raises(TypeError, match=r"^The event nothing_create needs a docstring: it is what admins read\.$"):
            self.declare("nothing_create", lambda _: {})
