"""Metrics for Prometheus, out of the rows that the senders write: workers have no port, and any web process can tell."""

from collections.abc import Iterator, Sequence

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from events import health, totals
from events.models import Total
from events.models.lane import DURATION_BUCKETS, LATENCY_BUCKETS

LABELS = ("store", "integration")


def exposition() -> bytes:
    """The page that Prometheus reads, in its text format. Raises django.db.Error without a database."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(SendingCollector())
    return generate_latest(registry)


class SendingCollector(Collector):
    """Everything of `health.look()`, and the totals since ever."""

    def collect(self) -> Iterator[Metric]:
        found = health.look()
        yield GaugeMetricFamily("loyalty_clusters", "Clusters that are alive.", value=found.clusters)
        yield GaugeMetricFamily("loyalty_senders", "Worker processes that sent lately.", value=found.senders)
        gauges = {
            "due": GaugeMetricFamily("loyalty_deliveries_due", "Deliveries that could be sent now.", labels=LABELS),
            "held": GaugeMetricFamily("loyalty_deliveries_held", "Deliveries that are held.", labels=LABELS),
            "in_flight": GaugeMetricFamily("loyalty_deliveries_in_flight", "Calls under way.", labels=LABELS),
        }
        oldest = GaugeMetricFamily(
            "loyalty_oldest_due_seconds", "How long the oldest due delivery has been due; 0 without any.", labels=LABELS
        )
        closed = GaugeMetricFamily("loyalty_integration_closed", "1 while a lane is closed.", labels=LABELS)
        for one in found.integrations:
            labels = (one.integration.store.name, one.integration.name)
            for name, gauge in gauges.items():
                gauge.add_metric(labels, getattr(one, name))
            oldest.add_metric(labels, found.oldest_due_seconds(of=one) or 0)
            closed.add_metric(labels, bool(one.closed))
        yield from (*gauges.values(), oldest, closed)
        yield from _since_ever(totals.now())


def _since_ever(counted: Sequence[Total]) -> Iterator[Metric]:
    ended = CounterMetricFamily(
        "loyalty_deliveries", "Deliveries that ended, by what became of them.", labels=(*LABELS, "outcome")
    )
    tries = CounterMetricFamily("loyalty_tries", "Tries.", labels=LABELS)
    failed = CounterMetricFamily("loyalty_failed_tries", "Tries that were not accepted.", labels=LABELS)
    latency = HistogramMetricFamily("loyalty_latency_seconds", "From the commit to the answer.", labels=LABELS)
    duration = HistogramMetricFamily("loyalty_try_duration_seconds", "How long a try took.", labels=LABELS)
    for total in counted:
        labels = (total.store.name, total.integration.name)
        for outcome in ("sent", "failed", "skipped"):
            ended.add_metric((*labels, outcome), getattr(total, outcome))
        tries.add_metric(labels, total.tries)
        failed.add_metric(labels, total.failed_tries)
        latency.add_metric(labels, _buckets(total.latency, LATENCY_BUCKETS), total.latency_ms / 1000)
        duration.add_metric(labels, _buckets(total.duration, DURATION_BUCKETS), total.duration_ms / 1000)
    yield from (ended, tries, failed, latency, duration)


def _buckets(counts: Sequence[int], bounds: Sequence[int]) -> list[tuple[str, float]]:
    """Prometheus' cumulative buckets in seconds, from counts between bounds in ms."""
    counts = counts or [0] * (len(bounds) + 1)
    names = [*(f"{bound / 1000:g}" for bound in bounds), "+Inf"]
    return [(name, sum(counts[: place + 1])) for place, name in enumerate(names)]
