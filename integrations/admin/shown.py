"""What the screens of integrations say: the tool, its state in words, and its settings for those who may only read."""

from dataclasses import dataclass
from datetime import datetime
from typing import Self

from integrations.destinations import UnknownDestination
from integrations.destinations.base import Destination
from integrations.models import Integration


@dataclass(frozen=True, kw_only=True)
class Tool:
    """A destination as templates read it (they would call its class). `known`: this version has it."""

    key: str
    label: str
    description: str = ""
    docs_url: str = ""
    finds_customers: bool = False
    known: bool = True

    @classmethod
    def of_kind(cls, kind: type[Destination]) -> Self:
        return cls(
            key=kind.key,
            label=kind.label,
            description=kind.description,
            docs_url=kind.docs_url,
            finds_customers=bool(kind.selectors),
        )

    @classmethod
    def of(cls, integration: Integration) -> Self:
        kind = kind_of(integration)
        return (
            cls.of_kind(kind) if kind else cls(key=integration.destination, label=integration.destination, known=False)
        )


def kind_of(integration: Integration) -> type[Destination] | None:
    """The class of its destination; None when this version no longer has it."""
    try:
        return integration.kind
    except UnknownDestination:
        return None


@dataclass(frozen=True)
class State:
    """What an integration does now: a tone of the stylesheet, one word, a sentence, and when that is looked at again."""

    tone: str
    word: str
    sentence: str
    until: datetime | None = None


def state_of(integration: Integration) -> State:
    """As its page and the list say it."""
    if integration.enabled:
        if integration.verified_at:
            return State("good", "On", "It is on: what matches is sent at once.")
        if integration.check_result:
            return State("bad", "On", "It is on, but its last check failed: see what the tool said.")
        return State("wait", "On", "It is on, but its settings were never verified as they are now.")
    if integration.switched_off_reason:
        why = integration.switched_off_reason
        return State("bad", "Off", f"It was switched off, because {why}. What matches is recorded and held.")
    if integration.verified_at:
        return State("wait", "Off", "It is off: what matches is recorded and held until you switch it on.")
    return State("idle", "Off", "It is off until its connection was verified. What matches is recorded and held.")


@dataclass(frozen=True)
class Setting:
    """One entry of the settings, for reading."""

    label: str
    value: str


def settings_of(integration: Integration) -> list[Setting]:
    """Its settings without the secrets, which are only said to be there."""
    kind = kind_of(integration)
    if kind is None:
        return []
    stored = integration.stored_secrets()
    shown = []
    for name, field in kind.Settings.base_fields.items():
        label = str(field.label or name.replace("_", " ").capitalize())
        if name in kind.secret_fields:
            shown.append(Setting(label, "stored, never shown" if name in stored else "not set"))
            continue
        value = integration.settings.get(name)
        said = {str(key): str(words) for key, words in getattr(field, "choices", ())}.get(str(value), value)
        if isinstance(said, bool):
            said = "yes" if said else "no"
        shown.append(Setting(label, "not set" if said in (None, "") else str(said)))
    return shown
