"""What several screens show in the same way: JSON as it was sent, and a tool's initials in its coloured tile."""

import json
import re
from datetime import datetime, timedelta
from typing import Any
from zlib import crc32

from django import template
from django.utils import timezone
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.timesince import timesince

register = template.Library()

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<key>"(?:[^"\\]|\\.)*")(?=\s*:)
    | (?P<text>"(?:[^"\\]|\\.)*")
    | (?P<value>-?\d[\d.eE+-]*|true|false|null)
    | (?P<empty>\{\s*\}|\[\s*\])
    | (?P<open>[{\[]) | (?P<close>[}\]]) | (?P<colon>:) | (?P<comma>,)
    )""",
    re.DOTALL | re.VERBOSE,
)
_DEEPEST = 30  # levels of indentation: what is nested deeper stays in this column
_HUES = 6  # of the tiles in the stylesheet


@register.filter
def json_html(content: Any) -> SafeString:
    """JSON, indented and coloured, for a `<pre class="lo-code">`; everything in it is escaped.

    A text is shown as it was written: no number is rounded, no key lost, and what was cut off or is no JSON can be read.
    """
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False, default=str)
    if not text.lstrip().startswith(("{", "[")):
        return escape(text)
    shown: list[str] = []
    depth = at = 0
    while token := _TOKEN.match(text, at):
        kind, word, at = str(token.lastgroup), token[str(token.lastgroup)], token.end()
        depth += (kind == "open") - (kind == "close")
        line = "\n" + "  " * max(0, min(depth, _DEEPEST))
        if kind in ("key", "text", "value"):
            shown.append(f'<span class="{kind}">{escape(word)}</span>')
        elif kind == "empty":
            shown.append(word[0] + word[-1])
        elif kind == "colon":
            shown.append(": ")
        else:
            shown.append(line + word if kind == "close" else word + line)
    shown.append(escape(text[at:]))
    return mark_safe("".join(shown))  # noqa: S308 - escaped piece by piece above


@register.filter
def ago(moment: datetime) -> str:
    """How long ago in its largest unit: `just now`, `5 hours ago`."""
    return "just now" if timezone.now() - moment < timedelta(minutes=1) else f"{timesince(moment, depth=1)} ago"


@register.filter
def initials(label: str) -> str:
    """Two letters for a tile: `Klaviyo` gives Kl, `Customer.io` Ci, `Order Desk` OD."""
    words: list[str] = re.findall(r"\w+", label)
    if len(words) > 1:
        return words[0][0].upper() + words[1][0]
    return label[:2].capitalize()


@register.filter
def hue(key: str) -> str:
    """The class of this tool's colour: always the same one."""
    return f"hue-{crc32(key.encode()) % _HUES}"
