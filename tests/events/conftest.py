"""What tests of sending share: an integration that leads to the tool's server."""

from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from django_q.conf import Conf

from customers.models import Store
from integrations.models import Integration
from tests import factories
from tests.receiver import Receiver


class Kept:
    """A broker that only keeps what is queued."""

    tasks: ClassVar[list[Any]] = []

    def __init__(self, list_key: str) -> None:
        self.list_key = list_key

    def enqueue(self, task: Any) -> int:
        self.tasks.append(task)
        return len(self.tasks)


@pytest.fixture
def queued(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """The tasks that are queued, whatever broker this run has; nothing runs them."""
    monkeypatch.setattr(Conf, "BROKER_CLASS", f"{__name__}.Kept")
    Kept.tasks.clear()
    yield Kept.tasks
    Kept.tasks.clear()


@pytest.fixture
def integration(store: Store, receiver: Receiver) -> Integration:
    """A webhook of the store that leads to the receiver."""
    return webhook(store, receiver)


def webhook(store: Store, receiver: Receiver, path: str = "/events", **fields: Any) -> Integration:
    """A webhook that leads to this path of the receiver."""
    values = {
        "url": f"http://{receiver.host}{path}",
        "signing_secret": "whsec_" + "c2VjcmV0" * 4,
        "headers": "X-Token: a-long-secret-token",
    }
    return factories.make_integration(store, values=values, **fields)
