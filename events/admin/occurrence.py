"""The screens of what happened: each event with why it was (not) sent, and a person's story from the newest on."""

from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path

from customers.models import Customer
from customers.refusals import Conflict
from customers.tenancy import access_of
from events import catalogue
from events.admin.log import ChoiceFilter, LogAdmin
from events.admin.paginator import ShortPaginator
from events.explain import explain
from events.models import Occurrence
from events.outbox import evaluate_again
from events.story import happenings

TIMELINE_PAGE = 25  # events


class EventFilter(ChoiceFilter):
    title, parameter_name = "event", "event"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return catalogue.choices()

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.filter(event_key=self.chosen()) if self.chosen() else queryset


class KindFilter(ChoiceFilter):
    title, parameter_name = "kind", "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("attention", "Could not be evaluated"),
            ("real", "Real events"),
            ("silent", "Imported silently"),
            ("test", "Test events"),
        ]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        kinds = {
            None: queryset.all,
            "attention": queryset.needing_attention,
            "real": lambda: queryset.filter(silent=False, is_test=False),
            "silent": lambda: queryset.filter(silent=True, is_test=False),
            "test": lambda: queryset.filter(silent=False, is_test=True),
        }
        return kinds[self.chosen()]()


@admin.register(Occurrence)
class OccurrenceAdmin(LogAdmin):
    """The store's occurrences, each with the verdict of every send event."""

    heading = "What happened"
    page_template = "admin/events/occurrence/page.html"
    list_filter = (EventFilter, KindFilter)
    search_fields = ("id",)  # `get_search_results` says by what
    search_help_text = "E-mail, customer id, event id or # number"
    doings = {"evaluate": "Evaluated again"}

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.timeline)
        return [
            path("customer/<uuid:customer_id>/", view, name="events_customer_timeline"),
            *super().get_urls(),
        ]

    def shown(self, rows: Any) -> Any:
        return rows.select_related("customer")

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        store = access_of(request).store
        return (queryset.matching(search_term, store=store) if store and search_term.strip() else queryset), False

    def page(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        return {"explanations": explain(row)}

    def evaluate(self, request: HttpRequest, row: Occurrence) -> str:
        """Build and evaluate anew what failed when it was recorded."""
        if not row.error:
            raise Conflict("error", "Nothing is left to evaluate.", code="evaluated")
        added = evaluate_again(row)
        told = f"{added} deliver{'y' if added == 1 else 'ies'} added."
        again = Occurrence.objects.filter(pk=row.pk).first()
        if again is None:
            row.pk = None  # gone
            return "Now it can be told: nothing had happened. The entry is gone."
        if again.error:
            raise Conflict("error", f"It still cannot be evaluated in full: {told}", code="unclear")
        return f"It was evaluated again: {told}"

    def timeline(self, request: HttpRequest, customer_id: UUID) -> HttpResponse:
        """What happened to this person, what was sent about it, and why something was not."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        customer = Customer.objects.filter(store=access_of(request).store, pk=customer_id).first()
        if customer is None:
            self.message_user(request, "There is no such customer in this store.", messages.WARNING)
            return redirect("admin:customers_customer_changelist")
        rows = Occurrence.objects.filter(customer=customer).order_by("-id")
        paginator = ShortPaginator(rows, TIMELINE_PAGE)
        page = paginator.get_page(request.GET.get("p"))
        return self.answer(
            request,
            "admin/events/occurrence/timeline.html",
            title=str(customer),
            customer=customer,
            page=page,
            more=paginator.more,
            story=happenings(list(page.object_list)),
        )
