"""Any URL of the store's own: one signed POST per event, by the Standard Webhooks scheme."""

import base64
import secrets
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from functools import cached_property

from django import forms
from django.core.exceptions import ValidationError
from standardwebhooks import Webhook as Signer

from integrations.destinations.base import Destination, Message, envelope
from integrations.fields import AddressField
from integrations.http import BadRequest, Request
from integrations.http_message import check_message

OWN = frozenset({"content-type", "webhook-id", "webhook-timestamp", "webhook-signature"})


def signing_secret() -> str:
    """A new secret as the scheme wants it: whsec_ and 32 random bytes."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def read_headers(text: str) -> dict[str, str]:
    """Headers from lines of `Name: value`. Raises ValidationError, which never repeats a value: it may be a secret."""
    headers: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        name, colon, value = line.partition(":")
        if not line.strip():
            continue
        if not colon:
            raise ValidationError(
                "Write each header as Name: value. Line %(number)d has no colon.", params={"number": number}
            )
        if name.strip().lower() in OWN:
            raise ValidationError("The header %(name)s is set by the sender itself.", params={"name": name.strip()})
        if name.strip() in headers:
            raise ValidationError("The header %(name)s is given twice.", params={"name": name.strip()})
        headers[name.strip()] = value.strip()
    try:
        check_message(Request(url="", headers=headers))
    except BadRequest as error:
        raise ValidationError(error.summary) from None
    return headers


class Webhook(Destination):
    key = "webhook"
    label = "Webhook"
    description = "Sends each event as a signed JSON request to a URL of your own."
    docs_url = "https://www.standardwebhooks.com/"
    secret_fields = frozenset({"signing_secret", "headers"})

    class Settings(forms.Form):
        url = AddressField(
            label="URL", max_length=2000, help_text="Where events are sent, such as https://example.com/events."
        )
        signing_secret = forms.CharField(
            max_length=200,
            initial=signing_secret,
            help_text="Copy it to your receiver, which checks the signature with it (Standard Webhooks). It is not shown again.",
        )
        headers = forms.CharField(
            label="Custom headers",
            required=False,
            widget=forms.Textarea(attrs={"rows": 3}),
            help_text="One per line, as Name: value, such as an Authorization header. They are not shown again.",
        )

        def clean_signing_secret(self) -> str:
            secret: str = self.cleaned_data["signing_secret"]
            try:
                Signer(secret)
                size = len(base64.b64decode(secret.removeprefix("whsec_"), validate=True))
            except Exception:  # noqa: BLE001 - the library raises whatever its decoder does
                size = 0
            if not secret.startswith("whsec_") or not 24 <= size <= 64:
                raise ValidationError("A signing secret is whsec_ followed by 24 to 64 bytes in base64.")
            return secret

        def clean_headers(self) -> str:
            text: str = self.cleaned_data["headers"]
            read_headers(text)
            return text

    @cached_property
    def _headers(self) -> dict[str, str]:
        return read_headers(self.settings.get("headers") or "")

    @cached_property
    def _signer(self) -> Signer:
        return Signer(self.settings["signing_secret"])

    def calls(self, message: Message) -> Iterator[Request]:
        body = envelope(message)
        now = datetime.now(UTC)  # of the attempt: receivers refuse a signature that is more than 5 minutes old
        yield Request(
            url=self.settings["url"],
            headers={
                **self._headers,
                "Content-Type": "application/json",
                "webhook-id": str(message.id),
                "webhook-timestamp": str(int(now.timestamp())),
                "webhook-signature": self._signer.sign(str(message.id), now, body.decode()),
            },
            body=body,
        )

    def secrets(self) -> Collection[str]:
        secret = self.settings["signing_secret"]
        bare = secret.removeprefix("whsec_")  # a receiver may keep it without its prefix
        return [secret, bare, *self._headers.values()]
