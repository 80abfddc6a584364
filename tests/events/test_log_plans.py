"""Each way to narrow the log is served by an index: what PostgreSQL plans over twenty thousand rows of two stores."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from customers.models import Customer, Store
from events.admin import paginator
from events.models import Delivery, Subscription
from integrations.models import Integration
from tests.factories import make_customer, make_integration, make_subscription

pytestmark = [pytest.mark.django_db, pytest.mark.postgresql]

ROWS = 10_000  # of each store

# Deliveries of the last 50 days, oldest first, each with its occurrence; 1 in 100 failed, 1 in 200 pending after a try.
FILL = """
with made as (
    insert into events_occurrence (event_id, store_id, customer_id, event_key, payload, occurred_at, silent, is_test, error)
    select (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '70008'
            || substr(md5(n || %(store)s::text), 1, 15))::uuid,
           %(store)s, (%(customers)s::uuid[])[1 + n %% 50], 'walletreward_create', '{}', at,
           n %% 300 = 1, n %% 400 = 3, case when n %% 500 = 2 then 'no' else '' end
    from (select n, now() - interval '50 days' * (%(rows)s - n) / %(rows)s as at from generate_series(1, %(rows)s) n) as times
    returning id, event_id, store_id, customer_id, event_key, occurred_at, is_test
)
insert into events_delivery (id, store_id, occurrence_id, subscription_id, integration_id, customer_id, event_key, event_name,
                             label, status, reason, tries, is_test, recorded_at, next_attempt_at, suspect, deaths)
select event_id, store_id, id, (%(subscriptions)s::uuid[])[1 + rare], (%(integrations)s::uuid[])[1 + rare], customer_id,
       event_key, event_key, '', case when id %% 100 = 0 then 'failed' when id %% 200 = 7 then 'pending' else 'sent' end,
       '', 1, is_test, occurred_at, occurred_at, false, 0
from (select *, (id %% 97 = 0)::int as rare from made) as made order by id
"""


def fill(store: Store) -> tuple[list[Integration], list[Subscription]]:
    """Rows of this store; most of the first send event, few of the second one."""
    customers = [make_customer(store) for _ in range(50)]
    integrations = [make_integration(store) for _ in range(2)]
    subscriptions = [make_subscription(one) for one in integrations]
    with connection.cursor() as cursor:
        cursor.execute(
            FILL,
            {
                "store": store.pk,
                "rows": ROWS,
                "customers": [one.pk for one in customers],
                "integrations": [one.pk for one in integrations],
                "subscriptions": [one.pk for one in subscriptions],
            },
        )
    return integrations, subscriptions


def scanned(client: Client, address: str) -> list[str]:
    """The large tables that some query of this page reads from end to end."""
    with CaptureQueriesContext(connection) as queries:
        assert client.get(address).status_code == 200
    found = []
    for one in queries.captured_queries:
        if one["sql"].startswith("SELECT"):
            with connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN {one['sql']}")
                plan = "\n".join(row[0] for row in cursor.fetchall())
            found += re.findall(r"Seq Scan on (events_delivery|events_occurrence)\b", plan)
    return found


def test_no_filter_and_no_search_reads_a_whole_table(
    store: Store,
    other_store: Store,
    owner: User,
    signed_in: Callable[[User], Client],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(paginator, "MOST", ROWS // 20)  # as 10,000 are of some hundred thousand
    fill(other_store)
    common, rare = zip(*fill(store), strict=True)
    with connection.cursor() as cursor:
        cursor.execute("analyze events_delivery, events_occurrence, customers_customer")
    delivery: Any = Delivery.objects.filter(store=store, status="failed").latest("id")
    customer: Any = Customer.objects.filter(store=store).latest("id")
    client = signed_in(owner)
    asked = [
        "",
        *(f"status={one}" for one in ("pending", "sending", "sent", "skipped", "failed", "cancelled")),
        "status=retrying",
        "status=held",
        "event=walletreward_create",
        "event=coupon_create",
        *(f"integration={integration.pk}&send_event={send_event.pk}" for integration, send_event in (common, rare)),
        *(f"integration={integration.pk}" for integration, _ in (common, rare)),
        *(f"time={one}" for one in ("hour", "day", "week", "month")),
        "test=yes",
        "test=no",
        "status=failed&time=week",
        "p=9",
        f"q={customer.email}",
        f"q={delivery.pk}",
        f"q={delivery.occurrence.event_id}",
        "q=nobody",
    ]
    addresses = [f"/admin/events/delivery/?{query}" for query in asked]
    kinds = ["", "event=coupon_create", *(f"kind={one}" for one in ("attention", "real", "silent", "test"))]
    addresses += [f"/admin/events/occurrence/?{query}" for query in (*kinds, f"q={customer.email}", "q=%2317")]
    addresses.append(f"/admin/events/occurrence/customer/{customer.pk}/")
    assert {address: found for address in addresses if (found := scanned(client, address))} == {}
    common[0].lane.closed = "breaker"
    common[0].lane.save()
    assert scanned(client, "/admin/events/delivery/?status=held") == []
