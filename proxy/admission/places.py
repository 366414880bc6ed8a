"""Which lingering place a caller comes back to, found by what its request is.

Only places that linger are here: of two identical requests that both wait, neither is the other's return.
"""

from __future__ import annotations

from bisect import insort

from proxy.admission.queue import Ticket
from proxy.domain.ids import RouteName, TenantName

Identity = tuple[TenantName, RouteName, bytes]


class PlaceIndex:
    """Lingering tickets by tenant, route and identity; the oldest first."""

    def __init__(self) -> None:
        self._places: dict[Identity, list[tuple[int, Ticket]]] = {}

    def add(self, ticket: Ticket) -> None:
        """Note a place that begins to linger; a ticket without identity is found by its name only."""
        key = _key(ticket)
        if key is not None:
            insort(self._places.setdefault(key, []), (ticket.seq, ticket), key=lambda place: place[0])

    def discard(self, ticket: Ticket) -> None:
        """The place lingers no more."""
        key = _key(ticket)
        if key is None:
            return
        places = self._places[key]
        places.remove((ticket.seq, ticket))
        if not places:
            del self._places[key]

    def oldest(self, tenant: TenantName, route: RouteName, identity: bytes) -> Ticket | None:
        """The place that has waited longest."""
        places = self._places.get((tenant, route, identity))
        return places[0][1] if places else None

    def __len__(self) -> int:
        return sum(len(places) for places in self._places.values())


def _key(ticket: Ticket) -> Identity | None:
    if ticket.identity is None:
        return None
    return (ticket.queue.tenant, ticket.queue.route, ticket.identity)
