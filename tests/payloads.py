"""Every payload that any test makes is judged by the JSON Schema of its event: what does not fit fails that test."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from events.catalogue import EventType, event_types

_validators: dict[int, tuple[EventType, Any]] = {}  # by id(), which the event type beside it keeps from being reused


def _validator(kind: EventType) -> Any:
    if id(kind) not in _validators:
        Draft202012Validator.check_schema(kind.schema())
        _validators[id(kind)] = (kind, Draft202012Validator(kind.schema()))
    return _validators[id(kind)][1]


def misfits(kind: EventType, payload: dict[str, Any]) -> list[str]:
    """What of this payload is not as the event's JSON Schema says, and what it does not describe."""
    schema = _validator(kind).schema
    as_sent = json.loads(json.dumps(payload, allow_nan=False))
    wrong = [f"{kind.key}: {error.json_path} {error.message}" for error in _validator(kind).iter_errors(as_sent)]
    patterns = schema.get("patternProperties", {})
    undescribed = [
        f"{kind.key}: {name} is not described"
        for name in as_sent.keys() - schema["properties"].keys()
        if not any(re.search(pattern, name) for pattern in patterns)
    ]
    return wrong + undescribed


@pytest.fixture(scope="session")
def _payloads_that_do_not_fit() -> Iterator[list[str]]:
    """Grows with each misfit of an event type as it is declared; those that a test breaks on purpose are its own."""
    declared = dict(event_types())
    found: list[str] = []
    originals = {name: getattr(EventType, name) for name in ("payload", "sample")}

    def watch(name: str) -> Any:
        def watched(kind: EventType, *args: Any, **kwargs: Any) -> dict[str, Any]:
            payload: dict[str, Any] = originals[name](kind, *args, **kwargs)
            if declared.get(kind.key) is kind:
                found.extend(misfits(kind, {**payload, "event_sequence": 1}))
            return payload

        return watched

    with pytest.MonkeyPatch.context() as patch:
        for name in originals:
            patch.setattr(EventType, name, watch(name))
        yield found


@pytest.fixture(autouse=True)
def _payloads_fit(_payloads_that_do_not_fit: list[str]) -> Iterator[None]:
    yield
    found = list(dict.fromkeys(_payloads_that_do_not_fit))
    _payloads_that_do_not_fit.clear()
    assert not found, "\n".join(found)
