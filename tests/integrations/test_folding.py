"""JSON to read and fold: whatever it holds, it is shown as it was written and taken for nothing else."""

import re

import pytest

from integrations.templatetags.folding import json_folded, visible


def read(html: str) -> str:
    """What a person reads of it, without the marks."""
    return re.sub(r"<[^>]*>", "", html)


class TestJsonFolded:
    def test_parts_are_marked(self) -> None:
        html = json_folded('{"name": "Ada", "coins": 50, "vip": null}')
        assert html == (
            '<div class="lo-code" tabindex="0">{'
            '<div class="line"><span class="key">&quot;name&quot;</span>: <span class="text">&quot;Ada&quot;</span>,</div>'
            '<div class="line"><span class="key">&quot;coins&quot;</span>: <span class="value">50</span>,</div>'
            '<div class="line"><span class="key">&quot;vip&quot;</span>: <span class="value">null</span></div>'
            "}</div>"
        )

    def test_nested_parts_fold_and_the_first_ones_are_open(self) -> None:
        html = json_folded('{"data": {"items": [1, 2], "one": [{"a": 1}]}}')
        assert html.count("<details") == 4
        assert html.count(" open>") == 1
        assert '<summary>{<span class="count"> 2 fields </span><span class="closing">}</span></summary>' in html
        assert '<summary>[<span class="count"> 2 entries </span>' in html
        assert '<summary>[<span class="count"> 1 entry </span>' in html
        assert '<summary>{<span class="count"> 1 field </span>' in html

    @pytest.mark.parametrize("empty", ["{}", "[]", '{"a": {}}', '["", []]'])
    def test_what_is_empty_does_not_fold(self, empty: str) -> None:
        assert "<details" not in json_folded(empty)
        assert read(json_folded(empty)).replace(" ", "") == empty.replace(" ", "").replace('"', "&quot;")

    @pytest.mark.parametrize("number", ["1.10", "1E400", "-0", "12345678901234567890123", "NaN"])
    def test_numbers_stay_as_they_were_written(self, number: str) -> None:
        assert f'<span class="value">{number}</span>' in json_folded(f'{{"n": {number}}}')

    def test_a_field_that_stands_there_twice_is_shown_twice(self) -> None:
        assert read(json_folded('{"a": 1, "a": 2}')).count("&quot;a&quot;") == 2

    @pytest.mark.parametrize("place", ['{"%s": 1}', '{"a": "%s"}', '["%s"]', "%s", '{"a": {"%s'])
    def test_nothing_is_taken_for_html(self, place: str) -> None:
        html = json_folded(place % "<script>alert(1)</script><img src=x onerror=alert(1)>")
        assert "<script" not in html
        assert "<img" not in html
        assert "&lt;script&gt;" in html

    def test_a_text_that_is_none_is_shown_as_it_is(self) -> None:
        assert json_folded("Not <b>found</b>") == (
            '<pre class="lo-code" tabindex="0">Not &lt;b&gt;found&lt;/b&gt;</pre>'
        )

    def test_what_was_cut_off_is_still_highlighted(self) -> None:
        assert '<span class="key">&quot;name&quot;</span>' in json_folded('{"name": "Ada", "rest": "cut o')

    @pytest.mark.parametrize("levels", [26, 3000, 100_000])
    def test_what_is_nested_beyond_reading_is_text(self, levels: int) -> None:
        html = json_folded("[" * levels + "]" * levels)
        assert html.startswith("<pre")
        assert "<details" not in html

    def test_a_value_is_shown_like_its_text(self) -> None:
        assert json_folded({"name": "Ä", "n": [1]}) == json_folded('{"name": "Ä", "n": [1]}')


class TestVisible:
    def test_what_turns_the_direction_of_reading_is_written_out(self) -> None:
        assert visible("user\u202egpj.exe") == "user\\u202egpj.exe"

    def test_what_cannot_be_seen_is_written_out(self) -> None:
        assert visible("a\u200bb\x1bc\U000e0041") == "a\\u200bb\\u001bc\\udb40\\udc41"

    def test_lines_and_letters_of_all_languages_stay(self) -> None:
        assert visible("Zeynep Kaya\r\n\tहिन्दी €") == "Zeynep Kaya\n\tहिन्दी €"
