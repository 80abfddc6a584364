"""Each scenario has a machine of its own, on each kind of installation for which it must hold.

SEED (`make soak SEED=...`) repeats what chance decided: when something is killed, and on which kind of installation each
scenario runs when SHORT is set, because it then runs on one. SOAK_KINDS chooses among the kinds.
"""

import os
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.receiver import Receiver, running
from tests.soak.machine import Machine, Redis, machine
from tests.soak.programs import Missing, faketime, postgresql, redis_server, unprivileged

SEED = os.environ.get("SEED") or str(random.SystemRandom().randrange(10**6))
KINDS = ("redis", "orm", "sqlite")
WANTED = os.environ.get("SOAK_KINDS", ",".join(KINDS)).split(",")
SHORT = os.environ.get("SHORT", "0") not in ("", "0")


def pytest_report_header() -> str:
    return f"soak: make soak SEED={SEED} repeats what chance decides"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each kind of installation, unless the scenario names those for which it is meant (marker `kinds`)."""
    if "kind" in metafunc.fixturenames:
        marker = metafunc.definition.get_closest_marker("kinds")
        kinds = [kind for kind in (marker.args if marker else KINDS) if kind in WANTED]
        if SHORT:
            kinds = random.Random(f"{SEED} {metafunc.definition.name}").choices(kinds)
        metafunc.parametrize("kind", kinds)


@pytest.fixture(scope="session", autouse=True)
def _installed() -> None:
    """One sentence instead of a scenario that cannot run."""
    try:
        for look in (unprivileged, faketime, redis_server):
            look()
        postgresql("initdb")
    except Missing as missing:
        pytest.skip(str(missing))  # under CI a skip is a failure, see tests.selection


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
def here(
    place: Path, templates: Callable[[str], Path], kind: str, receiver: Receiver, request: pytest.FixtureRequest
) -> Iterator[Machine]:
    """A machine of this kind that is ready to run, and may call the receiver."""
    name = request.node.name.replace("/", "-")[:60]
    with machine(place / name, templates(kind), kind=kind, tools=[receiver.host]) as new:
        yield new
        print(new.said())  # shown when the scenario fails
