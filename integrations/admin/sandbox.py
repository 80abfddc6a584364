"""The sandbox's part of an integration's page: what it received, newest first, and how it answers."""

from dataclasses import dataclass
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from customers.models.store import UUID_TEXT
from integrations.destinations.sandbox import Sandbox
from integrations.models import Integration, SandboxBehaviour, SandboxInbox, SandboxRequest

SHOWN = 20  # requests at a time


class BehaviourForm(forms.ModelForm[SandboxInbox]):
    """The switch: how the sandbox answers from now on."""

    class Meta:
        model = SandboxInbox
        fields = ("behaviour", "seconds")
        labels = {"behaviour": "From now on", "seconds": "Seconds"}
        widgets = {"behaviour": forms.RadioSelect}


@dataclass(frozen=True, kw_only=True)
class Inbox:
    """What the page shows of it; `older` is the address of the requests before these, or empty."""

    requests: list[SandboxRequest]
    older: str
    newest: bool
    behaviour: SandboxInbox
    form: BehaviourForm


def inbox_of(request: HttpRequest, integration: Integration) -> Inbox | None:
    """The inbox of a sandbox integration; None of any other."""
    if integration.destination != Sandbox.key:
        return None
    rows = SandboxRequest.objects.filter(integration=integration).order_by("-id")
    before = request.GET.get("before", "")
    if UUID_TEXT.fullmatch(before):
        rows = rows.filter(pk__lt=before)
    shown = list(rows[: SHOWN + 1])
    more = len(shown) > SHOWN
    row = SandboxInbox.of(integration)
    return Inbox(
        requests=shown[:SHOWN],
        older=f"?before={shown[SHOWN - 1].pk}" if more else "",
        newest=not before,
        behaviour=row,
        form=BehaviourForm(instance=row, label_suffix=""),
    )


def behave(integration: Integration, data: Any) -> str:
    """Answer as this form says from now on; returns a sentence about it. Raises ValidationError."""
    form = BehaviourForm(data, instance=SandboxInbox.of(integration))
    if not form.is_valid():
        raise ValidationError([message for messages in form.errors.values() for message in messages])
    inbox = form.save()
    seconds = f", {inbox.seconds} s" if inbox.behaviour in (SandboxBehaviour.BUSY, SandboxBehaviour.SLOW) else ""
    return f"{integration} does this from now on: {inbox.get_behaviour_display().lower()}{seconds}."
