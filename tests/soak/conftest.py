"""Each scenario has a machine of its own, on each kind of installation for which it must hold.

SEED (`make soak SEED=...`) repeats what chance decided: when something is killed, and what. SOAK_KINDS chooses the kinds.
"""

import os
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.receiver import Received, Receiver, running
from tests.soak.machine import Machine, Redis, machine
from tests.soak.programs import Missing, faketime, postgresql, redis_server, unprivileged

SEED = os.environ.get("SEED") or str(random.SystemRandom().randrange(10**6))
KINDS = ("redis", "orm", "sqlite")
WANTED = tuple(os.environ.get("SOAK_KINDS", ",".join(KINDS)).split(","))

MakeMachine = Callable[..., Machine]


def pytest_report_header() -> str:
    return f"soak: make soak SEED={SEED} repeats what chance decides"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each kind of installation, unless the scenario names those for which it is meant (marker `kinds`)."""
    if "kind" in metafunc.fixturenames:
        marker = metafunc.definition.get_closest_marker("kinds")
        kinds = marker.args if marker else KINDS
        metafunc.parametrize("kind", [kind for kind in kinds if kind in WANTED])


@pytest.fixture(scope="session", autouse=True)
def _installed() -> None:
    """One sentence instead of a scenario that cannot run."""
    try:
        for look in (unprivileged, faketime, redis_server):
            look()
        postgresql("initdb")
    except Missing as missing:
        pytest.exit(str(missing), returncode=2)


@pytest.fixture(scope="session")
def place() -> Iterator[Path]:
    """Where the machines of this run are; PostgreSQL, which is another user, must get there."""
    found = Path(tempfile.mkdtemp(prefix="soak-"))
    found.chmod(0o755)
    yield found
    shutil.rmtree(found, ignore_errors=True)


@pytest.fixture(scope="session")
def templates(place: Path) -> Callable[[str], Path]:
    """The files of a database that is ready, by kind; made once."""
    made: dict[str, Path] = {}

    def template(kind: str) -> Path:
        family = "sqlite" if kind == "sqlite" else "postgresql"
        if family not in made:
            first = place / f"template-{family}"
            first.mkdir()
            first.chmod(0o755)
            model = Machine(first, kind=kind, tools=[])
            model.redis = model.redis and Redis()
            model.start()
            model.manage("migrate", "--verbosity", "0")
            model.database.stop()
            if model.redis:
                model.redis.stop()
            made[family] = model.database.place
        return made[family]

    return template


@pytest.fixture
def dice(request: pytest.FixtureRequest) -> random.Random:
    """What chance decides in this scenario, the same for the same SEED."""
    return random.Random(f"{SEED} {request.node.name}")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """The tool's server."""
    with running() as server:
        yield server


@pytest.fixture
def make_machine(
    place: Path,
    templates: Callable[[str], Path],
    dice: random.Random,
    receiver: Receiver,
    request: pytest.FixtureRequest,
) -> Iterator[MakeMachine]:
    """A machine of this kind that is ready to run: `make_machine(kind, clock=True)`."""
    with ExitStack() as stack:
        made: list[Machine] = []

        def make(kind: str, **options: Any) -> Machine:
            where = place / f"{request.node.name[:60].replace('/', '-')}-{len(made)}"
            new = stack.enter_context(
                machine(where, templates(kind), dice, kind=kind, tools=[receiver.host], **options)
            )
            made.append(new)
            return new

        yield make
        for one in made:
            print(one.said())  # shown when the scenario fails


@pytest.fixture
def here(make_machine: MakeMachine, kind: str) -> Machine:
    """A machine of this kind."""
    return make_machine(kind)


def ids(got: list[Received]) -> list[str]:
    """Under which ids they arrived, in their order."""
    return [request.headers["webhook-id"].replace("-", "") for request in got]


def who(got: list[Received]) -> list[str]:
    """Of which customers they told."""
    return [request.json()["data"]["user_customer_id"] for request in got]
