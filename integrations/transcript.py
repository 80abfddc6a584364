"""What is kept of a call, so that an admin sees what was sent and answered and nobody reads a secret there."""

import base64
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from integrations.http_errors import HttpError
from integrations.http_message import Request, Response

MASK = "••••••"
SHORTEST_SECRET = 4  # characters; shorter ones would mask half of every text
REQUEST_BODY = 64 * 1024  # bytes kept, before masking
RESPONSE_BODY = 4 * 1024
URL = 4 * 1024
HEADER = 1024  # of each header value
SENTENCE = 300  # characters

# Whole names of headers, or their last words: `Authorization`, `X-Api-Key`, `X-CleverTap-Passcode`, `Set-Cookie`.
_SECRET_HEADER = re.compile(
    r"(?:.*[-_])?(?:authorization|cookie2?|token|secret|password|passcode|credentials?"
    r"|(?:api|access|auth|account|license|app|site)[-_]?key)",
    re.IGNORECASE,
)
_USERINFO = re.compile(r"(?<=://)[^/?#]*@")
_UNSTORABLE = re.compile("[\ud800-\udfff]")
_BASE64 = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_=")

# How a character may be written in JSON (RFC 8259 section 7) and in HTML, where it is not by its code.
_SHORT_FORMS = {
    '"': (r"\"", "&quot;"),
    "\\": (r"\\",),
    "/": (r"\/",),
    "&": ("&amp;",),
    "<": ("&lt;",),
    ">": ("&gt;",),
    "'": ("&apos;",),
    " ": ("+",),
    "\n": (r"\n",),
    "\r": (r"\r",),
    "\t": (r"\t",),
}


@dataclass(frozen=True, kw_only=True)
class Transcript:
    """One call as it is stored: text only, fit for PostgreSQL (no NUL, no lone surrogates), secrets masked.

    `response_status`: None when no answer came; then `error` is the sentence of the HttpError, else it is empty.
    """

    request_method: str
    request_url: str
    request_headers: dict[str, str]
    request_body: str
    response_status: int | None
    response_headers: dict[str, str]
    response_body: str
    error: str
    duration_ms: int


def transcript(request: Request, outcome: Response | HttpError | None, *, secrets: Collection[str]) -> Transcript:
    """What is kept of this request and its answer, or of the error instead of one; None: it is only shown, not sent.

    `secrets`: the values to mask, wherever they stand and whether they are written as they are, percent-encoded,
    escaped as in JSON or HTML, or within base64 (as in Basic authentication). The answer too: tools echo keys.
    """
    answer = outcome if isinstance(outcome, Response) else None
    error = outcome.summary if isinstance(outcome, HttpError) else ""
    said = _headers(request.headers)
    heard = _headers(answer.headers) if answer else {}
    method, url, body = _storable(request.method), _storable(request.url), _storable(request.body)
    answered, summary = _storable(answer.body if answer else ""), _storable(error)
    masks = _masks(frozenset(secrets))
    # As good as always there is none: one search instead of one in each part. No secret has a NUL, so none is found across.
    parts = (method, url, body, *said, *said.values(), answered, summary, *heard, *heard.values())
    if not _spans("\0".join(parts), masks):
        masks = _NO_MASKS
    return Transcript(
        request_method=_kept(method, masks, limit=HEADER),
        request_url=_kept(_USERINFO.sub(f"{MASK}@", url), masks, limit=URL),
        request_headers=_kept_headers(said, masks),
        request_body=_kept(body, masks, limit=REQUEST_BODY),
        response_status=answer.status if answer else None,
        response_headers=_kept_headers(heard, masks),
        response_body=_kept(answered, masks, limit=RESPONSE_BODY),
        error=_kept(summary, masks, limit=HEADER),
        duration_ms=outcome.duration_ms if outcome else 0,
    )


def one_line(text: str, *, secrets: Collection[str]) -> str:
    """The text as a sentence beside others: one printable line, secrets masked, at most SENTENCE characters.

    For what a tool says of a refusal, which may hold anything: the key that was refused, a page of HTML.
    """
    kept = _kept(_storable(text), _masks(frozenset(secrets)), limit=RESPONSE_BODY)
    line = " ".join("".join(character if character.isprintable() else " " for character in kept).split())
    return line if len(line) <= SENTENCE else f"{line[: SENTENCE - 1]}…"


