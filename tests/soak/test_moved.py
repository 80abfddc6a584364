"""A clock that is wrong for a while: nothing is lost, and nobody waits for the hour that passes twice."""

import time

import pytest

from tests.receiver import Answer, Received, Receiver
from tests.soak.counting import all_over, assert_counted, who
from tests.soak.machine import Machine
from tests.soak.programs import wait_until

pytestmark = pytest.mark.soak

HOUR = 3600  # seconds


class TestClock:
    def test_an_hour_forward_and_back(self, here: Machine, receiver: Receiver) -> None:
        """While events are recorded, and with retries that were planned by the wrong clock."""
        refused: set[str] = set()

        def answer(request: Received) -> Answer | None:
            (customer,) = who([request])
            if here.ahead and len(refused) < 5 and customer not in refused:
                refused.add(customer)
                return Answer(status=500)
            return None

        receiver.choose = answer
        here.scene("setup", receiver.url)
        here.cluster()
        producer = here.producer("--count=150", "--pause=0.05")
        receiver.wait_for(20, seconds=300)
        here.move(HOUR)
        wait_until(lambda: len(refused) == 5 and here.count("status = 'sent'") > 40, what="it goes on an hour ahead")
        here.move(0)
        back = time.monotonic()
        assert producer.process.wait(300) == 0
        wait_until(lambda: all_over(here, 150), what="all are sent, the retries too, with nobody waiting an hour")
        print(f"everything was sent {time.monotonic() - back:.0f} s after the clock was put back")
        assert_arrived(here, receiver, refused)


def assert_arrived(here: Machine, receiver: Receiver, refused: set[str]) -> None:
    """Each once, and those that were refused once more."""
    taken = list(receiver.got)
    for customer in refused:
        taken.remove(next(request for request in taken if who([request]) == [customer]))
    receiver.got[:] = taken
    assert_counted(here, receiver, 150)
