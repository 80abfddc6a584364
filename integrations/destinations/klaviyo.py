"""Klaviyo: each event goes onto the customer's profile, where it starts flows."""

from collections.abc import Iterator
from typing import Any

from django import forms

from integrations.destinations.base import Destination, Judgement, Message, Selector, Verdict, json_body
from integrations.fields import HostField, VersionField
from integrations.http import Request, Response

JSON_API = "application/vnd.api+json"
IDENTIFIERS = {Selector.EMAIL: "email", Selector.EXTERNAL_ID: "external_id", Selector.MOBILE: "phone_number"}


class Klaviyo(Destination):
    key = "klaviyo"
    label = "Klaviyo"
    description = "Records each event on the customer's profile, where it can start flows."
    docs_url = "https://developers.klaviyo.com/en/reference/create_event"
    selectors = tuple(IDENTIFIERS)
    rate = 57.0  # 3,500 in any minute, in which a lane sends 60 seconds' worth and the one it saved up; 350 in a second
    max_payload = 5_000_000
    longest_name = 127
    secret_fields = frozenset({"api_key"})

    class Settings(forms.Form):
        api_key = forms.RegexField(
            r"\Apk_[0-9A-Za-z_]+\Z",
            label="Private API key",
            max_length=200,
            error_messages={
                "invalid": "A private API key starts with pk_; the one of six characters is the public one."
            },
            help_text="In Klaviyo under Settings, API keys, Create Private API Key, with the scopes events:write and "
            "accounts:read (full access to Events, read access to Accounts).",
        )
        revision = VersionField(
            initial="2026-07-15", help_text="Of Klaviyo's API; change it when they retire this one."
        )
        host = HostField(
            initial="https://a.klaviyo.com", max_length=200, help_text="Only to go through your own proxy."
        )

    def calls(self, message: Message) -> Iterator[Request]:
        assert message.selector
        # The chosen identifier alone: named together, Klaviyo merges their profiles, for good, and overwrites those of
        # the one it finds. A telephone that a family shares would make one person of them.
        # https://help.klaviyo.com/hc/en-us/articles/12902308138011 and .../115005073847
        profile = {IDENTIFIERS[message.selector]: message.identifier, "properties": message.profile}
        event: dict[str, Any] = {
            "properties": dict(message.payload),
            "time": message.occurred_at.isoformat(),
            "unique_id": str(message.id),  # without it, two events of a profile in one second become one
            "metric": {"data": {"type": "metric", "attributes": {"name": message.event_name}}},
            "profile": {"data": {"type": "profile", "attributes": profile}},
        }
        if message.revenue:  # nothing else is a value: Klaviyo adds them up as revenue
            event["value"], event["value_currency"] = float(message.revenue[0]), message.revenue[1]
        yield self._request("POST", "/api/events", json_body({"data": {"type": "event", "attributes": event}}))

    def check_credentials(self) -> Request:
        return self._request("GET", "/api/accounts")

    def _request(self, method: str, path: str, body: bytes = b"") -> Request:
        key, revision = f"Klaviyo-API-Key {self.settings['api_key']}", self.settings["revision"]
        headers = {"Authorization": key, "revision": revision, "Accept": JSON_API, "Content-Type": JSON_API}
        return Request(method=method, url=self.settings["host"] + path, headers=headers, body=body)

    def judge(self, response: Response) -> Judgement:
        judgement = super().judge(response)
        ignored = response.headers.get("X-Klaviyo-Partial-Failure")
        if judgement.verdict == Verdict.ACCEPTED and ignored:
            return Judgement(Verdict.ACCEPTED, f"Klaviyo took the event, but not the profile's {ignored}.")
        return judgement

    def judge_check(self, response: Response) -> Judgement:
        judgement = self.judge(response)
        if judgement.verdict != Verdict.ACCEPTED:
            return judgement
        try:
            name = response.json()["data"][0]["attributes"]["contact_information"]["organization_name"]
        except (LookupError, TypeError):
            return Judgement(Verdict.REJECTED, "The answer names no account: is this the host of Klaviyo's API?")
        return Judgement(Verdict.ACCEPTED, f"The account is {name}.")
