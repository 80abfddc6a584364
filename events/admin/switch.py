"""The events switch of the store: what it means now, and the page that asks what becomes of what is held."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Min
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from customers.models import Role, Store
from customers.tenancy import access_of
from events import figures
from events.forms.switch import SwitchOnForm
from events.switching import Opened, switch_off, switch_on, waiting
from integrations.models import Integration

LIST = "admin:events_subscription_changelist"


def urls() -> list[URLPattern]:
    """The addresses of these pages, under those of the send events."""
    view = admin.site.admin_view
    return [
        path("switch/", view(switch), name="events_switch"),
        path("basic/", view(basic_settings), name="events_basic_settings"),
    ]


def head(request: HttpRequest) -> dict[str, Any]:
    """What the top of the Events page shows: the switch with its sentence, and the tabs."""
    access = access_of(request)
    if access.store is None:
        return {}
    held = figures.held(access.store)
    return {
        "events_on": access.store.events_on,
        "held": held,
        "switch_sentence": _sentence(access.store, held),
        "may_switch": access.may(Role.EDITOR),
    }


def _sentence(store: Store, held: int) -> str:
    many = f"{held:,} or more" if held == figures.MANY else f"{held:,}"
    are = "is" if held == 1 else "are"
    if not store.events_on:
        return f"Events are off: {many} {are} held." if held else "Events are off: nothing is held yet."
    if held:
        return f"Events are on. {many} {are} held, because a send event or an integration is off or has to wait."
    return "Events are on: what happens is sent at once."


def switch(request: HttpRequest) -> HttpResponse:
    """Off at once; on after asking what becomes of what is held, if anything is."""
    access = access_of(request)
    if access.store is None or not access.may(Role.EDITOR):
        raise PermissionDenied
    store = access.store
    held = waiting(store).order_by()[: figures.MANY].count()
    wanted = request.POST.get("on")  # of the button; the question's answer comes without it
    if wanted == "0":
        switch_off(store)
        _log(request, store, "Switched events off.")
        messages.success(request, "Events are off: everything is recorded and held from now on.")
        return redirect(LIST)
    if wanted == "1":
        return redirect("admin:events_switch") if held else _open(request, store)
    if store.events_on:
        messages.info(request, "Events are on already.")
        return redirect(LIST)
    form = SwitchOnForm(request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        return _open(request, store, keep=form.cleaned_data["keep"], hours=form.cleaned_data["hours"] or 24)
    context = {
        **admin.site.each_context(request),
        "title": "Switch events on",
        "form": form,
        "held": held,
        "oldest": waiting(store).aggregate(Min("recorded_at"))["recorded_at__min"],
    }
    return TemplateResponse(request, "admin/events/subscription/switch.html", context)


def _open(request: HttpRequest, store: Store, **how: Any) -> HttpResponse:
    opened = switch_on(store, **how)
    _log(request, store, "Switched events on.")
    messages.success(request, _told(opened))
    return redirect(LIST)


def _told(opened: Opened) -> str:
    parts = []
    if opened.released:
        parts.append(f"{opened.released:,} of what was held {'goes' if opened.released == 1 else 'go'} out now.")
    if opened.cancelled:
        parts.append(f"{opened.cancelled:,} {'was' if opened.cancelled == 1 else 'were'} cancelled.")
    return " ".join(["Events are on.", *parts])


def _log(request: HttpRequest, store: Store, sentence: str) -> None:
    admin.site.get_model_admin(Store).log_change(request, store, sentence)


def basic_settings(request: HttpRequest) -> HttpResponse:
    """What every event says about the store, and where events can go."""
    access = access_of(request)
    if access.store is None or not access.may(Role.VIEWER):
        raise PermissionDenied
    context = {
        **admin.site.each_context(request),
        **head(request),
        "title": "Events",
        "tab": "basic",
        "store": access.store,
        "integrations": Integration.objects.existing().filter(store=access.store),
    }
    return TemplateResponse(request, "admin/events/subscription/basic.html", context)
