"""Several events in one call: an outcome for each, and halves of what was refused as a whole."""

import json
import time
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from integrations.batches import call_together
from integrations.calling import CALL_TIMEOUT, Outcome, call
from integrations.destinations.base import Message, Verdict
from tests.integrations.batches import Crate
from tests.integrations.destination_cases import INTEGRATION_ID, PAYLOAD, a_message
from tests.receiver import Answer, Received, Receiver


def crate(url: str, **attributes: Any) -> Crate:
    kind: type[Crate] = type("Crate", (Crate,), attributes)
    return kind({"url": url, "token": "a-secret-token"}, integration_id=INTEGRATION_ID)


def messages(count: int, **more: Any) -> list[Message]:
    return [a_message(number, **more) for number in range(count)]


def send(destination: Crate, those: Sequence[Message], *, seconds: float = 60.0) -> Sequence[Outcome]:
    return call_together(destination, those, lease_ends=time.monotonic() + seconds)


def sizes(receiver: Receiver) -> list[int]:
    return [len(request.json()["events"]) for request in receiver.got]


def all_taken(request: Received) -> Answer:
    return Answer(200, body=json.dumps({"statuses": [200] * len(request.json()["events"])}).encode())


class TestTogether:
    def test_one_call_for_all_and_one_transcript_that_they_share(self, receiver: Receiver) -> None:
        receiver.choose = all_taken
        outcomes = send(crate(receiver.url), messages(3))
        assert sizes(receiver) == [3]
        assert [event["id"] for event in receiver.got[0].json()["events"]] == [str(one.id) for one in messages(3)]
        assert [outcome.judgement.verdict for outcome in outcomes] == [Verdict.ACCEPTED] * 3
        assert len({id(transcript) for outcome in outcomes for transcript in outcome.said}) == 1

    def test_each_has_its_own_outcome(self, receiver: Receiver) -> None:
        receiver.next.append(Answer(200, body=b'{"statuses": [200, 400, 503]}'))
        outcomes = send(crate(receiver.url), messages(3))
        assert [outcome.judgement.verdict for outcome in outcomes] == [
            Verdict.ACCEPTED,
            Verdict.REJECTED,
            Verdict.RETRY,
        ]
        assert [outcome.judgement.reason for outcome in outcomes[1:]] == [
            "Crate refused this one.",
            "Crate was busy with it.",
        ]
        assert sizes(receiver) == [3]

    def test_what_cannot_take_part_ends_alone(self, receiver: Receiver) -> None:
        receiver.choose = all_taken
        nobody = a_message(7, payload={**PAYLOAD, "user_customer_id": "nobody"})
        outcomes = send(crate(receiver.url), [*messages(2), nobody])
        assert sizes(receiver) == [2]
        assert (outcomes[2].judgement.verdict, outcomes[2].judgement.reason) == (
            Verdict.SKIPPED,
            "Crate has no place for nobody.",
        )
        assert outcomes[2].said == []

    def test_a_name_that_is_too_long_ends_alone(self, receiver: Receiver) -> None:
        receiver.choose = all_taken
        outcomes = send(crate(receiver.url, longest_name=20), [a_message(1), a_message(2, event_name="x" * 21)])
        assert sizes(receiver) == [1]
        assert outcomes[1].judgement.reason == "Crate takes event names of at most 20 characters; this one has 21."

    def test_a_tool_that_is_down_is_asked_once(self, receiver: Receiver) -> None:
        receiver.next.append(Answer(503, {"Retry-After": "7"}, b""))
        outcomes = send(crate(receiver.url), messages(4))
        assert sizes(receiver) == [4]
        assert {(outcome.judgement.verdict, outcome.judgement.retry_after) for outcome in outcomes} == {
            (Verdict.RETRY, 7.0)
        }

    @pytest.mark.parametrize(
        ("status", "verdict"), [(401, Verdict.CREDENTIALS_REFUSED), (404, Verdict.REJECTED), (410, Verdict.GONE)]
    )
    def test_what_no_event_can_be_blamed_for_is_not_split(
        self, receiver: Receiver, status: int, verdict: Verdict
    ) -> None:
        receiver.next.append(Answer(status))
        outcomes = send(crate(receiver.url), messages(4))
        assert {outcome.judgement.verdict for outcome in outcomes} == {verdict}
        assert sizes(receiver) == [4]

    def test_a_secret_that_the_tool_repeats_is_masked(self, receiver: Receiver) -> None:
        receiver.next.append(Answer(401, body=b'{"message": "bad key a-secret-token"}'))
        outcomes = send(crate(receiver.url), messages(2))
        assert "a-secret-token" not in repr(outcomes)
        assert "It said: bad key" in outcomes[0].judgement.reason


