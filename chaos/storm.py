"""One run: a burst of creates, a fault in the middle of it, and a small burst when the fault is gone.

1. Creates are held at the fake, the burst comes: the seats are full, everybody else waits, beats go out.
2. The fault begins. Creates go on. What passes stays until everybody has been answered; what cuts or sticks is undone
   when it has hit enough of them, and the rest of the burst goes through the healed link.
3. Another burst, twice the seats: all of it must be served, and its waiters' beats must arrive.

A fault before the receiver begins and does its damage while creates are held, and is still there for the whole burst;
one that makes it hang is there from the start.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from typing import Final

from chaos.faults import Fault
from chaos.report import Place, Report
from chaos.stage import Stage, stage
from chaos.toxics import Toxiproxy
from proxy.couriers.receivers import CONNECTIONS
from tests.support.leaks import leftovers
from tests.support.waiting import until

WITHIN: Final = 60.0
"""Seconds after which a run that does not move on is broken; far beyond what any takes."""

_ANY_TASKS: Final = 1 << 30
"""The fakes and their kept connections have tasks of their own: none is counted here."""


@dataclass(frozen=True, slots=True)
class Size:
    """How big a run is. ``cap`` is what the ledger allows, the seats if it is not given."""

    callers: int = 200
    seats: int = 20
    cap: int | None = None
    every: str = "1s"
    """The cadence of progress."""


async def run(server: Toxiproxy, fault: Fault, place: Place, size: Size | None = None) -> Report:
    """Make a run and tell what it showed. AssertionError where it comes to a standstill."""
    size = size or Size()
    every = "60s" if _hangs(fault, place) else size.every  # a delivery that hangs must outlast the burst
    async with stage(server, seats=size.seats, cap=size.cap or size.seats, every=every) as scene:
        storm = _Storm(scene, fault, place, size)
        return await storm.run()


def _hangs(fault: Fault, place: Place) -> bool:
    """Whether it makes the receiver one that never answers."""
    return place == "receiver" and fault.effect == "sticks"


class _Storm:
    def __init__(self, scene: Stage, fault: Fault, place: Place, size: Size) -> None:
        self._scene = scene
        self._fault = fault
        self._place = place
        self._size = size
        self._hangs = _hangs(fault, place)
        self._burst = range(size.callers)
        self._after = range(size.callers, size.callers + 2 * size.seats)

    async def run(self) -> Report:
        """The three acts, and what is left after them."""
        began = time.monotonic()
        awaited = None
        if self._hangs:
            awaited = await self._through_a_hanging_receiver()
        elif self._place == "upstream":
            await self._through_the_upstream()
        else:
            await self._through_the_receiver()
        took = time.monotonic() - began
        beats, recorded = self._scene.beats(), self._scene.recorded()
        arrived = await self._again()
        return self._report(took, await self._left(), awaited, beats=beats, recorded=recorded, arrived=arrived)

    async def _gather(self) -> None:
        """The seats are full of creates that are held, and everybody else waits."""
        scene, size = self._scene, self._size
        await scene.ask(self._burst)
        await until(lambda: scene.present() == size.callers, "everybody is in", within=WITHIN)
        await until(lambda: scene.ledger.under_way >= size.seats, "the seats are full", within=WITHIN)

    async def _first_beat(self) -> None:
        await until(lambda: self._scene.beats()["ok"] > 0, "a beat has arrived", within=WITHIN)

    async def _through_the_upstream(self) -> None:
        await self._gather()
        await self._first_beat()
        with self._fault.on(self._scene.links["upstream"]):
            self._scene.clock.free()
            await until(self._hit_enough, f"{self._fault.name} has done its damage", within=WITHIN)
        await self._all_told(self._burst)

    def _hit_enough(self) -> bool:
        """Everybody is through; three times the seats were cut; or the seats are full of creates that are stuck."""
        ended = self._told(self._burst)
        seats = self._size.seats
        match self._fault.effect:
            case "passes":
                return ended == self._size.callers
            case "cuts":
                return self._lost() >= min(3 * seats, self._size.callers // 2) or ended == self._size.callers
            case "sticks":
                finished = ended if self._fault.swallows_requests else self._scene.ledger.finished
                return finished >= seats and self._scene.busy() == seats

    async def _through_the_receiver(self) -> None:
        await self._gather()
        await self._first_beat()
        scene, before = self._scene, self._scene.beats()
        with self._fault.on(scene.links["receiver"]):
            await until(lambda: (scene.beats() - before).total() >= self._size.seats, "beats go on", within=WITHIN)
            scene.clock.free()
            await self._all_told(self._burst)

    async def _through_a_hanging_receiver(self) -> int:
        """Every delivery would hang for ten seconds. Returns how many came to that end before the burst was over.

        A queue that waited for them would come through no sooner.
        """
        scene, size = self._scene, self._size
        with self._fault.on(scene.links["receiver"]):
            await self._gather()
            most = min(CONNECTIONS, size.callers - size.seats)
            await until(lambda: scene.deliveries.under_way >= most, "deliveries hang", within=WITHIN)
            scene.clock.free()
            await self._all_told(self._burst)
            return scene.deliveries.ended

    async def _again(self) -> bool:
        """The fault is gone: a burst that waits until one of its beats has arrived, and then is served."""
        scene = self._scene
        scene.clock.hold()
        before = scene.recorded()
        await scene.ask(self._after)
        await until(lambda: scene.ledger.under_way >= self._size.seats, "the seats are full again", within=WITHIN)
        try:
            await until(lambda: scene.recorded() > before, "beats arrive again", within=10)
            arrived = True
        except AssertionError:
            arrived = False
        scene.clock.free()
        await self._all_told(self._after)
        return arrived

    async def _all_told(self, numbers: range) -> None:
        await until(lambda: self._told(numbers) == len(numbers), "everybody has been answered", within=WITHIN)

    def _told(self, numbers: range) -> int:
        return sum(map(self._scene.crowd.ended, numbers))

    def _lost(self) -> int:
        return self._told(self._burst) - self._scene.crowd.outcomes(self._burst)["201"]

    async def _left(self) -> dict[str, object]:
        """What Headgate holds when everybody has gone home; it gets a moment to see them go."""
        scene = self._scene

        def held() -> dict[str, object]:
            return leftovers(scene.proxy, _ANY_TASKS)

        try:
            await until(lambda: not held() and scene.ledger.settled, within=10)
        except AssertionError:
            return held() or {"creates at the upstream": scene.ledger.under_way}
        return {}

    def _report(
        self,
        seconds: float,
        left: dict[str, object],
        awaited: int | None,
        *,
        beats: Counter[str],
        recorded: int,
        arrived: bool,
    ) -> Report:
        scene, ledger = self._scene, self._scene.ledger
        return Report(
            fault=self._fault.name,
            place=self._place,
            harmless=self._place == "receiver" or self._fault.effect == "passes",
            cap=ledger.cap,
            asked=self._size.callers,
            outcomes=scene.crowd.outcomes(self._burst),
            peak=ledger.peak,
            unnoticed=ledger.unnoticed,
            busy_peak=ledger.busy_peak,
            cut=ledger.cut,
            twice=ledger.twice(),
            denied=scene.denied(),
            mixed_up=scene.mixed_up(),
            left=left,
            beats=beats,
            recorded=recorded,
            awaited=awaited,
            recovered=scene.crowd.outcomes(self._after)["201"],
            recovering=len(self._after),
            beats_recovered=arrived,
            seconds=seconds,
        )
