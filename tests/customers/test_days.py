"""Months end where people expect it, in every time zone."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from customers.days import day_of, last_day_over, midnight, months_later
from customers.models.store import COIN_MONTHS, Store

days = st.dates(date(1990, 1, 1), date(2090, 12, 31))
spans = st.sampled_from([months for months, _ in COIN_MONTHS])


class TestMonthsLater:
    @pytest.mark.parametrize(
        ("day", "months", "later"),
        [
            (date(2026, 1, 15), 2, date(2026, 3, 15)),
            (date(2026, 12, 31), 2, date(2027, 2, 28)),
            (date(2027, 12, 31), 2, date(2028, 2, 29)),
            (date(2026, 11, 30), 3, date(2027, 2, 28)),
            (date(2026, 3, 31), -1, date(2026, 2, 28)),
            (date(2026, 1, 31), -12, date(2025, 1, 31)),
            (date(2026, 6, 1), 30, date(2028, 12, 1)),
        ],
    )
    def test_it_is_the_same_day_or_the_last_of_the_month(self, day: date, months: int, later: date) -> None:
        assert months_later(day, months) == later


class TestLastDayOver:
    @given(today=days, months=spans)
    def test_it_is_the_last_from_which_the_months_have_passed(self, today: date, months: int) -> None:
        last = last_day_over(today, months)
        assert months_later(last, months) < today <= months_later(last + timedelta(days=1), months)


class TestMidnight:
    def test_each_time_zone_has_its_own(self) -> None:
        assert midnight(date(2026, 6, 1), "Asia/Kolkata") == datetime(2026, 5, 31, 18, 30, tzinfo=UTC)
        assert midnight(date(2026, 6, 1), "Europe/Berlin") == datetime(2026, 5, 31, 22, 0, tzinfo=UTC)
        assert day_of(datetime(2026, 5, 31, 18, 30, tzinfo=UTC), "Asia/Kolkata") == date(2026, 6, 1)
        assert day_of(datetime(2026, 5, 31, 18, 29, tzinfo=UTC), "Asia/Kolkata") == date(2026, 5, 31)


class TestCoinsRunOutAt:
    def test_with_the_end_of_the_last_day_of_the_stores_own(self) -> None:
        store = Store(time_zone="Asia/Kolkata", coins_expire_after=2)
        credited = datetime(2026, 1, 15, 20, 0, tzinfo=UTC)  # 1:30 on the 16th in India
        assert store.coins_run_out_at(credited) == datetime(2026, 3, 16, 18, 30, tzinfo=UTC)
        assert Store().coins_run_out_at(credited) is None

    @given(day=days, seconds=st.integers(0, 86_399), months=spans)
    def test_it_agrees_with_what_is_over(self, day: date, seconds: int, months: int) -> None:
        store = Store(time_zone="America/New_York", coins_expire_after=months)
        moment = midnight(day, "UTC") + timedelta(seconds=seconds)
        ends = store.coins_run_out_at(moment)
        assert ends
        for now, over in ((ends, True), (ends - timedelta(seconds=1), False)):
            last = last_day_over(day_of(now, store.time_zone), months)
            assert (moment < midnight(last + timedelta(days=1), store.time_zone)) is over
