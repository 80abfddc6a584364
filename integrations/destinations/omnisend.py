"""Omnisend: each event goes to a contact, where it starts automations. By the API that is versioned by a header."""

from collections.abc import Iterator
from dataclasses import replace

from django import forms

from integrations.destinations.base import Destination, Judgement, Message, Selector, Verdict, json_body, retry_after
from integrations.fields import HostField, VersionField
from integrations.http import Request, Response

# Its third one, `id`, is Omnisend's own and nothing that a store knows.
IDENTIFIERS = {Selector.EMAIL: "email", Selector.MOBILE: "phone"}


class Omnisend(Destination):
    key = "omnisend"
    label = "Omnisend"
    description = "Records each event on the contact, where it can start automations."
    docs_url = "https://api-docs.omnisend.com/reference/post_events"
    selectors = tuple(IDENTIFIERS)
    rate = 6.5  # 400 in any minute, in which a lane sends 60 seconds' worth and the one it saved up
    secret_fields = frozenset({"api_key"})

    class Settings(forms.Form):
        api_key = forms.RegexField(
            r"\A[!-~]{16,}\Z",
            label="API key",
            max_length=200,
            error_messages={"invalid": "An API key is one word of at least 16 characters."},
            help_text="In Omnisend under Store settings, API keys, Create API key, with the permissions events.write and "
            "brands.read.",
        )
        version = VersionField(
            label="API version", initial="2026-03-15", help_text="Change it when Omnisend retires this one."
        )
        host = HostField(
            initial="https://api.omnisend.com", max_length=200, help_text="Only to go through your own proxy."
        )

    def calls(self, message: Message) -> Iterator[Request]:
        assert message.selector
        known = {name: value for name, value in message.profile.items() if value is not None}
        event = {
            "eventName": message.event_name,
            "origin": "api",
            # Both, or it makes up an id: by them it knows a repeat, but only among events that are history to it.
            "eventID": str(message.id),
            "eventTime": message.occurred_at.isoformat(),
            # The chosen identifier alone: it overwrites the other ones of the contact it finds.
            # https://support.omnisend.com/en/articles/4237790-updating-contact-profiles
            "contact": {IDENTIFIERS[message.selector]: message.identifier, "customProperties": known},
            "properties": dict(message.payload),
        }
        yield self._request("POST", "/api/events", json_body(event))

    def check_credentials(self) -> Request:
        return self._request("GET", "/api/brands/current")

    def _request(self, method: str, path: str, body: bytes = b"") -> Request:
        key, version = f"Omnisend-API-Key {self.settings['api_key']}", self.settings["version"]
        headers = {"Authorization": key, "Omnisend-Version": version, "Content-Type": "application/json"}
        return Request(method=method, url=self.settings["host"] + path, headers=headers, body=body)

    def judge(self, response: Response) -> Judgement:
        if response.status == 410:
            version = self.settings["version"]
            return Judgement(Verdict.GONE, f"Omnisend has retired the version {version} of its API: enter a newer one.")
        judgement, content = super().judge(response), response.json()
        if judgement.verdict == Verdict.RETRY and isinstance(content, dict) and "retryAfter" in content:
            return replace(judgement, retry_after=retry_after(str(content["retryAfter"])))
        return judgement

    def judge_check(self, response: Response) -> Judgement:
        judgement, brand = self.judge(response), response.json()
        if judgement.verdict != Verdict.ACCEPTED:
            return judgement
        if not isinstance(brand, dict) or not brand.get("name"):
            return Judgement(Verdict.REJECTED, "The answer names no brand: is this the host of Omnisend's API?")
        return Judgement(Verdict.ACCEPTED, f"The brand is {brand['name']}.")
