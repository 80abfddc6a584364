"""Every route of the API, found by walking the URL resolver, keeps to the store of its key; one that forgets it fails here."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from django.db.models import Model
from django.urls import URLResolver, get_resolver, path
from django.utils import timezone
from rest_framework import serializers, viewsets
from rest_framework.test import APIClient

from config.problems import not_found
from config.urls import router
from customers.api.bulk import ItemList
from customers.models import ApiKey, Customer, CustomEvent, Store, Tier
from customers.tenancy import ApiKeyAuthentication, HasStore, StoreRelatedField, StoreRowsViewMixin
from events.api import EventTypeViewSet
from events.models import Occurrence, Replay
from tests.api_fixtures import (
    a_coupon,
    a_delivery,
    a_referral,
    a_review,
    an_attempt,
    an_entry,
    an_occurrence,
    an_order,
    app_of,
    problem,
    refusal,
)
from tests.factories import make_customer, make_integration, make_offer, make_store, make_subscription

pytestmark = pytest.mark.django_db

METHODS = ("get", "head", "post", "put", "patch", "delete", "options")
OPEN = {"schema", "docs"}  # tell nothing of any store


@dataclass(frozen=True)
class Route:
    """One address of a viewset, with the actions behind its methods."""

    address: str  # "{pk}" stands for the key of a row, "{key}" for that of an event
    viewset: type[Any]
    actions: dict[str, str]

    @property
    def of_rows(self) -> bool:
        """Whether it shows rows of a store; the catalogue is code, and the same for all."""
        return self.viewset is not EventTypeViewSet

    @property
    def of_a_row(self) -> bool:
        return "{pk}" in self.address

    def at(self, rows: dict[type[Model], Model]) -> str:
        """Its address, with the key of the row among these."""
        return self.address.format(pk=rows[self.model].pk, key="lead_create")

    @property
    def model(self) -> type[Model]:
        model: type[Model] = self.viewset.queryset.model
        return model

    def serializer(self, action: str) -> serializers.Serializer[Any]:
        view = self.viewset(request=None, action=action, format_kwarg=None)
        serializer: serializers.Serializer[Any] = view.get_serializer_class()()
        return serializer

    def item(self, action: str) -> serializers.Serializer[Any] | None:
        """Of a bulk call, what reads each of its items."""
        items = self.serializer(action).fields.get("items")
        item: serializers.Serializer[Any] | None = items.child if isinstance(items, ItemList) else None
        return item

    def references(self, action: str) -> dict[str, Any]:
        """The rows that a body of this action may name, by field; of one store alone, or the test fails here."""
        found = {}
        for name, field in (self.item(action) or self.serializer(action)).fields.items():
            if isinstance(field, serializers.ManyRelatedField):
                field = field.child_relation
            if isinstance(field, serializers.RelatedField) and not field.read_only:
                assert isinstance(field, StoreRelatedField), f"{name} of {self} would take rows of every store"
                found[name] = vars(field)["queryset"]
        return found

    def __str__(self) -> str:
        return self.address


def patterns(under: list[Any], before: str = "/") -> Iterator[tuple[str, Any]]:
    for pattern in under:
        address = before + str(pattern.pattern).lstrip("^").rstrip("$").removesuffix("\\Z")
        if isinstance(pattern, URLResolver):
            yield from patterns(pattern.url_patterns, address)
        else:
            yield address, pattern


def unguarded(under: list[Any]) -> list[str]:
    """The addresses of the API that anybody, or any store, could read."""
    found = []
    for address, pattern in patterns(under):
        if not address.startswith("/api/") or pattern.name in OPEN or pattern.callback is not_found:
            continue
        view: Any = getattr(pattern.callback, "cls", object)
        if not (
            issubclass(view, StoreRowsViewMixin)
            and view.authentication_classes == [ApiKeyAuthentication]
            and view.permission_classes == [HasStore]
        ):
            found.append(address)
    return found


def routes() -> list[Route]:
    return [
        Route(re.sub(r"\(\?P<(\w+)>\[\^/\.\]\+\)", r"{\1}", address), pattern.callback.cls, pattern.callback.actions)
        for address, pattern in patterns(get_resolver().url_patterns)
        if address.startswith("/api/") and hasattr(pattern.callback, "actions")
    ]


ROUTES = routes()
OF_A_ROW = [route for route in ROUTES if route.of_a_row]
LISTS = [route for route in ROUTES if "list" in route.actions.values() and route.of_rows]
BODIES = [
    (route, method, action)
    for route in ROUTES
    for method, action in route.actions.items()
    if method in ("post", "patch")
]


def world(name: str) -> dict[type[Model], Model]:
    """A store with one row of every model that the API serves."""
    store = make_store(name=name)
    customer = make_customer(store)
    Occurrence.objects.filter(store=store).delete()
    send_event = make_subscription(make_integration(store, name="Shop hook"))
    delivery = a_delivery(an_occurrence(customer), send_event, status="failed")
    an_attempt(delivery)
    coupon = a_coupon(customer, offer=make_offer(store))
    assert coupon.offer is not None
    rows = [
        *(store, customer, an_entry(customer, status="pending"), coupon.offer, coupon),
        *(send_event.integration, send_event, delivery.occurrence, delivery),
        *(
            an_order(customer),
            a_review(customer),
            a_referral(customer),
            CustomEvent.objects.emit(store=store, customer=customer, topic="quiz")[0],
            Tier.objects.create(store=store, name="Gold", threshold=500),
            Replay.objects.start(store=store, status="sent"),
        ),
    ]
    return {type(row): row for row in rows}


def store_of(rows: dict[type[Model], Model]) -> Store:
    store = rows[Store]
    assert isinstance(store, Store)
    return store


@pytest.fixture
def ours() -> dict[type[Model], Model]:
    return world("Ours")


@pytest.fixture
def theirs() -> dict[type[Model], Model]:
    return world("Theirs")


@pytest.fixture
def stranger(theirs: dict[type[Model], Model]) -> APIClient:
    return app_of(store_of(theirs))


class TestRoutes:
    def test_the_walk_finds_what_the_router_knows(self) -> None:
        assert {route.viewset for route in ROUTES} == {viewset for _, viewset, _ in router.registry}
        assert len(ROUTES) >= 2 * len(router.registry) > 0

    def test_every_one_is_guarded(self) -> None:
        assert unguarded(get_resolver().url_patterns) == []

    def test_one_that_forgets_it_is_found(self) -> None:
        class Forgetful(viewsets.ModelViewSet[Customer]):
            queryset = Customer.objects.all()

        class Careless(StoreRowsViewMixin, viewsets.ModelViewSet[Customer]):
            queryset = Customer.objects.all()
            permission_classes = []

        lax = [path(f"api/v1/{view.__name__}/", view.as_view({"get": "list"})) for view in (Forgetful, Careless)]
        assert unguarded(lax) == ["/api/v1/Forgetful/", "/api/v1/Careless/"]


class TestWithoutAGoodKey:
    def refused_everywhere(self, client: APIClient, ours: dict[type[Model], Model]) -> None:
        for route, method in product(ROUTES, METHODS):
            response = getattr(client, method)(route.at(ours))
            assert (response.status_code, response["WWW-Authenticate"]) == (401, "Api-Key"), f"{method} {route}"
            if method != "head":
                assert problem(response, 401)

    def test_no_key(self, ours: dict[type[Model], Model]) -> None:
        self.refused_everywhere(APIClient(), ours)

    def test_a_key_that_was_revoked(self, ours: dict[type[Model], Model]) -> None:
        client = app_of(store_of(ours))
        ApiKey.objects.update(revoked=True)
        self.refused_everywhere(client, ours)

    def test_a_key_that_has_expired(self, ours: dict[type[Model], Model]) -> None:
        client = app_of(store_of(ours))
        ApiKey.objects.update(expiry_date=timezone.now() - timedelta(minutes=1))
        self.refused_everywhere(client, ours)


class TestWithTheKeyOfAnotherStore:
    def test_a_list_holds_only_its_own(
        self, ours: dict[type[Model], Model], theirs: dict[type[Model], Model], stranger: APIClient
    ) -> None:
        for route in LISTS:
            shown = [str(row["id"]) for row in stranger.get(route.address, {"page_size": 200}).json()["results"]]
            assert str(theirs[route.model].pk) in shown, route
            of_theirs = route.model._default_manager.filter(store=store_of(theirs))
            assert sorted(shown) == sorted(str(row.pk) for row in of_theirs), route

    def test_a_list_of_a_store_without_rows_is_empty(self, ours: dict[type[Model], Model]) -> None:
        newcomer = app_of(make_store(name="Empty"))
        assert {route.address: newcomer.get(route.address).json()["results"] for route in LISTS} == {
            route.address: [] for route in LISTS
        }

    def test_a_row_is_not_there(self, ours: dict[type[Model], Model], stranger: APIClient) -> None:
        for route in OF_A_ROW:
            row = ours[route.model]
            before = type(row)._default_manager.filter(pk=row.pk).values().get()
            for method in METHODS:
                response = getattr(stranger, method)(route.at(ours), {})
                there = method in route.actions and method in route.viewset.http_method_names
                expected = 404 if there or (method == "head" and "get" in route.actions) else 405
                assert response.status_code == expected, f"{method} {route}"
                after = type(row)._default_manager.filter(pk=row.pk).values().get()
                assert after == before, f"{method} {route}"

    def test_the_same_row_is_there_for_its_own_store(self, ours: dict[type[Model], Model]) -> None:
        client = app_of(store_of(ours))
        for route in OF_A_ROW:
            if "get" in route.actions:
                response = client.get(route.at(ours))
                assert response.status_code == 200, route
                if route.actions["get"] == "retrieve":
                    assert response.json()["id"] in (ours[route.model].pk, str(ours[route.model].pk)), route

    def test_what_a_body_refers_to_does_not_exist(
        self, ours: dict[type[Model], Model], theirs: dict[type[Model], Model], stranger: APIClient
    ) -> None:
        for route, method, action in BODIES:
            for name, rows in route.references(action).items():
                foreign = ours[rows.model].pk
                body: Any = {"items": [{name: foreign}]} if route.item(action) else {name: foreign}
                response = getattr(stranger, method)(route.at(theirs), body)
                errors = (
                    response.json()["results"][0]["problem"]["errors"] if route.item(action) else problem(response, 400)
                )
                found = {error["field"]: error for error in errors}[name]
                said = f"Nothing of this store has the id {foreign}."
                assert (found["code"], found["message"]) == ("does_not_exist", said), f"{name} of {route}"

    def test_related_rows_were_looked_at(self) -> None:
        fields = [(route.address, name) for route, _, action in BODIES for name in route.references(action)]
        assert ("/api/v1/wallet-transactions/", "customer") in fields
        assert ("/api/v1/wallet-transactions/bulk/", "customer") in fields
        assert ("/api/v1/coupons/", "offer") in fields

    @pytest.mark.parametrize("name", ["external_id", "email", "mobile"])
    def test_their_customers_are_not_found_by_any_name(self, stranger: APIClient, name: str) -> None:
        values: dict[str, Any] = {"external_id": "1001", "email": "ours@example.com", "mobile": "+4915112345678"}
        make_customer(make_store(name="Third"), **values)
        body = {"type": "reward", "operation": "cr", "amount": 5, f"customer_{name}": values[name]}
        assert refusal(stranger.post("/api/v1/wallet-transactions/", body))[:2] == (
            f"customer_{name}",
            "does_not_exist",
        )