class TestHalves:
    @settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(bad=st.sets(st.integers(0, 12), max_size=4))
    def test_whoever_is_refused_the_others_arrive_once(self, receiver: Receiver, bad: set[int]) -> None:
        those = messages(13)
        guilty = {str(those[number].id) for number in bad}
        taken: list[str] = []

        def answer(request: Received) -> Answer:
            ids = [event["id"] for event in request.json()["events"]]
            if guilty & set(ids):
                return Answer(400, body=b"{}")
            taken.extend(ids)
            return all_taken(request)

        receiver.choose = answer
        outcomes = send(crate(receiver.url), those)
        assert sorted(taken) == sorted(str(one.id) for one in those if str(one.id) not in guilty)
        for number, outcome in enumerate(outcomes):
            expected = Verdict.REJECTED if number in bad else Verdict.ACCEPTED
            assert outcome.judgement.verdict == expected
            assert outcome.said[-1].response_status == (400 if number in bad else 200)

    def test_a_batch_that_is_too_large_is_never_sent_whole(self, receiver: Receiver) -> None:
        receiver.choose = all_taken
        destination = crate(receiver.url)
        one = len(destination.batch([destination.item(a_message())]).body)
        outcomes = send(crate(receiver.url, max_payload=2 * one), messages(4))
        assert [outcome.judgement.verdict for outcome in outcomes] == [Verdict.ACCEPTED] * 4
        assert sizes(receiver) == [2, 2]

    def test_one_event_that_is_too_large_is_skipped(self, receiver: Receiver) -> None:
        (outcome,) = send(crate(receiver.url, max_payload=100), messages(1))
        assert outcome.judgement.verdict == Verdict.SKIPPED
        assert outcome.judgement.reason.startswith("Crate takes at most 100 bytes; this is ")
        assert receiver.got == []

    def test_no_call_starts_that_could_outlast_the_lease(self, receiver: Receiver) -> None:
        outcomes = send(crate(receiver.url), messages(2), seconds=CALL_TIMEOUT - 0.1)
        assert receiver.got == []
        assert {(outcome.judgement.verdict, outcome.ours) for outcome in outcomes} == {(Verdict.RETRY, True)}


class TestFaultyAdapter:
    def test_an_answer_that_it_cannot_read_is_its_own_fault(self, receiver: Receiver) -> None:
        receiver.next.append(Answer(200, body=b"not what was agreed"))
        outcomes = send(crate(receiver.url), messages(2))
        assert {(outcome.judgement.verdict, outcome.judgement.ambiguous, outcome.ours) for outcome in outcomes} == {
            (Verdict.RETRY, True, True)
        }
        assert outcomes[0].said[0].response_body == "not what was agreed"

    def test_so_are_too_few_outcomes(self, receiver: Receiver) -> None:
        receiver.next.append(Answer(200, body=b'{"statuses": [200]}'))
        outcomes = send(crate(receiver.url), messages(2))
        assert outcomes[0].judgement.reason == "The destination itself failed: ValueError: 1 outcomes for 2 events"

    def test_one_event_over_which_it_fails_does_not_hold_up_the_others(self, receiver: Receiver) -> None:
        receiver.choose = all_taken

        def item(self: Crate, message: Message) -> Any:
            return {"id": str(message.id), "coins": message.payload["coins"]}

        destination = crate(receiver.url, item=item)
        outcomes = send(destination, [a_message(1, payload={"coins": 1}), a_message(2)])
        assert [outcome.judgement.verdict for outcome in outcomes] == [Verdict.ACCEPTED, Verdict.RETRY]
        assert [outcome.ours for outcome in outcomes] == [False, True]
        assert sizes(receiver) == [1]


class TestAlone:
    def test_a_test_event_goes_by_the_same_call(self, receiver: Receiver) -> None:
        receiver.next.append(Answer(200, body=b'{"statuses": [400]}'))
        judgement, (said,) = call(crate(receiver.url), a_message(), lease_ends=time.monotonic() + 60)
        assert (judgement.verdict, judgement.reason) == (Verdict.REJECTED, "Crate refused this one.")
        assert said.response_status == 200
        assert sizes(receiver) == [1]
