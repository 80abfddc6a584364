"""What every destination must stand, written once: a test names its destination and good settings, and where it differs.

    class TestSlack(DestinationCases):
        destination = Slack

        def settings_for(self, host):
            return {"url": f"http://{host}/services/T1/B1/X1"}

Real HTTP against a server of the test's own, through `integrations.calling`. No test here may use the database, which
pytest-django sees to: a destination works in threads that have none.
"""

import base64
import json
import logging
import socket
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import MappingProxyType
from typing import Any, ClassVar
from uuid import UUID

import pytest
from django.db import connection

from integrations import calling
from integrations.calling import ask, call
from integrations.destinations import destinations
from integrations.destinations.base import Destination, Judgement, Message, Selector, Verdict
from integrations.http import check_url
from integrations.http_message import check_message, target_of
from integrations.transcript import MASK, Transcript
from tests.integrations.stranger import Stranger, once
from tests.receiver import Answer, Received, Receiver

INTEGRATION_ID = UUID("01932c5e-8f3a-7c11-9d1b-2f6f8a4f0c10")

# Keys and kinds of values as real payloads have them.
PAYLOAD: Mapping[str, Any] = MappingProxyType(
    {
        "event_id": "01932c5e-8f3a-7c11-9d1b-2f6f8a4f0c11",
        "event_sequence": 7,
        "event_key": "walletreward_create",
        "event_occurred_at": "2026-06-01T10:15:00+00:00",
        "event_is_test": False,
        "business_name": "Bean House",
        "business_uri": None,
        "business_coin_name": "Beans",
        "business_currency_code": "EUR",
        "user_customer_id": "1001",
        "user_name": "Ada Lovelace",
        "user_email": "ada@example.com",
        "user_mobile": "+4915112345678",
        "user_tier": "Gold",
        "user_wallet_balance": 120,
        "user_referral_code": "ADA10",
        "wallettransaction_type": "reward",
        "wallettransaction_amount": 50,
        "wallettransaction_title": "Order 1042",
    }
)
ODD = "Zoë “Ω” \"quoted\" 'single' \\ back / <b>&amp; %41 {{x}} 漢字 \u202eאב 🔑 e\u0301 \u2028 line\nbreak\ttab"
TYPED = (
    "\0",
    "x\0y",
    "\ud800",
    ODD,
    "=" * 5000,
    "a:b\r\nX-Evil: 1",
    "-1",
    "null",
    "https://[::1",
    "a secret, mistyped",
)


def a_message(number: int = 1, **more: Any) -> Message:
    """A reward of Ada's; the number tells one delivery from another."""
    return Message(
        **{
            "id": UUID(int=0x01932C5E_8F3A_7C11_9D1B_2F6F8A500000 + number),
            "event_id": UUID(PAYLOAD["event_id"]),
            "event_key": "walletreward_create",
            "event_name": "coins_rewarded",
            "occurred_at": datetime(2026, 6, 1, 10, 15, tzinfo=UTC),
            "payload": PAYLOAD,
            **more,
        }
    )


