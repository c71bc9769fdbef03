"""What Prometheus reads at ``/metrics``: counts and times by route, never by client or key."""

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

State = dict[str, dict[str, float]]
"""Family → label value → number; a family without a label has the empty text."""

FAMILIES = {
    "lem_data_version": ("Raised by every change that a reader can see", ""),
    "lem_submissions_by_checks": ("Submissions by the state of their checks", "state"),
    "lem_database_connections": ("Connections of the pool", "state"),
    "lem_checkers_running": ("Processes that check submissions", ""),
    "lem_answer_cache_bytes": ("Encoded answers that are kept", ""),
    "lem_live_viewers": ("Who watch running campaigns", ""),
    "lem_live_channels": ("Campaigns whose live events are at hand", ""),
    "lem_live_bytes": ("Newest live events that are kept in memory", ""),
}


class Metrics:
    """A registry of its own for each server, so that several live in one process (tests)."""

    def __init__(self, read_state: Callable[[], State]) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "lem_http_requests",
            "Requests by route and status",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "lem_http_request_seconds",
            "From the request's headers to the end of the answer",
            ["method", "route"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.in_flight = Gauge(
            "lem_http_requests_in_flight", "Requests under way", registry=self.registry
        )
        self.submissions = Counter(
            "lem_submissions",
            "Submissions sent, by what became of them: accepted, already_there, or why not",
            ["outcome"],
            registry=self.registry,
        )
        self.submission_bytes = Counter(
            "lem_submission_bytes", "Bytes of accepted submissions", registry=self.registry
        )
        self.runs = Counter("lem_runs_accepted", "Attempts accepted", registry=self.registry)
        self.cached = Counter(
            "lem_answers",
            "Answers to queries: not_modified, from the cache, or made",
            ["how"],
            registry=self.registry,
        )
        self.registry.register(_Now(read_state))

    def text(self) -> bytes:
        return generate_latest(self.registry)


class _Now(Collector):
    """Gauges that are read when they are asked for."""

    def __init__(self, read_state: Callable[[], State]) -> None:
        self._read = read_state

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Without this, the registry would collect once when it registers."""
        return iter(())

    def collect(self) -> Iterator[GaugeMetricFamily]:
        for name, values in self._read().items():
            text, label = FAMILIES[name]
            family = GaugeMetricFamily(name, text, labels=[label] if label else [])
            for value, number in values.items():
                family.add_metric([value] if label else [], number)
            yield family
