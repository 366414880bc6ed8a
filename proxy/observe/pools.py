"""Gauges of queues and seats, read from the store at the moment of a scrape.

Labels are bounded: a limit's or route's name, and a tenant only where the policy lists it by its exact name.
All the others are summed under ``tenant="other"``; limits that do not count tenants have ``tenant=""``, all
their accounts in one sum.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from proxy.admission.view import LimitView, QueueView, StoreView
from proxy.policy.policyset import Limit, Per, PolicySet

OTHER: Final = "other"

Key = tuple[str, str]
"""A limit's or a route's name, and the tenant's label."""


class PoolSeries(Collector):
    """``headgate_seats_*`` and ``headgate_queue_waiting|lingering``."""

    def __init__(self, view: Callable[[int], StoreView]) -> None:
        self._view = view
        self._known: frozenset[str] = frozenset()
        self._seats: dict[str, Limit] = {}
        self._configured: dict[Key, float] = {}
        self._queues: tuple[Key, ...] = ()

    def policy_in_force(self, policies: PolicySet) -> None:
        """Take the names of this policy."""
        listed = {entry.pattern: entry for entry in policies.tenants.known if "*" not in entry.pattern}
        self._known = frozenset(listed)
        self._seats = {name: limit for name, limit in policies.limits.items() if limit.seats is not None}
        labels = (*listed, OTHER)
        self._queues = tuple((route.name, label) for route in policies.routes if route.limits for label in labels)
        self._configured = {}
        for name, limit in self._seats.items():
            for label in labels if limit.per is Per.TENANT else ("",):
                own = listed[label].seats if label in listed else {}
                self._configured[name, label] = own.get(limit.name, limit.seats or 0)

    def collect(self) -> Iterable[Metric]:
        """Ask the store, and sum by label."""
        view = self._view(0)
        yield from self._seat_families(view.limits)
        yield from self._queue_families(view.queues)

    def _seat_families(self, accounts: Iterable[LimitView]) -> Iterable[Metric]:
        held: dict[Key, float] = dict.fromkeys(self._configured, 0.0)
        limits: dict[Key, float] = {}
        for account in accounts:
            limit = self._seats.get(account.name)
            if limit is not None:
                key = (account.name, self._label(account.scope) if limit.per is Per.TENANT else "")
                held[key] = held.get(key, 0.0) + account.held
                limits[key] = limits.get(key, 0.0) + account.limit
        yield _family("headgate_seats_held", "Seats held now.", "limit", held)
        yield _family(
            "headgate_seats_limit",
            "Seats there are, over the accounts in use; what one account has where none is.",
            "limit",
            self._configured | limits,
        )

    def _queue_families(self, queues: Iterable[QueueView]) -> Iterable[Metric]:
        waiting: dict[Key, float] = dict.fromkeys(self._queues, 0)
        lingering: dict[Key, float] = dict.fromkeys(self._queues, 0)
        for queue in queues:
            key = (queue.route, self._label(queue.tenant))
            waiting[key] = waiting.get(key, 0) + queue.waiting
            lingering[key] = lingering.get(key, 0) + queue.lingering
        yield _family("headgate_queue_waiting", "Callers connected and waiting now.", "route", waiting)
        yield _family("headgate_queue_lingering", "Places kept for callers who are away.", "route", lingering)

    def _label(self, tenant: str) -> str:
        return tenant if tenant in self._known else OTHER


def _family(name: str, help_text: str, what: str, values: dict[Key, float]) -> Metric:
    family = GaugeMetricFamily(name, help_text, labels=(what, "tenant"))
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family
