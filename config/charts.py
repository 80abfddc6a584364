"""Bars over time as a picture drawn on the server: an SVG that reads without colour, without script and without style."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from events.figures import Point

SLOT, BAR, HEIGHT = 10, 7, 100  # units of the drawing: a bar's place, its width, and the height of the highest
SERIES = ("sent", "failed", "skipped")  # from the bottom up; each has a pattern of its own


@dataclass(frozen=True)
class Part:
    """One rectangle."""

    series: str
    x: float
    y: float
    height: float


@dataclass(frozen=True)
class Bar:
    """What happened in one hour or on one day."""

    start: datetime
    point: Point
    x: int
    parts: list[Part]


@dataclass(frozen=True)
class Chart:
    """Everything that its template needs; `top` is what the highest line stands for."""

    name: str
    days: int
    width: int
    top: int
    bars: list[Bar]
    ticks: list[datetime]

    @property
    def totals(self) -> dict[str, int]:
        """Of each series."""
        return {name: sum(getattr(bar.point, name) for bar in self.bars) for name in SERIES}

    @property
    def legend(self) -> list[tuple[str, str, str]]:
        """Each series with its label and its number as it is written."""
        return [(name, name.capitalize(), f"{total:,}") for name, total in self.totals.items()]

    @property
    def sentence(self) -> str:
        """The picture in words, for those who do not see it."""
        totals = self.totals
        period = "24 hours" if self.days == 1 else f"{self.days} days"
        return f"In the last {period}: {totals['sent']:,} sent, {totals['failed']:,} failed, {totals['skipped']:,} skipped."


def chart(name: str, points: Sequence[Point], *, days: int) -> Chart:
    """The drawing of these points, oldest first."""
    top = _round_up(max((point.sent + point.failed + point.skipped for point in points), default=0))
    return Chart(
        name=name,
        days=days,
        width=SLOT * len(points),
        top=top,
        bars=[_bar(place, point, top) for place, point in enumerate(points)],
        ticks=[points[place].start for place in (0, len(points) // 2, len(points) - 1)] if points else [],
    )


def _bar(place: int, point: Point, top: int) -> Bar:
    x = place * SLOT
    parts: list[Part] = []
    y = float(HEIGHT)
    for series in SERIES:
        if count := getattr(point, series):
            height = max(count / top * HEIGHT, 1.5)  # one of a thousand is seen too
            y = max(y - height, 0)
            parts.append(Part(series, x + (SLOT - BAR) / 2, round(y, 2), round(height, 2)))
    return Bar(point.start, point, x, parts)


def _round_up(most: int) -> int:
    """The next number that reads well: 5, 6, 8, 10, 20, 30, 40, 50, 60, 80, 100, ..."""
    power: int = 10 ** (len(str(most)) - 1)
    return max(5, next(step * power for step in (1, 2, 3, 4, 5, 6, 8, 10) if step * power >= most))
