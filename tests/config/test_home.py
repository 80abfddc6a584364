"""The home page's figures: the set-up path, the drawings, and what a store without anything sees."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User

from config.charts import chart
from config.home import set_up
from customers.models import Store
from events.figures import Point
from integrations.models import Integration
from tests import factories


def a_point(hour: int, *counts: int) -> Point:
    return Point(datetime(2026, 11, 24, hour, tzinfo=UTC), *counts)


class TestChart:
    def test_stacks_what_happened(self) -> None:
        drawn = chart("day", [a_point(0, 30, 10, 0), a_point(1, 0, 0, 0), a_point(2, 5, 0, 5)], days=1)
        assert (drawn.top, drawn.width) == (40, 30)
        assert [[(part.series, part.y, part.height) for part in bar.parts] for bar in drawn.bars] == [
            [("sent", 25.0, 75.0), ("failed", 0.0, 25.0)],
            [],
            [("sent", 87.5, 12.5), ("skipped", 75.0, 12.5)],
        ]
        assert drawn.sentence == "In the last 24 hours: 35 sent, 10 failed, 5 skipped."
        assert [tick.hour for tick in drawn.ticks] == [0, 1, 2]

    def test_one_of_a_thousand_is_seen(self) -> None:
        (bar,) = chart("day", [a_point(0, 999, 1, 0)], days=30).bars
        assert [part.height for part in bar.parts] == [99.9, 1.5]
        assert all(part.y >= 0 for part in bar.parts)

    @pytest.mark.parametrize(
        ("most", "top"), [(0, 5), (3, 5), (5, 5), (7, 8), (9, 10), (11, 20), (64, 80), (81, 100), (1001, 2000)]
    )
    def test_the_highest_line_stands_for_a_number_that_reads_well(self, most: int, top: int) -> None:
        assert chart("day", [a_point(0, most, 0, 0)], days=1).top == top

    def test_nothing_to_draw(self) -> None:
        assert chart("day", [], days=1).bars == []


class TestSetUp:
    def done(self, store: Store) -> list[bool]:
        steps = set_up(store)
        assert [step.next for step in steps].count(True) == (0 if all(step.done for step in steps) else 1)
        return [step.done for step in steps]

    def test_each_step_is_ticked_when_it_is_done(self, store: Store) -> None:
        store.events_on = False
        assert self.done(store) == [False] * 5
        integration = factories.make_integration(store, enabled=False)
        assert self.done(store) == [True, False, False, False, False]
        integration.note_check(good=True, sentence="It works.")
        assert self.done(store) == [True, False, False, False, False], "it is not on yet"
        integration.switch_on()
        assert self.done(store) == [True, True, False, False, False]
        store.events_on = True
        assert self.done(store) == [True, True, True, False, False]
        subscription = factories.make_subscription(integration)
        assert self.done(store) == [True, True, True, True, False]
        factories.make_customer(store, coins=5)
        subscription.deliveries.update(status="sent")
        assert self.done(store) == [True] * 5

    def test_another_stores_things_tick_nothing(self, store: Store, other_store: Store) -> None:
        factories.make_subscription(factories.make_integration(other_store))
        store.events_on = False
        assert self.done(store) == [False] * 5

    def test_what_was_deleted_ticks_nothing(self, store: Store) -> None:
        factories.make_integration(store).archive()
        assert self.done(store)[0] is False


class TestHome:
    def test_is_the_page_of_the_store_that_shows(
        self, store: Store, other_store: Store, owner: User, signed_in: Any
    ) -> None:
        factories.make_integration(store, name="Ours")
        factories.make_integration(other_store, name="Theirs")
        shown = signed_in(owner).get("/admin/").content.decode()
        assert "Ours" in shown
        assert "Theirs" not in shown

    def test_before_anything_was_sent_there_is_no_picture(self, store: Store, owner: User, signed_in: Any) -> None:
        context = signed_in(owner).get("/admin/").context
        assert (context["pictures"], context["tiles"], context["attention"]) == ([], [], [])
        assert len(context["steps"]) == 5

    def test_an_integration_that_was_never_verified_but_sends_needs_no_set_up(
        self, store: Store, owner: User, signed_in: Any
    ) -> None:
        """As it is after seed_demo, or with rows that a script made."""
        subscription = factories.make_subscription(factories.make_integration(store))
        factories.make_customer(store, coins=5)
        subscription.deliveries.update(status="sent", finished_at=datetime.now(UTC) - timedelta(minutes=1))
        assert Integration.objects.get().verified_at is None
        assert signed_in(owner).get("/admin/").context["steps"] == []