@dataclass(frozen=True)
class _Masks:
    written: tuple[re.Pattern[str], ...]  # each matches one secret, in all its spellings
    encoded: tuple[str, ...]  # what of a secret is the same in any base64 text that holds it


_NO_MASKS = _Masks((), ())


@lru_cache(maxsize=256)
def _masks(secrets: frozenset[str]) -> _Masks:
    cleaned = {_storable(secret) for secret in secrets}
    searched = sorted(secret for secret in cleaned if len(secret) >= SHORTEST_SECRET)
    return _Masks(
        written=tuple(re.compile("".join(map(_spellings, secret))) for secret in searched),
        encoded=tuple(dict.fromkeys(core for secret in searched for core in _base64_cores(secret.encode()))),
    )


def _spellings(character: str) -> str:
    """A pattern for this character of a secret. Letters and digits are only ever written as they are."""
    if character.isascii() and (character.isalnum() or character in "-._~"):
        return re.escape(character)
    utf16 = character.encode("utf-16-be").hex()
    escaped = "".join(rf"\u{utf16[at : at + 4]}" for at in range(0, len(utf16), 4))
    coded = ["".join(f"%{byte:02x}" for byte in character.encode()), escaped]
    coded += [f"&#{ord(character)};", f"&#0{ord(character)};", f"&#x{ord(character):x};"]
    exact = [character, *_SHORT_FORMS.get(character, ())]
    return f"(?:{'|'.join(map(re.escape, exact))}|(?i:{'|'.join(map(re.escape, coded))}))"


def _base64_cores(secret: bytes) -> Iterable[str]:
    """The part of the encoded secret that its neighbours do not change, for each of the three places it may start."""
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + secret).decode()
        first = (0, 2, 3)[before]
        last = len(encoded) - (0, 3, 2)[(before + len(secret)) % 3]
        yield encoded[first:last]
        yield encoded[first:last].translate(str.maketrans("+/", "-_"))


def _storable(content: str | bytes) -> str:
    text = content.decode(errors="replace") if isinstance(content, bytes) else content
    if text.isascii() and "\0" not in text:
        return text
    # NUL goes first of all: taken out later, it could put a secret together again.
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text.replace("\0", ""))


def _kept(text: str, masks: _Masks, *, limit: int) -> str:
    """The first `limit` bytes with the secrets masked. A secret across the cut is masked like any other."""
    if masks is _NO_MASKS and len(text) * 4 <= limit:  # of UTF-8: at most four bytes each
        return text
    end = len(text.encode()[:limit].decode(errors="ignore")) if len(text) * 4 > limit else len(text)
    kept, at = [], 0
    for start, stop in _spans(text, masks):
        if start >= end:
            break
        if stop > at:
            kept += [text[at:start], MASK]
            at = stop
    kept.append(text[at:end])
    return "".join(kept)


def _spans(text: str, masks: _Masks) -> list[tuple[int, int]]:
    """Where secrets stand, in order and without overlaps."""
    found = [match.span() for pattern in masks.written for match in pattern.finditer(text)]
    for core in masks.encoded:
        at = text.find(core)
        while at >= 0:
            # The whole run of base64: at both ends of the core stand characters that hold a part of the secret.
            start, stop = at, at + len(core)
            while start > 0 and text[start - 1] in _BASE64:
                start -= 1
            while stop < len(text) and text[stop] in _BASE64:
                stop += 1
            found.append((start, stop))
            at = text.find(core, stop)
    merged: list[tuple[int, int]] = []
    for start, stop in sorted(found):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], stop))
        else:
            merged.append((start, stop))
    return merged


def _headers(headers: Mapping[str, str]) -> dict[str, str]:
    return {_storable(name): _storable(value) for name, value in headers.items()}


@lru_cache(maxsize=1024)
def _is_secret(name: str) -> bool:
    return bool(_SECRET_HEADER.fullmatch(name))


def _kept_headers(headers: Mapping[str, str], masks: _Masks) -> dict[str, str]:
    return {
        _kept(name, masks, limit=HEADER): MASK if _is_secret(name) else _kept(value, masks, limit=HEADER)
        for name, value in headers.items()
    }