def strings_in(value: Any) -> Iterator[str]:
    """Every text in a parsed JSON value, keys too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield key
            yield from strings_in(part)
    elif isinstance(value, list):
        for part in value:
            yield from strings_in(part)


class DestinationCases:
    """The cases. Where a tool differs from a well-behaved HTTP API, its test gives another value here."""

    destination: ClassVar[type[Destination]]
    accepted: ClassVar[Answer] = Answer(200)
    credentials_accepted: ClassVar[Answer] = Answer(200)
    gone: ClassVar[Judgement | None] = None  # what its 410 means; None: that it wants nothing more
    problem: ClassVar[Mapping[str, Any]] = {"message": "The name is missing."}  # how it says what was wrong
    malformed: ClassVar[Mapping[str, Sequence[tuple[str, str]]]] = {}  # field: what was typed, and the sentence for it

    def settings_for(self, host: str) -> dict[str, Any]:
        """Good settings, with secrets, that lead to this host:port."""
        raise NotImplementedError

    def identifier_in(self, got: list[Received], selector: Selector) -> Any:
        """The value by which the tool finds the customer, as it stands in these requests."""
        raise NotImplementedError

    def leading_to(self, host: str) -> Destination:
        """The destination under test; its settings cannot be written to."""
        return self.destination(MappingProxyType(self.settings_for(host)), integration_id=INTEGRATION_ID)

    def texts_in(self, request: Received) -> list[str]:
        """Every text that the tool reads in this request."""
        return list(strings_in(request.json()))

    # --- What the cases use ---------------------------------------------------------------------------------------

    @property
    def label(self) -> str:
        return self.destination.label

    def message(self, number: int = 1, **more: Any) -> Message:
        return a_message(number, **{"selector": next(iter(self.destination.selectors), None), **more})

    def deliver(self, adapter: Destination, message: Message | None = None) -> tuple[Judgement, list[Transcript]]:
        return call(adapter, message or self.message(), lease_ends=time.monotonic() + 60)

    def judged(self, receiver: Receiver, answer: Answer) -> Judgement:
        """What it makes of this answer; whatever it was, it is read once and never called again."""
        receiver.choose = lambda _: answer
        judgement, said = self.deliver(self.leading_to(receiver.host))
        assert [one.response_status for one in said] == [answer.status] * len(receiver.got)
        return judgement

    # --- Answers --------------------------------------------------------------------------------------------------

    def test_a_good_answer_is_accepted_and_every_call_is_logged(self, receiver: Receiver) -> None:
        receiver.choose = lambda _: self.accepted
        judgement, said = self.deliver(self.leading_to(receiver.host))
        assert judgement == Judgement(Verdict.ACCEPTED)
        assert receiver.got
        assert [(one.request_method, one.response_status, one.error) for one in said] == [
            (request.method, self.accepted.status, "") for request in receiver.got
        ]

    @pytest.mark.parametrize("status", [400, 404, 409, 413, 422])
    def test_a_refusal_is_final_and_ends_the_calls(self, receiver: Receiver, status: int) -> None:
        judgement = self.judged(receiver, Answer(status, body=b"no"))
        assert judgement == Judgement(Verdict.REJECTED, f"{self.label} refused it (answer {status}).")
        assert len(receiver.got) == 1

    @pytest.mark.parametrize("status", [400, 401, 429, 503])
    def test_its_own_words_are_told(self, receiver: Receiver, status: int) -> None:
        judgement = self.judged(receiver, Answer(status, body=json.dumps(self.problem).encode()))
        assert judgement.reason.endswith(f" (answer {status}). It said: The name is missing.") or judgement.reason == (
            f"{self.label} answered {status}. It said: The name is missing."
        )

    @pytest.mark.parametrize("status", [401, 403])
    def test_refused_credentials_are_known_as_such(self, receiver: Receiver, status: int) -> None:
        judgement = self.judged(receiver, Answer(status, body=b"who are you"))
        assert judgement == Judgement(
            Verdict.CREDENTIALS_REFUSED, f"{self.label} refused the credentials (answer {status})."
        )

    def test_410_is_known_for_what_it_means(self, receiver: Receiver) -> None:
        usual = Judgement(Verdict.GONE, f"{self.label} answered 410: it wants nothing more at this address.")
        assert self.judged(receiver, Answer(410, body=b"gone")) == (self.gone or usual)

    @pytest.mark.parametrize("status", [301, 302, 307, 308])
    def test_a_redirect_is_not_followed(self, receiver: Receiver, status: int) -> None:
        judgement = self.judged(receiver, Answer(status, {"Location": receiver.url}))
        assert judgement == Judgement(
            Verdict.REJECTED, f"{self.label} answered with a redirect ({status}), which is not followed."
        )
        assert len(receiver.got) == 1

    @pytest.mark.parametrize("status", [408, 425, 500, 502, 503, 504, 524])
    def test_trouble_on_the_other_side_is_tried_again(self, receiver: Receiver, status: int) -> None:
        judgement = self.judged(receiver, Answer(status, body=b"<html>sorry</html>"))
        assert judgement == Judgement(Verdict.RETRY, f"{self.label} answered {status}.")

    @pytest.mark.parametrize(("wait", "seconds"), [("7", 7), ("0", 0), ("999999", 86_400), ("soon", 10), ("", 10)])
    def test_it_waits_as_it_was_asked(self, receiver: Receiver, wait: str, seconds: float | None) -> None:
        judgement = self.judged(receiver, Answer(429, {"Retry-After": wait}))
        assert judgement == Judgement(Verdict.RETRY, f"{self.label} answered 429.", seconds)

    def test_it_waits_until_the_date_it_was_given(self, receiver: Receiver) -> None:
        until = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
        wait = self.judged(receiver, Answer(429, {"Retry-After": until})).retry_after
        assert wait is not None
        assert 80 < wait <= 90

    # --- No answer ------------------------------------------------------------------------------------------------

    def test_silence_is_tried_again(self, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(calling, "CALL_TIMEOUT", 0.3)
        with Stranger(lambda visit: visit.hang()) as tool:
            settings.ALLOWED_PRIVATE_HOSTS = frozenset({tool.pair})
            judgement, (said,) = self.deliver(self.leading_to(tool.pair))
        assert judgement == Judgement(Verdict.RETRY, "127.0.0.1 did not answer within 0.3 seconds.", ambiguous=True)
        assert (said.response_status, said.error) == (None, judgement.reason)

    @pytest.mark.parametrize(
        ("answer", "sentence"),
        [
            (b"nonsense\r\n\r\n", "127.0.0.1 gave an answer that is not valid HTTP."),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab", "127.0.0.1 broke off in the middle of its answer."),
            (b"", "127.0.0.1 closed the connection without an answer."),
        ],
    )
    def test_a_broken_answer_is_tried_again(self, settings: Any, answer: bytes, sentence: str) -> None:
        with Stranger(once(answer)) as tool:
            settings.ALLOWED_PRIVATE_HOSTS = frozenset({tool.pair})
            judgement, (said,) = self.deliver(self.leading_to(tool.pair))
        assert judgement == Judgement(Verdict.RETRY, sentence, ambiguous=True)
        assert (said.response_status, said.error) == (None, sentence)

    def test_nobody_listening_is_tried_again(self, settings: Any) -> None:
        with socket.create_server(("127.0.0.1", 0)) as closed:
            host = f"127.0.0.1:{closed.getsockname()[1]}"
        settings.ALLOWED_PRIVATE_HOSTS = frozenset({host})
        judgement, (said,) = self.deliver(self.leading_to(host))
        sentence = "No connection to 127.0.0.1 could be made: it refuses connections or cannot be reached."
        assert judgement == Judgement(Verdict.RETRY, sentence)
        assert (said.response_status, said.error) == (None, sentence)

    def test_an_address_that_is_not_public_is_not_called(self, receiver: Receiver, settings: Any) -> None:
        settings.ALLOWED_PRIVATE_HOSTS = frozenset()
        judgement, _ = self.deliver(self.leading_to(receiver.host))
        sentence = "127.0.0.1 is not a public internet address, so it is not called."
        assert judgement == Judgement(Verdict.REJECTED, sentence)
        assert receiver.got == []

    # --- Secrets --------------------------------------------------------------------------------------------------

    def test_every_secret_setting_is_masked(self) -> None:
        adapter = self.leading_to("tool.example")
        assert self.destination.secret_fields <= self.destination.Settings.base_fields.keys()
        for name in self.destination.secret_fields:
            assert any(secret in adapter.settings[name] for secret in adapter.secrets()), name

    @pytest.mark.parametrize("status", [200, 400, 401, 429, 500])
    def test_no_secret_is_logged_even_when_the_tool_echoes_it(
        self, receiver: Receiver, caplog: pytest.LogCaptureFixture, status: int
    ) -> None:
        adapter = self.leading_to(receiver.host)
        secrets = list(adapter.secrets())
        told = " ".join([*secrets, *(base64.b64encode(f"{secret}:".encode()).decode() for secret in secrets)])

        def echo(request: Received) -> Answer:
            heard = {"path": request.path, "headers": request.headers, "body": request.body.decode()}
            body = {"message": told, "detail": told, "errors": [{"detail": told, "message": told}], "heard": heard}
            headers = {f"X-Echo-{at}": value for at, value in enumerate([*request.headers.values(), told])}
            return Answer(status, headers, json.dumps(body).encode())

        receiver.choose = echo
        with caplog.at_level(logging.DEBUG):
            judgement, said = self.deliver(adapter)
        kept = f"{judgement} {said} {caplog.text}"
        assert [secret for secret in told.split() if secret in kept] == []
        assert (MASK in said[-1].response_body) == bool(secrets)

    def test_secrets_go_only_where_its_addresses_lead(self, receiver: Receiver) -> None:
        if not self.destination.secret_fields:
            return
        adapter = self.leading_to(receiver.host)
        check = adapter.check_credentials()
        requests = [*adapter.calls(self.message()), *([check] if check else [])]
        assert {target_of(request.url).origin for request in requests} <= adapter.origins(adapter.settings)

    # --- Requests -------------------------------------------------------------------------------------------------

    def test_odd_characters_arrive_as_they_are(self, receiver: Receiver) -> None:
        receiver.choose = lambda _: self.accepted
        payload = {
            **PAYLOAD,
            "wallettransaction_title": ODD,
            "user_tier": "",
            "wallettransaction_description": "x" * 9999,
        }
        judgement, _ = self.deliver(self.leading_to(receiver.host), self.message(payload=payload))
        assert judgement.verdict == Verdict.ACCEPTED
        assert any(ODD in text for text in self.texts_in(receiver.got[-1]))

    @pytest.mark.parametrize("text", ["a\0b", "a\ud800b", "\x7f\x1b[31m"])
    def test_no_character_keeps_an_event_from_leaving(self, receiver: Receiver, text: str) -> None:
        receiver.choose = lambda _: self.accepted
        judgement, _ = self.deliver(
            self.leading_to(receiver.host), self.message(payload={**PAYLOAD, "wallettransaction_title": text})
        )
        assert judgement.verdict == Verdict.ACCEPTED
        receiver.got[-1].body.decode()

    def test_what_is_too_large_is_skipped_with_the_reason(self, receiver: Receiver) -> None:
        most = self.destination.max_payload
        message = self.message(payload={**PAYLOAD, "wallettransaction_title": "x" * most})
        judgement, said = self.deliver(self.leading_to(receiver.host), message)
        assert judgement.verdict == Verdict.SKIPPED
        assert judgement.reason.startswith(f"{self.label} takes at most {most:,} bytes; this is ")
        assert len(said) == len(receiver.got)
        assert not any("x" * 1000 in one.request_body for one in said)

    def test_a_name_that_is_too_long_is_skipped_with_the_reason(self, receiver: Receiver) -> None:
        if not (most := self.destination.longest_name):
            return  # the tool takes any
        receiver.choose = lambda _: self.accepted
        adapter = self.leading_to(receiver.host)
        assert self.deliver(adapter, self.message(event_name="x" * most))[0].verdict == Verdict.ACCEPTED
        receiver.got.clear()
        judgement, _ = self.deliver(adapter, self.message(event_name="x" * (most + 1)))
        sentence = f"{self.label} takes event names of at most {most} characters; this one has {most + 1}."
        assert judgement == Judgement(Verdict.SKIPPED, sentence)
        assert receiver.got == []

    def test_a_repeat_says_the_same(self) -> None:
        adapter, message = self.leading_to("tool.example"), self.message()
        first, second = ([(one.method, one.url, one.body) for one in adapter.calls(message)] for _ in range(2))
        assert first == second

    def test_the_customer_is_identified_by_each_selector(self, receiver: Receiver) -> None:
        receiver.choose = lambda _: self.accepted
        for selector in self.destination.selectors:
            receiver.got.clear()
            self.deliver(self.leading_to(receiver.host), self.message(selector=selector))
            assert self.identifier_in(receiver.got, selector) == PAYLOAD[selector.value], selector

    def test_the_check_of_the_credentials_changes_nothing_and_tells_good_from_bad(self, receiver: Receiver) -> None:
        adapter = self.leading_to(receiver.host)
        if not (request := adapter.check_credentials()):
            return  # the tool has none
        assert (request.method, request.body) == ("GET", b"")
        receiver.next.extend([self.credentials_accepted, Answer(401), Answer(500)])
        verdicts = [ask(adapter, request, judge=adapter.judge_check)[0].verdict for _ in range(3)]
        assert verdicts == [Verdict.ACCEPTED, Verdict.CREDENTIALS_REFUSED, Verdict.RETRY]

    # --- Threads and the database -----------------------------------------------------------------------------------

    def test_it_touches_no_database(self, receiver: Receiver) -> None:
        with pytest.raises(RuntimeError, match="Database access not allowed"):
            connection.ensure_connection()  # so every test here would notice
        receiver.choose = lambda _: self.accepted
        assert self.deliver(self.leading_to(receiver.host))[0].verdict == Verdict.ACCEPTED

    def test_threads_share_it(self, receiver: Receiver) -> None:
        receiver.choose = lambda _: self.accepted
        adapter = self.leading_to(receiver.host)
        messages = [
            self.message(number, event_name=f"coins_{number}", payload={**PAYLOAD, "user_name": f"Ada {number}"})
            for number in range(32)
        ]
        expected = Counter(one.body for message in messages for one in self.leading_to(receiver.host).calls(message))
        assert [list(adapter.calls(messages[0])), list(adapter.secrets())]
        before = dict(vars(adapter))  # with what follows from its settings, whoever is served
        with ThreadPoolExecutor(8) as pool:
            outcomes = list(pool.map(lambda message: self.deliver(adapter, message)[0].verdict, messages))
        assert outcomes == [Verdict.ACCEPTED] * 32
        assert Counter(request.body for request in receiver.got) == expected
        assert vars(adapter) == before

    # --- What an admin sees -----------------------------------------------------------------------------------------

    def test_it_is_found_and_says_what_it_is(self) -> None:
        kind = self.destination
        assert destinations()[kind.key] is kind
        assert kind.key.isidentifier()
        assert len(kind.key) <= 40
        assert kind.label
        assert kind.description.endswith(".")
        assert kind.docs_url.startswith("https://") or not kind.docs_url

    def test_good_settings_are_taken_and_can_be_stored(self) -> None:
        form = self.destination.Settings(self.settings_for("tool.example"))
        assert form.is_valid(), form.errors
        assert json.loads(json.dumps(form.cleaned_data)) == self.settings_for("tool.example")

    def test_what_is_missing_is_asked_for(self) -> None:
        form = self.destination.Settings({})
        required = {name for name, field in form.fields.items() if field.required}
        assert dict(form.errors) == {name: ["This field is required."] for name in required}
        assert form.is_valid() == (not required)

    def test_what_is_malformed_gets_its_sentence(self) -> None:
        for name, cases in self.malformed.items():
            for typed, sentence in cases:
                form = self.destination.Settings({**self.settings_for("tool.example"), name: typed})
                assert form.errors.get(name) == [sentence], (name, typed)

    def test_whatever_is_typed_gets_a_sentence_or_makes_a_valid_request(self) -> None:
        for name in self.destination.Settings.base_fields:
            for typed in TYPED:
                form = self.destination.Settings({**self.settings_for("tool.example"), name: typed})
                if form.is_valid():
                    adapter = self.destination(form.cleaned_data, integration_id=INTEGRATION_ID)
                    for request in adapter.calls(self.message()):
                        check_message(request)
                        check_url(request.url)
                for sentence in map(str, form.errors.get(name, [])):
                    assert sentence.endswith("."), sentence
                    if name in self.destination.secret_fields and len(typed) > 5:
                        assert typed not in sentence, "it may be the secret, mistyped"
                assert form.errors.keys() <= {name}

    def test_secrets_are_not_offered_back(self) -> None:
        form = self.destination.Settings(initial={})
        for name in self.destination.secret_fields:
            assert self.settings_for("tool.example")[name] not in str(form[name])
