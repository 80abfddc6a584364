"""What is sent to a stranger and what comes back, checked before any connection is thought of.

Callers take `Request`, `Response`, `check_url` and `MAX_BODY` from `integrations.http`.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from urllib3.exceptions import LocationValueError
from urllib3.util import parse_url

from integrations.http_errors import BadRequest

MAX_BODY = 64 * 1024  # bytes of an answer that are read, after decompression
MAX_URL = 4096  # characters

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})
PORTS = {"http": 80, "https": 443}

# They say where a request begins and ends, or whom it is for: a caller that set them could smuggle a second request
# (https://portswigger.net/web-security/request-smuggling) or speak to another host behind the same front.
OWN_HEADERS = frozenset(
    {
        *("host", "content-length", "transfer-encoding", "connection", "keep-alive", "te", "trailer", "upgrade"),
        *("expect", "proxy-authorization", "proxy-connection"),
    }
)

_HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # token, RFC 9110 section 5.6.2
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")  # RFC 9110 section 5.5
_SCHEME = re.compile(r"https?://", re.IGNORECASE)
_AUTHORITY = re.compile(r"[^/?#]*")
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"  # RFC 1123, and "_", which container names may have
_NAME = re.compile(rf"(?!.{{254}})(?:{_LABEL}\.)*{_LABEL}\.?")
# getaddrinfo takes 2130706433, 0x7f.1, 017700000001 and 127.1 for 127.0.0.1; a real name never ends in a number
# (https://url.spec.whatwg.org/#ends-in-a-number-checker).
_ENDS_IN_A_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)\.?")


@dataclass(frozen=True, kw_only=True)
class Request:
    """One HTTP request; `headers` without those that frame a message (`Host`, `Content-Length`, ...): they are ours."""

    method: str = "POST"
    url: str
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True, kw_only=True)
class Response:
    """An answer, of any status. `headers` are looked up in any case; a repeated one is joined by ", ".

    `body`: at most MAX_BODY bytes, decompressed; `truncated`: there was more. `duration_ms`: milliseconds of the call.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    truncated: bool
    duration_ms: int

    @property
    def text(self) -> str:
        return self.body.decode(errors="replace")

    def json(self) -> Any:
        """The parsed body, None when it is not JSON (or is `null`)."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):  # 64 KiB of "[" are valid so far and too deep
            return None


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where a URL leads; `host` is a lower-case ASCII name or an IP address, without brackets; `path` has the query."""

    scheme: str
    host: str
    port: int
    path: str
    url: str

    @property
    def origin(self) -> str:
        """Scheme, host and port, such as `https://example.com:443`."""
        return f"{self.scheme}://{host_and_port(self.host, self.port)}"


def host_and_port(host: str, port: int) -> str:
    """The pair as ALLOWED_PRIVATE_HOSTS writes it: `127.0.0.1:8070`, `[::1]:8070`, `receiver:8070`."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def check_url(url: str) -> None:
    """Whether this URL could be called, by its spelling alone: nothing is looked up.

    Raises BadRequest with a sentence for the person who typed it.
    """
    target_of(url)


@lru_cache(maxsize=256)  # the same few URLs, again and again
def target_of(url: str) -> Target:
    """The parts of a URL. All else goes by them, so no second parser can read the same URL in another way.

    Raises BadRequest.
    """
    if not url:
        raise BadRequest("Enter an address that starts with https:// or http://.")
    if len(url) > MAX_URL:
        raise BadRequest(f"The address is longer than {MAX_URL} characters.")
    if "\\" in url or any(character.isspace() or not character.isprintable() for character in url):
        raise BadRequest("The address holds a space or another character that an address cannot have.")
    if not (scheme := _SCHEME.match(url)):
        raise BadRequest("The address must start with https:// or http://.")
    if "@" in _AUTHORITY.match(url, scheme.end())[0]:  # type: ignore[index]  # it matches anything
        raise BadRequest("The address must not hold a user name or a password; there are fields for credentials.")
    try:
        parsed = parse_url(url)
    except LocationValueError:
        raise BadRequest("The address is not valid.") from None
    if not parsed.host:
        raise BadRequest("The address has no host name.")
    assert parsed.scheme is not None
    host = _checked_host(parsed.host)
    port = PORTS[parsed.scheme] if parsed.port is None else parsed.port
    if port == 0:
        raise BadRequest("The address has a port that does not exist.")
    path = parsed.request_uri
    url = f"{parsed.scheme}://{host_and_port(host, port)}{path}"
    return Target(scheme=parsed.scheme, host=host, port=port, path=path, url=url)


def _checked_host(host: str) -> str:
    if host.startswith("["):
        try:
            address = IPv6Address(host[1:-1])
        except ValueError:
            raise BadRequest("The address has a host that is not a valid IPv6 address.") from None
        if address.scope_id is not None:
            raise BadRequest("The address has an IPv6 address with a zone, which only one machine understands.")
        return str(address)
    if _ENDS_IN_A_NUMBER.fullmatch(host):
        try:
            return str(IPv4Address(host))
        except ValueError:
            raise BadRequest("Write the IP address as four numbers, such as 203.0.113.7.") from None
    if not _NAME.fullmatch(host):
        raise BadRequest("The address has a host name that is not valid.")
    return host


def check_message(request: Request) -> None:
    """Method, header names and header values. Raises BadRequest, whose sentence never repeats a value."""
    if request.method not in METHODS:
        raise BadRequest(f"The method must be one of {', '.join(sorted(METHODS))}.")
    seen = set()
    for name, value in request.headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise BadRequest(f"The header name {ascii(name)[:60]} is not valid.")
        if name.lower() in OWN_HEADERS:
            raise BadRequest(f"The header {name} is set by the sender itself.")
        if name.lower() in seen:
            raise BadRequest(f"The header {name} is given twice.")
        if not _HEADER_VALUE.fullmatch(value):
            raise BadRequest(f"The value of the header {name} holds a character that a header cannot have.")
        seen.add(name.lower())
