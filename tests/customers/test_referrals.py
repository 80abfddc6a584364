"""Referrals: who brings whom, what both get, and that each friend counts once."""

import json
from collections import Counter
from functools import partial
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from customers.facts import Fact
from customers.models import Coupon, Customer, Offer, Order, Referral, Store, Tier, Wallet, WalletTransaction
from customers.models.coins import MOST_COINS
from customers.refusals import Conflict, Refused
from events.models import Occurrence
from tests import factories
from tests.api_fixtures import a_referral, an_order, refusal
from tests.concurrency import at_once, processes_at_once

REFERRALS = "/api/v1/referrals/"


@pytest.fixture
def store(store: Store) -> Store:
    """With referrals: 200 coins, 50 for the friend."""
    store.referrer_coins, store.referee_coins = 200, 50
    store.save()
    return store


@pytest.fixture
def customer(customer: Customer) -> Customer:
    customer.referral_code = "ADA10"
    customer.save()
    return customer


@pytest.fixture
def friend(store: Store) -> Customer:
    return factories.make_customer(store, name="Lea", email="lea@example.com")


def start(store: Store, friend: Customer, code: str = "ADA10") -> Referral:
    return Referral.objects.start(
        store=Store.objects.get(pk=store.pk), referee=Customer.objects.get(pk=friend.pk), referral_code=code
    )


def coins(*customers: Customer) -> list[int]:
    return [Wallet.objects.get(customer=customer).balance for customer in customers]


def keys() -> list[str]:
    rows = Occurrence.objects.exclude(event_key__in=["lead_create", "lead_update"]).order_by("id")
    return [*rows.values_list("event_key", flat=True)]


def buy(customer: Customer, **more: Any) -> Order:
    facts: dict[str, Any] = {"status": "completed", **more}
    return an_order(Customer.objects.select_related("store").get(pk=customer.pk), **facts)


@pytest.mark.django_db
class TestStart:
    def test_it_names_both_and_is_told_once(self, store: Store, customer: Customer, friend: Customer) -> None:
        referral = start(store, friend, " ADA10 ")
        assert (referral.referrer, referral.referee, referral.status) == (customer, friend, "started")
        assert (referral.coupon, referral.reward_amount, str(referral)) == (None, None, "Ada → Lea")
        assert Customer.objects.get(pk=friend.pk).referred_by_code == "ADA10"
        assert keys() == ["referral_create"]

    def test_the_friend_gets_the_stores_coupon(
        self, store: Store, customer: Customer, friend: Customer, offer: Offer, heard: list[list[Fact]]
    ) -> None:
        store.referral_offer = offer
        store.save()
        referral = start(store, friend)
        coupon = Coupon.objects.get(customer=friend)
        assert referral.coupon == coupon
        assert (coupon.offer, f"{coupon.value:.2f}", coupon.coin_amount) == (offer, "5.00", 0)
        told = Occurrence.objects.get(event_key="refereenotify_create")
        assert (told.customer, told.payload["referral_coupon_code"]) == (friend, coupon.code)
        # One announcement: the friend's code, the coupon and the referral are one thing that happened.
        assert [type(fact.instance).__name__ for fact in heard[-1]] == ["Customer", "Coupon", "Referral"]

    def test_an_offer_that_is_off_gives_nothing(
        self, store: Store, customer: Customer, friend: Customer, offer: Offer
    ) -> None:
        offer.enabled = False
        offer.save()
        Store.objects.filter(pk=store.pk).update(referral_offer=offer)
        assert start(store, friend).coupon is None
        assert keys() == ["referral_create"]

    @pytest.mark.parametrize(
        ("code", "sentence"),
        [
            ("NOBODY", "No customer of this store has the referral code NOBODY."),
            ("", "No customer of this store has the referral code ."),
            ("LEA10", "Nobody can bring themselves: this is the customer's own code."),
        ],
    )
    def test_a_code_that_cannot_be(
        self, store: Store, customer: Customer, friend: Customer, code: str, sentence: str
    ) -> None:
        friend.referral_code = "LEA10"
        friend.save()
        with pytest.raises(Refused) as raised:
            start(store, friend, code)
        assert str(raised.value) == sentence
        assert not Referral.objects.exists()

    def test_a_code_of_another_store_is_none(self, store: Store, friend: Customer, other_store: Store) -> None:
        factories.make_customer(other_store, referral_code="TEA10")
        with pytest.raises(Refused):
            start(store, friend, "TEA10")

    def test_a_store_without_the_setting_has_none(self, store: Store, customer: Customer, friend: Customer) -> None:
        Store.objects.filter(pk=store.pk).update(referrer_coins=None)
        with pytest.raises(Refused) as raised:
            start(store, friend)
        assert str(raised.value) == "There are no referrals in this store: set what they are worth."

    def test_a_friend_is_brought_once(self, store: Store, customer: Customer, friend: Customer) -> None:
        start(store, friend)
        factories.make_customer(store, referral_code="EVE10")
        with pytest.raises(Conflict) as raised:
            start(store, friend, "EVE10")
        assert str(raised.value) == "Lea was brought by Ada already."

    def test_the_offer_is_one_of_the_stores(self, store: Store, other_store: Store) -> None:
        store.referral_offer = factories.make_offer(other_store)
        with pytest.raises(ValidationError) as raised:
            store.full_clean()
        assert raised.value.message_dict == {"referral_offer": ["This offer is not one of this store's."]}


