"""The sandbox as a destination: what it sends, and on which machines it is offered."""

from typing import Any

import pytest

from integrations.destinations import choices
from integrations.destinations.base import Destination
from integrations.destinations.sandbox import Sandbox
from tests.integrations.destination_cases import INTEGRATION_ID, PAYLOAD, DestinationCases, a_message
from tests.receiver import Receiver


class TestSandbox(DestinationCases):
    destination = Sandbox

    @pytest.fixture(autouse=True)
    def on_this_machine(self, settings: Any) -> None:
        """It leads to wherever the operator's own receiver listens, not to what an admin enters."""
        self.machine = settings

    def settings_for(self, host: str) -> dict[str, Any]:
        return {}

    def leading_to(self, host: str) -> Destination:
        self.machine.SANDBOX_ADDRESS = host
        return super().leading_to(host)

    def test_the_exact_request(self, receiver: Receiver) -> None:
        message = a_message()
        self.deliver(self.leading_to(receiver.host), message)
        (request,) = receiver.got
        assert (request.method, request.path) == ("POST", f"/inbox/{INTEGRATION_ID}")
        assert request.headers["webhook-id"] == str(message.id)
        assert request.headers["Content-Type"] == "application/json"
        assert request.json() == {
            "type": "coins_rewarded",
            "timestamp": "2026-06-01T10:15:00+00:00",
            "data": dict(PAYLOAD),
        }

    def test_its_check_asks_whether_it_listens(self, receiver: Receiver) -> None:
        request = Sandbox({}, integration_id=INTEGRATION_ID).check_credentials()
        assert request.url.endswith("/health")

    @pytest.mark.parametrize("on", [True, False])
    def test_it_is_offered_only_where_the_operator_runs_it(self, on: bool) -> None:
        self.machine.SANDBOX = on
        assert (("sandbox", "Sandbox") in choices()) == on
