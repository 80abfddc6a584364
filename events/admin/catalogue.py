"""Event details: what each event type says, for those who build on it."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from customers.models import Role
from customers.tenancy import access_of
from events import catalogue
from events.fields import PROPERTY
from events.recipes import groups
from events.restrictions import operators_for


def every_event(request: HttpRequest) -> HttpResponse:
    """The whole catalogue, with when each event fires."""
    _may_read(request)
    context = {**admin.site.each_context(request), "title": "Event details", "groups": groups()}
    return render(request, "admin/events/subscription/catalogue.html", context)


def event_details(request: HttpRequest, key: str) -> HttpResponse:
    """One event: when it fires, its fields, an example, its JSON Schema. All of it from the declaration."""
    _may_read(request)
    try:
        kind = catalogue.event_type(key)
    except catalogue.UnknownEventType as error:
        raise Http404(str(error)) from None
    context = {
        **admin.site.each_context(request),
        "title": kind.label,
        "kind": kind,
        "lines": [_line(kind, name, schema) for name, schema in _described(kind.schema())],
        "example": kind.example(),
        "schema": kind.schema(),
    }
    return render(request, "admin/events/subscription/event_details.html", context)


def _described(schema: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The fields by name; those that a fact brings itself under a name that stands for all of them."""
    more = [(f"{PROPERTY}…", one) for one in schema.get("patternProperties", {}).values()]
    return [*schema["properties"].items(), *more]


def _line(kind: catalogue.EventType, name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """One field as the page shows it."""
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    names = (name.replace("…", "name"), f"changed_{name}")
    fields = [field for one in names if (field := kind.restrictable_by(one))]
    return {
        "name": name,
        "label": schema["title"],
        "help": schema.get("description", ""),
        "type": " or ".join(str(schema.get("format", one) if one == "string" else one) for one in types),
        "values": [value for value in schema.get("enum", []) if value is not None],
        "operators": [operator.words for field in fields for operator in operators_for(field)],
    }


def _may_read(request: HttpRequest) -> None:
    if not access_of(request).may(Role.VIEWER):
        raise PermissionDenied
