"""What every destination has: its settings, how it finds a customer, the calls it makes, and how it reads the answers.

A new destination is one file in this package (a subclass with `key`, `label`, a `Settings` form and `calls`) and one test.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Any, ClassVar
from uuid import UUID

from django import forms

from integrations.fields import AddressField
from integrations.http import HttpError, Request, Response

# What a tool's profile of the customer is told beside an event. `as_of` tells when a late retry brought an older balance.
PROFILE = {
    "loyalty_balance": "user_wallet_balance",
    "loyalty_tier": "user_tier",
    "loyalty_referral_code": "user_referral_code",
    "loyalty_as_of": "event_occurred_at",
}


class Selector(Enum):
    """By which identifier a tool finds the customer; the value names the payload field that carries it."""

    EXTERNAL_ID = "user_customer_id"
    EMAIL = "user_email"
    MOBILE = "user_mobile"

    @property
    def label(self) -> str:
        """As a person says it."""
        return {"EXTERNAL_ID": "customer id", "EMAIL": "e-mail", "MOBILE": "mobile number"}[self.name]


@dataclass(frozen=True, kw_only=True)
class Message:
    """One delivery, as much of it as a destination may know. Frozen values: it is used in threads without a database."""

    id: UUID  # the same on every retry, never shared by two send events
    event_id: UUID  # the occurrence's
    event_key: str
    event_name: str  # prefix + name
    occurred_at: datetime
    payload: Mapping[str, Any]
    selector: Selector | None = None
    is_test: bool = False

    @property
    def identifier(self) -> str | None:
        """The customer's identifier by the integration's primary selector."""
        return self.payload.get(self.selector.value) if self.selector else None

    @property
    def profile(self) -> dict[str, Any]:
        """How the customer stands in the loyalty programme, under the same names in every tool; None is "nothing"."""
        return {name: self.payload[field] for name, field in PROFILE.items() if field in self.payload}

    @property
    def revenue(self) -> tuple[Decimal, str] | None:
        """The order's amount and its currency. None where there is no order: a coupon's worth is no income."""
        try:
            amount = Decimal(self.payload["order_amount"])
            return (amount, self.payload["order_currency_code"]) if amount.is_finite() else None
        except (KeyError, TypeError, ValueError, InvalidOperation):
            return None


class Skip(Exception):
    """Raised by `calls` when this message cannot go to this tool at all; its text is the reason that admins read."""


class Verdict(Enum):
    """What an answer means for the delivery, and for the integration."""

    ACCEPTED = "accepted"
    RETRY = "retry"  # later it may work
    REJECTED = "rejected"  # it never will
    SKIPPED = "skipped"  # there is nothing that could be sent
    UNKNOWN = "unknown"  # nobody can say whether it arrived, and it must not be repeated
    CREDENTIALS_REFUSED = "credentials_refused"  # nothing of this integration will, until somebody mends it
    GONE = "gone"  # the other side wants nothing more: the integration is switched off


@dataclass(frozen=True)
class Judgement:
    """A verdict with its reason in a sentence, and how many seconds the other side asked us to wait."""

    verdict: Verdict
    reason: str = ""
    retry_after: float | None = None
    ambiguous: bool = False  # the request went out, and may have done its work all the same


RETRY_STATUSES = frozenset({408, 425, 429})
ONE_TO_BLAME = frozenset({400, 409, 413, 422})  # refusals of a batch that one of its events may have caused
LONGEST_WAIT = 24 * 3600.0  # seconds: a longer Retry-After counts as this
BREATHER = 10.0  # seconds that an integration waits after a 429 that does not say how long


def retry_after(value: str | None, *, now: datetime | None = None) -> float | None:
    """Seconds to wait, from a Retry-After header (RFC 9110: seconds or a date), 0 to a day; nonsense is None."""
    if not value:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        return min(float(value[:12]), LONGEST_WAIT)
    try:
        moment = parsedate_to_datetime(value)
    except (TypeError, ValueError, OverflowError, IndexError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    seconds = (moment - (now or datetime.now(UTC))).total_seconds()
    return min(max(seconds, 0.0), LONGEST_WAIT)


def what_it_said(content: Any, *, depth: int = 4) -> str:
    """The sentence in a tool's parsed JSON that says what was wrong, where most APIs put one; "" where there is none.

    JSON:API and SendGrid (`errors`, of which the first three), RFC 9457 (`detail`, `title`), and plain `message` or `error`.
    """
    if isinstance(content, str):
        return content.strip()
    if isinstance(content, list) and depth:
        sentences = (what_it_said(part, depth=depth - 1) for part in content[:3])
        return " ".join(dict.fromkeys(filter(None, sentences)))
    if isinstance(content, dict) and depth:
        for name in ("errors", "detail", "message", "error_description", "error", "title"):
            if said := what_it_said(content.get(name), depth=depth - 1):
                field = content.get("field")
                return f"{field}: {said}" if isinstance(field, str) and field else said
    return ""


class Destination(ABC):
    """An adapter for one kind of tool, made with the settings of one integration.

    Instances are shared by threads: they keep nothing but their settings and what follows from them (`cached_property`),
    and touch no database.
    """

    key: ClassVar[str]
    label: ClassVar[str]
    description: ClassVar[str] = ""  # one sentence for the store admin
    docs_url: ClassVar[str] = ""
    selectors: ClassVar[tuple[Selector, ...]] = ()  # empty: it needs no identifier
    channel: ClassVar[str | None] = None  # "email", "sms", "whatsapp": it messages people, who must have agreed to it
    rate: ClassVar[float | None] = None  # calls a second that the tool allows; None: no limit known
    concurrency: ClassVar[int] = 100  # calls at the same time: about as many as two workers make for one integration
    batch_size: ClassVar[int] = 1  # events in one call; for more, see BatchDestination
    max_payload: ClassVar[int] = 1_000_000  # bytes; what is larger is skipped
    longest_name: ClassVar[int | None] = None  # characters of an event's name; what is longer is skipped
    secret_fields: ClassVar[frozenset[str]] = frozenset()

    class Settings(forms.Form):
        """What an admin enters, with help on where to find it."""

    def __init__(self, settings: Mapping[str, Any], *, integration_id: UUID) -> None:
        self.settings = settings
        self.integration_id = integration_id

    @classmethod
    def offered(cls) -> bool:
        """Whether new integrations may choose it on this machine."""
        return True

    @classmethod
    def origins(cls, settings: Mapping[str, Any]) -> frozenset[str]:
        """Whom calls with these settings reach, such as `https://example.com:443`: the hosts of its address fields.

        Secrets entered for these are sent to no other, so a host that is made of something else must be named here too.
        """
        fields = cls.Settings.base_fields.items()
        found = {field.origin(settings.get(name)) for name, field in fields if isinstance(field, AddressField)}
        return frozenset(found - {""})

    @abstractmethod
    def calls(self, message: Message) -> Iterator[Request]:
        """The request, or several in their order (a person first, then the event): the first failure ends them."""

    def judge(self, response: Response) -> Judgement:
        """What this answer means. The default is that of well-behaved HTTP APIs."""
        status = response.status
        wait = None
        if 200 <= status < 300:
            return Judgement(Verdict.ACCEPTED)
        if status in RETRY_STATUSES or status >= 500:
            verdict, reason = Verdict.RETRY, f"{self.label} answered {status}."
            wait = retry_after(response.headers.get("Retry-After"))
            if wait is None and status == 429:
                wait = BREATHER
        elif status in (401, 403):
            verdict, reason = Verdict.CREDENTIALS_REFUSED, f"{self.label} refused the credentials (answer {status})."
        elif status == 410:
            verdict, reason = Verdict.GONE, f"{self.label} answered 410: it wants nothing more at this address."
        elif 300 <= status < 400:
            verdict, reason = (
                Verdict.REJECTED,
                f"{self.label} answered with a redirect ({status}), which is not followed.",
            )
        else:
            verdict, reason = Verdict.REJECTED, f"{self.label} refused it (answer {status})."
        said = self.said(response)
        return Judgement(verdict, f"{reason} It said: {said}" if said else reason, wait)

    def said(self, response: Response) -> str:
        """The tool's own sentence about what was wrong; whoever shows it masks secrets and bounds its length."""
        return what_it_said(response.json())

    def judge_error(self, error: HttpError) -> Judgement:
        """What it means that there is no answer."""
        return Judgement(Verdict.RETRY if error.retryable else Verdict.REJECTED, error.summary)

    def check_credentials(self) -> Request | None:
        """A call that changes nothing and is answered 2xx only with good credentials; None: the tool has none."""
        return None

    def judge_check(self, response: Response) -> Judgement:
        """What the answer to `check_credentials` means; the reason of an accepted one may say whose account it is."""
        return self.judge(response)

    def secrets(self) -> Collection[str]:
        """Every text that must never be seen in a log: the values of the secret settings."""
        return [str(self.settings[name]) for name in self.secret_fields if self.settings.get(name)]


