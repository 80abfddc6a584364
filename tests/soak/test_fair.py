"""Who has much to send keeps nobody waiting who has little."""

import pytest

from tests.receiver import Received, Receiver
from tests.soak.machine import Machine
from tests.soak.programs import wait_until

pytestmark = pytest.mark.soak

PATIENCE = 3.0  # seconds more than alone


class TestStores:
    @pytest.mark.parametrize(
        "many", [pytest.param(2_000, id="2000"), pytest.param(20_000, id="20000", marks=pytest.mark.long)]
    )
    def test_a_pile_of_one_store_does_not_delay_anothers_ten(
        self, here: Machine, receiver: Receiver, many: int
    ) -> None:
        """The ten are recorded while the pile is being sent, and arrive before it is over."""
        here.scene("setup", "--store=Big", f"http://{receiver.host}/big")
        here.scene("setup", "--store=Small", f"http://{receiver.host}/small")
        here.cluster()
        here.scene("produce", "--store=Small", "--name=first")
        receiver.wait_for(1, seconds=300)
        here.scene("pile", "--store=Big", f"--count={many}")
        receiver.wait_for(50, seconds=300)
        committed = here.scene("pile", "--store=Small", "--count=10")["at"]
        wait_until(lambda: len(self.of(receiver, "/small")) == 11, what="the ten arrive")
        assert here.count("status = 'pending'") > 0, "the pile was over before: this shows nothing"
        waited = max(request.at for request in self.of(receiver, "/small")) - committed
        print(f"the last of the ten arrived {waited:.2f} s after the commit, beside {many} of another store")
        assert waited <= PATIENCE

    def of(self, receiver: Receiver, path: str) -> list[Received]:
        return [request for request in receiver.got if request.path == path]
