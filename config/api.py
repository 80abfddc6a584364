"""The frame of the API that settings name: how bodies are read, lists are paged, and unknown parameters are refused.

Routes are in config/urls.py; nothing here may import viewsets, because every viewset imports what settings name.
"""

import json
from collections.abc import Sequence
from typing import Any

from django.core.exceptions import ValidationError as DjangoValidationError
from django.db.models import Model, QuerySet
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework.exceptions import ErrorDetail, NotFound, ParseError, ValidationError
from rest_framework.pagination import CursorPagination
from rest_framework.parsers import JSONParser
from rest_framework.request import Request


class ObjectParser(JSONParser):
    """Bodies are one JSON object (RFC 8259: in UTF-8), each name in it once. Raises ParseError."""

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> dict[str, Any]:
        try:
            content = json.loads(stream.read().decode(), parse_constant=_refuse_constant, object_pairs_hook=_each_once)
        except UnicodeDecodeError:
            raise ParseError("The body is not JSON: it is not in UTF-8.") from None
        except RecursionError:
            raise ParseError("The body is nested too deeply.") from None
        except ValueError as error:
            raise ParseError(f"The body is not JSON: {error}") from None
        if not isinstance(content, dict):
            raise ParseError('The body must be a JSON object, such as {"name": "value"}.')
        return content


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON value")


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        raise ParseError("The body gives a field twice.")
    return content


class KeysetPagination(CursorPagination):
    """Newest first by the key, which grows with time: a page costs the same wherever it is."""

    ordering = "-id"
    page_size = 50
    max_page_size = 200
    page_size_query_param = "page_size"
    page_size_query_description = "Results in one page, 1 to 200; 50 when it is not given."
    cursor_query_description = "Where the page begins: follow `next` and `previous`."

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any] | None:
        self.key = queryset.model._meta.pk
        return super().paginate_queryset(queryset, request, view)

    def get_page_size(self, request: Request) -> int:
        wanted = request.query_params.get("page_size", str(self.page_size))
        sizes = range(1, self.max_page_size + 1)
        if not (wanted.isascii() and wanted.isdigit() and len(wanted) < 10 and int(wanted) in sizes):
            sentence = f"Enter a whole number from 1 to {self.max_page_size}."
            raise ValidationError({"page_size": sentence}, code="invalid")
        return int(wanted)

    def decode_cursor(self, request: Request) -> Any:
        try:
            cursor = super().decode_cursor(request)
            if cursor and cursor.position is not None:
                self.key.to_python(cursor.position)
        except (NotFound, DjangoValidationError):
            sentence = "This is no cursor of this list: follow its next and previous."
            raise ValidationError({"cursor": sentence}, code="invalid") from None
        return cursor

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        parameters: list[dict[str, Any]] = super().get_schema_operation_parameters(view)
        for parameter in parameters:
            if parameter["name"] == self.page_size_query_param:
                parameter["schema"] |= {"minimum": 1, "maximum": self.max_page_size}
        return parameters

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        link = {"type": ["string", "null"], "format": "uri"}
        properties = {"next": link, "previous": link, "results": schema}
        return {"type": "object", "required": [*properties], "properties": properties}


class StrictFilterBackend(DjangoFilterBackend):
    """Refuses query parameters that it does not know, that are empty, or given twice: none is dropped in silence."""

    def filter_queryset(self, request: Request, queryset: QuerySet[Model], view: Any) -> QuerySet[Model]:
        filterset = None if view.detail else self.get_filterset_class(view, queryset)
        known = sorted({*_known(view), *(filterset.base_filters if filterset else ())})
        if errors := {
            name[:60]: sentence
            for name, values in request.query_params.lists()
            if (sentence := _what_is_wrong(name, values, known=known))
        }:
            raise ValidationError(errors)
        return super().filter_queryset(request, queryset, view) if filterset else queryset


def _known(view: Any) -> set[str]:
    """The parameters that this action takes, beside filters."""
    own = getattr(view, "parameter_serializers", {}).get(view.action)
    paging = set() if view.detail or view.paginator is None else {"cursor", "page_size"}
    return paging | {*own().fields} if own else paging


def _what_is_wrong(name: str, values: Sequence[str], *, known: Sequence[str]) -> ErrorDetail | None:
    if name not in known:
        there_are = f"The known ones are: {', '.join(known)}." if known else "This address takes none."
        return ErrorDetail(f"There is no such parameter. {there_are}", code="unknown_parameter")
    if len(values) > 1:
        return ErrorDetail("Give this parameter only once.", code="given_twice")
    if not values[0]:
        return ErrorDetail("This parameter is empty. Leave it out, or give it a value.", code="empty")
    return None
