"""What the screens of the log say often: what became of something, and when."""

from datetime import datetime
from typing import Any

from django import template
from django.contrib.admin.views.main import PAGE_VAR
from django.utils import formats, timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from events.explain import READINGS

register = template.Library()


@register.simple_tag
def badge(reading: str) -> SafeString:
    """What became of a delivery, or why there is none, as a word with a shape."""
    return format_html('<span class="lo-badge is-{}">{}</span>', reading, READINGS.get(reading, reading))


@register.simple_tag
def test_badge() -> SafeString:
    """It was a test."""
    return mark_safe('<span class="lo-badge is-test">Test</span>')


@register.simple_tag
def moment(value: datetime | None) -> SafeString | str:
    """A time on the store's clock, to the second while it is of this year; with its zone to be had by pointing."""
    if value is None:
        return ""
    there, now = timezone.localtime(value), timezone.localtime()
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        value.isoformat(timespec="milliseconds"),
        there.strftime("%Y-%m-%d %H:%M:%S %Z"),
        formats.date_format(there, "j M, H:i:s" if there.year == now.year else "j M Y, H:i"),
    )


@register.filter
def milliseconds(value: Any) -> str:
    """Such as 180 ms or 2.4 s."""
    return f"{value} ms" if value < 1000 else f"{value / 1000:.1f} s"


@register.filter
def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th."""
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


@register.inclusion_tag("admin/events/log_pages.html")
def pages(cl: Any) -> dict[str, Any]:
    """How many rows a list has, and the ways to the newer and the older ones."""
    return {
        "found": f"{cl.result_count:,}",
        "more": cl.paginator.more,
        "things": cl.opts.verbose_name if cl.result_count == 1 else cl.opts.verbose_name_plural,
        "number": cl.page_num,
        "last": cl.paginator.num_pages,
        "newer": cl.get_query_string({PAGE_VAR: cl.page_num - 1}) if cl.page_num > 1 else "",
        "older": cl.get_query_string({PAGE_VAR: cl.page_num + 1}) if cl.page_num < cl.paginator.num_pages else "",
    }


@register.inclusion_tag("admin/events/log_pages.html")
def leaf(page: Any, more: bool) -> dict[str, Any]:
    """The same under a timeline."""
    count = page.paginator.count
    return {
        "found": f"{count:,}",
        "more": more,
        "things": "event" if count == 1 else "events",
        "number": page.number,
        "last": page.paginator.num_pages,
        "newer": f"?{PAGE_VAR}={page.number - 1}" if page.has_previous() else "",
        "older": f"?{PAGE_VAR}={page.number + 1}" if page.has_next() else "",
    }
