"""The screen of notices: what the system did by itself, until somebody has seen to it."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse

from events.admin.log import ChoiceFilter, LogAdmin
from events.models import Notice


class StateFilter(ChoiceFilter):
    title, parameter_name = "state", "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("open", "Open"), ("dismissed", "Dismissed")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        chosen = self.chosen()
        return queryset.filter(dismissed_at__isnull=chosen == "open") if chosen else queryset


@admin.register(Notice)
class NoticeAdmin(LogAdmin):
    """Notices: everybody reads them, editors dismiss them."""

    heading = "Notices"
    page_template = "admin/events/notice/page.html"
    list_filter = (StateFilter,)
    doings = {"dismiss": "dismiss"}

    def shown(self, rows: Any) -> Any:
        return rows.select_related("integration")

    def dismiss(self, request: HttpRequest, row: Notice) -> str:
        """Seen to."""
        row.dismiss()
        return "The notice was dismissed."

    def after(self, row: Notice) -> str:
        return reverse("admin:events_notice_changelist")
