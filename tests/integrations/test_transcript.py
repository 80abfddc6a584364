import base64
import html
import json
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.http import Request, Response, TimedOut
from integrations.transcript import MASK, Transcript, one_line, transcript

SECRET = "s3cr&t/\"k\\y' é<€>🔑"

spellings: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "percent-encoded": quote,
    "percent-encoded, all of it": lambda text: quote(text, safe=""),
    "percent-encoded in lower case": lambda text: quote(text, safe="").replace("%2F", "%2f").replace("%C3", "%c3"),
    "form-encoded": quote_plus,
    "JSON": lambda text: json.dumps(text)[1:-1],
    "JSON in UTF-8": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "JSON of PHP": lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    "JSON in upper case": lambda text: json.dumps(text)[1:-1].replace("\\u20ac", "\\u20AC"),
    "HTML": html.escape,
    "HTML with decimal codes": lambda text: html.escape(text).replace("&#x27;", "&#39;"),
}


def of(
    *,
    url: str = "https://tool.example/",
    headers: dict[str, str] | None = None,
    body: bytes = b"",
    answer: bytes = b"",
    answer_headers: dict[str, str] | None = None,
    secrets: tuple[str, ...] = (SECRET,),
) -> Transcript:
    response = Response(status=200, headers=answer_headers or {}, body=answer, truncated=False, duration_ms=12)
    return transcript(Request(url=url, headers=headers or {}, body=body), response, secrets=secrets)


class TestTranscript:
    def test_keeps_request_and_answer(self) -> None:
        kept = of(
            url="https://tool.example/hook?q=1",
            headers={"Content-Type": "application/json"},
            body=b'{"a": 1}',
            answer=b'{"id": 7}',
            answer_headers={"X-Rate": "1"},
        )
        assert kept == Transcript(
            request_method="POST",
            request_url="https://tool.example/hook?q=1",
            request_headers={"Content-Type": "application/json"},
            request_body='{"a": 1}',
            response_status=200,
            response_headers={"X-Rate": "1"},
            response_body='{"id": 7}',
            error="",
            duration_ms=12,
        )

    def test_keeps_the_error_where_no_answer_came(self) -> None:
        error = TimedOut("hooks.t0k3n.example did not answer within 10 seconds.", ambiguous=True, duration_ms=10_003)
        kept = transcript(Request(url="https://hooks.t0k3n.example/", headers={}), error, secrets=["t0k3n"])
        assert (kept.response_status, kept.response_headers, kept.response_body) == (None, {}, "")
        assert kept.error == f"hooks.{MASK}.example did not answer within 10 seconds."
        assert kept.duration_ms == 10_003

    @pytest.mark.parametrize("spell", spellings.values(), ids=spellings)
    def test_a_secret_is_masked_everywhere_however_it_is_written(self, spell: Callable[[str], str]) -> None:
        text = f"<{spell(SECRET)}>{spell(SECRET)}|"
        kept = of(
            url=f"https://tool.example/{text}",
            headers={"X-Note": text},
            body=text.encode(),
            answer=text.encode(),
            answer_headers={"X-Echo": text},
        )
        masked = f"<{MASK}>{MASK}|"
        assert kept.request_url == f"https://tool.example/{masked}"
        assert kept.request_headers == {"X-Note": masked}
        assert kept.request_body == masked
        assert kept.response_headers == {"X-Echo": masked}
        assert kept.response_body == masked

    @pytest.mark.parametrize("before", ["", "u", "us", "use", "user:"])
    @pytest.mark.parametrize("after", ["", "x", "xy", "xyz"])
    @pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
    def test_base64_that_holds_a_secret_is_masked_whole(
        self, before: str, after: str, encode: Callable[[bytes], bytes]
    ) -> None:
        encoded = encode(f"{before}{SECRET}{after}".encode()).decode()
        assert of(answer=f'{{"got": "Basic {encoded}"}}'.encode()).response_body == f'{{"got": "Basic {MASK}"}}'

    @given(st.text(min_size=4), st.text(), st.text())
    def test_no_secret_is_left(self, secret: str, before: str, after: str) -> None:
        secret = secret.replace("\0", "")
        storable = "".join("\ufffd" if "\ud800" <= character <= "\udfff" else character for character in secret)
        if len(storable) < 4 or storable in MASK * 2:
            return
        body = f"{before}{storable}{after}".encode(errors="replace")
        assert storable not in of(body=body, secrets=(secret,)).request_body

    @pytest.mark.parametrize(
        "name",
        ["Authorization", "authorization", "Proxy-Authorization", "X-API-KEY", "Api-Key", "apikey", "Cookie",
         "Set-Cookie", "X-Auth-Token", "X-Postscript-Shop-Token", "X-CleverTap-Passcode", "x-nector-webhook-secret"],
    )  # fmt: skip
    def test_headers_known_to_be_secret_are_masked_whole(self, name: str) -> None:
        kept = of(headers={name: "Bearer of something"}, answer_headers={name: "a=1"}, secrets=())
        assert kept.request_headers == {name: MASK}
        assert kept.response_headers == {name: MASK}

    @pytest.mark.parametrize(
        "name", ["Content-Type", "Idempotency-Key", "Webhook-Id", "x-nector-webhook-secret-algo", "RateLimit-Remaining"]
    )
    def test_other_headers_are_kept(self, name: str) -> None:
        assert of(headers={name: "value"}).request_headers == {name: "value"}

    def test_credentials_in_the_url_are_masked(self) -> None:
        kept = of(url="https://user:password@tool.example/a@b", secrets=())
        assert kept.request_url == f"https://{MASK}@tool.example/a@b"

    def test_secrets_that_overlap_are_masked_together(self) -> None:
        assert of(body=b"[abcdef]", secrets=("abcd", "cdef")).request_body == f"[{MASK}]"
        assert of(body=b"[abcdef] [abcd]", secrets=("abcd", "abcdef")).request_body == f"[{MASK}] [{MASK}]"

    def test_short_secrets_are_not_searched_for(self) -> None:
        assert of(body=b"abc", secrets=("abc", "", "a")).request_body == "abc"
        assert of(body=b"abcd", secrets=("abcd",)).request_body == MASK


