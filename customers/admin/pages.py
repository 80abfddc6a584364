"""Pages beside Django's own: a form that does one thing, and buttons that do one thing to a row."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_POST

from customers.models import Role
from customers.tenancy import StoreModelAdmin, access_of


def form_page(
    page: StoreModelAdmin,
    request: HttpRequest,
    *,
    form: forms.Form,
    title: str,
    button: str,
    act: Callable[..., str],
    back: str,
    lead: str = "",
) -> HttpResponse:
    """Show the form; when it is sent, call `act` with its values and lead to `back` with the sentence it returns.

    What a row rule refuses is shown at its field, with everything that was entered.
    """
    if request.method == "POST" and form.is_valid():
        try:
            said = act(**form.cleaned_data)
        except ValidationError as error:
            refuse(form, error)
        else:
            page.message_user(request, said, messages.SUCCESS)
            return redirect(back)
    context = {
        **page.admin_site.each_context(request),
        "opts": page.model._meta,
        "title": title,
        "lead": lead,
        "form": form,
        "button": button,
        "back": back,
        "media": page.media + form.media,
    }
    return TemplateResponse(request, "admin/form_page.html", context)


def refuse(form: forms.BaseForm, error: ValidationError) -> None:
    """Show at its field what a rule says; at the top what is about a field that is not there."""
    told = error.message_dict if hasattr(error, "error_dict") else {"": error.messages}
    for name, sentences in told.items():
        for sentence in sentences:
            form.add_error(name if name in form.fields else None, sentence)


@dataclass(frozen=True, kw_only=True)
class RowAction:
    """A button on a row's page. `run` raises ValidationError where a rule refuses; `done` is said afterwards."""

    name: str
    label: str
    run: Callable[[Any], object]
    done: str
    offered: Callable[[Any], bool] = lambda row: True
    danger: bool = False


class RowActionsAdmin(StoreModelAdmin):
    """A ModelAdmin whose rows have buttons, for those who may change the store's rows (`action_role`)."""

    change_form_template = "admin/row_change_form.html"
    row_actions: ClassVar[Sequence[RowAction]] = ()
    action_role: ClassVar[Role] = Role.EDITOR

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(require_POST(self.row_action_view))
        name = f"{self.opts.app_label}_{self.opts.model_name}_do"
        return [path("<path:object_id>/do/<slug:action>/", view, name=name), *super().get_urls()]

    def row_action_view(self, request: HttpRequest, object_id: str, action: str) -> HttpResponse:
        """Do it, and come back with a sentence."""
        row = self.get_object(request, object_id)
        wanted = next((one for one in self.row_actions if one.name == action), None)
        if row is None or wanted is None:
            raise Http404
        if not access_of(request).may(self.action_role):
            raise PermissionDenied
        try:
            wanted.run(row)
        except ValidationError as error:
            self.message_user(request, " ".join(error.messages), messages.ERROR)
        else:
            self.log_change(request, row, wanted.done)
            self.message_user(request, wanted.done, messages.SUCCESS)
        return redirect(self.page_of(row))

    def page_of(self, row: Any) -> str:
        """The address of the row's page."""
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[row.pk])

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        row = self.get_object(request, object_id)
        offered = [one for one in self.row_actions if row and one.offered(row)]
        may = access_of(request).may(self.action_role)
        context = {"row_actions": offered if may else [], "may_act": may, **(extra_context or {})}
        return super().change_view(request, object_id, form_url, context)
