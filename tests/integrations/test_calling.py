"""Calling a tool: in order, until the first failure, within the lease; and verifying its credentials."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from customers.models import Store
from integrations import calling
from integrations.calling import CALL_TIMEOUT, Verification, call, call_alone, verify
from integrations.destinations.base import Destination, Judgement, Message, Skip, Verdict
from integrations.http import Request
from integrations.models import Integration
from integrations.transcript import MASK
from tests.factories import make_integration
from tests.integrations.destination_cases import INTEGRATION_ID, a_message
from tests.receiver import Answer, Receiver


class Steps(Destination):
    """Makes the calls that a test gives it."""

    key = "steps"
    label = "Steps"
    secret_fields = frozenset({"token"})

    def __init__(self, url: str, *steps: str | Exception | Callable[[], None]) -> None:
        super().__init__({"token": "hunter2"}, integration_id=INTEGRATION_ID)
        self.url = url
        self.steps = steps
        self.reached: list[str] = []

    def calls(self, message: Message) -> Iterator[Request]:
        for step in self.steps:
            if isinstance(step, Exception):
                raise step
            if callable(step):
                step()
            else:
                self.reached.append(step)
                yield Request(url=f"{self.url}/{step}", headers={"X-Token": "hunter2"}, body=step.encode())


def paths(receiver: Receiver) -> list[str]:
    return [request.path for request in receiver.got]


def later(seconds: float = 60.0) -> float:
    return time.monotonic() + seconds


class TestCall:
    def test_calls_are_made_in_their_order_and_all_are_kept(self, receiver: Receiver) -> None:
        judgement, said = call(Steps(receiver.url, "person", "event"), a_message(), lease_ends=later())
        assert judgement == Judgement(Verdict.ACCEPTED)
        assert paths(receiver) == ["/events/person", "/events/event"]
        assert [one.request_body for one in said] == ["person", "event"]
        assert [one.request_headers for one in said] == [{"X-Token": MASK}] * 2

    def test_the_first_that_is_not_accepted_ends_them(self, receiver: Receiver) -> None:
        receiver.next.extend([Answer(200), Answer(500)])
        adapter = Steps(receiver.url, "person", "consent", "event")
        judgement, said = call(adapter, a_message(), lease_ends=later())
        assert judgement == Judgement(Verdict.RETRY, "Steps answered 500.")
        assert paths(receiver) == ["/events/person", "/events/consent"]
        assert [one.response_status for one in said] == [200, 500]
        assert adapter.reached == ["person", "consent"], "the third was not even made"

    def test_nothing_to_call_is_skipped_with_the_reason(self) -> None:
        judgement, said = call(Steps("http://127.0.0.1:9"), a_message(), lease_ends=later())
        assert judgement == Judgement(Verdict.SKIPPED, "Steps had nothing to send for this event.")
        assert said == []

    @pytest.mark.parametrize("raised", [Skip("The customer is unknown there."), ValueError("a bug")])
    def test_what_the_adapter_raises_is_its_callers_to_tell(self, receiver: Receiver, raised: Exception) -> None:
        with pytest.raises(type(raised), match=str(raised)):
            call(Steps(receiver.url, raised), a_message(), lease_ends=later())
        assert receiver.got == []

    def test_no_answer_is_a_judgement_too(self, receiver: Receiver) -> None:
        adapter = Steps("http://127.0.0.1:9", "person", "event")  # not among the private hosts that may be called
        judgement, (said,) = call(adapter, a_message(), lease_ends=later())
        assert judgement.verdict == Verdict.REJECTED
        assert (said.response_status, said.error) == (None, judgement.reason)


class TestLease:
    def test_no_call_starts_that_could_outlive_it(self, receiver: Receiver) -> None:
        judgement, said = call(Steps(receiver.url, "event"), a_message(), lease_ends=later(CALL_TIMEOUT - 0.1))
        assert judgement == Judgement(Verdict.RETRY, "There was no time left for the next call.")
        assert (said, receiver.got) == ([], [])

    def test_what_was_said_before_is_kept(self, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
        adapter = Steps(receiver.url, "person", lambda: monkeypatch.setattr(calling, "CALL_TIMEOUT", 120.0), "event")
        judgement, said = call(adapter, a_message(), lease_ends=later())
        assert judgement == Judgement(Verdict.RETRY, "There was no time left for the next call.")
        assert paths(receiver) == ["/events/person"]
        assert [one.response_status for one in said] == [200]

    @pytest.mark.parametrize(("seconds", "ours"), [(CALL_TIMEOUT - 0.1, True), (CALL_TIMEOUT + 60, False)])
    def test_our_want_of_time_is_not_the_tools_fault(self, receiver: Receiver, seconds: float, ours: bool) -> None:
        outcome = call_alone(Steps(receiver.url, "event"), a_message(), lease_ends=later(seconds))
        assert outcome.ours is ours


@pytest.mark.django_db
class TestVerify:
    @pytest.fixture
    def sandbox(self, store: Store, receiver: Receiver, settings: Any) -> Integration:
        """An integration whose tool has a check, at the receiver."""
        settings.SANDBOX_ADDRESS = receiver.host
        return make_integration(store, destination="sandbox")

    def test_good_credentials_are_noted(self, sandbox: Integration, receiver: Receiver) -> None:
        found = verify(sandbox)
        assert (found.good, found.possible) == (True, True)
        assert found.sentence.startswith("Sandbox accepted the ")
        assert found.said
        assert found.said.response_status == 200
        assert [(request.method, request.path) for request in receiver.got] == [("GET", "/health")]
        assert sandbox.verified_at
        assert Integration.objects.get().verified_at == sandbox.verified_at

    @pytest.mark.parametrize(
        ("answer", "sentence"),
        [(401, "Sandbox refused the credentials (answer 401)."), (500, "Sandbox answered 500.")],
    )
    def test_bad_ones_are_told(self, sandbox: Integration, receiver: Receiver, answer: int, sentence: str) -> None:
        receiver.next.append(Answer(answer))
        found = verify(sandbox)
        assert (found.good, found.possible, found.sentence) == (False, True, sentence)
        assert found.said
        assert found.said.response_status == answer
        assert Integration.objects.get().verified_at is None

    def test_a_tool_without_a_check_says_what_to_do_instead(self, store: Store) -> None:
        assert verify(make_integration(store)) == Verification(
            good=False, possible=False, sentence="Webhook has no check of its own: send a test event instead."
        )

    def test_secrets_that_cannot_be_read_are_told(self, store: Store) -> None:
        integration = make_integration(store)
        integration.encrypted_secrets = "nonsense"
        found = verify(integration)
        assert (found.good, found.possible, found.said) == (False, False, None)
        assert found.sentence.startswith("The stored secrets cannot be read: ")

    def test_a_destination_that_is_gone_is_told(self, sandbox: Integration) -> None:
        sandbox.destination = "removed"
        assert verify(sandbox).sentence == "There is no destination “removed” in this version."