class TestSizes:
    def test_of_the_request_64_kib_are_kept(self) -> None:
        assert of(body=b"x" * 70_000).request_body == "x" * 65536

    def test_of_the_answer_4_kib_are_kept(self) -> None:
        assert of(answer=b"x" * 5000).response_body == "x" * 4096

    def test_a_character_is_not_cut_in_two(self) -> None:
        assert of(answer="€".encode() * 2000).response_body == "€" * 1365

    @pytest.mark.parametrize("at", [4095, 4090, 4080])
    def test_a_secret_across_the_cut_is_masked(self, at: int) -> None:
        secret = "abcdefghijklmnopqrstuvwxyz"
        assert of(answer=b"." * at + secret.encode() * 2, secrets=(secret,)).response_body == "." * at + MASK

    def test_long_header_values_are_cut(self) -> None:
        assert of(answer_headers={"X": "x" * 5000}).response_headers == {"X": "x" * 1024}

    def test_a_body_full_of_base64_takes_no_time(self) -> None:
        secret = base64.b64encode(b"secret").decode()
        assert of(body=(secret * 10_000).encode(), secrets=("secret",)).request_body == MASK


class TestStorable:
    def test_nul_and_bad_utf8_do_not_reach_the_database(self) -> None:
        assert of(answer=b"a\x00b\xff\xed\xa0\x80c").response_body == "ab" + "\ufffd" * 4 + "c"

    def test_nor_do_lone_surrogates_and_nul_elsewhere(self) -> None:
        kept = of(url="https://tool.example/\ud800\0", headers={"X\0": "\udfff"}, answer_headers={"Y": "a\0"})
        assert kept.request_url == "https://tool.example/\ufffd"
        assert kept.request_headers == {"X": "\ufffd"}
        assert kept.response_headers == {"Y": "a"}

    def test_a_secret_broken_up_by_nul_is_masked(self) -> None:
        assert of(answer=b"se\0cr\0et", secrets=("secret",)).response_body == MASK
        assert of(answer="secret".encode("utf-16-le"), secrets=("secret",)).response_body == MASK


class TestOneLine:
    def test_is_one_printable_line(self) -> None:
        assert one_line("  not\r\n a\0b\x1b[31m \u202e good\u2028 key\t", secrets=()) == "not ab [31m good key"

    def test_masks_secrets_before_it_cuts(self) -> None:
        secret = "abcdefghijklmnopqrstuvwxyz"
        line = one_line("x" * 290 + secret + "x" * 50, secrets=(secret,))
        assert line == "x" * 290 + MASK + "xxx…"
        assert len(line) == 300

    def test_is_left_alone_when_nothing_is_to_be_done(self) -> None:
        assert one_line("Zoë’s key 🔑 was refused.", secrets=("other",)) == "Zoë’s key 🔑 was refused."
        assert one_line("", secrets=("other",)) == ""