class BatchDestination(Destination):
    """An adapter for a tool that takes several events in one call, up to `batch_size`, and may judge each by itself.

    A batch that is refused for what may be one event's fault, or larger than `max_payload`, goes out again in halves, until
    what is refused is one event alone (`integrations.batches`).
    """

    @abstractmethod
    def item(self, message: Message) -> Any:
        """What stands for this event among the others of a call. Raises Skip."""

    @abstractmethod
    def batch(self, items: Sequence[Any]) -> Request:
        """The one call for these, in their order."""

    def judge_each(self, response: Response, count: int) -> Sequence[Judgement]:
        """What an answer in the 200s means for each of its `count` events, in their order; by default it took them all."""
        return [Judgement(Verdict.ACCEPTED)] * count

    def calls(self, message: Message) -> Iterator[Request]:
        """One event alone: a test event, or one whose worker died with it."""
        yield self.batch([self.item(message)])

    def judge(self, response: Response) -> Judgement:
        """Of one event alone, or of a batch that was refused as a whole."""
        if 200 <= response.status < 300:
            return self.judge_each(response, 1)[0]
        return super().judge(response)


def json_body(content: Any) -> bytes:
    """Compact JSON in UTF-8. A lone surrogate, which UTF-8 does not have, becomes a question mark: the event still goes."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def envelope(message: Message) -> bytes:
    """The body of Standard Webhooks: type, timestamp and data (https://www.standardwebhooks.com)."""
    return json_body(
        {"type": message.event_name, "timestamp": message.occurred_at.isoformat(), "data": dict(message.payload)}
    )
