"""Test events from the admin: whom they are about, and at once what came of them. No transaction is open meanwhile."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.contrib import admin
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, JsonResponse, QueryDict
from django.shortcuts import render
from django.urls import URLPattern, path

from customers.models import Role, Store
from customers.models.store import UUID_TEXT
from customers.refusals import Refused
from customers.tenancy import access_of
from events import catalogue
from events.admin.previewing import entered_form
from events.advice import Advice, advice
from events.catalogue import EventType, UnknownEventType
from events.forms.recipient import RecipientForm
from events.models import Subscription
from events.restrictions import Restriction, RestrictionError
from events.testing import Recipient, Report, send_test, suggestions
from integrations.destinations.base import Verdict
from integrations.models import Integration

AT_ONCE = 10  # send events in one go: each may take 10 s, one after the other


def urls() -> list[URLPattern]:
    """The addresses of these pages, under those of the send events."""
    view = admin.site.admin_view
    return [
        path("test/", view(test), name="events_test"),
        path("test/customers/", view(customers), name="events_test_customers"),
    ]


@dataclass(frozen=True, kw_only=True)
class Draft:
    """What is to be tested: a send event as it is saved or as it stands in its form, or an integration by itself."""

    label: str
    kind: EventType
    integration: Integration
    event_name: str
    restrictions: list[Restriction]
    subscription: Subscription | None
    verifies: bool = False  # its outcome stands for the check that the tool itself does not have


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came of one test, for the page: a report, or why there is none."""

    label: str
    sentence: str
    good: bool
    report: Report | None = None
    advice: Advice | None = None
    integration: Integration | None = None


def test(request: HttpRequest) -> HttpResponse:
    """Ask whom it is about; with that, send and show what came of it. A part of the page for the script."""
    access = access_of(request)
    if access.store is None or not access.may(Role.EDITOR):
        raise PermissionDenied
    drafts, problems = _drafts(request, access.store)
    asked = "address" in request.POST
    form = RecipientForm(request.POST if asked else None, store=access.store)
    results: list[Result] = []
    if asked and form.is_valid() and not problems:
        results = [_send(draft, form.recipient) for draft in drafts]
    context = {
        "recipient_form": form,
        "results": results,
        "problems": problems,
        "drafts": drafts,
        "by_itself": drafts[0].integration if drafts and "tool" in _given(request) else None,
    }
    if request.headers.get("X-Part") == "1":
        return render(request, "admin/events/subscription/_test_answer.html", context)
    frame = {**admin.site.each_context(request), "title": "Send test event", "carried": list(_carried(request))}
    return render(request, "admin/events/subscription/test.html", {**frame, **context})


def _carried(request: HttpRequest) -> Iterable[tuple[str, str]]:
    """Everything that says what is tested, for the form that asks about whom."""
    own = {"csrfmiddlewaretoken", *RecipientForm.base_fields}
    return [(name, value) for name, values in _given(request).lists() for value in values if name not in own]


def _given(request: HttpRequest) -> QueryDict:
    return request.POST if request.method == "POST" else request.GET


def _drafts(request: HttpRequest, store: Store) -> tuple[list[Draft], list[str]]:
    """What is to be tested, and what is wrong with that."""
    if "event_key" in request.POST:
        form = entered_form(admin.site.get_model_admin(Subscription), request)
        if not form.is_valid():
            return [], list(form.problems())
        assert form.kind is not None
        return [_draft(form.instance, form.kind, form.restrictions)], []
    given = _given(request)
    if "tool" in given:
        return _of_tool(str(given["tool"]), store)
    try:
        rows = Subscription.objects.existing().filter(store=store, pk__in=given.getlist("send_event"))
        chosen = list(rows.select_related("integration")[: AT_ONCE + 1])
    except ValidationError:  # not an id at all
        chosen = []
    if not chosen:
        return [], ["Choose at least one send event to test."]
    if len(chosen) > AT_ONCE:
        return [], [f"At most {AT_ONCE} send events can be tested at once."]
    drafts, problems = [], []
    for send_event in chosen:
        try:
            kind = catalogue.event_type(send_event.event_key)
            drafts.append(_draft(send_event, kind, send_event.read_restrictions()))
        except (UnknownEventType, RestrictionError) as error:
            problems.append(f"{send_event}: {error}")
    return drafts, problems


def _of_tool(chosen: str, store: Store) -> tuple[list[Draft], list[str]]:
    """A test of the integration with this id by itself, with the first event that there is."""
    rows = Integration.objects.existing().filter(store=store)
    integration = rows.filter(pk=chosen).first() if UUID_TEXT.fullmatch(chosen) else None
    if integration is None:
        return [], ["There is no such integration in this store."]
    kind = next(iter(catalogue.event_types().values()))
    draft = Draft(
        label=f"{kind.key} → {integration}",
        kind=kind,
        integration=integration,
        event_name=kind.key,
        restrictions=[],
        subscription=None,
        verifies=not integration.has_check,
    )
    return [draft], []


def _draft(send_event: Subscription, kind: EventType, restrictions: list[Restriction]) -> Draft:
    return Draft(
        label=send_event.label,
        kind=kind,
        integration=send_event.integration,
        event_name=send_event.event_name,
        restrictions=restrictions,
        subscription=None if send_event._state.adding else send_event,
    )


def _send(draft: Draft, to: Recipient) -> Result:
    try:
        report = send_test(
            kind=draft.kind,
            integration=draft.integration,
            to=to,
            event_name=draft.event_name,
            restrictions=draft.restrictions,
            subscription=draft.subscription,
        )
    except Refused as refused:
        return Result(label=draft.label, sentence=str(refused), good=False, integration=draft.integration)
    verdict = report.judgement.verdict
    good = verdict == Verdict.ACCEPTED
    if draft.verifies:
        return _verified(draft, report, good=good)
    took = f" in {sum(one.duration_ms for one in report.said):,} ms" if report.said else ""
    return Result(
        label=draft.label,
        sentence=f"{draft.integration} accepted it{took}." if good else report.judgement.reason,
        good=good,
        report=report,
        advice=advice(verdict, draft.integration),
        integration=draft.integration,
    )


def _verified(draft: Draft, report: Report, *, good: bool) -> Result:
    """The outcome, noted at the integration as that of a check."""
    tool = draft.integration
    took = sum(one.duration_ms for one in report.said)
    sentence = f"{tool} accepted a test event ({took:,} ms)." if good else report.judgement.reason
    noted = tool.note_check(good=good, sentence=sentence)
    said = advice(report.judgement.verdict, tool)
    if good and noted and not tool.enabled:
        said = Advice(
            "That verifies the connection: it can be switched on now.",
            f"Go to {tool}",
            "admin:integrations_integration_change",
        )
    return Result(label=draft.label, sentence=sentence, good=good, report=report, advice=said, integration=tool)


def customers(request: HttpRequest) -> JsonResponse:
    """Customers of the store for what was typed so far: `{"customers": [{"value": ..., "label": ...}]}`."""
    access = access_of(request)
    if access.store is None or not access.may(Role.EDITOR):
        raise PermissionDenied
    found = suggestions(access.store, mode=request.GET.get("mode", ""), typed=request.GET.get("typed", ""))
    return JsonResponse({"customers": [{"value": value, "label": name} for value, name in found]})
