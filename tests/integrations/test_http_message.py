import tomllib
from pathlib import Path

import pytest

from integrations.http import USER_AGENT, BadRequest, Door, Request, Response, check_url


def answer(body: bytes) -> Response:
    return Response(status=200, headers={}, body=body, truncated=False, duration_ms=1)


class TestCheckUrl:
    @pytest.mark.parametrize(
        "url",
        [
            "https://a.klaviyo.com/api/events",
            "http://example.com",
            "HTTPS://Example.COM:8443/x?y=1#z",
            "https://example.com./",
            "https://my_container:8080/",
            "https://localhost/",
            "http://203.0.113.7/",
            "http://[2001:db8::1]:8080/",
            "https://müller.example/",
            "https://example.com/a//b/%7Bid%7D?q=a%20b",
        ],
    )
    def test_takes_addresses_that_can_be_called(self, url: str) -> None:
        check_url(url)

    @pytest.mark.parametrize(
        ("url", "sentence"),
        [
            ("", "Enter an address that starts with https:// or http://."),
            ("example.com", "The address must start with https:// or http://."),
            ("ftp://example.com", "The address must start with https:// or http://."),
            ("file:///etc/passwd", "The address must start with https:// or http://."),
            ("//example.com", "The address must start with https:// or http://."),
            ("https:example.com", "The address must start with https:// or http://."),
            ("https://", "The address has no host name."),
            ("https:///path", "The address has no host name."),
            ("https://:443/", "The address has no host name."),
            ("https://example.com:99999/", "The address is not valid."),
            ("https://example.com:http/", "The address is not valid."),
            ("https://[::1", "The address is not valid."),
            ("https://example.com:0/", "The address has a port that does not exist."),
            ("https://example.com/ x", "The address holds a space or another character that an address cannot have."),
            (
                "https://example.com/\r\nX: y",
                "The address holds a space or another character that an address cannot have.",
            ),
            (
                "https://good.example\\@evil.example",
                "The address holds a space or another character that an address cannot have.",
            ),
            ("https://example.com/\x00", "The address holds a space or another character that an address cannot have."),
            (
                "https://example.com/\ud800",
                "The address holds a space or another character that an address cannot have.",
            ),
            (
                "https://user:password@example.com/",
                "The address must not hold a user name or a password; there are fields for credentials.",
            ),
            (
                "https://@example.com/",
                "The address must not hold a user name or a password; there are fields for credentials.",
            ),
            ("https://-example.com/", "The address has a host name that is not valid."),
            ("https://a..example.com/", "The address has a host name that is not valid."),
            ("https://example.com../", "The address has a host name that is not valid."),
            ("https://" + "a" * 64 + ".example/", "The address has a host name that is not valid."),
            ("http://2130706433/", "Write the IP address as four numbers, such as 203.0.113.7."),
            ("http://0x7f.1/", "Write the IP address as four numbers, such as 203.0.113.7."),
            ("http://0x7f000001/", "Write the IP address as four numbers, such as 203.0.113.7."),
            ("http://0177.0.0.1/", "Write the IP address as four numbers, such as 203.0.113.7."),
            ("http://127.1/", "Write the IP address as four numbers, such as 203.0.113.7."),
            ("http://127.0.0.1./", "Write the IP address as four numbers, such as 203.0.113.7."),
            ("http://256.1.1.1/", "Write the IP address as four numbers, such as 203.0.113.7."),
            (
                "http://[fe80::1%25eth0]/",
                "The address has an IPv6 address with a zone, which only one machine understands.",
            ),
            ("https://example.com/" + "x" * 4096, "The address is longer than 4096 characters."),
        ],
    )
    def test_says_what_is_wrong_with_the_others(self, url: str, sentence: str) -> None:
        with pytest.raises(BadRequest) as refused:
            check_url(url)
        assert refused.value.summary == sentence

    @pytest.mark.parametrize("url", ["http://１２７.０.０.１/", "http://①②⑦.0.0.1/", "http://127。0。0。1/"])
    def test_refuses_digits_of_other_scripts(self, url: str) -> None:
        with pytest.raises(BadRequest):
            check_url(url)


class TestRequest:
    @pytest.mark.parametrize(
        ("headers", "sentence"),
        [
            ({"X Y": "1"}, "The header name 'X Y' is not valid."),
            ({"": "1"}, "The header name '' is not valid."),
            ({"X:": "1"}, "The header name 'X:' is not valid."),
            ({"X\r\nY": "1"}, "The header name 'X\\r\\nY' is not valid."),
            ({"X-Key": "secret\r\nY: 1"}, "The value of the header X-Key holds a character that a header cannot have."),
            ({"X-Key": "secret\n"}, "The value of the header X-Key holds a character that a header cannot have."),
            ({"X-Key": "a\x00"}, "The value of the header X-Key holds a character that a header cannot have."),
            ({"X-Key": "€"}, "The value of the header X-Key holds a character that a header cannot have."),
            ({"Host": "other.example"}, "The header Host is set by the sender itself."),
            ({"content-length": "0"}, "The header content-length is set by the sender itself."),
            ({"Transfer-Encoding": "chunked"}, "The header Transfer-Encoding is set by the sender itself."),
            ({"X-A": "1", "x-a": "2"}, "The header x-a is given twice."),
        ],
    )
    def test_a_header_that_cannot_be_sent_is_refused_without_its_value(
        self, headers: dict[str, str], sentence: str
    ) -> None:
        with pytest.raises(BadRequest) as refused:
            Door().send(Request(url="http://127.0.0.1:1/", headers=headers))
        assert refused.value.summary == sentence
        assert not refused.value.retryable
        assert not refused.value.ambiguous

    @pytest.mark.parametrize("method", ["CONNECT", "TRACE", "post", "POST / HTTP/1.1\r\n", ""])
    def test_an_unknown_method_is_refused(self, method: str) -> None:
        with pytest.raises(BadRequest) as refused:
            Door().send(Request(method=method, url="http://127.0.0.1:1/", headers={}))
        assert refused.value.summary == "The method must be one of DELETE, GET, HEAD, PATCH, POST, PUT."

    def test_the_user_agent_names_the_version_of_the_project(self) -> None:
        project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
        assert f"Loyalty-Events/{project['version']}" == USER_AGENT


class TestResponse:
    def test_json_is_parsed(self) -> None:
        assert answer(b'{"ok": true}').json() == {"ok": True}

    @pytest.mark.parametrize("body", [b"", b"<html>", b"\xff\xfe\xfd", b'{"cut": ', b"[" * 65536, b"null"])
    def test_what_is_not_json_is_none(self, body: bytes) -> None:
        assert answer(body).json() is None

    def test_text_replaces_what_is_not_utf8(self) -> None:
        assert answer("é".encode() + b"\xff").text == "é\N{REPLACEMENT CHARACTER}"
