"""What several screens show in the same way."""

import json
import re

import pytest
from django.utils.html import strip_tags
from django.utils.safestring import SafeString

from integrations.templatetags.loyalty import hue, initials, json_html


def plain(content: object) -> str:
    """What a person reads."""
    return strip_tags(json_html(content)).replace("&quot;", '"').replace("&lt;", "<").replace("&amp;", "&")


class TestJsonHtml:
    def test_indents_and_colours(self) -> None:
        shown = json_html('{"name":"Ada","coins":[1,2.50],"vip":true,"tier":null,"tags":[],"more":{ }}')
        assert isinstance(shown, SafeString)
        assert shown.splitlines() == [
            "{",
            '  <span class="key">&quot;name&quot;</span>: <span class="text">&quot;Ada&quot;</span>,',
            '  <span class="key">&quot;coins&quot;</span>: [',
            '    <span class="value">1</span>,',
            '    <span class="value">2.50</span>',
            "  ],",
            '  <span class="key">&quot;vip&quot;</span>: <span class="value">true</span>,',
            '  <span class="key">&quot;tier&quot;</span>: <span class="value">null</span>,',
            '  <span class="key">&quot;tags&quot;</span>: [],',
            '  <span class="key">&quot;more&quot;</span>: {}',
            "}",
        ]

    @pytest.mark.parametrize(
        "hostile",
        [
            "<script>alert(1)</script>",
            '{"a":"<script>alert(1)</script>"}',
            '{"<b>":1}',
            '{"a":"\\"<img src=x>"}',
            "{<script>alert(1)</script>",
            '["cut off in <b',
            '{"a": &lt;b&gt;}',
        ],
    )
    def test_nothing_from_outside_becomes_markup(self, hostile: str) -> None:
        tags = re.findall(r"<[^>]*>", json_html(hostile))
        assert {tag for tag in tags if tag != "</span>"} <= {
            f'<span class="{name}">' for name in ("key", "text", "value")
        }

    def test_a_text_that_was_cut_off_is_shown_to_its_end(self) -> None:
        assert plain('{"a":{"b":"long te') == '{\n  "a": {\n    "b": "long te'

    def test_what_is_no_json_stays_as_it_is(self) -> None:
        assert json_html("ok & <done>\n") == "ok &amp; &lt;done&gt;\n"
        assert json_html("") == ""

    def test_numbers_are_not_rounded(self) -> None:
        assert "12345678901234567890.10" in json_html("[12345678901234567890.10]")

    def test_values_of_ours(self) -> None:
        assert json.loads(plain({"Content-Type": "text/plain", "name": "Zoë"})) == {
            "Content-Type": "text/plain",
            "name": "Zoë",
        }

    def test_a_thousand_levels_are_no_bomb(self) -> None:
        assert len(json_html("[" * 60_000)) < 60_000 * 70


class TestInitials:
    @pytest.mark.parametrize(
        ("label", "expected"),
        [("Klaviyo", "Kl"), ("Customer.io", "Ci"), ("Order Desk", "OD"), ("WebEngage", "We"), ("", "")],
    )
    def test_two_letters(self, label: str, expected: str) -> None:
        assert initials(label) == expected


class TestHue:
    def test_is_always_the_same_one_of_the_stylesheet(self) -> None:
        assert hue("klaviyo") == hue("klaviyo")
        assert {hue(str(number)) for number in range(100)} == {f"hue-{number}" for number in range(6)}
