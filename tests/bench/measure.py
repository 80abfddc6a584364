"""A measure as it is written down, and the targets that it is held to."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

RUNS = 3


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One figure: the median of its runs, their range, and what it is compared with in the same call.

    `ratio` is value / baseline; both are None where there is nothing to compare with.
    """

    name: str
    value: float
    unit: str
    baseline: float | None
    ratio: float | None
    range: tuple[float, float]

    @classmethod
    def of(cls, name: str, values: Sequence[float], unit: str, *, baseline: Sequence[float] = ()) -> "Measure":
        """Of these runs, beside those of the baseline."""
        value, beside = median(values), median(baseline) if baseline else None
        return cls(
            name=name,
            value=_short(value),
            unit=unit,
            baseline=None if beside is None else _short(beside),
            ratio=value / beside if beside else None,
            range=(_short(min(values)), _short(max(values))),
        )

    def row(self) -> dict[str, Any]:
        """As var/bench.json has it."""
        ratio = None if self.ratio is None else round(self.ratio, 3)
        return {**vars(self), "ratio": ratio, "range": list(self.range)}


def _short(value: float) -> float:
    """Four digits that count."""
    return float(f"{value:.4g}")


@dataclass(frozen=True)
class Target:
    """What a measure must reach: as a person reads it, and as it is judged."""

    text: str
    holds: Callable[[Measure], bool]


def _ratio_at_least(least: float) -> Target:
    return Target(f"ratio >= {least:g}", lambda measure: (measure.ratio or 0) >= least)


def _ratio_at_most(most: float) -> Target:
    return Target(f"ratio <= {most:g}", lambda measure: measure.ratio is not None and measure.ratio <= most)


def _at_most(most: float) -> Target:
    return Target(f"<= {most:g}", lambda measure: measure.value <= most)


def _both(first: Target, second: Target) -> Target:
    return Target(f"{first.text}; {second.text}", lambda measure: first.holds(measure) and second.holds(measure))


def _either(first: Target, second: Target) -> Target:
    return Target(f"{first.text} or {second.text}", lambda measure: first.holds(measure) or second.holds(measure))


TARGETS = {
    "throughput": _ratio_at_least(0.5),
    "throughput_vs_task_each": _ratio_at_least(10),
    "throughput_100ms": _both(Target(">= 1000", lambda measure: measure.value >= 1000), _ratio_at_least(0.85)),
    "throughput_batch": _ratio_at_least(3),
    "record_ms_1": _ratio_at_most(2.5),
    "record_ms_50": _ratio_at_most(4),
    "latency_p50_ms": _at_most(20),
    "latency_p99_ms": _at_most(150),
    "latency_p50_ms_orm": _at_most(150),
    "latency_p99_ms_orm": _at_most(400),
    "isolation_ratio": _either(_ratio_at_most(2), _at_most(150)),
    "claim_ms_5m": _both(_at_most(10), _ratio_at_most(1.5)),
    "list_ms_5m": _at_most(300),
    "rss_mb": _ratio_at_most(1.2),
}
