"""Every address of the admin, found by walking the URL resolver, keeps to the user's store and role."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.db.models import Model
from django.test import Client
from django.urls import URLPattern, URLResolver

from config.admin import LoyaltyAdminSite, site
from customers.models import ApiKey, Role, Store, StoreMembership, Tier
from customers.tenancy import StoreModelAdmin
from events.models import Notice
from integrations.models import SandboxInbox, SandboxRequest
from tests.api_fixtures import (
    a_coupon,
    a_delivery,
    a_referral,
    a_review,
    an_attempt,
    an_entry,
    an_occurrence,
    an_order,
)
from tests.factories import (
    make_api_key,
    make_customer,
    make_integration,
    make_member,
    make_offer,
    make_store,
    make_subscription,
)

pytestmark = pytest.mark.django_db

MARK = "Zanzibar"  # in every name of our store: whoever reads it has seen too much

Rows = dict[type[Model], Model]


@dataclass(frozen=True)
class Address:
    """One address of the admin; `model` is what its parameters are about (None: the site itself)."""

    pattern: str
    model: type[Model] | None
    name: str

    def path(self, rows: Rows) -> str:
        row = rows.get(self.model) if self.model else None
        values = {
            "object_id": row.pk if row else "",
            "pk": row.pk if row else "",
            "action": "cancel",
            "app_label": "customers",
            "content_type_id": 1,
            "url": "customers/customer/",
        }

        def fill(part: re.Match[str]) -> str:
            return str(values.get(part[1], row.pk if row else "x"))

        path = re.sub(r"<(?:\w+:)?(\w+)>", fill, self.pattern)
        return re.sub(r"\(\?P<(\w+)>(?:[^()]|\([^()]*\))*\)", fill, path).replace("^", "").replace("$", "")

    @property
    def of_a_row(self) -> bool:
        return self.model is not None and bool(re.search(r"<(?:\w+:)?(object_id|pk)>", self.pattern))

    def __str__(self) -> str:
        return self.pattern


def walk(patterns: list[Any], before: str, model: type[Model] | None) -> Iterator[Address]:
    for pattern in patterns:
        here = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            owner = next(
                (m for m in site._registry if here == f"/admin/{m._meta.app_label}/{m._meta.model_name}/"), model
            )
            yield from walk(pattern.url_patterns, here, owner)
        elif isinstance(pattern, URLPattern):
            yield Address(here, model, pattern.name or "")


# Signing in and out and one's own password are for everybody; `catch_all` is what is nowhere else.
OPEN = {"login", "logout", "password_change", "password_change_done", "jsi18n"}
ADDRESSES = [one for one in walk(site.get_urls(), "/admin/", None) if one.name not in OPEN]
STORE_MODELS = [model for model, page in site._registry.items() if isinstance(page, StoreModelAdmin)]


def world(name: str) -> Rows:
    """A store with a row of every model that has screens."""
    store = make_store(name=f"{name} store")
    customer = make_customer(store, name=f"{name} customer")
    integration = make_integration(store, name=f"{name} hook")
    send_event = make_subscription(integration, name=f"{name}-event")
    delivery = a_delivery(an_occurrence(customer, payload={"user_name": name}), send_event, status="pending")
    an_attempt(delivery, detail=name)
    make_api_key(store, name=f"{name} key")
    sandbox = make_integration(store, destination="sandbox", name=f"{name} sandbox")
    facts = {"store": store, "integration": sandbox}
    rows: list[Model] = [
        store,
        customer,
        an_entry(customer, status="pending", title=name),
        make_offer(store, name=f"{name} offer"),
        a_coupon(customer, code=f"{name}CODE"),
        an_order(customer, name=f"{name} order"),
        a_review(customer, title=f"{name} review"),
        a_referral(customer, make_customer(store, name=f"{name} friend")),
        Tier.objects.create(store=store, name=f"{name} tier", threshold=1),
        integration,
        send_event,
        delivery.occurrence,
        delivery,
        ApiKey.objects.get(store=store),
        StoreMembership.objects.get(user=make_member(store, Role.OWNER, username=f"{name}-owner")),
        Notice.objects.create(store=store, integration=integration, text=f"{name} notice"),
        SandboxInbox.objects.create(**facts),
        SandboxRequest.objects.create(**facts, body=name, answered=200),
    ]
    return {type(row): row for row in rows}


def everything(store: Store) -> dict[str, list[Any]]:
    """All that is stored about this store."""
    found = {}
    for model in apps.get_models():
        names = {field.name for field in model._meta.concrete_fields}
        if "store" in names:
            rows = model._default_manager.filter(store=store.pk)
            found[model._meta.label] = list(rows.order_by("pk").values())
    return {**found, "store": list(Store.objects.filter(pk=store.pk).values())}


@pytest.fixture
def ours() -> Rows:
    return world(MARK)


def store_of(rows: Rows) -> Store:
    store = rows[Store]
    assert isinstance(store, Store)
    return store


class TestWalk:
    def test_it_finds_every_screen(self) -> None:
        assert {address.model for address in ADDRESSES if address.model} == set(site._registry)
        assert len(ADDRESSES) > 60

    def test_there_is_a_row_for_each(self, ours: Rows) -> None:
        assert set(STORE_MODELS) <= set(ours)

    def test_every_screen_of_a_store_is_limited(self) -> None:
        """A ModelAdmin that forgets its base fails here."""
        for model, page in site._registry.items():
            hangs_on_a_store = model is Store or any(field.name == "store" for field in model._meta.fields)
            assert isinstance(page, StoreModelAdmin) == hangs_on_a_store, model

    def test_one_that_forgets_it_would_be_found(self) -> None:
        other = LoyaltyAdminSite()
        other.register(StoreMembership)
        assert not isinstance(other._registry[StoreMembership], StoreModelAdmin)


class TestWhoMayNot:
    """Each of these walks every address, in one world that nobody may change."""

    def walk(self, client: Client, ours: Rows, judge: Callable[[Address, Any], str | bool | None]) -> list[str]:
        """What is wrong, address by address."""
        before = everything(store_of(ours))
        wrong = []
        for address in ADDRESSES:
            for method in ("get", "post"):
                body = {"action": "delete_selected", "_selected_action": str(ours[Store].pk)}
                answer = getattr(client, method)(address.path(ours), body if method == "post" else None)
                if said := judge(address, answer):
                    wrong.append(f"{method} {address}: {answer.status_code} {said}")
        after = everything(store_of(ours))
        return wrong + [f"somebody changed {label}" for label in before if before[label] != after[label]]

    def test_somebody_who_is_not_signed_in(self, ours: Rows) -> None:
        def judge(address: Address, answer: Any) -> bool:
            sent_away = answer.status_code == 302 and answer["Location"].startswith("/admin/login/")
            return not (sent_away or answer.status_code in (404, 405))

        assert self.walk(Client(), ours, judge) == []

    def test_the_owner_of_another_store(self, ours: Rows, signed_in: Callable[[User], Client]) -> None:
        client = signed_in(make_member(make_store(name="Theirs"), Role.OWNER))

        def judge(address: Address, answer: Any) -> str | bool:
            if MARK in answer.content.decode():
                return "shows another store"
            if address.of_a_row:  # a row of another store is not there, and no message tells of it
                sent_away = answer.status_code in (302, 403, 404, 405)
                return not sent_away or MARK in client.get("/admin/").content.decode()
            return bool(answer.status_code >= 500)

        assert self.walk(client, ours, judge) == []

    def test_a_viewer(self, ours: Rows, signed_in: Callable[[User], Client]) -> None:
        def judge(address: Address, answer: Any) -> str | bool:
            if address.model in (StoreMembership, ApiKey) and MARK in answer.content.decode():
                return "shows what is the owners'"
            return answer.status_code not in (200, 301, 302, 403, 404, 405)

        assert self.walk(signed_in(make_member(store_of(ours), Role.VIEWER)), ours, judge) == []

    def test_a_member_without_a_store(
        self, ours: Rows, signed_in: Callable[[User], Client], django_user_model: Any
    ) -> None:
        client = signed_in(django_user_model.objects.create_user("nobody", is_staff=True))
        assert self.walk(client, ours, lambda address, answer: MARK in answer.content.decode()) == []


class TestWhoMay:
    @pytest.mark.parametrize("model", STORE_MODELS, ids=lambda model: model._meta.label)
    def test_an_owner_sees_her_rows(self, ours: Rows, signed_in: Callable[[User], Client], model: type[Model]) -> None:
        client = signed_in(make_member(store_of(ours), Role.OWNER))
        base = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        assert client.get(base, follow=True).status_code == 200
        assert client.get(f"{base}{ours[model].pk}/change/").status_code == 200
        assert client.get(f"{base}{ours[model].pk}/history/").status_code == 200

    def test_autocomplete_holds_only_the_stores_customers(
        self, ours: Rows, signed_in: Callable[[User], Client]
    ) -> None:
        make_customer(make_store(name="Theirs"), name=f"{MARK} customer of others")
        client = signed_in(make_member(store_of(ours), Role.VIEWER))
        asked = {"app_label": "customers", "model_name": "coupon", "field_name": "customer", "term": MARK}
        results = client.get("/admin/autocomplete/", asked).json()["results"]
        assert [one["text"] for one in results] == [f"{MARK} friend", f"{MARK} customer"]

    @pytest.mark.parametrize(
        "path", ["/admin/auth/user/", "/admin/django_q/schedule/", "/admin/django_q/schedule/add/"]
    )
    def test_what_belongs_to_no_store_is_the_superusers(
        self, ours: Rows, superuser: User, signed_in: Callable[[User], Client], path: str
    ) -> None:
        assert signed_in(superuser).get(path).status_code == 200
        assert signed_in(make_member(store_of(ours), Role.OWNER)).get(path).status_code == 403
