"""The screens of send events: the list, and the page on which one is created or edited."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from customers.models import CustomEvent
from customers.tenancy import StoreModelAdmin, access_of
from events import catalogue, figures
from events.admin import switch, testing
from events.admin.catalogue import event_details, every_event
from events.admin.previewing import matches_view, preview_view, shown
from events.admin.several import several
from events.figures import OfSendEvent
from events.forms.recipient import RecipientForm
from events.forms.send_event import SendEventForm
from events.models import Subscription
from events.models.subscription import NAME_LENGTH
from events.recipes import RECIPES, groups, plain
from events.restrictions import RestrictionError
from events.wording import in_words

LIST = "admin:events_subscription_changelist"


@admin.register(Subscription)
class SubscriptionAdmin(StoreModelAdmin):
    """The store's send events. Those that were deleted can still be read, from what was sent by them."""

    form = SendEventForm
    fields = SendEventForm.Meta.fields
    actions = None
    list_per_page = 50
    show_full_result_count = False
    view_on_site = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("integration", "store")

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        mine = [
            path("<uuid:pk>/switch/", view(self.switch), name="events_subscription_switch_row"),
            path("preview/", view(preview_view), name="events_preview"),
            path("matches/", view(matches_view), name="events_matches"),
            path("several/", view(several), name="events_several"),
            path("catalogue/", view(every_event), name="events_catalogue"),
            path("catalogue/<slug:key>/", view(event_details), name="events_event_details"),
        ]
        return [*mine, *switch.urls(), *testing.urls(), *super().get_urls()]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _still_there(obj) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _still_there(obj) and super().has_delete_permission(request, obj)

    def formfield_for_dbfield(self, db_field: models.Field[Any, Any], request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "integration":  # without Django's small buttons beside it: the page has its own link
            return self.formfield_for_foreignkey(db_field, request, **kwargs)
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    # --- The list -------------------------------------------------------------------------------------------------

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        answer = super().changelist_view(
            request, {**switch.head(request), "title": "Events", "tab": "send_events", **(extra_context or {})}
        )
        if isinstance(answer, TemplateResponse) and answer.context_data and "cl" in answer.context_data:
            answer.context_data["lines"] = lines(answer.context_data["cl"].result_list)
            answer.context_data["recipient_form"] = _recipient_form(request)
        return answer

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> Any:
        return SendEvents

    def switch(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """On or off, from the row."""
        send_event = self.get_object(request, str(pk))
        if request.method != "POST" or send_event is None or not self.has_change_permission(request, send_event):
            return redirect(LIST)
        on = request.POST.get("on") == "1"
        send_event.switch(on=on)
        self.log_change(request, send_event, f"Switched {'on' if on else 'off'}.")
        messages.success(request, f"Switched {'on' if on else 'off'}: {send_event}")
        return redirect(LIST)

    # --- Creating and editing -------------------------------------------------------------------------------------

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """First the event, then its form."""
        context = {"title": "New send event", **_choices(request), **(extra_context or {})}
        starting = request.method == "GET" and self.has_add_permission(request)
        if starting and not self.get_changeform_initial_data(request):
            return self._choose(request, context)
        return super().add_view(request, form_url, context)

    def _choose(self, request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
        if key := request.GET.get("event"):
            messages.error(request, str(catalogue.UnknownEventType(key)))
        context |= {**self.admin_site.each_context(request), "opts": self.opts, "add": True}
        context["recipient_form"] = _recipient_form(request)
        return TemplateResponse(request, "admin/events/subscription/change_form.html", context)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """What the address asks to start with: a copy, a recipe, or an event; empty when it names none."""
        asked = request.GET
        if asked.get("copy") and (original := self.get_object(request, asked["copy"])):
            return {
                "event_key": original.event_key,
                "integration": original.integration_id,
                "prefix": original.prefix,
                "name": original.name_of_copy,
                "restrictions": original.restrictions,
            }
        try:
            recipe = RECIPES.get(asked.get("recipe", "")) or plain(catalogue.event_type(asked.get("event", "")))
        except catalogue.UnknownEventType:
            return {}
        restrictions = [dict(one) for one in recipe.restrictions]
        name = recipe.name
        if (topic := asked.get("topic", "").strip()) and recipe.kind.properties is not None:
            restrictions.append({"field": "custom_topic", "operator": "any_of", "value": [topic]})
            name = topic[:NAME_LENGTH]
        return {"event_key": recipe.event_key, "name": name, "restrictions": restrictions}

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], **kwargs: Any) -> HttpResponse:  # type: ignore[override]
        form = context["adminform"].form
        send_event: Subscription | None = kwargs.get("obj")
        context |= {"form": form, "kind": form.kind, "send_event": send_event, "shown": shown(form)}
        context["event_name"] = (form.instance if form.is_bound else form.as_it_stands()).event_name
        context["line"] = lines([send_event])[0] if send_event else None
        context["may_edit"] = self.has_change_permission(request, send_event) if send_event else True
        context["recipient_form"] = _recipient_form(request)
        return super().render_change_form(request, context, **kwargs)

    # --- Deleting -------------------------------------------------------------------------------------------------

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """None: what is deleted here is archived, and its history stays."""
        return [], {}, set(), []

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        send_event = self.get_object(request, object_id)
        pending = send_event.deliveries.unfinished().count() if send_event else 0
        more = {"title": f"Delete {send_event}?", "pending": pending, **(extra_context or {})}
        return super().delete_view(request, object_id, more)

    def delete_model(self, request: HttpRequest, obj: Subscription) -> None:
        cancelled = obj.archive()
        told = (
            f" {cancelled} pending deliver{'y was' if cancelled == 1 else 'ies were'} cancelled." if cancelled else ""
        )
        messages.success(request, f"Deleted: {obj}.{told}")

    def response_delete(self, request: HttpRequest, obj_display: str, obj_id: Any) -> HttpResponse:
        return redirect(LIST)


@dataclass(frozen=True, kw_only=True)
class Line:
    """A send event as the list shows it."""

    send_event: Subscription
    words: str  # its restrictions
    misfit: str  # or why they cannot be said
    figures: OfSendEvent


def lines(send_events: Sequence[Subscription]) -> list[Line]:
    """A line for each of them. Two queries, however many there are."""
    found = figures.of_send_events(send_events)
    return [_line(send_event, found[send_event.pk]) for send_event in send_events]


def _line(send_event: Subscription, found: OfSendEvent) -> Line:
    try:
        words, misfit = in_words(send_event.read_restrictions()), ""
    except (RestrictionError, catalogue.UnknownEventType) as error:
        words, misfit = "", str(error)
    return Line(send_event=send_event, words=words, misfit=misfit, figures=found)


def _recipient_form(request: HttpRequest) -> RecipientForm:
    store = access_of(request).store
    assert store is not None
    return RecipientForm(store=store)


def _choices(request: HttpRequest) -> dict[str, Any]:
    """What a new send event can be of."""
    store = access_of(request).store
    topics = CustomEvent.objects.recent_topics(store) if store else []
    return {"recipes": RECIPES.values(), "groups": groups(), "topics": topics}


def _still_there(send_event: Subscription | None) -> bool:
    return send_event is None or send_event.archived_at is None


class SendEvents(ChangeList):
    """The list without those that were deleted."""

    def get_queryset(self, *args: Any, **kwargs: Any) -> QuerySet[Any]:
        return super().get_queryset(*args, **kwargs).filter(archived_at=None)
