"""JSON to read and fold: a payload opens part by part, and what came from outside cannot pass itself off as something else."""

import json
import unicodedata
from collections.abc import Iterable
from typing import Any

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from integrations.templatetags.loyalty import json_html

register = template.Library()

OPEN = 2  # levels that are unfolded at first
DEEPEST = 24  # levels that fold
HIDDEN = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})  # characters that could make a line read as another one

_UNFOLDED, _FOLDED = mark_safe('<details class="part" open>'), mark_safe('<details class="part">')


class _Number(str):
    """A number as it was written: 1.10 stays 1.10, and one without end stays text."""

    __slots__ = ()


class _Object(list[tuple[str, Any]]):
    """The fields of an object in their order, also those that stand there twice."""


@register.filter
def json_folded(content: Any) -> SafeString:
    """This JSON (a text, or a value) highlighted, its nested parts to fold; `json_html` shows a text that is none.

    A whole block of its own, which the keyboard can scroll. Everything in it is escaped.
    """
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False, default=str)
    try:
        value = json.loads(
            text, parse_float=_Number, parse_int=_Number, parse_constant=_Number, object_pairs_hook=_Object
        )
        return format_html('<div class="lo-code" tabindex="0">{}</div>', _value(value, depth=0))
    except (ValueError, RecursionError):  # no JSON, cut off, or nested deeper than anybody reads
        return format_html('<pre class="lo-code" tabindex="0">{}</pre>', json_html(visible(text)))


@register.filter
def visible(text: str) -> str:
    """The text with characters that cannot be seen, or that turn the direction of reading, written as \\uXXXX."""
    lines = text.replace("\r\n", "\n")
    return "".join(
        char if char in "\n\t" or unicodedata.category(char) not in HIDDEN else _escape(char) for char in lines
    )


def _escape(char: str) -> str:
    return "".join(f"\\u{unit:04x}" for unit in memoryview(char.encode("utf-16-le", "surrogatepass")).cast("H"))


def _value(value: Any, *, depth: int) -> SafeString:
    if isinstance(value, list):
        return _nested(value, depth=depth)
    if isinstance(value, str) and not isinstance(value, _Number):
        return format_html('<span class="text">{}</span>', _quoted(value))
    written = value if isinstance(value, _Number) else json.dumps(value)
    return format_html('<span class="value">{}</span>', written)


def _quoted(value: str) -> str:
    return visible(json.dumps(value, ensure_ascii=False))


def _nested(value: list[Any], *, depth: int) -> SafeString:
    opening, closing, one, many = ("{", "}", "field", "fields") if isinstance(value, _Object) else _ARRAY
    if not value:
        return format_html("{}{}", opening, closing)
    if depth >= DEEPEST:
        raise RecursionError
    lines = format_html_join("", '<div class="line">{}{}{}</div>', _lines(value, depth=depth + 1))
    if depth == 0:
        return format_html("{}{}{}", opening, lines, closing)
    return format_html(
        '{}<summary>{}<span class="count"> {} {} </span><span class="closing">{}</span></summary>{}{}</details>',
        _UNFOLDED if depth < OPEN else _FOLDED,
        opening,
        len(value),
        one if len(value) == 1 else many,
        closing,
        lines,
        closing,
    )


_ARRAY = ("[", "]", "entry", "entries")


def _lines(value: list[Any], *, depth: int) -> Iterable[tuple[SafeString | str, SafeString, str]]:
    for place, entry in enumerate(value, start=1):
        name: SafeString | str = ""
        if isinstance(value, _Object):
            key, entry = entry
            name = format_html('<span class="key">{}</span>: ', _quoted(key))
        yield name, _value(entry, depth=depth), "," if place < len(value) else ""
