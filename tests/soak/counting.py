"""What a scenario counts: what arrived, and how often, beside what the system says of it."""

from collections import Counter

from tests.receiver import Received, Receiver
from tests.soak.machine import Machine


def ids(got: list[Received]) -> list[str]:
    """Under which ids they arrived, in their order."""
    return [request.headers["webhook-id"].replace("-", "") for request in got]


def who(got: list[Received]) -> list[str]:
    """Of which customers they told."""
    return [request.json()["data"]["user_customer_id"] for request in got]


def all_over(machine: Machine, count: int) -> bool:
    """Whether so many deliveries were recorded, and each was sent."""
    return machine.count("status = 'sent'") == count == machine.count()


def assert_counted(machine: Machine, receiver: Receiver, count: int) -> Counter[str]:
    """So many arrived; one more often than once only where the outcome of a call was never known, as the log says.

    Returns how often, by id: a repeat has the id of the first, which is its idempotency key.
    """
    arrived = Counter(ids(receiver.got))
    assert len(arrived) == count == machine.count("status = 'sent'")
    unknown = machine.unknown()
    for delivery, times in arrived.items():
        assert times <= 1 + unknown.get(delivery, 0), f"{delivery} arrived {times} times"
    assert len(set(who(receiver.got))) == count, "something was recorded twice, or not at all"
    return arrived
