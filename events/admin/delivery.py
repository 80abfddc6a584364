"""The screens of deliveries: what was sent, what came back, and what to do about it."""

from typing import Any, cast

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from customers.models.store import UUID_TEXT
from customers.refusals import Conflict
from customers.tenancy import access_of
from events.admin.delivery_filters import (
    EventFilter,
    IntegrationFilter,
    SendEventFilter,
    StatusFilter,
    TestFilter,
    TimeFilter,
)
from events.admin.log import LogAdmin
from events.admin.together import DOINGS, Doing, Reach, do, in_words, reach_of
from events.explain import why_held
from events.models import Delivery
from events.models.delivery import HELD, DeliveryQuerySet, DeliveryStatus
from events.story import story_of
from events.waking import wake


@admin.register(Delivery)
class DeliveryAdmin(LogAdmin):
    """The store's deliveries: everybody reads them, editors send them again or cancel them."""

    heading = "Deliveries"
    page_template = "admin/events/delivery/page.html"
    list_filter = (StatusFilter, EventFilter, IntegrationFilter, SendEventFilter, TimeFilter, TestFilter)
    search_fields = ("id",)  # `get_search_results` says by what
    search_help_text = "E-mail, customer id, delivery id or event id"
    doings = {"resend": "Sent again", "cancel": "Cancelled"}

    def get_urls(self) -> list[Any]:
        return [self.post("together/", self.together, name="together"), *super().get_urls()]

    def shown(self, rows: Any) -> Any:
        return rows.with_reading().select_related("customer", "integration", "subscription", "occurrence")

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        store = access_of(request).store
        return (queryset.matching(search_term, store=store) if store and search_term.strip() else queryset), False

    def page(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        return {
            "story": story_of(row),
            "held": why_held(row) if row.reading == HELD else [],
            "may_resend": _may_be_resent(row),
            "may_cancel": row.status == DeliveryStatus.PENDING and not row.is_test,
        }

    def resend(self, request: HttpRequest, row: Delivery) -> str:
        """Send it again, now."""
        row.resend()
        transaction.on_commit(wake, robust=True)
        return "It will be sent again now, under the same id."

    def cancel(self, request: HttpRequest, row: Delivery) -> str:
        """Never send it."""
        row.cancel(reason=f"cancelled by {_named(request)}")
        return "It was cancelled: it will not be sent."

    # --- Many at once ---

    def together(self, request: HttpRequest) -> HttpResponse:
        """Ask, with the count, and once that is answered do it: to the ticked ones, or to all that match the filters."""
        if not self.may_handle(request):
            raise PermissionDenied
        back = redirect(self.address("changelist") + (f"?{request.GET.urlencode()}" if request.GET else ""))
        doing = DOINGS.get(request.POST.get("do", ""))
        if doing is None:
            return back
        rows = self._chosen(request)
        if request.POST.get("sure"):
            done = do(doing, rows, who=_named(request))
            transaction.on_commit(wake, robust=True)
            self._note(request, doing, done)
            return back
        reach = reach_of(doing, rows)
        if reach.too_many:
            self.message_user(
                request, f"More than {reach.chosen:,} deliveries match. Narrow the list first.", messages.WARNING
            )
            return back
        if not reach.chosen:
            self.message_user(request, "Tick the deliveries first.", messages.WARNING)
            return back
        return self._question(request, doing, reach)

    def _question(self, request: HttpRequest, doing: Doing, reach: Reach) -> HttpResponse:
        number = in_words(reach.fitting)
        return self.answer(
            request,
            "admin/events/delivery/together.html",
            title=doing.question.format(number),
            button=doing.button.format(number),
            doing=doing,
            reach=reach,
            do=request.POST["do"],
            which=request.POST.get("which", ""),
            ids=request.POST.getlist("ids"),
        )

    def _chosen(self, request: HttpRequest) -> DeliveryQuerySet:
        """The deliveries that were ticked; or all that match the list's filters, but none recorded after the question."""
        if request.POST.get("which") != "all":
            ids = [text for text in request.POST.getlist("ids") if UUID_TEXT.fullmatch(text)]
            return cast(DeliveryQuerySet, self.get_queryset(request).filter(pk__in=ids))
        rows = cast(DeliveryQuerySet, self.get_changelist_instance(request).get_queryset(request))
        newest = request.POST.get("newest", "")
        return rows.filter(pk__lte=newest) if UUID_TEXT.fullmatch(newest) else rows

    def _note(self, request: HttpRequest, doing: Doing, done: int) -> None:
        """Tell what was done, and keep who did it: one entry, however many there were."""
        number = in_words(done)
        self.message_user(request, doing.told.format(number), messages.SUCCESS if done else messages.WARNING)
        LogEntry.objects.create(
            user=cast(User, request.user),
            content_type=ContentType.objects.get_for_model(Delivery),
            object_repr=number,
            action_flag=CHANGE,
            change_message=doing.noted,
        )


def _may_be_resent(delivery: Delivery) -> bool:
    try:
        delivery.refuse_resending()
    except Conflict:
        return False
    return True


def _named(request: HttpRequest) -> str:
    user = cast(User, request.user)
    return user.get_full_name() or user.get_username()
