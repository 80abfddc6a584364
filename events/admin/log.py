"""What the screens of the log share: lists that nobody edits and nothing scans, and a page of their own for each row."""

from collections.abc import Callable
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin.exceptions import DisallowedModelAdminLookup
from django.contrib.admin.utils import quote, unquote
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.views.decorators.http import require_POST

from customers.models import Role
from customers.refusals import Refused
from customers.tenancy import StoreModelAdmin, access_of
from events.admin.paginator import ShortPaginator


class ChoiceFilter(admin.SimpleListFilter):
    """A filter that the list shows as a choice of its form; a value that it does not offer filters nothing."""

    def chosen(self) -> str | None:
        """The value that filters, None without one."""
        value = self.value()
        return value if value in dict(self.lookup_choices) else None


class LogList(ChangeList):
    """First the ids of a page, out of an index; then what is shown of these few rows, with all that hangs on them."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        ids = list(self.result_list.values_list("pk", flat=True))
        assert isinstance(self.model_admin, LogAdmin)
        self.result_list = self.model_admin.shown(self.root_queryset.filter(pk__in=ids).order_by("-pk"))


class LogAdmin(StoreModelAdmin):
    """Rows that the system writes: everybody of the store reads them, editors may do to one what `doings` lists."""

    add_role = change_role = delete_role = None
    actions = None
    paginator = ShortPaginator
    show_full_result_count = False
    list_per_page = 50
    list_max_show_all = 0
    sortable_by = ()
    heading: ClassVar[str] = ""  # of the list
    page_template: ClassVar[str] = ""

    # A method that does something to a row and returns what to tell, by what the history says of it.
    doings: ClassVar[dict[str, str]] = {}

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return LogList

    def shown(self, rows: Any) -> Any:
        """These rows with all that the screens show of them."""
        return rows

    def may_handle(self, request: HttpRequest) -> bool:
        """Whether the user may do something to rows, not only read them."""
        return access_of(request).may(Role.EDITOR)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Only by the filters that it offers: each of them has its index."""
        return lookup in {getattr(one, "parameter_name", None) for one in self.list_filter}

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """The row with all that its page shows, None when the store has none with this id."""
        key = self.opts.pk
        assert key is not None
        try:
            return self.shown(self.get_queryset(request)).filter(pk=key.to_python(object_id)).first()
        except (ValidationError, OverflowError):
            return None

    def get_urls(self) -> list[Any]:
        own = [self.post(f"<path:object_id>/{word}/", self._handling(word), name=word) for word in self.doings]
        return [*own, *super().get_urls()]

    def post(self, route: str, view: Callable[..., HttpResponse], *, name: str) -> Any:
        """An address of this admin that is only posted to."""
        whole = f"{self.opts.app_label}_{self.opts.model_name}_{name}"
        return path(route, self.admin_site.admin_view(require_POST(view)), name=whole)

    def _handling(self, word: str) -> Callable[..., HttpResponse]:
        def view(request: HttpRequest, object_id: str) -> HttpResponse:
            return self._handle(request, object_id, word)

        return view

    def _handle(self, request: HttpRequest, object_id: str, word: str) -> HttpResponse:
        """Do it to this row, note who did, and show the row again with what came of it."""
        if not self.may_handle(request):
            raise PermissionDenied
        row = self.get_object(request, unquote(object_id))
        if row is None:
            return self.gone(request)
        try:
            sentence = getattr(self, word)(request, row)
        except Refused as refused:
            self.message_user(request, refused.sentence, messages.ERROR)
        else:
            self.message_user(request, sentence, messages.SUCCESS)
            if row.pk:
                self.log_change(request, row, self.doings[word])
        return redirect(self.after(row))

    def gone(self, request: HttpRequest) -> HttpResponse:
        """To the list, with a sentence: there is no such row, or none of this store."""
        self.message_user(request, f"There is no such {self.opts.verbose_name} in this store.", messages.WARNING)
        return redirect(self.address("changelist"))

    def after(self, row: Any) -> str:
        """Where something done to a row leads: to the row, or to the list when it is gone."""
        return self.address("change", quote(row.pk)) if row.pk else self.address("changelist")

    def address(self, name: str, *args: Any) -> str:
        """Of one of this admin's pages."""
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_{name}", args=args)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        narrowed = any(request.GET.get(one.parameter_name) for one in self.list_filter)  # type: ignore[union-attr]
        context = {"title": self.heading, "may_handle": self.may_handle(request), "narrowed": narrowed}
        try:
            return super().changelist_view(request, {**context, **(extra_context or {})})
        except DisallowedModelAdminLookup:
            self.message_user(request, "The list cannot be narrowed by that.", messages.WARNING)
            return redirect(request.path)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The page of one row, which nobody edits."""
        if request.method not in ("GET", "HEAD") or not self.has_view_permission(request):
            raise PermissionDenied
        row = self.get_object(request, unquote(object_id))
        if row is None:
            return self.gone(request)
        return self.answer(request, self.page_template, original=row, title=str(row), **self.page(request, row))

    def page(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        """What its page shows beside the row itself."""
        return {}

    def answer(self, request: HttpRequest, template: str, **shown: Any) -> HttpResponse:
        """A page of our own in the frame of the admin."""
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "heading": self.heading,
            "may_handle": self.may_handle(request),
            **shown,
        }
        return TemplateResponse(request, template, context)
