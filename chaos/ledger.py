"""The oracle at the far side: a fake E2B that keeps book of whose create it has, and what must never be seen there.

The cap, precisely. A create is under way at the fake from the moment its request was read until its answer is ready or
the fake has noticed that the connection is gone. At every arrival:

1. Headgate has at most ``cap`` connections to the upstream that are busy; and
2. at most ``cap`` creates are under way at the fake whose callers have not been told how it ended.

Where no connection is cut, nobody is told before the fake is done, so 2 is simply: at most ``cap`` under way. Where one
is cut, Headgate learns of it first, tells its caller, closes its own end and lets the next go; the fake's end of the
same connection goes down a moment later, behind toxiproxy. In that moment the fake has one more, and no proxy could
know. Those are counted apart (``unnoticed``): never more than the creates that were cut, and 1 shows that Headgate
has let go of them.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web

from chaos.crowd import number_of
from proxy.fakes import E2BConfig, FakeE2B
from proxy.fakes.clock import Clock, RealClock

PROVABLY_NOT_PROCESSED: Final = frozenset({429})
"""Answers of the fake after which the same create may come again."""

_TURNS: Final = 3
"""Turns of the loop after which what was sent to a caller before an arrival has been read. One would do where sockets
are written at once; uvloop gathers writes to the end of a turn."""


@dataclass(slots=True)
class Ledger:
    """What the fake saw of creates, by the caller's number."""

    cap: int
    told: Callable[[int], bool]
    """Whether this caller knows how it ended."""
    busy: Callable[[], int] = lambda: 0
    """Headgate's busy connections to the upstream."""
    arrivals: Counter[int] = field(default_factory=Counter)
    refused: Counter[int] = field(default_factory=Counter)
    finished: int = 0
    cut: int = 0
    peak: int = 0
    """The most creates under way at once that were not cut."""
    unnoticed: int = 0
    """The most creates at once that were cut, and the fake had not noticed yet."""
    busy_peak: int = 0
    _under_way: list[int] = field(default_factory=list)
    _looking: int = 0

    def arrived(self, number: int) -> None:
        """A create is here. Judged a few turns later, when its predecessors' callers have read what they were sent."""
        self.arrivals[number] += 1
        self._under_way.append(number)
        self.busy_peak = max(self.busy_peak, self.busy())
        self._looking += 1
        self._look(tuple(self._under_way), _TURNS)

    def _look(self, under_way: tuple[int, ...], turns: int) -> None:
        if turns:
            asyncio.get_running_loop().call_soon(self._look, under_way, turns - 1)
            return
        gone = sum(map(self.told, under_way)) if len(under_way) > self.cap else 0
        self.peak = max(self.peak, len(under_way) - gone)
        self.unnoticed = max(self.unnoticed, gone)
        self._looking -= 1

    def ended(self, number: int, status: int | None) -> None:
        """A create was answered, or cut (None)."""
        self._under_way.remove(number)
        if status is None:
            self.cut += 1
        else:
            self.finished += 1
            self.refused[number] += status in PROVABLY_NOT_PROCESSED

    @property
    def under_way(self) -> int:
        """Creates at the fake now."""
        return len(self._under_way)

    @property
    def settled(self) -> bool:
        """Whether nothing is under way and every arrival has been judged."""
        return not self._under_way and not self._looking

    def twice(self) -> list[int]:
        """Callers whose create came again although it may have been processed."""
        return sorted(number for number, count in self.arrivals.items() if count > 1 + self.refused[number])


class HeldClock(RealClock):
    """The machine's time, but no work at the fake goes on while it is held."""

    def __init__(self) -> None:
        super().__init__()
        self._free = asyncio.Event()

    def hold(self) -> None:
        """From now on nothing is finished."""
        self._free.clear()

    def free(self) -> None:
        """Everything goes on."""
        self._free.set()

    async def sleep(self, seconds: float) -> None:
        """Wait until nothing is held, then so long."""
        await self._free.wait()
        await super().sleep(seconds)


class WatchedE2B(FakeE2B):
    """A fake E2B whose creates go through a ledger."""

    def __init__(self, config: E2BConfig, clock: Clock, ledger: Ledger) -> None:
        super().__init__(config, clock=clock)
        self._ledger = ledger

    def _numbered(self, number: int) -> Any:
        handle = super()._numbered(number)

        async def watched(request: web.Request) -> web.StreamResponse:
            caller = number_of(await request.read())
            status = None
            self._ledger.arrived(caller)
            try:
                response: web.StreamResponse = await handle(request)
                status = response.status
                return response
            finally:
                self._ledger.ended(caller, status)

        return watched
