"""What happens on a machine: `python -m tests.soak.scene ...`, as a process of the system, with JSON for an answer.

setup      a store, an integration for each URL, and a send event for each     setup [--destination=lethal] URL...
produce    so many new customers, each an event; goes on until each is recorded, whatever else is down
pile       so many events that are due already, quickly
reward     one reward, to whoever
"""

import argparse
import json
import sys
import time
from typing import Any

import django

django.setup()

from django.db import Error, IntegrityError, close_old_connections  # noqa: E402

from customers.models import ApiKey, Customer, Store  # noqa: E402
from events.models import Delivery, Occurrence, Subscription  # noqa: E402
from integrations.models import Integration  # noqa: E402


def setup(arguments: argparse.Namespace) -> dict[str, Any]:
    store = Store.objects.create(name=arguments.store or "Soak", events_on=True)
    ids = []
    for number, url in enumerate(arguments.urls):
        tool = Integration(
            store=store,
            name=f"Tool {number}",
            destination=arguments.destination,
            at_most_once=arguments.at_most_once,
        )
        tool.configure({"url": url, "signing_secret": "whsec_" + "c2VjcmV0" * 4, "headers": ""})
        tool.save()
        for key in arguments.events.split(","):
            Subscription.objects.create(store=store, integration=tool, event_key=key)
        ids.append(str(tool.pk))
    _, key = ApiKey.objects.create_key(store=store, name="soak")
    return {"store": str(store.pk), "integrations": ids, "api_key": str(key)}


def produce(arguments: argparse.Namespace) -> dict[str, Any]:
    """Commits each, whatever it takes; one whose commit nobody could confirm is found to be there the next time."""
    store = _store(arguments)
    for number in range(arguments.count):
        name = f"{arguments.name}-{number}" if arguments.count > 1 else arguments.name
        while True:
            try:
                Customer(store=store, external_id=name).save()
                break
            except IntegrityError:
                break
            except Error:
                close_old_connections()
                time.sleep(0.05)
        time.sleep(arguments.pause)
    return {"recorded": arguments.count}


def pile(arguments: argparse.Namespace) -> dict[str, Any]:
    """As `record` would have written them, without the customers; `at`: when the last was committed."""
    subscription = Subscription.objects.get(store=_store(arguments))
    for start in range(0, arguments.count, 1000):
        occurrences = Occurrence.objects.bulk_create(
            Occurrence(
                store_id=subscription.store_id,
                event_key=subscription.event_key,
                payload={"user_customer_id": str(number)},
            )
            for number in range(start, min(start + 1000, arguments.count))
        )
        Delivery.objects.bulk_create(
            Delivery(
                store_id=subscription.store_id,
                occurrence=occurrence,
                subscription=subscription,
                integration_id=subscription.integration_id,
                event_key=subscription.event_key,
                event_name=subscription.event_name,
                label=subscription.label,
            )
            for occurrence in occurrences
        )
    return {"due": arguments.count, "at": time.time()}


def _store(arguments: argparse.Namespace) -> Store:
    """The one with this name, or the only one."""
    return Store.objects.get(name=arguments.store) if arguments.store else Store.objects.get()


def main() -> None:
    parser = argparse.ArgumentParser()
    kinds = parser.add_subparsers(required=True)
    for function in (setup, produce, pile):
        one = kinds.add_parser(function.__name__)
        one.set_defaults(function=function)
        one.add_argument("--store", default="")
        if function is setup:
            one.add_argument("--destination", default="webhook")
            one.add_argument("--events", default="lead_create")
            one.add_argument("--at-most-once", action="store_true")
            one.add_argument("urls", nargs="+")
        else:
            one.add_argument("--count", type=int, default=1)
            one.add_argument("--name", default="customer")
            one.add_argument("--pause", type=float, default=0.0)
    arguments = parser.parse_args()
    json.dump(arguments.function(arguments), sys.stdout)


if __name__ == "__main__":
    main()
