"""The waiting room: every queue of a pool, how many wait and linger in each route, and who may come back.

Says whether there is room and finds places; who goes when is the pool's to decide.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from proxy.admission.events import Arrive, Bounds, Why
from proxy.admission.places import PlaceIndex
from proxy.admission.queue import Queue, Ticket
from proxy.admission.view import TicketState
from proxy.domain.ids import RouteName, TenantName, TicketId

_FORGET_AT: Final = 1024
"""Empty queues are kept for their dispatch rate, until there are this many."""

_Full = tuple[Why, int, int]


class WaitingRoom:
    """Queues by tenant and route, and their bounds."""

    def __init__(self) -> None:
        self._queues: dict[tuple[TenantName, RouteName, bool], Queue] = {}
        self._connected: dict[RouteName, int] = {}
        self._kept: dict[RouteName, int] = {}
        self._places = PlaceIndex()

    def queues(self) -> Iterable[Queue]:
        """Every queue, empty ones too."""
        return self._queues.values()

    def queue_of(self, event: Arrive) -> Queue:
        """A tenant's queue in a route. Who needs nothing waits apart (for a gate), never behind those who do."""
        key = (event.tenant, event.route, bool(event.needs))
        queue = self._queues.get(key)
        if queue is None:
            queue = self._queues[key] = Queue(event.tenant, event.route)
        return queue

    def forget(self, queue: Queue) -> None:
        """Let an empty queue go, if there are many. One that a holder may come back to is not empty."""
        if len(self._queues) <= _FORGET_AT or len(queue) or queue.holding:
            return
        for needy in (True, False):
            key = (queue.tenant, queue.route, needy)
            if self._queues.get(key) is queue:
                del self._queues[key]

    def enter(self, ticket: Ticket) -> None:
        """A waiting or lingering ticket takes its place."""
        lingering = ticket.state is TicketState.LINGERING
        counts = self._kept if lingering else self._connected
        counts[ticket.queue.route] = counts.get(ticket.queue.route, 0) + 1
        ticket.queue.enter(ticket)
        if lingering:
            self._places.add(ticket)

    def remove(self, ticket: Ticket) -> None:
        """It leaves its place; its state must still be the one it entered with."""
        lingering = ticket.state is TicketState.LINGERING
        if lingering:
            self._places.discard(ticket)
        ticket.queue.remove(ticket)
        counts = self._kept if lingering else self._connected
        counts[ticket.queue.route] -= 1
        if not counts[ticket.queue.route]:
            del counts[ticket.queue.route]

    def full(self, queue: Queue, bounds: Bounds) -> _Full | None:
        """What is full, how many wait there and how many may; None where one more caller may wait."""
        total = self._connected.get(queue.route, 0)
        if queue.connected >= bounds.per_tenant:
            return Why.FULL_TENANT, queue.connected, bounds.per_tenant
        if total >= bounds.total:
            return Why.FULL_TOTAL, total, bounds.total
        return None

    def may_keep(self, ticket: Ticket) -> bool:
        """Whether the place of somebody who stops waiting can be kept: the same bounds again."""
        kept = self._kept.get(ticket.queue.route, 0)
        return ticket.linger > 0 and ticket.queue.kept < ticket.bounds.per_tenant and kept < ticket.bounds.total

    def find(self, event: Arrive, tickets: Mapping[TicketId, Ticket]) -> Ticket | None:
        """The place this caller comes back to, if it has one: the ticket it names, else one that lingers for it."""
        if event.claims is not None:
            ticket = tickets.get(event.claims)
            if ticket is not None and ticket.state is not TicketState.HOLDING and _same(ticket.queue, event):
                return ticket
        if event.identity is None:
            return None
        return self._places.oldest(event.tenant, event.route, event.identity)


def _same(queue: Queue, event: Arrive) -> bool:
    return queue.tenant == event.tenant and queue.route == event.route
