"""The page on which several send events are made at once."""

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from customers.models import Role
from customers.tenancy import access_of
from events.forms.several import SeveralForm
from events.models import Subscription


def several(request: HttpRequest) -> HttpResponse:
    """Tick, choose where they go, and make them all."""
    access = access_of(request)
    if access.store is None or not access.may(Role.EDITOR):
        raise PermissionDenied
    form = SeveralForm(request.POST if request.method == "POST" else None, store=access.store)
    if form.is_bound and form.is_valid():
        integration, prefix = form.cleaned_data["integration"], form.cleaned_data["prefix"]
        made = Subscription.objects.start(form.chosen, integration=integration, prefix=prefix)
        model_admin = admin.site.get_model_admin(Subscription)
        for send_event in made:
            model_admin.log_addition(request, send_event, "Made together with others.")
        messages.success(request, f"{len(made)} send event{'s' * (len(made) != 1)} to {integration} made, and on.")
        return redirect("admin:events_subscription_changelist")
    context = {
        **admin.site.each_context(request),
        "title": "Several send events at once",
        "form": form,
        "there": set(Subscription.objects.existing().filter(store=access.store).values_list("event_key", flat=True)),
    }
    return render(request, "admin/events/subscription/several.html", context)
