"""The screens of integrations: connect a tool in two steps, verify it, switch it, change it, delete it."""

from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_POST

from customers.refusals import Refused
from customers.tenancy import StoreModelAdmin
from integrations.admin.sandbox import behave, inbox_of
from integrations.admin.shown import State, Tool, kind_of, settings_of, state_of
from integrations.calling import verify
from integrations.destinations import destinations
from integrations.destinations.base import Destination
from integrations.destinations.sandbox import Sandbox
from integrations.forms import form_of
from integrations.models import Integration


@admin.register(Integration)
class IntegrationAdmin(StoreModelAdmin):
    """Connect, verify, switch, delete. Events hangs on it what it knows: see `events/admin/integration.py`."""

    fields = ("name", "primary_selector", "rate_limit", "concurrency_limit", "at_most_once")
    actions = None
    list_display = ("name",)
    list_display_links = None
    ordering = ("name",)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).filter(archived_at=None)

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("<uuid:pk>/verify/", wrap(require_POST(self.verify_view)), name="integrations_integration_verify"),
            path("<uuid:pk>/switch/", wrap(require_POST(self.switch_view)), name="integrations_integration_switch"),
            path("<uuid:pk>/behave/", wrap(require_POST(self.behave_view)), name="integrations_integration_behave"),
            *super().get_urls(),
        ]

    def state(self, integration: Integration) -> State:
        """What it does now, in words."""
        return state_of(integration)

    # --- The list ---

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        answer = super().changelist_view(request, extra_context)
        if isinstance(answer, TemplateResponse) and answer.context_data and "cl" in answer.context_data:
            rows = answer.context_data["cl"].result_list
            answer.context_data |= {
                "title": "Integrations",
                "rows": [{"row": row, "tool": Tool.of(row), "state": self.state(row)} for row in rows],
            }
        return answer

    # --- Connecting: first the tool, then its settings ---

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None) -> Any:
        kind = _offered().get(request.GET.get("destination", ""))
        if kind is not None:
            more = {"title": f"Connect {kind.label}", "tool": Tool.of_kind(kind)}
            return super().add_view(request, form_url, {**(extra_context or {}), **more})
        if not self.has_add_permission(request):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "title": "Connect an integration",
            "opts": self.opts,
            "tools": [Tool.of_kind(kind) for kind in _offered().values()],
        }
        return TemplateResponse(request, "admin/integrations/integration/gallery.html", context)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        kind = kind_of(obj) if obj else _offered().get(request.GET.get("destination", ""))
        kwargs["form"] = form_of(kind or Destination)
        return super().get_form(request, obj, change, **kwargs)

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        self.message_user(request, f"{obj} is connected. Verify it, then switch it on.", messages.SUCCESS)
        return self._to_page(obj)

    def response_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        self.message_user(request, f"{obj} is saved.", messages.SUCCESS)
        return self._to_page(obj)

    # --- Its page ---

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> Any:
        integration = self.get_object(request, object_id)
        if request.method == "POST" and integration and kind_of(integration) is None:
            self.message_user(request, "Nothing was saved: its destination is not in this version.", messages.ERROR)
            return self._to_page(integration)
        more = self.page_context(request, integration) if integration else {}
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **more})

    def page_context(self, request: HttpRequest, integration: Integration) -> dict[str, Any]:
        """What its page shows beside the form."""
        return {
            "title": str(integration),
            "subtitle": None,
            "tool": Tool.of(integration),
            "state": self.state(integration),
            "has_check": integration.has_check,
            "settings_shown": settings_of(integration),
            "inbox": inbox_of(request, integration),
        }

    def verify_view(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Ask the tool, outside any transaction; the page then says what it answered, and when."""
        integration = self._changeable(request, pk)
        found = verify(integration)
        self.log_change(request, integration, f"Verified the connection: {found.sentence}")
        self.message_user(request, found.sentence, messages.SUCCESS if found.good else messages.ERROR)
        return self._to_page(integration)

    def switch_view(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Switch it as the button says: a page that was open for long must not turn it round."""
        integration = self._changeable(request, pk)
        try:
            if request.POST.get("on") == "1":
                integration.switch_on()
                said = f"{integration} is on."
            else:
                integration.switch_off()
                said = f"{integration} is off: what matches is recorded and held."
        except Refused as refusal:
            self.message_user(request, refusal.sentence, messages.ERROR)
        else:
            self.log_change(request, integration, said)
            self.message_user(request, said, messages.SUCCESS)
        return self._to_page(integration)

    def behave_view(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """How the sandbox answers from now on."""
        integration = self._changeable(request, pk)
        if integration.destination != Sandbox.key:
            raise Http404
        try:
            said = behave(integration, request.POST)
        except ValidationError as error:
            self.message_user(request, " ".join(error.messages), messages.ERROR)
        else:
            self.log_change(request, integration, said)
            self.message_user(request, said, messages.SUCCESS)
        return self._to_page(integration)

    # --- Deleting: history stays readable ---

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[Any]]:
        return [], {}, set(), []  # nothing is deleted for good, so there is nothing to collect

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        obj.archive()

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> Any:
        integration = self.get_object(request, object_id)
        more = (
            {"consequences": self.consequences(integration), "title": f"Delete {integration}?"} if integration else {}
        )
        return super().delete_view(request, object_id, {**(extra_context or {}), **more})

    def consequences(self, integration: Integration) -> list[str]:
        """What deleting it does, in sentences."""
        return ["Nothing more is sent to it.", "Its deliveries so far stay readable."]

    # --- Both ---

    def _changeable(self, request: HttpRequest, pk: UUID) -> Integration:
        """The integration, of a user who may change it. Raises Http404 or PermissionDenied."""
        integration = self.get_object(request, str(pk))
        if integration is None:
            raise Http404
        if not self.has_change_permission(request, integration):
            raise PermissionDenied
        assert isinstance(integration, Integration)
        return integration

    def _to_page(self, integration: Integration) -> HttpResponse:
        return redirect(reverse("admin:integrations_integration_change", args=[integration.pk]))


def _offered() -> dict[str, type[Destination]]:
    """The destinations that a new integration may choose, by their keys."""
    return {key: kind for key, kind in destinations().items() if kind.offered()}
