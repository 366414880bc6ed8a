"""A histogram that is cheap to observe: a list of counts and one bisection.

``prometheus_client.Histogram.observe`` takes a lock per bucket and per sum and costs about 1 µs; with four phases
per request that is more than the rest of the bookkeeping together. One event loop needs no locks.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

from prometheus_client.core import HistogramMetricFamily

PHASE_BOUNDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
"""Seconds a phase takes: from a relay within one machine to a create on a slow day."""

WAIT_BOUNDS: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 15, 20, 30, 45, 60, 120, 300, 600, 1800)
"""Seconds in the queue, with the defaults of patience (45 s) and of the callers' timeouts (peers.md §4.4)."""

LAG_BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 5)
"""Seconds by which the event loop is late; above 20 ms it is too much (design.md §3)."""


class Buckets:
    """Counts by upper bound. ``counts`` are not cumulative here; the last one is beyond every bound."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def add_to(self, family: HistogramMetricFamily, labels: tuple[str, ...]) -> None:
        """Append this histogram's series to a family."""
        so_far = 0
        rows: list[tuple[str, float]] = []
        for bound, count in zip((*self.bounds, float("inf")), self.counts, strict=True):
            so_far += count
            rows.append((_bound(bound), so_far))
        family.add_metric(labels, rows, self.total)


def _bound(bound: float) -> str:
    """The text of an ``le`` label, as Prometheus' own clients spell it."""
    return "+Inf" if bound == float("inf") else str(float(bound))
