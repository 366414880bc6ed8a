"""The fair answer, computed from the scenario alone: weighted max-min of demands (APF's fairAlloc)."""

from __future__ import annotations

from collections.abc import Mapping


def max_min(
    demands: Mapping[str, float], capacity: float, weights: Mapping[str, float] | None = None
) -> dict[str, float]:
    """Seats for each: nobody gets more than it can use, and nobody could get more but from one with less per weight.

    Water-filling: raise everybody's level evenly; who has enough drops out, the rest go on.
    """
    weights = weights or dict.fromkeys(demands, 1.0)
    given: dict[str, float] = {}
    left = capacity
    for tenant in sorted(demands, key=lambda name: demands[name] / weights[name]):
        rest = sum(weights[name] for name in demands if name not in given)
        given[tenant] = min(demands[tenant], left * weights[tenant] / rest)
        left -= given[tenant]
    return given
