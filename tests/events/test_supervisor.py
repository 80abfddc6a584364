"""The supervisor's preparations; how it watches the cluster is proved by the round and by the soak."""

import resource
from collections.abc import Iterator

import pytest

from events import supervisor


@pytest.fixture(autouse=True)
def _limits() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


class TestFiles:
    def test_the_usual_limit_is_raised(self) -> None:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
        supervisor._allow_many_files()
        soft, after = resource.getrlimit(resource.RLIMIT_NOFILE)
        assert soft == (supervisor.FILES if hard == resource.RLIM_INFINITY else min(supervisor.FILES, hard))
        assert after == hard

    def test_a_higher_one_is_left_alone(self) -> None:
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        if before[0] != resource.RLIM_INFINITY and before[0] < supervisor.FILES:
            supervisor._allow_many_files()
            before = resource.getrlimit(resource.RLIMIT_NOFILE)
        supervisor._allow_many_files()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == before
