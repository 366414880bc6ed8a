"""Who is written to, and how hard: every receiver has connections and a pace of its own.

A receiver is a scheme, a host and a port. One that is dead fills its own connections and nobody else's; beats
for it wait here at no cost, one row each, and are missed when the next is due. Whoever leaves the queue is
gone from here at once, so that a dead receiver cannot collect rows.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Final, Protocol

from aiolimiter import AsyncLimiter

CONNECTIONS: Final = 64
"""Deliveries under way to one receiver at once. At 30 ms each that carries 2,000 beats a second."""

BURST: Final = 100
PERIOD: Final = 0.05
"""At most ``BURST`` deliveries at once and ``BURST / PERIOD`` = 2,000 a second to one receiver: twice what
10,000 waiters with the default cadence of 10 s need in the long run; a burst of them is spread over 5 s."""

KEEP_IDLE: Final = 256
"""More receivers than this are known only while they have something to do (templates may name many hosts)."""


class Delivery(Protocol):
    """What waits for its turn to be delivered."""

    def launch(self) -> asyncio.Task[None] | None:
        """Start the delivery now; None where it has become needless."""


class Receiver:
    """The queue of one receiver."""

    def __init__(self) -> None:
        self._queue: OrderedDict[Delivery, None] = OrderedDict()
        self._pace = AsyncLimiter(BURST, PERIOD)
        self._under_way: set[asyncio.Task[None]] = set()
        self._pump: asyncio.Task[None] | None = None
        self._room = asyncio.Event()
        self.silent = False
        """A grant has waited for it in vain, and it has not replied since: no further grant waits for it."""

    @property
    def idle(self) -> bool:
        """Whether nothing is under way and the pace has forgotten what was."""
        return not self._under_way and self._pump is None and self._pace.has_capacity(BURST)

    @property
    def waiting(self) -> int:
        """Deliveries that wait for room."""
        return len(self._queue)

    def put(self, delivery: Delivery) -> None:
        """Deliver when there is room; at once where there is."""
        self._queue[delivery] = None
        if self._pump is None:
            self._pump = asyncio.get_running_loop().create_task(self._run())
            self._pump.add_done_callback(self._stopped)

    def remove(self, delivery: Delivery) -> None:
        """It waits no more."""
        self._queue.pop(delivery, None)

    def close(self) -> list[asyncio.Task[None]]:
        """Cancel everything; the tasks to wait for."""
        self._queue.clear()
        tasks = [*self._under_way, *([self._pump] if self._pump else [])]
        for task in tasks:
            task.cancel()
        return tasks

    async def _run(self) -> None:
        while self._queue:
            await self._pace.acquire()
            while len(self._under_way) >= CONNECTIONS:
                self._room.clear()
                await self._room.wait()
            if not self._queue:
                break
            delivery, _ = self._queue.popitem(last=False)
            task = delivery.launch()
            if task is not None:
                self._under_way.add(task)
                task.add_done_callback(self._done)

    def _stopped(self, pump: asyncio.Task[None]) -> None:
        self._pump = None
        if self._queue and not pump.cancelled():
            waiting, self._queue = self._queue, OrderedDict()
            for delivery in waiting:
                self.put(delivery)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._room.set()


class Receivers:
    """Every receiver by its scheme, host and port."""

    def __init__(self) -> None:
        self._known: dict[str, Receiver] = {}

    def get(self, origin: str) -> Receiver:
        """The receiver at this origin."""
        receiver = self._known.get(origin)
        if receiver is None:
            if len(self._known) >= KEEP_IDLE:
                self._known = {name: known for name, known in self._known.items() if not known.idle}
            receiver = self._known[origin] = Receiver()
        return receiver

    def __len__(self) -> int:
        return len(self._known)

    def close(self) -> list[asyncio.Task[None]]:
        """Cancel everything under way; the tasks to wait for."""
        return [task for receiver in self._known.values() for task in receiver.close()]
