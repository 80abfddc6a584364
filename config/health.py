"""Health pages: whether this process lives and is ready, for everybody; how sending is doing, for who holds the token."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.db import Error
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from events import doctor, health, metrics

View = Callable[[HttpRequest], HttpResponse]


def public(view: View) -> View:
    """Anybody may ask, and nobody keeps the answer."""
    return require_safe(never_cache(view))


def for_operators(view: View) -> View:
    """Only with `Authorization: Bearer` and HEALTH_TOKEN; while no token is set, there is nothing here."""

    @wraps(view)
    def guarded(request: HttpRequest) -> HttpResponse:
        if not settings.HEALTH_TOKEN:
            raise Http404
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and constant_time_compare(token.strip(), settings.HEALTH_TOKEN):
            return view(request)
        return HttpResponse(
            "This page needs the header Authorization: Bearer and HEALTH_TOKEN.\n",
            status=401,
            content_type="text/plain; charset=utf-8",
            headers={"WWW-Authenticate": 'Bearer realm="health"'},
        )

    return public(guarded)


@public
def live(request: HttpRequest) -> HttpResponse:
    """This process answers; nothing else was asked."""
    return JsonResponse({"status": "ok"})


@public
def ready(request: HttpRequest) -> HttpResponse:
    """The database answers, with the tables of this version."""
    return _answer({}, trouble=not health.ready())


@for_operators
def deliveries(request: HttpRequest) -> HttpResponse:
    """The figures of sending; 503 when something is in the way of everybody's deliveries."""
    problems = doctor.problems(doctor.ALARMS)
    try:
        figures = _figures(health.look())
    except Error:
        figures = {}  # of which the problems say why
    return _answer({**figures, "problems": problems}, trouble=bool(problems))


@for_operators
def prometheus(request: HttpRequest) -> HttpResponse:
    """The metrics; 503 without a database."""
    try:
        return HttpResponse(metrics.exposition(), content_type=CONTENT_TYPE_PLAIN_0_0_4)
    except Error:
        return HttpResponse("# The database cannot be used.\n", status=503, content_type=CONTENT_TYPE_PLAIN_0_0_4)


def _answer(content: dict[str, Any], *, trouble: bool) -> HttpResponse:
    return JsonResponse({"status": "trouble" if trouble else "ok", **content}, status=503 if trouble else 200)


def _figures(found: health.Health) -> dict[str, Any]:
    return {
        "clusters": found.clusters,
        "due": found.due,
        "oldest_due_seconds": found.oldest_due_seconds(),
        "in_flight": found.in_flight,
        "held": found.held,
        "integrations": [
            {
                "store": one.integration.store.name,
                "integration": one.integration.name,
                "id": str(one.integration.pk),
                "on": one.integration.enabled,
                "closed": one.closed,
                "due": one.due,
                "oldest_due_seconds": found.oldest_due_seconds(of=one),
                "in_flight": one.in_flight,
                "held": one.held,
                "last_5_minutes": _success(one.last_5_minutes),
                "last_24_hours": _success(one.last_24_hours),
            }
            for one in found.integrations
        ],
    }


def _success(success: health.Success) -> dict[str, int | None]:
    return {"tries": success.tries, "failed_tries": success.failed_tries, "success_percent": success.percent}
