"""What becomes of a delivery after a try: the schedule of retries, as properties."""

from hypothesis import given
from hypothesis import strategies as st

from events.results import JITTER, RETRY_DELAYS, retry_delay


class TestRetryDelay:
    @given(tries=st.integers(1, 5), chance=st.floats(0, 1))
    def test_it_stays_within_a_fifth_of_the_schedule(self, tries: int, chance: float) -> None:
        planned = RETRY_DELAYS[tries - 1]
        assert planned * (1 - JITTER) <= retry_delay(tries, chance=chance) <= planned * (1 + JITTER) + 1e-6

    @given(tries=st.integers(1, 5), chance=st.floats(0, 1), wanted=st.floats(0, 86_400))
    def test_it_is_never_less_than_what_the_other_side_asked_for(
        self, tries: int, chance: float, wanted: float
    ) -> None:
        assert retry_delay(tries, wanted=wanted, chance=chance) >= wanted

    def test_the_delays_are_those_promised(self) -> None:
        assert [retry_delay(tries, chance=0.5) for tries in range(1, 6)] == [10, 120, 1200, 10_800, 72_000]

    def test_it_differs_from_one_time_to_the_next(self) -> None:
        assert len({retry_delay(3) for _ in range(20)}) > 1
