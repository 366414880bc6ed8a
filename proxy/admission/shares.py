"""Shares: one tenant's part of an account each, and the order in which the parked ones go.

The order is start-time fair queueing (peers.md §5.1): a share's *start* is the later of when its head came to
be one (``floor``, so that idling earns nothing) and what its service so far is paid up to (``finish``). The
least start goes first, then the oldest head; virtual time moves to the start that is served.

Only while somebody is parked is anything charged: with room for everybody nobody takes service from anybody.
Debts of tenants that are gone are remembered until then, the most :data:`_DEBTS` of them.

Cost: O(log tenants) per change, O(1) while nobody is parked. Heaps keep outdated items, which are known by their
version, until they outnumber the others.
"""

from __future__ import annotations

import heapq
from typing import Final

from proxy.admission.queue import Queue
from proxy.domain.ids import TenantName

_DEBTS: Final = 1024
"""Beyond so many tenants that are gone but in debt all debts are forgotten: names are the callers' to choose."""
_SLACK: Final = 64
"""Heaps may be so much longer than four times what they rank."""


class Share:
    """What a tenant holds of an account, and its queues that are parked there."""

    __slots__ = ("ask", "finish", "floor", "held", "parked", "tenant", "version", "weight")

    def __init__(self, tenant: TenantName, weight: float) -> None:
        self.tenant = tenant
        self.weight = weight
        self.held = 0
        self.ask = 0.0
        self.parked: list[Queue] = []
        self.finish = 0.0
        self.floor = 0.0
        self.version = 0

    @property
    def start(self) -> float:
        """The start tag of the head."""
        return max(self.floor, self.finish)


class Shares:
    """The shares of one account. ``active`` ones hold something or are parked; ``weights`` is the sum of theirs."""

    __slots__ = ("_by_start", "_debtors", "active", "busy", "parked", "version", "virtual", "weights")

    def __init__(self) -> None:
        self.active: dict[TenantName, Share] = {}
        self.weights = 0.0
        self.virtual = 0.0
        self.parked = 0
        """Queues parked here."""
        self.busy = False
        """Whether somebody was parked since the last ``settle``."""
        self.version = 0
        """Never the same twice, so that no two items of a heap are equal."""
        self._debtors: dict[TenantName, Share] = {}
        self._by_start: list[tuple[float, int, int, Share]] = []

    # -- what kinds of account may refine -----------------------------------------------------------
    def first(self, share: Share) -> Queue | None:
        """Which of a share's parked queues goes first: that with the oldest head."""
        return share.parked[0] if len(share.parked) == 1 else min(share.parked, key=_age, default=None)

    def best(self) -> Queue | None:
        """The parked queue whose turn it is; None where nobody's can come."""
        heap = self._by_start
        while heap:
            _, _, version, share = heap[0]
            if version == share.version:
                return self.first(share)
            heapq.heappop(heap)
        return None

    def rank(self, share: Share, queue: Queue) -> None:
        """Put a share where it belongs in the order, by the first of its parked queues."""
        heapq.heappush(self._by_start, (share.start, queue.head.seq, share.version, share))
        if len(self._by_start) > _SLACK + 4 * len(self.active):
            self._by_start = [item for item in self._by_start if item[2] == item[3].version]
            heapq.heapify(self._by_start)

    def settle(self) -> None:
        """Nobody is parked any more: debts need no remembering."""
        self.busy = False
        self._by_start.clear()
        self._debtors.clear()
        if not self.active:
            self.virtual = self.weights = 0.0

    # -- changes ----------------------------------------------------------------------------------------
    def park(self, queue: Queue) -> None:
        """The queue's head waits here."""
        share = self.share(queue.tenant, queue.head.weight)
        if not share.parked:
            share.floor = self.virtual
        share.parked.append(queue)
        self.parked += 1
        self.busy = True
        self.restate(share)

    def unpark(self, queue: Queue) -> None:
        """The queue no longer waits here: it goes, its head left, or its head is another."""
        share = self.active[queue.tenant]
        share.parked.remove(queue)
        self.parked -= 1
        self.restate(share)

    def share(self, tenant: TenantName, weight: float) -> Share:
        """A tenant's share, active from now on: whoever asks changes it and restates it."""
        share = self.active.get(tenant)
        if share is None:
            share = self._debtors.pop(tenant, None) or Share(tenant, weight)
            share.weight = weight
            self.active[tenant] = share
            self.weights += weight
        elif share.weight != weight:
            self.weights += weight - share.weight
            share.weight = weight
        return share

    def charge(self, share: Share, amount: float) -> None:
        """Account for service about to be given: virtual time moves to the start tag that is served."""
        self.virtual = start = max(self.virtual, share.finish)
        share.finish = start + amount / share.weight
        share.floor = self.virtual

    def restate(self, share: Share) -> None:
        """After any change of what a share holds or who is parked."""
        self.version = share.version = self.version + 1
        if share.parked:
            queue = self.first(share)
            if queue is not None:
                self.rank(share, queue)
        elif not share.held:
            self._deactivate(share)

    def _deactivate(self, share: Share) -> None:
        del self.active[share.tenant]
        self.weights -= share.weight
        if not self.active and not self.busy:
            self.virtual = self.weights = 0.0
        elif self.busy and share.finish > self.virtual:
            if len(self._debtors) >= _DEBTS:
                self._debtors.clear()
            self._debtors[share.tenant] = share


def _age(queue: Queue) -> int:
    return queue.head.seq
