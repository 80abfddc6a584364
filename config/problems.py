"""Errors of the API as problem details (RFC 9457), whoever raised them, with the field that each one is about."""

import logging
import math
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS, PermissionDenied, RequestDataTooBig
from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import DataError, IntegrityError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.urls import resolve
from django.utils.encoding import escape_uri_path
from django.views import defaults
from django.views.decorators.csrf import csrf_exempt
from rest_framework import exceptions
from rest_framework.fields import get_error_detail
from rest_framework.settings import api_settings
from rest_framework.views import set_rollback

from customers.refusals import Conflict

MEDIA_TYPE = "application/problem+json"
NOTHING_HERE = "There is nothing at this address."

logger = logging.getLogger(__name__)


class BodyTooLarge(exceptions.APIException):
    status_code = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    default_code = "too_large"
    default_detail = "The body is larger than this API reads."


class Contradiction(exceptions.ValidationError):
    """The request is fine by itself, but something else is already there."""

    status_code = HTTPStatus.CONFLICT


def problem_details(error: Exception, context: dict[str, Any]) -> HttpResponse | None:
    """DRF's exception handler. None, which makes a 500, for what is nobody's bad input."""
    known = _as_api_exception(error)
    if known is None:
        return None
    set_rollback()
    headers = {}
    if scheme := getattr(known, "auth_header", None):
        headers["WWW-Authenticate"] = scheme
    if wait := getattr(known, "wait", None):
        headers["Retry-After"] = str(math.ceil(wait))
    return problem(context["request"], status=known.status_code, errors=[*_flat(known.detail)], headers=headers)


def problem(
    request: Any, *, status: int, errors: list[dict[str, str]], headers: dict[str, str] | None = None
) -> JsonResponse:
    """The answer. `errors` holds field (dotted, empty where it is about the whole), code and message of each."""
    content = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": " ".join(f"{error['field']}: {error['message']}".removeprefix(": ") for error in errors),
        "instance": escape_uri_path(request.path),
        "errors": errors,
    }
    return JsonResponse(content, status=status, content_type=MEDIA_TYPE, headers=headers)


def _as_api_exception(error: Exception) -> exceptions.APIException | None:
    match error:
        case exceptions.APIException():
            return error
        case Conflict():
            return Contradiction(get_error_detail(error))
        case DjangoValidationError():
            return exceptions.ValidationError(get_error_detail(error))
        case RequestDataTooBig():
            return BodyTooLarge()
        case Http404():
            return exceptions.NotFound(NOTHING_HERE)
        case PermissionDenied():
            return exceptions.PermissionDenied()
        case IntegrityError():
            logger.warning("A write lost against another one, or broke a rule of the database.", exc_info=error)
            return Contradiction("Another request changed the same thing at this moment. Try again.", code="conflict")
        case DataError():
            logger.warning("The database could not store a value.", exc_info=error)
            return exceptions.ValidationError("A value is too long or too large to be stored.", code="out_of_range")
    return None


def _flat(detail: Any, path: str = "") -> Iterator[dict[str, str]]:
    if isinstance(detail, dict):
        for name, inner in detail.items():
            whole = name in (NON_FIELD_ERRORS, api_settings.NON_FIELD_ERRORS_KEY)
            yield from _flat(inner, path if whole else f"{path}.{name}".lstrip("."))
    elif isinstance(detail, list):
        for index, inner in enumerate(detail):
            yield from _flat(inner, path if isinstance(inner, str) else f"{path}.{index}".lstrip("."))
    else:
        yield {"field": path, "code": detail.code or "invalid", "message": str(detail)}


# --- What Django answers itself: problems under /api/, plain pages elsewhere ------------------------------------------


@csrf_exempt  # an address that is not there says so to everybody
def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponseBase:
    """Django's handler404, and the view of every address under /api/ that is no other's.

    As a view it also keeps APPEND_SLASH from redirecting there: a POST would arrive as a GET, its body lost.
    """
    if not _is_api(request):
        return defaults.page_not_found(request, exception or Http404())
    sentence = NOTHING_HERE
    with_slash = f"{request.path_info}/"
    if not request.path_info.endswith("/") and resolve(with_slash).func is not not_found:
        sentence += f" Did you mean {with_slash} (with a slash at the end)?"
    return _about_all(request, HTTPStatus.NOT_FOUND, sentence)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Django's handler400: a request that it does not even pass on."""
    if not _is_api(request):
        return defaults.bad_request(request, exception)
    return _about_all(request, HTTPStatus.BAD_REQUEST, "This request cannot be read.")


def server_error(request: HttpRequest) -> HttpResponseBase:
    """Django's handler500."""
    if not _is_api(request):
        return defaults.server_error(request)
    return _about_all(request, HTTPStatus.INTERNAL_SERVER_ERROR, "Something went wrong on our side; it was logged.")


def _is_api(request: HttpRequest) -> bool:
    return request.path_info.startswith("/api/")


def _about_all(request: HttpRequest, status: HTTPStatus, sentence: str) -> HttpResponse:
    return problem(request, status=status, errors=[{"field": "", "code": status.name.lower(), "message": sentence}])
