"""The tools' own descriptions of their APIs, where they lie beside this repository: a judge that is not ours."""

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from openapi_core import OpenAPI
from openapi_core.testing import MockRequest, MockResponse

from integrations.http import Request
from tests.concurrency import ROOT
from tests.receiver import Answer

FOLDER = ROOT.parent / "shared" / "contracts"


class Contract:
    """One of them. Made by a test, which it skips where the file is not there."""

    def __init__(self, name: str, **changes: Any) -> None:
        file = FOLDER / name
        if not file.is_file():
            pytest.skip(f"needs ../shared/contracts ({name})")
        self.openapi = OpenAPI.from_dict({**json.loads(file.read_text()), **changes})

    def check_request(self, request: Request) -> None:
        """Raises openapi-core's error for what the tool's description does not allow."""
        self.openapi.validate_request(self._seen(request))

    def check_answer(self, request: Request, answer: Answer) -> None:
        """The same for an answer of our fake's."""
        kind = answer.headers.get("Content-Type", "application/json")
        response = MockResponse(answer.body, answer.status, dict(answer.headers), content_type=kind)
        self.openapi.validate_response(self._seen(request), response)

    def _seen(self, request: Request) -> MockRequest:
        parts = urlsplit(request.url)
        return MockRequest(
            f"{parts.scheme}://{parts.netloc}",
            request.method,
            parts.path,
            args=dict(parse_qsl(parts.query)),
            headers=dict(request.headers),
            content_type=request.headers.get("Content-Type", ""),
            data=request.body or None,
        )
