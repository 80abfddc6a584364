"""What a send event would send, shown beside its form while it is filled in."""

from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST

from customers.tenancy import access_of
from events.forms.send_event import SendEventForm
from events.matching import DAYS, Matches, would_match
from events.models import Subscription
from events.preview import Preview, preview

NOT_YET = "Choose an integration, and the exact request that it would get shows here."
_TITLES = {"preview": "What would be sent", "matches": "How many would have matched"}
NOBODY = "The request shows here once the store has its first customer: there is nobody yet whom it could be about."


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A preview, or why there is none yet: a sentence, and what is to be mended first."""

    preview: Preview | None = None
    sentence: str = ""
    problems: tuple[str, ...] = ()


def shown(form: SendEventForm) -> Shown:
    """The preview of what the form says, saved or not."""
    if form.is_bound and not form.is_valid():
        if set(form.errors) == {"integration"} and not form.data.get("integration"):
            return Shown(sentence=NOT_YET)
        return Shown(sentence="The request shows here once this is mended:", problems=tuple(form.problems()))
    send_event = form.instance if form.is_bound else form.as_it_stands()
    if send_event.integration_id is None or form.kind is None:
        return Shown(sentence=NOT_YET)
    found = preview(
        kind=form.kind,
        integration=send_event.integration,
        event_name=send_event.event_name,
        restrictions=form.restrictions,
    )
    return Shown(preview=found, sentence="" if found else NOBODY)


def entered_form(model_admin: Any, request: HttpRequest) -> SendEventForm:
    """The form as it was posted, of the saved send event that it names in `of`, or of a new one. Nothing is saved.

    Raises PermissionDenied where the user may not change such a send event.
    """
    send_event: Subscription | None = None
    if of := request.POST.get("of"):
        send_event = model_admin.get_object(request, of)
        if send_event is None or not model_admin.has_change_permission(request, send_event):
            raise PermissionDenied
    elif not model_admin.has_add_permission(request):
        raise PermissionDenied
    form_class = model_admin.get_form(request, send_event, change=send_event is not None)
    form: SendEventForm = form_class(request.POST, instance=send_event)
    return form


@require_POST
def matches_view(request: HttpRequest) -> HttpResponse:
    """How many of the recent events the restrictions, as they are entered, would have let through."""
    form = entered_form(admin.site.get_model_admin(Subscription), request)
    form.is_valid()  # what is wrong elsewhere in the form does not matter here
    problems = [problem for one in form.restriction_forms for problem in one.errors.get("value", [])]
    store = access_of(request).store
    matches: Matches | None = None
    if form.kind is not None and store is not None and not problems:
        matches = would_match(store=store, kind=form.kind, restrictions=form.restrictions)
    return _answer(request, "matches", {"matches": matches, "days": DAYS, "problems": problems})


def _answer(request: HttpRequest, name: str, context: dict[str, Any]) -> HttpResponse:
    """A part of the page for the script, a whole page for those who have none."""
    if request.headers.get("X-Part") == "1":
        return render(request, f"admin/events/subscription/_{name}.html", context)
    frame = {
        **admin.site.each_context(request),
        "title": _TITLES[name],
        "part": f"admin/events/subscription/_{name}.html",
    }
    return render(request, "admin/events/subscription/part.html", {**frame, **context})


@require_POST
def preview_view(request: HttpRequest) -> HttpResponse:
    """The exact request, for what is entered."""
    form = entered_form(admin.site.get_model_admin(Subscription), request)
    return _answer(request, "preview", {"shown": shown(form)})
