"""The webhook: the exact signed request, and what its form takes."""

import base64
import re
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from integrations.destinations.webhook import Webhook, signing_secret
from tests.integrations.destination_cases import INTEGRATION_ID, PAYLOAD, DestinationCases, a_message
from tests.receiver import Received, Receiver

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
HEADERS = "Authorization: Bearer of-good-news\nX-Shop: bean-house"
GOOD = {"url": "https://tool.example/events", "signing_secret": SECRET, "headers": HEADERS}

NOT_A_SECRET = "A signing secret is whsec_ followed by 24 to 64 bytes in base64."


def form(**typed: Any) -> Any:
    return Webhook.Settings({**GOOD, **typed})


class TestWebhook(DestinationCases):
    destination = Webhook
    malformed = {
        "url": [
            ("tool.example/events", "The address must start with https:// or http://."),
            ("ftp://tool.example", "The address must start with https:// or http://."),
            ("https://", "The address has no host name."),
            (
                "https://ada:secret@tool.example",
                "The address must not hold a user name or a password; there are fields for credentials.",
            ),
            ("https://tool.example/a b", "The address holds a space or another character that an address cannot have."),
            ("https://tool.example/" + "a" * 2000, "Ensure this value has at most 2000 characters (it has 2021)."),
        ],
        "signing_secret": [
            ("secret", NOT_A_SECRET),
            ("whsec_", NOT_A_SECRET),
            ("whsec_not base64!", NOT_A_SECRET),
            ("whsec_" + base64.b64encode(bytes(23)).decode(), NOT_A_SECRET),
            ("whsec_" + base64.b64encode(bytes(65)).decode(), NOT_A_SECRET),
            (base64.b64encode(bytes(32)).decode(), NOT_A_SECRET),
        ],
        "headers": [
            ("X-Shop: a\n\nBearer abc", "Write each header as Name: value. Line 3 has no colon."),
            ("Content-Type: text/plain", "The header Content-Type is set by the sender itself."),
            ("webhook-signature: v1,abc", "The header webhook-signature is set by the sender itself."),
            ("Host: tool.example", "The header Host is set by the sender itself."),
            ("Content-Length: 3", "The header Content-Length is set by the sender itself."),
            ("X-Shop: a\nX-Shop: b", "The header X-Shop is given twice."),
            ("X-Shop: a\nx-shop: b", "The header x-shop is given twice."),
            ("X Shop: a", "The header name 'X Shop' is not valid."),
            (": a", "The header name '' is not valid."),
            ("X-Shop: 漢字", "The value of the header X-Shop holds a character that a header cannot have."),
        ],
    }  # fmt: skip

    def settings_for(self, host: str) -> dict[str, Any]:
        return {**GOOD, "url": f"http://{host}/events"}


class TestRequest:
    def sent(self, receiver: Receiver, **settings: Any) -> Received:
        """What arrived of the reward, sent with these settings."""
        adapter = Webhook({**GOOD, "url": receiver.url, **settings}, integration_id=INTEGRATION_ID)
        cases = TestWebhook()
        cases.deliver(adapter)
        return receiver.got[-1]

    def test_body_and_headers(self, receiver: Receiver) -> None:
        before = datetime.now(UTC).timestamp()
        request = self.sent(receiver)
        assert (request.method, request.path) == ("POST", "/events")
        assert request.json() == {
            "type": "coins_rewarded",
            "timestamp": "2026-06-01T10:15:00+00:00",
            "data": dict(PAYLOAD),
        }
        assert request.headers["Content-Type"] == "application/json"
        assert request.headers["webhook-id"] == str(a_message().id)
        assert before - 1 <= int(request.headers["webhook-timestamp"]) <= datetime.now(UTC).timestamp()
        assert request.headers["Authorization"] == "Bearer of-good-news"
        assert request.headers["X-Shop"] == "bean-house"

    def test_the_standard_library_of_receivers_accepts_the_signature(self, receiver: Receiver) -> None:
        request = self.sent(receiver)
        assert Verifier(SECRET).verify(request.body, dict(request.headers)) == request.json()

    def test_it_refuses_another_secret_and_another_body(self, receiver: Receiver) -> None:
        request = self.sent(receiver)
        headers = dict(request.headers)
        with pytest.raises(WebhookVerificationError):
            Verifier(signing_secret()).verify(request.body, headers)
        with pytest.raises(WebhookVerificationError):
            Verifier(SECRET).verify(request.body.replace(b"50", b"51"), headers)

    def test_the_signature_of_the_specification(self) -> None:
        """Its published example: github.com/standard-webhooks/standard-webhooks, spec, "Signature scheme"."""
        signer = Verifier("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
        moment = datetime.fromtimestamp(1614265330, UTC)
        signed = signer.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", moment, '{"test": 2432232314}')
        assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

    def test_every_attempt_is_signed_anew_for_receivers_that_refuse_old_ones(self) -> None:
        adapter = Webhook(GOOD, integration_id=INTEGRATION_ID)
        with time_machine.travel("2026-06-01 10:15:00+00:00", tick=False):
            (first,) = adapter.calls(a_message())
        with time_machine.travel("2026-06-01 13:15:00+00:00", tick=False):
            (second,) = adapter.calls(a_message())
            assert Verifier(SECRET).verify(second.body, dict(second.headers))
        assert first.headers["webhook-id"] == second.headers["webhook-id"]
        assert (first.headers["webhook-timestamp"], second.headers["webhook-timestamp"]) == ("1780308900", "1780319700")

    def test_without_custom_headers_there_are_none(self, receiver: Receiver) -> None:
        request = self.sent(receiver, headers="")
        own = {"Content-Type", "webhook-id", "webhook-timestamp", "webhook-signature"}
        transport = {"Host", "User-Agent", "Accept-Encoding", "Content-Length"}
        assert request.headers.keys() == own | transport


class TestSettings:
    def test_empty_lines_and_spaces_around_headers_do_no_harm(self) -> None:
        assert form(headers="\n  X-Shop :  bean-house  \n\n").is_valid()
        adapter = Webhook({**GOOD, "headers": "\n  X-Shop :  bean:house  \n\n"}, integration_id=INTEGRATION_ID)
        (request,) = adapter.calls(a_message())
        assert request.headers["X-Shop"] == "bean:house"

    def test_a_header_that_is_refused_does_not_repeat_its_value(self) -> None:
        assert "hunter2" not in str(form(headers="Authorization: Bearer hunter2\nHost: x").errors)

    def test_a_new_form_offers_a_new_secret_each_time(self) -> None:
        first, second = (Webhook.Settings()["signing_secret"].value() for _ in range(2))
        assert re.fullmatch(r"whsec_[0-9A-Za-z+/]{43}=", first)
        assert first != second
        assert form(signing_secret=first).is_valid()

    @pytest.mark.parametrize("size", [24, 64])
    def test_secrets_of_the_schemes_sizes_are_taken(self, size: int) -> None:
        assert form(signing_secret="whsec_" + base64.b64encode(bytes(size)).decode()).is_valid()


class TestSecrets:
    def test_the_signing_secret_in_both_forms_and_every_header_value(self) -> None:
        adapter = Webhook(GOOD, integration_id=INTEGRATION_ID)
        assert list(adapter.secrets()) == [SECRET, SECRET.removeprefix("whsec_"), "Bearer of-good-news", "bean-house"]
