"""schemathesis tries the whole API by its own schema, against a live server: what it answers is what it says it does."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.db.models import Model

from integrations import calling, connecting
from integrations.http import Door
from tests.config.test_tenancy_api import BODIES as REQUESTS
from tests.config.test_tenancy_api import ROUTES, store_of, world
from tests.factories import make_api_key
from tests.selection import CI

SECONDS = 20  # of generating; a request under way may still end
BODIES = {"customer": "customer", "offer": "offer", "integration": "integration", "event_key": "event"}
# Not asked for: that every body that fits the schema is taken. A customer must exist and an operation fit its type, which
# no schema says. And what a parameter "days" or "cursor" may be is said in sentences.
EXCLUDED = "positive_data_acceptance"


def configuration(rows: dict[type[Model], Model]) -> str:
    """schemathesis.toml: addresses and bodies name rows that are there, most of the time."""
    known: dict[str, list[Any]] = {"event": ["lead_create", "walletreward_create", "coupon_update"]}
    known |= {
        kind._meta.model_name or "": [row.pk if isinstance(row.pk, int) else str(row.pk)] for kind, row in rows.items()
    }
    lines = [f"[dictionaries.{name}]\nvalues = {json.dumps(values)}" for name, values in known.items()]
    bound = [f'"body.{field}" = {{ dictionary = "{name}", probability = 0.7 }}' for field, name in BODIES.items()]
    lines.append("\n".join(["[parameters]", *bound]))
    for route in ROUTES:
        name = route.model._meta.model_name if route.of_a_row else "event" if "{key}" in route.address else None
        if name:
            key = "id" if route.of_a_row else "key"
            lines.append(
                f'[[operations]]\ninclude-path = "{route.address.replace("{pk}", "{id}")}"\n'
                f'parameters = {{ "path.{key}" = {{ dictionary = "{name}", probability = 0.8 }} }}'
            )
    # An item that does not fit is answered with a problem of its own, inside a 200: it does not stop the others.
    lines += [
        f'[[operations]]\ninclude-path = "{route.address}"\nchecks = {{ negative_data_rejection.enabled = false }}'
        for route, _, action in REQUESTS
        if route.item(action)
    ]
    return "\n\n".join(lines)


@pytest.mark.django_db(transaction=True)
def test_schemathesis_finds_nothing(live_server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Integrations get made-up addresses, and test events are sent to them: nobody out there is to hear of it.
    monkeypatch.setattr(calling, "_door", lambda *_: Door(resolve=lambda *_: ["127.0.0.1"]))
    monkeypatch.setattr(connecting, "is_public", lambda _: False)
    rows = world("Ours")
    (tmp_path / "schemathesis.toml").write_text(configuration(rows))
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{live_server.url}/api/v1/schema/"),
            *("--header", f"Authorization: Api-Key {make_api_key(store_of(rows))}"),
            *("--max-time", str(SECONDS), "--exclude-checks", EXCLUDED, "--request-timeout", "30"),
            *("--seed", "1" if CI else str(int.from_bytes(os.urandom(4)))),
        ],
        cwd=tmp_path,
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=10 * SECONDS,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
    assert "Tested:" in done.stdout, done.stdout
