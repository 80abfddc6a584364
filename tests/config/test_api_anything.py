"""Whatever is sent, no answer is a 500: an exception that comes through fails the test."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from tests.api_fixtures import app_of, problem
from tests.config.test_tenancy_api import BODIES, ROUTES, Route, store_of, world

pytestmark = pytest.mark.django_db

LISTS = [route for route in ROUTES if "list" in route.actions.values()]  # the catalogue's too
TEXTS = st.one_of(
    st.text(alphabet=st.characters(codec=None), max_size=20),  # lone surrogates too
    st.sampled_from(
        [
            "\x00",
            "x" * 10_000,
            "9" * 400,
            "-0",
            "1e400",
            "NaN",
            "Infinity",
            "true",
            "null",
            "",
            " ",
            "İ" * 250 + "@x.de",
        ]
    ),
    st.sampled_from(["9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "2026-02-30", "0000-00-00", "24:00"]),
    st.sampled_from(["reward", "adjust", "cr", "dr", "pending", "percent", "+491511234567", "asha@example.com"]),
    st.uuids().map(str),
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([2**31, 2**32, 2**63 - 1, 2**63, -(2**63), 10**15, 10**400]),
    st.floats(allow_nan=False),
    TEXTS,
)
VALUES = st.one_of(SCALARS, st.lists(SCALARS, max_size=2), st.dictionaries(TEXTS, SCALARS, max_size=2))
# Few, for each of many routes; but for CI, they are others in each run.
QUICKLY = settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@pytest.fixture
def rows() -> dict[Any, Any]:
    return world("Ours")


@pytest.fixture
def client(rows: dict[Any, Any]) -> APIClient:
    return app_of(store_of(rows))


@st.composite
def some_body(draw: st.DrawFn, fields: Mapping[str, Any], rows: dict[Any, Any]) -> dict[str, Any]:
    names = st.one_of(st.sampled_from([*fields]), TEXTS) if fields else TEXTS
    body = draw(st.dictionaries(names, VALUES, max_size=6))
    # Half of them name the customer well, so that the rules behind are reached.
    if "customer" in fields and draw(st.booleans()):
        body = {name: value for name, value in body.items() if not name.startswith("customer")}
        body["customer"] = str(next(row.pk for row in rows.values() if type(row).__name__ == "Customer"))
    return body


def many(bodies: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Bodies of bulk calls, most of them with such items."""
    items = st.fixed_dictionaries({"items": st.lists(st.one_of(bodies, VALUES), max_size=4)})
    return st.one_of(items, items, st.dictionaries(st.one_of(st.just("items"), TEXTS), VALUES, max_size=2))


@pytest.mark.parametrize(("route", "method", "action"), BODIES, ids=str)
class TestBodies:
    @QUICKLY
    @given(data=st.data())
    def test_any_body(
        self, rows: dict[Any, Any], client: APIClient, route: Route, method: str, action: str, data: st.DataObject
    ) -> None:
        item = route.item(action)
        bodies = some_body((item or route.serializer(action)).fields, rows)
        body = data.draw(many(bodies) if item else bodies)
        sent = json.dumps(body).replace("Infinity", "1e400")  # which JSON may say, and Python reads as infinite
        address = route.at(rows)
        response = client.generic(method.upper(), address, sent, content_type="application/json")
        if response.status_code not in (200, 201):
            assert problem(response, response.status_code)
            assert response.status_code in (400, 409)


@pytest.mark.parametrize("route", LISTS, ids=str)
class TestParameters:
    @QUICKLY
    @given(data=st.data())
    def test_any_parameter(self, client: APIClient, route: Route, data: st.DataObject) -> None:
        known = ["cursor", "page_size", *getattr(getattr(route.viewset, "filterset_class", None), "base_filters", ())]
        texts = TEXTS.map(lambda text: text.encode(errors="replace").decode())
        parameters = data.draw(st.dictionaries(st.one_of(st.sampled_from(known), texts), texts, max_size=3))
        response = client.get(route.address, parameters)
        if response.status_code != 200:
            assert problem(response, 400)
