"""Pools: limits that some route takes together are decided together, so they live in one pool."""

from __future__ import annotations

from collections.abc import Sequence

from proxy.domain.ids import LimitName, PoolName
from proxy.policy.policyset import PoolSpec, Route


def pools_of(routes: Sequence[Route]) -> tuple[PoolSpec, ...]:
    """The connected parts of routes that share limits, in the order of their first route.

    A pool's name is its limits' names, sorted and joined by ``+``: the same on every replica and
    whatever the order of the routes.
    """
    groups: list[tuple[set[LimitName], list[Route]]] = []
    for route in routes:
        if not route.limits:
            continue
        limits, members = set(route.limits), [route]
        apart = []
        for group in groups:
            if group[0] & limits:
                limits |= group[0]
                members = group[1] + members
            else:
                apart.append(group)
        groups = [*apart, (limits, members)]
    order = {route.name: number for number, route in enumerate(routes)}
    specs = []
    for limits, members in groups:
        names = tuple(sorted(limits))
        members.sort(key=lambda route: order[route.name])
        specs.append(PoolSpec(PoolName("+".join(names)), names, tuple(route.name for route in members)))
    return tuple(sorted(specs, key=lambda spec: order[spec.routes[0]]))
