"""The home page of a store: what to do first, how it goes, and what needs somebody."""

from dataclasses import dataclass, replace
from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from config.charts import Chart, chart
from customers.models import Role, Store
from customers.tenancy import Access, access_of
from events.attention import attention
from events.figures import MANY, health, held, points
from events.models import Delivery, Subscription
from events.models.delivery import DeliveryStatus
from integrations.models import Integration

OPERATORS = ("auth", "django_q")  # the stock applications, which superusers find below the store's own screens


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of the set-up path: done, or where it is done; `next`: it is the one to do now."""

    words: str
    why: str
    done: bool
    action: str
    url: str
    next: bool = False


def home(request: HttpRequest, app_list: list[Any]) -> dict[str, Any]:
    """What the page shows, for its template."""
    access = access_of(request)
    operators = [app for app in app_list if app["app_label"] in OPERATORS] if _is_superuser(access) else []
    if access.store is None:
        return {"operators": operators}
    store = access.store
    steps = set_up(store)
    pictures = [chart("day", points(store, days=1), days=1), chart("month", points(store, days=30), days=30)]
    started = any(sum(picture.totals.values()) for picture in pictures)
    return {
        "operators": operators,
        "may_change": access.may(Role.EDITOR),
        "steps": steps if not all(step.done for step in steps) else [],
        "attention": attention(store),
        "pictures": pictures if started else [],
        "tiles": _tiles(pictures[0], held(store)) if started else [],
        "health": health(store),
    }


def _is_superuser(access: Access) -> bool:
    return bool(access.user.is_active and access.user.is_superuser)


def set_up(store: Store) -> list[Step]:
    """The path from an empty store to a first event that arrived."""
    integrations = list(Integration.objects.existing().filter(store=store))
    ready = [one for one in integrations if one.enabled and one.verified_at]
    first = next((one for one in integrations if not (one.enabled and one.verified_at)), None)
    send_events = Subscription.objects.existing().filter(store=store).exists()
    sent = Delivery.objects.filter(store=store, status=DeliveryStatus.SENT).exists()
    steps = [
        Step(
            words="Connect an integration",
            why="The tool that is to hear of coins and coupons. The sandbox is a good first one.",
            done=bool(integrations),
            action="Connect an integration",
            url=reverse("admin:integrations_integration_add"),
        ),
        Step(
            words="Verify it, and switch it on",
            why="See at once whether what you entered works.",
            done=bool(ready) or sent,
            action=f"Go to {first}" if first else "Go to the integrations",
            url=reverse("admin:integrations_integration_change", args=[first.pk])
            if first
            else reverse("admin:integrations_integration_changelist"),
        ),
        Step(
            words="Switch events on",
            why="While they are off, everything is recorded and nothing is sent.",
            done=store.events_on,
            action="Go to the switch",
            url=reverse("admin:events_subscription_changelist"),
        ),
        Step(
            words="Create a send event",
            why="Which event goes where, under which name.",
            done=send_events,
            action="Create a send event",
            url=reverse("admin:events_subscription_add"),
        ),
        Step(
            words="Send a test",
            why="With the data of one of your customers: see what arrives.",
            done=sent,
            action="Choose a send event to test",
            url=reverse("admin:events_subscription_changelist"),
        ),
    ]
    to_do = next((step for step in steps if not step.done), None)
    return [replace(step, next=step is to_do) for step in steps]


@dataclass(frozen=True)
class Tile:
    """One figure in large type, with what it counts."""

    label: str
    number: str
    hint: str


def _tiles(day: Chart, waiting: int) -> list[Tile]:
    totals = day.totals
    return [
        Tile("Sent", f"{totals['sent']:,}", "in the last 24 hours"),
        Tile("Held", f"{waiting:,}{' or more' if waiting >= MANY else ''}", "now"),
        Tile("Failed", f"{totals['failed']:,}", "in the last 24 hours"),
        Tile("Skipped", f"{totals['skipped']:,}", "in the last 24 hours"),
    ]