@pytest.mark.django_db
class TestComplete:
    def test_both_get_their_coins_and_the_referrer_hears_of_it(
        self, store: Store, customer: Customer, friend: Customer, heard: list[list[Fact]]
    ) -> None:
        referral = start(store, friend)
        heard.clear()
        referral.complete()
        assert coins(customer, friend) == [200, 50]
        entries = WalletTransaction.objects.order_by("-amount").values_list("source", "type", "title")
        assert [*entries] == [("referral", "reward", "Brought Lea"), ("referral", "reward", "Brought by Ada")]
        stored = Referral.objects.get()
        assert (stored.status, stored.reward_amount) == ("completed", 200)
        assert stored.completed_at
        assert len(heard) == 1
        assert sorted(keys()) == [
            *("referral_complete", "referral_create", "referrernotify_create"),
            *("walletreward_create", "walletreward_create"),
        ]
        told = Occurrence.objects.get(event_key="referrernotify_create")
        assert (told.customer, told.payload["user_wallet_balance"]) == (customer, 200)

    def test_it_tells_the_tier_that_its_coins_brought(self, store: Store, customer: Customer, friend: Customer) -> None:
        Store.objects.filter(pk=store.pk).update(tier_criterion="coins_earned")
        Tier.objects.create(store=store, name="Gold", threshold=200)
        start(store, friend).complete()
        assert Occurrence.objects.get(event_key="referral_complete").payload["user_tier"] == "Gold"

    def test_a_second_time_is_a_conflict(self, store: Store, customer: Customer, friend: Customer) -> None:
        referral = start(store, friend)
        stale = Referral.objects.get()
        referral.complete()
        with pytest.raises(Conflict) as raised:
            stale.complete()
        assert str(raised.value) == "This referral is already completed."
        assert coins(customer, friend) == [200, 50]

    def test_a_save_never_brings_it_back(self, store: Store, customer: Customer, friend: Customer) -> None:
        referral = start(store, friend)
        stale = Referral.objects.get()
        referral.complete()
        stale.completed_at = None
        with pytest.raises(Conflict):
            stale.save()

    def test_without_the_setting_it_is_refused(self, store: Store, customer: Customer, friend: Customer) -> None:
        start(store, friend)
        Store.objects.filter(pk=store.pk).update(referrer_coins=None)
        with pytest.raises(Refused):
            Referral.objects.get().complete()
        assert Referral.objects.get().status == "started"

    def test_what_a_full_wallet_cannot_hold_is_left_out(
        self, store: Store, customer: Customer, friend: Customer
    ) -> None:
        factories.give_coins(customer, MOST_COINS - 30)
        start(store, friend).complete()
        assert coins(customer, friend) == [MOST_COINS, 50]
        assert Referral.objects.get().reward_amount == 30

    def test_one_that_fails_rewards_nobody(
        self, store: Store, customer: Customer, friend: Customer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        referral = start(store, friend)
        monkeypatch.setattr(Referral, "save", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            referral.complete()
        assert coins(customer, friend) == [0, 0]


@pytest.mark.django_db
class TestByAnOrder:
    @pytest.mark.parametrize("said", [{"status": "completed"}, {"status": "pending", "financial_status": "paid"}])
    def test_the_friends_first_order_completes_it(
        self, store: Store, customer: Customer, friend: Customer, said: dict[str, str]
    ) -> None:
        start(store, friend)
        buy(friend, **said)
        assert coins(customer, friend) == [200, 50]
        buy(friend, reference_order_id="7", **said)
        assert coins(customer, friend) == [200, 50]
        assert keys()[:2] == ["referral_create", "order_create"]

    def test_one_that_is_paid_later_completes_it_then(self, store: Store, customer: Customer, friend: Customer) -> None:
        start(store, friend)
        order = buy(friend, status="pending")
        assert coins(customer, friend) == [0, 0]
        order.move(financial_status="paid")
        assert coins(customer, friend) == [200, 50]

    @pytest.mark.parametrize("said", [{"status": "cancelled"}, {"status": "pending"}, {"currency": "USD"}])
    def test_one_that_does_not_count_does_not(
        self, store: Store, customer: Customer, friend: Customer, said: dict[str, str]
    ) -> None:
        start(store, friend)
        buy(friend, **said)
        assert Referral.objects.get().status == "started"

    def test_somebody_elses_does_not(self, store: Store, customer: Customer, friend: Customer) -> None:
        start(store, friend)
        buy(customer)
        assert Referral.objects.get().status == "started"

    def test_a_full_wallet_does_not_keep_the_order_from_being_recorded(
        self, store: Store, customer: Customer, friend: Customer
    ) -> None:
        factories.give_coins(customer, MOST_COINS)
        start(store, friend)
        buy(friend)
        assert Referral.objects.get().reward_amount == 0
        assert coins(customer, friend) == [MOST_COINS, 50]

    def test_a_store_that_has_no_referrals_any_more_records_it(
        self, store: Store, customer: Customer, friend: Customer
    ) -> None:
        start(store, friend)
        order = Order(store=store, customer=friend, reference_order_id="1", status="completed", amount=10)
        Store.objects.filter(pk=store.pk).update(referrer_coins=None)  # which the order does not know yet
        order.write()
        assert Referral.objects.get().status == "started"

    def test_an_import_completes_it_silently(self, store: Store, customer: Customer, friend: Customer) -> None:
        start(store, friend)
        buy(friend, silent=True)
        assert coins(customer, friend) == [200, 50]
        assert set(Occurrence.objects.filter(event_key="referral_complete").values_list("silent", flat=True)) == {True}

    def test_an_order_costs_one_query_more_where_nobody_was_brought(self, store: Store, friend: Customer) -> None:
        with CaptureQueriesContext(connection) as with_referrals:
            buy(friend)
        Store.objects.filter(pk=store.pk).update(referrer_coins=None)
        with CaptureQueriesContext(connection) as without:
            buy(friend, reference_order_id="7")
        assert len(with_referrals) - len(without) == 2


@pytest.mark.django_db
class TestLink:
    @pytest.mark.parametrize(
        ("page", "link"),
        [
            ("https://beans.example", "https://beans.example/?ref=ADA10"),
            ("https://beans.example/rewards?lang=de", "https://beans.example/rewards?lang=de&ref=ADA10"),
            ("", None),
        ],
    )
    def test_it_leads_to_the_stores_page(
        self, store: Store, customer: Customer, friend: Customer, page: str, link: str | None
    ) -> None:
        store.rewards_page, store.website = page, ""
        store.save()
        assert start(store, friend).link == link


@pytest.mark.django_db
class TestDeletion:
    @pytest.mark.parametrize("who", ["referrer", "referee"])
    def test_it_goes_with_each_of_its_people(
        self, store: Store, customer: Customer, friend: Customer, who: str
    ) -> None:
        referral = start(store, friend)
        getattr(referral, who).delete()
        assert not Referral.objects.exists()
        assert Customer.objects.count() == 1

    def test_it_outlives_its_coupon_and_the_store_its_offer(
        self, store: Store, customer: Customer, friend: Customer, offer: Offer
    ) -> None:
        store.referral_offer = offer
        store.save()
        referral = start(store, friend)
        assert referral.coupon
        referral.coupon.delete()
        offer.delete()
        assert Referral.objects.get().coupon is None
        assert Store.objects.get(pk=store.pk).referral_offer is None

    def test_a_store_goes_with_all_of_it(
        self, store: Store, customer: Customer, friend: Customer, offer: Offer
    ) -> None:
        Store.objects.filter(pk=store.pk).update(referral_offer=offer)
        start(store, friend)
        Store.objects.get(pk=store.pk).delete()
        assert not Referral.objects.exists()


PROGRAM = """
import json
from customers.models import Order, Referral
from customers.refusals import Conflict

how, key = sys.argv[1:]
referral = Referral.objects.select_related("store", "referee").get(pk=key)
ready()
try:
    if how == "by hand":
        referral.complete()
    else:
        Order.objects.place(
            store=referral.store, customer=referral.referee, reference_order_id=how, amount=10, status="completed"
        )
    print(json.dumps("done"))
except Conflict as conflict:
    print(json.dumps(str(conflict)))
"""


@pytest.mark.django_db(transaction=True)
class TestAtOnce:
    def test_completed_by_several_processes_exactly_one_wins(
        self, store: Store, customer: Customer, friend: Customer
    ) -> None:
        referral = start(store, friend)
        told = processes_at_once(PROGRAM, [["by hand", str(referral.pk)]] * 4)
        assert Counter(map(json.loads, told)) == {"done": 1, "This referral is already completed.": 3}
        assert coins(customer, friend) == [200, 50]
        assert Occurrence.objects.filter(event_key="referral_complete").count() == 1

    def test_orders_and_somebody_at_once_reward_once(self, store: Store, customer: Customer, friend: Customer) -> None:
        referral = start(store, friend)
        told = processes_at_once(PROGRAM, [[how, str(referral.pk)] for how in ("by hand", "1", "2", "by hand")])
        assert [json.loads(told[1]), json.loads(told[2]), Order.objects.count()] == ["done", "done", 2]
        assert coins(customer, friend) == [200, 50]
        assert Occurrence.objects.filter(event_key="referral_complete").count() == 1

    def test_started_several_times_at_once_exactly_one_wins(
        self, store: Store, customer: Customer, friend: Customer, offer: Offer
    ) -> None:
        Store.objects.filter(pk=store.pk).update(referral_offer=offer)
        done = at_once(*[partial(start, store, friend)] * 6)
        assert Counter(type(end).__name__ for end in done) == {"Referral": 1, "Conflict": 5}
        assert {str(end) for end in done} == {"Ada → Lea", "Lea was brought by Ada already."}
        assert Coupon.objects.count() == 1

    def test_who_brought_each_other_are_both_rewarded(self, store: Store, customer: Customer, friend: Customer) -> None:
        friend.referral_code = "LEA10"
        friend.save()
        referrals = [start(store, friend), start(store, customer, "LEA10")]
        assert at_once(*(referral.complete for referral in referrals)) == [None, None]
        assert coins(customer, friend) == [250, 250]


@pytest.mark.django_db
class TestApi:
    def test_one_is_started_and_completed(self, api: APIClient, customer: Customer, friend: Customer) -> None:
        answer = api.post(REFERRALS, {"customer_email": "lea@example.com", "referral_code": "ADA10"})
        referral = Referral.objects.get()
        assert answer.status_code == 201
        assert answer.json() == {
            "id": str(referral.pk),
            "referrer": str(customer.pk),
            "referee": str(friend.pk),
            "status": "started",
            "coupon": None,
            "reward_amount": None,
            "completed_at": None,
            "created_at": referral.created_at.isoformat().replace("+00:00", "Z"),
        }
        done = api.post(f"{REFERRALS}{referral.pk}/complete/").json()
        assert (done["status"], done["reward_amount"]) == ("completed", 200)
        assert done == api.get(f"{REFERRALS}{referral.pk}/").json()
        assert refusal(api.post(f"{REFERRALS}{referral.pk}/complete/"), 409) == (
            "status",
            "not_started",
            "This referral is already completed.",
        )

    @pytest.mark.parametrize(
        ("body", "said"),
        [
            ({"referral_code": "NO"}, "No customer of this store has the referral code NO."),
            ({"referral_code": ""}, "This field may not be blank."),
            ({"referral_code": "x" * 41}, "Ensure this field has no more than 40 characters."),
            ({}, "This field is required."),
        ],
    )
    def test_what_is_wrong_is_told_at_its_field(
        self, api: APIClient, customer: Customer, friend: Customer, body: dict[str, str], said: str
    ) -> None:
        answer = api.post(REFERRALS, {"customer_email": "lea@example.com", **body})
        assert refusal(answer)[::2] == ("referral_code", said)

    def test_a_friend_who_was_brought_before_is_a_conflict(
        self, api: APIClient, customer: Customer, friend: Customer
    ) -> None:
        body = {"customer_email": "lea@example.com", "referral_code": "ADA10"}
        api.post(REFERRALS, body)
        sentence = "Lea was brought by Ada already."
        assert refusal(api.post(REFERRALS, body), 409) == ("customer", "already_referred", sentence)

    def test_the_same_key_starts_and_completes_once(self, api: APIClient, customer: Customer, friend: Customer) -> None:
        body = {"customer_email": "lea@example.com", "referral_code": "ADA10"}
        first, again = (api.post(REFERRALS, body, headers={"Idempotency-Key": "r-1"}) for _ in range(2))
        assert (first.status_code, again.status_code, first.json()) == (201, 201, json.loads(again.content))
        path = f"{REFERRALS}{first.json()['id']}/complete/"
        done, again = (api.post(path, headers={"Idempotency-Key": "r-2"}) for _ in range(2))
        assert (done.status_code, again.status_code, done.json()) == (200, 200, json.loads(again.content))
        assert coins(customer, friend) == [200, 50]

    @pytest.mark.parametrize("name", ["referrer", "referee", "status"])
    def test_they_are_found_by(
        self, api: APIClient, store: Store, customer: Customer, friend: Customer, name: str
    ) -> None:
        found = start(store, friend)
        found.complete()
        a_referral(factories.make_customer(store))
        wanted = {"referrer": str(customer.pk), "referee": str(friend.pk), "status": "completed"}[name]
        assert [row["id"] for row in api.get(REFERRALS, {name: wanted}).json()["results"]] == [str(found.pk)]

    @pytest.mark.parametrize("rows", [1, 10])
    def test_a_list_takes_three_queries(
        self, api: APIClient, store: Store, customer: Customer, django_assert_num_queries: Any, rows: int
    ) -> None:
        for _ in range(rows):
            start(store, factories.make_customer(store))
        with django_assert_num_queries(3):
            assert len(api.get(REFERRALS).json()["results"]) == rows

    def test_completing_takes_the_same_queries_whatever_was_before(
        self, store: Store, customer: Customer, friend: Customer
    ) -> None:
        def queries(friend: Customer) -> int:
            referral = start(store, friend)
            with CaptureQueriesContext(connection) as captured:
                referral.complete()
            return len(captured)

        first = queries(friend)
        for _ in range(5):
            start(store, factories.make_customer(store)).complete()
        assert queries(factories.make_customer(store)) == first
