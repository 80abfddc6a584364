"""Bulk calls: what a list of items brings about is what the same items would, one call after the other."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from customers.models import Customer, KeptAnswer, Store, Tier, Wallet, WalletTransaction
from customers.models.customer import CustomerQuerySet
from customers.models.many import PAGE
from customers.models.recording import RecordingQuerySet
from events import outbox
from events.models import Delivery, Occurrence
from tests.api_fixtures import app_of, problem, refusal
from tests.factories import make_customer, make_integration, make_offer, make_store, make_subscription

pytestmark = pytest.mark.django_db

CUSTOMERS = "/api/v1/customers/"
TRANSACTIONS = "/api/v1/wallet-transactions/"
EMPTY = "This list may not be empty."
TOO_MANY = "Ensure this field has no more than 1000 elements."


def bulk(api: APIClient, address: str, items: Any, **headers: Any) -> Any:
    """The answer to these items, after a look at its numbers."""
    response = api.post(f"{address}bulk/", {"items": items}, **headers)
    assert response.status_code == 200, response.content[:2000]
    answer = response.json()
    assert list(answer) == ["created", "repeated", "refused", "results"]
    results = answer["results"]
    assert [result["index"] for result in results] == [*range(len(items))]
    statuses = [result["status"] for result in results]
    assert answer["created"] == statuses.count(201)
    assert answer["repeated"] == statuses.count(200)
    assert answer["refused"] == len(items) - answer["created"] - answer["repeated"]
    for result in results:
        assert list(result) == ["index", "status", "data" if result["status"] < 400 else "problem"]
    return answer


def statuses(api: APIClient, address: str, items: Any) -> list[int]:
    return [result["status"] for result in bulk(api, address, items)["results"]]


def reward(who: str = "ada@example.com", amount: Any = 10, **more: Any) -> dict[str, Any]:
    return {"customer_email": who, "type": "reward", "operation": "cr", "amount": amount, **more}


def redeem(who: str = "ada@example.com", amount: Any = 10, **more: Any) -> dict[str, Any]:
    return {**reward(who, amount, **more), "type": "redeem", "operation": "dr"}


# --- Two stores alike: in one of them the items come one by one, in the other all at once -----------------------------

OWN = {"id", "customer", "created_at", "effective_at", "instance"}  # what no two of them have alike


def alike(answer: Any) -> Any:
    return {name: value for name, value in answer.items() if name not in OWN}


def one_by_one(api: APIClient, address: str, items: Any) -> list[tuple[int, Any]]:
    responses = [api.post(address, item) for item in items]
    return [(response.status_code, alike(response.json())) for response in responses]


def all_at_once(api: APIClient, address: str, items: Any) -> list[tuple[int, Any]]:
    results = bulk(api, address, items)["results"]
    return [(result["status"], alike(result.get("data") or result["problem"])) for result in results]


def left_behind(store: Store) -> dict[str, Any]:
    """All that the calls left in this store."""
    customers = Customer.objects.filter(store=store).order_by("pk")
    entries = WalletTransaction.objects.filter(store=store).order_by("pk")
    occurrences = Occurrence.objects.filter(store=store).order_by("pk")
    return {
        "customers": [*customers.values("external_id", "email", "mobile", "name", "referral_code", "tier")],
        "balances": [*customers.values_list("wallet__balance", flat=True)],
        "entries": [
            *entries.values(
                *("wallet__customer__email", "type", "operation", "amount", "status", "source", "reference", "title"),
                *("description", "expires_at", "balance_after", "remaining"),
            )
        ],
        # In the order of each key: a reward that is in reach is told after all entries of its hundred.
        "told": sorted(
            [(row.event_key, row.silent, row.error, _told(row.payload)) for row in occurrences], key=lambda row: row[0]
        ),
        "deliveries": [
            (row.event_key, row.event_name, row.label, row.status, _told(row.occurrence.payload))
            for row in Delivery.objects.filter(store=store).select_related("occurrence").order_by("event_key", "pk")
        ],
    }


def _told(payload: dict[str, Any]) -> dict[str, Any]:
    own = ("event_id", "event_occurred_at", "business_name", "_id", "_created_at")
    return {name: value for name, value in payload.items() if not name.endswith(own) or name == "user_customer_id"}


def make_world(name: str) -> Store:
    """A store with three customers, a send event for each thing that is told here, and a reward to reach."""
    store = make_store(name=name)
    tool = make_integration(store, name="Shop hook")
    for key in ("lead_create", "walletreward_create", "rewardavailable_create"):
        make_subscription(tool, key)
    many = {"field": "wallettransaction_amount", "operator": "at_least", "value": 20}
    make_subscription(tool, "walletreward_create", many)
    make_offer(store, price=40, name="5 off")
    for number in range(3):
        make_customer(store, email=f"{number}@example.com", external_id=str(number), name=f"Customer {number}")
    return store


def same(address: str, items: list[Any]) -> list[tuple[int, Any]]:
    """Send these items both ways, see that it makes no difference, and return the answers."""
    single, many = make_store(), make_store()
    single, many = make_world(f"{single} singly"), make_world(f"{many} at once")
    expected = one_by_one(app_of(single), address, items)
    found = all_at_once(app_of(many), address, items)
    assert found == expected
    assert left_behind(many) == left_behind(single)
    return found


AMOUNTS = st.integers(1, 60)
KINDS = st.sampled_from([("reward", "cr"), ("reward", "cr"), ("redeem", "dr"), ("adjust", "dr"), ("revert", "cr")])
NAMES: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [
        {"customer_email": "0@example.com"},
        {"customer_email": " 1@EXAMPLE.com"},
        {"customer_external_id": "1"},
        {"customer_external_id": 2},
        {"customer_email": "nobody@example.com"},
        {"customer_mobile": "12"},
        {"customer": "01932c5e-8f3a-7c11-9d1b-2f6f8a4f0c12"},
        {"customer": "x"},
        {},
        {"customer_external_id": "1", "customer_email": "1@example.com"},
    ]
)
WRONG: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [{"amount": 0}, {"amount": "many"}, {"type": "gift"}, {"operation": "dr"}, {"coins": 5}, {"title": "x" * 121}]
)


@st.composite
def entries(draw: st.DrawFn) -> Any:
    kind, operation = draw(KINDS)
    item = {**draw(NAMES), "type": kind, "operation": operation, "amount": draw(AMOUNTS)}
    if reference := draw(st.none() | st.sampled_from(["a", "b", " a", "c", ""])):
        item["reference"] = reference
        item["amount"] = draw(st.sampled_from([10, 10, 20]))  # so that some say the same again
    if draw(st.integers(0, 5)) == 0:
        item["status"] = "pending"
    return item | (draw(WRONG) if draw(st.integers(0, 7)) == 0 else {})


people = st.fixed_dictionaries(
    {},
    optional={
        "external_id": st.sampled_from(["1", " 7", "7", "8", "", None]),
        "email": st.sampled_from(["0@example.com", "NEW@example.com", "new@example.com", "not one", None]),
        "mobile": st.sampled_from(["01511 2345678", "+4915112345678", "1", ""]),
        "referral_code": st.sampled_from(["ADA10", " ADA10", ""]),
        "country": st.sampled_from(["DE", "XX"]),
        "balance": st.just(5),
        "name": st.just("Asha"),
    },
)
SEVERAL = settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


class TestSameAsOneByOne:
    @SEVERAL
    @given(items=st.lists(entries(), min_size=1, max_size=12))
    def test_any_entries(self, db: None, items: list[Any]) -> None:
        same(TRANSACTIONS, items)

    @SEVERAL
    @given(items=st.lists(people, min_size=1, max_size=8))
    def test_any_customers(self, db: None, items: list[Any]) -> None:
        same(CUSTOMERS, items)

    def test_entries_are_judged_in_their_order(self) -> None:
        who = "0@example.com"
        items = [
            redeem(who, 10),
            reward(who, 30, reference="order-1"),
            redeem(who, 25, title="A mug"),
            redeem(who, 10),
            reward("1@example.com", 60),
            reward(who, 30, reference=" order-1"),
            reward(who, 31, reference="order-1"),
            redeem(who, 5, status="pending"),
            redeem("1@example.com", 5, reference="order-2"),
            reward(who, 40, description="Twice", expires_at="2100-01-01T00:00:00Z"),
        ]
        answers = same(TRANSACTIONS, items)
        assert [status for status, _ in answers] == [400, 201, 201, 400, 201, 200, 409, 201, 201, 201]
        assert answers[0][1]["detail"] == "amount: Only 0 coins are in the wallet."
        assert answers[3][1]["detail"] == "amount: Only 5 coins are in the wallet."
        sentence = "reference: The reference order-1 was already used for another transaction of this store."
        assert answers[6][1]["detail"] == sentence
        assert [answer.get("balance_after") for _, answer in answers] == [
            *(None, 30, 5, None, 60, 30, None, None, 55, 45)
        ]

    def test_the_oldest_coins_are_spent_first_also_those_of_the_same_call(self) -> None:
        who = "0@example.com"
        same(TRANSACTIONS, [reward(who, 20), reward(who, 20), redeem(who, 25), reward(who, 20), redeem(who, 20)])
        entries = WalletTransaction.objects.filter(operation="cr").order_by("store", "pk")
        assert [*entries.values_list("remaining", flat=True)] == [0, 0, 15] * 2

    def test_of_very_many_old_credits_all_that_are_needed(self, api: APIClient, customer: Customer) -> None:
        bulk(api, TRANSACTIONS, [reward(amount=1)] * 250)
        bulk(api, TRANSACTIONS, [redeem(amount=49)] * 5)
        credits = WalletTransaction.objects.filter(operation="cr").order_by("pk")
        assert [*credits.values_list("remaining", flat=True)] == [0] * 245 + [1] * 5

    def test_a_reference_of_one_that_was_refused_is_free(self) -> None:
        who = "0@example.com"
        items = [redeem(who, 10, reference="a"), reward(who, 10), redeem(who, 10, reference="a")]
        assert [status for status, _ in same(TRANSACTIONS, items)] == [400, 201, 201]

    def test_customers_are_judged_in_their_order(self) -> None:
        items = [
            {"email": "Asha@example.com", "referral_code": "ASHA10"},
            {"email": "asha@EXAMPLE.com "},
            {"external_id": "7", "mobile": "01511 2345678"},
            {"mobile": "+49 1511 2345678", "external_id": "0", "referral_code": "ASHA10"},
            {"external_id": "8", "mobile": "1"},
            {"external_id": "8"},
            {"name": "Nobody"},
            None,
        ]
        answers = same(CUSTOMERS, items[:-1])
        assert [status for status, _ in answers] == [201, 400, 201, 400, 400, 201, 400]
        assert answers[1][1]["detail"] == "email: Another customer of this store has the e-mail asha@example.com."
        assert [error["field"] for error in answers[3][1]["errors"]] == ["external_id", "mobile", "referral_code"]

    def test_what_is_no_object_is_refused_by_itself(self, api: APIClient, customer: Customer) -> None:
        for address, good in ((CUSTOMERS, {"external_id": "1"}), (TRANSACTIONS, reward())):
            results = bulk(api, address, [None, 5, "text", [], good, {}])["results"]
            assert [result["status"] for result in results] == [400, 400, 400, 400, 201, 400]
            assert results[1]["problem"]["detail"] == "Invalid data. Expected a dictionary, but got int."

    def test_a_tier_is_judged_once_for_a_hundred(self, api: APIClient, store: Store, customer: Customer) -> None:
        store.tier_criterion = "coins_earned"
        store.save()
        for name, threshold in (("Silver", 10), ("Gold", 20)):
            Tier.objects.create(store=store, name=name, threshold=threshold)
        bulk(api, TRANSACTIONS, [reward(amount=10), reward(amount=10)])
        customer.refresh_from_db()
        assert customer.tier == "Gold"
        assert [row.payload["tier_name"] for row in Occurrence.objects.filter(event_key="viptier_create")] == ["Gold"]


class TestBooks:
    def test_balances_and_their_chain_over_pages(self, api: APIClient, store: Store) -> None:
        customers = [make_customer(store, email=f"{number}@example.com") for number in range(7)]
        items = [
            (redeem if number % 3 == 2 else reward)(f"{number % 7}@example.com", 5 + number % 4)
            for number in range(2 * PAGE + 50)
        ]
        assert {*statuses(api, TRANSACTIONS, items)} <= {201, 400}
        for wallet in Wallet.objects.filter(customer__in=customers):
            balance = 0
            for entry in wallet.transactions.order_by("effective_at"):
                balance += entry.amount if entry.operation == "cr" else -entry.amount
                assert entry.balance_after == balance >= 0
            assert wallet.balance == balance > 0
            assert sum(wallet.transactions.values_list("remaining", flat=True)) == balance

    def test_references_are_counted_once_over_pages_and_calls(self, api: APIClient, customer: Customer) -> None:
        items = [reward(reference=f"order-{number % 60}") for number in range(PAGE + 20)]
        assert statuses(api, TRANSACTIONS, items) == [201] * 60 + [200] * 60
        assert statuses(api, TRANSACTIONS, items) == [200] * 120
        assert Wallet.objects.get().balance == 600

    def test_a_thousand_are_taken(self, api: APIClient, store: Store) -> None:
        emails = [f"{number}@example.com" for number in range(1000)]
        assert statuses(api, CUSTOMERS, [{"email": email} for email in emails]) == [201] * 1000
        assert statuses(api, TRANSACTIONS, [reward(email) for email in emails]) == [201] * 1000
        assert Occurrence.objects.count() == 2000
        assert {*Wallet.objects.values_list("balance", flat=True)} == {10}


class TestEnvelope:
    @pytest.mark.parametrize("address", [CUSTOMERS, TRANSACTIONS])
    @pytest.mark.parametrize(
        ("body", "field", "code", "sentence"),
        [
            ({}, "items", "required", "This field is required."),
            ({"items": []}, "items", "empty", EMPTY),
            ({"items": None}, "items", "null", "This field may not be null."),
            ({"items": {}}, "items", "not_a_list", 'Expected a list of items but got type "dict".'),
            ({"items": "text"}, "items", "not_a_list", 'Expected a list of items but got type "str".'),
            ({"items": [{"external_id": "1"}] * 1001}, "items", "max_length", TOO_MANY),
            (
                {"items": [{"external_id": "1"}], "silent": True},
                "silent",
                "unknown_field",
                "There is no such field. The fields are: items.",
            ),
        ],
    )
    def test_one_problem_for_all(
        self, api: APIClient, store: Store, address: str, body: Any, field: str, code: str, sentence: str
    ) -> None:
        assert refusal(api.post(f"{address}bulk/", body)) == (field, code, sentence)
        assert not Customer.objects.exists()

    @pytest.mark.parametrize("address", [CUSTOMERS, TRANSACTIONS])
    def test_what_is_no_json(self, api: APIClient, address: str) -> None:
        for body in ("", "[", "[{}]"):
            assert problem(api.generic("POST", f"{address}bulk/", body, content_type="application/json"), 400)

    @pytest.mark.parametrize("address", [CUSTOMERS, TRANSACTIONS])
    def test_only_post(self, api: APIClient, address: str) -> None:
        for method in (api.get, api.patch):
            assert problem(method(f"{address}bulk/"), 405)


class TestOtherStores:
    def test_their_customers_do_not_exist(self, api: APIClient, other_store: Store, customer: Customer) -> None:
        theirs = make_customer(other_store, email="lea@example.com", external_id="7", mobile="+4915112345679")
        facts = {"type": "reward", "operation": "cr", "amount": 5}
        items = [
            {"customer": str(theirs.pk), **facts},
            {"customer_email": "lea@example.com", **facts},
            {"customer_external_id": "7", **facts},
            {"customer_mobile": "+4915112345679", **facts},
            {"customer": str(customer.pk), **facts},
        ]
        results = bulk(api, TRANSACTIONS, items)["results"]
        assert [result["problem"]["errors"][0]["code"] for result in results[:-1]] == ["does_not_exist"] * 4
        assert results[-1]["data"]["customer"] == str(customer.pk)
        assert not theirs.wallet.transactions.exists()

    def test_what_they_have_is_free_here(self, api: APIClient, other_store: Store) -> None:
        make_customer(other_store, email="lea@example.com")
        assert statuses(api, CUSTOMERS, [{"email": "lea@example.com"}]) == [201]


class TestIdempotencyKey:
    def test_a_call_is_done_once_and_answered_alike(self, api: APIClient, customer: Customer) -> None:
        items = [reward(), redeem(amount=50), reward(amount=5)]
        first, second = (
            api.post(f"{TRANSACTIONS}bulk/", {"items": items}, HTTP_IDEMPOTENCY_KEY="one") for _ in range(2)
        )
        assert (first.status_code, second.status_code) == (200, 200)
        assert second.content == first.content
        assert second["Idempotent-Replayed"] == "true"
        assert Wallet.objects.get().balance == 15

    def test_other_items_under_the_key_are_a_conflict(self, api: APIClient, customer: Customer) -> None:
        bulk(api, TRANSACTIONS, [reward()], HTTP_IDEMPOTENCY_KEY="one")
        response = api.post(f"{TRANSACTIONS}bulk/", {"items": [reward()] * 2}, HTTP_IDEMPOTENCY_KEY="one")
        assert refusal(response, 409)[1] == "key_reused"

    @pytest.mark.parametrize(("headers", "kept"), [({"HTTP_IDEMPOTENCY_KEY": "one"}, 0), ({}, PAGE)], ids=str)
    def test_with_a_key_it_is_one_transaction_without_one_for_each_hundred(
        self, api: APIClient, customer: Customer, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str], kept: int
    ) -> None:
        record, pages = outbox.record, []

        def fail_in_the_second(facts: Any) -> None:
            pages.append(len(facts))
            if len(pages) == 2:
                raise RuntimeError("the power is gone")
            record(facts)

        monkeypatch.setattr(outbox, "record", fail_in_the_second)
        with pytest.raises(RuntimeError):
            bulk(api, TRANSACTIONS, [reward()] * (PAGE + 5), **headers)
        assert pages == [PAGE, 5]
        assert WalletTransaction.objects.count() == kept
        assert Wallet.objects.get().balance == 10 * kept
        assert not KeptAnswer.objects.exists()


class TestSomebodyElseIsQuicker:
    """The database refuses a page: each of its items is judged anew, and written alone."""

    @pytest.fixture(autouse=True)
    def _sent(self, store: Store) -> None:
        tool = make_integration(store)
        for key in ("lead_create", "walletreward_create"):
            make_subscription(tool, key)

    def test_entries(self, api: APIClient, customer: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
        bulk(api, TRANSACTIONS, [reward(reference="b"), reward(reference="c", amount=7)])
        counted, looks = RecordingQuerySet.counted, []

        def once_blind(self: Any, entries: Any) -> Any:
            looks.append(len(entries))
            return {} if len(looks) == 1 else counted(self, entries)

        monkeypatch.setattr(RecordingQuerySet, "counted", once_blind)
        items = [reward(reference=reference) for reference in "abcd"] + [redeem(amount=48), redeem(amount=20)]
        assert statuses(api, TRANSACTIONS, items) == [201, 200, 409, 201, 400, 201]
        assert looks == [6, 1, 1, 1, 1, 1, 1]
        assert Wallet.objects.get().balance == 17
        assert WalletTransaction.objects.count() == Occurrence.objects.filter(event_key="walletreward_create").count()
        assert (
            Delivery.objects.filter(event_key="walletreward_create").count() == WalletTransaction.objects.count() == 5
        )

    def test_customers(self, api: APIClient, customer: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
        named, looks = CustomerQuerySet.named, []

        def once_blind(self: Any, names: Any, **kwargs: Any) -> Any:
            looks.append(len(names))
            return {} if len(looks) == 1 else named(self, names, **kwargs)

        monkeypatch.setattr(CustomerQuerySet, "named", once_blind)
        items = [{"email": "lea@example.com"}, {"email": "ada@example.com"}, {"email": "lea@example.com"}]
        results = bulk(api, CUSTOMERS, [*items, {"external_id": "7"}])["results"]
        assert [result["status"] for result in results] == [201, 400, 400, 201]
        assert results[1]["problem"]["errors"][0]["code"] == "taken"
        assert looks == [3, 1, 1, 1, 1]
        assert Customer.objects.count() == Wallet.objects.count() == 3
        assert Delivery.objects.filter(event_key="lead_create").count() == 3  # Ada's, and theirs

    def test_a_customer_taken_once_more_while_it_is_written_alone(
        self, api: APIClient, customer: Customer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        named, looks = CustomerQuerySet.named, []

        def blind_until_twice_alone(self: Any, names: Any, **kwargs: Any) -> Any:
            looks.append({value for _, value in names})
            return {} if len(looks) <= 3 else named(self, names, **kwargs)

        monkeypatch.setattr(CustomerQuerySet, "named", blind_until_twice_alone)
        results = bulk(api, CUSTOMERS, [{"email": "lea@example.com"}, {"email": "ada@example.com"}])["results"]
        assert looks == [{"lea@example.com", "ada@example.com"}, {"lea@example.com"}, *[{"ada@example.com"}] * 2]
        assert [result["status"] for result in results] == [201, 400]
        assert results[1]["problem"]["errors"][0]["code"] == "taken"

    def test_what_the_database_goes_on_refusing_is_a_conflict_of_its_own(
        self, api: APIClient, customer: Customer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bulk(api, TRANSACTIONS, [reward(reference="b", amount=7)])
        monkeypatch.setattr(RecordingQuerySet, "counted", lambda self, entries: {})
        results = bulk(api, TRANSACTIONS, [reward(reference=reference) for reference in "abc"])["results"]
        assert [result["status"] for result in results] == [201, 409, 201]
        assert results[1]["problem"]["errors"][0]["code"] == "conflict"
        assert Wallet.objects.get().balance == 27


class TestQueries:
    """As many for a hundred as for two. On SQLite Django inserts 999 values at once, at most: a hundred rows take some more."""

    @pytest.fixture(autouse=True)
    def _sent(self, store: Store) -> None:
        tool = make_integration(store)
        for key in ("lead_create", "walletreward_create", "rewardavailable_create"):
            make_subscription(tool, key)
        make_offer(store, price=10)
        store.tier_criterion = "coins_earned"
        store.save()
        Tier.objects.create(store=store, name="Silver", threshold=10)

    def numbers(self, api: APIClient, address: str, *calls: list[Any]) -> list[int]:
        counts = []
        for items in calls:
            with CaptureQueriesContext(connection) as captured:
                assert bulk(api, address, items)["created"] == len(items)
            counts.append(len(captured))
        return counts

    def assert_constant(self, few: int, many: int) -> None:
        assert 0 <= many - few <= (0 if connection.vendor == "postgresql" else 8)

    def test_customers(self, api: APIClient) -> None:
        calls = [
            [{"email": f"{number}@{name}.com", "external_id": f"{name}-{number}"} for number in range(count)]
            for name, count in (("first", 2), ("few", 2), ("many", PAGE))
        ]
        _, few, many = self.numbers(api, CUSTOMERS, *calls)
        self.assert_constant(few, many)
        assert Delivery.objects.filter(event_key="lead_create").count() == PAGE + 4

    def test_entries(self, api: APIClient, store: Store) -> None:
        for number in range(PAGE // 2):
            make_customer(store, email=f"{number}@example.com")
        calls = [
            [
                item
                for number in range(count // 2)
                for item in (
                    reward(f"{number}@example.com", reference=f"{name}-{number}"),
                    redeem(f"{number}@example.com", 7),
                )
            ]
            for name, count in (("first", PAGE), ("few", 2), ("many", PAGE))
        ]
        before = Delivery.objects.count()
        _, few, many = self.numbers(api, TRANSACTIONS, *calls)
        self.assert_constant(few, many)
        assert Delivery.objects.count() > before + 2 * PAGE

    def test_entries_that_reach_a_reward_and_a_tier(self, api: APIClient, store: Store) -> None:
        calls = [[reward(make_customer(store).email or "", 50) for _ in range(count)] for count in (1, 2, PAGE)]
        _, few, many = self.numbers(api, TRANSACTIONS, *calls)
        self.assert_constant(few, many)
        assert Delivery.objects.filter(event_key="rewardavailable_create").count() == PAGE + 3

    @pytest.mark.parametrize("address", [CUSTOMERS, TRANSACTIONS])
    def test_items_that_say_the_same_are_found_without_the_database(
        self, api: APIClient, customer: Customer, address: str
    ) -> None:
        counts = []
        for number, count in enumerate((2, PAGE)):
            item = {"email": f"{number}@example.com"} if address == CUSTOMERS else reward(reference=f"order-{number}")
            with CaptureQueriesContext(connection) as captured:
                assert bulk(api, address, [item] * count)["created"] == 1
            counts.append(len(captured))
        assert counts[0] >= counts[1]  # the first also judges the tier

    def test_refused_ones_cost_none(self, api: APIClient, customer: Customer) -> None:
        counts = []
        for count in (2, PAGE):
            with CaptureQueriesContext(connection) as captured:
                answer = bulk(api, TRANSACTIONS, [reward(f"{number}@nowhere.com") for number in range(count)])
            assert answer["refused"] == count
            counts.append(len(captured))
        assert counts[0] == counts[1]
