"""One run before an API server: creates, watches and a fault in the middle of both.

1. Informers list and watch. Creates are held at the fake, the burst comes: the seats are full, everybody else waits.
   Whatever needs no seat is asked for now, and has to be answered: an API server slow at creates blocks nobody else.
2. The fault begins, creates go on, and agents change, die and are removed, while watches are cut and opened again.
   What passes stays to the end of the burst; what cuts or sticks is undone when half of the changes are through. A link
   that stuck is cut before it heals, as no network loses bytes in the middle of a connection and goes on.
3. The rest of the changes, and another burst, all of which must be served. Then every informer must have been shown
   every resourceVersion once and in order, with the phase that was true at it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

from chaos.cluster import MARK, Cluster, cluster, told_truth
from chaos.faults import Fault
from chaos.informer import Informer
from chaos.pod_report import Informed, PodReport
from chaos.storm import WITHIN, Size
from chaos.toxics import Toxiproxy
from tests.support.leaks import leftovers
from tests.support.pods import NAMESPACE, PODS
from tests.support.waiting import until

_ANY_TASKS: Final = 1 << 30
_BETWEEN: Final = 0.005
"""Seconds between two changes, so that a fault meets some of them; nothing depends on it."""
_FREE_WITHIN: Final = 10.0
"""Seconds after which what needs no seat counts as blocked; creates are held all that time."""


async def run_pods(server: Toxiproxy, fault: Fault, size: Size) -> PodReport:
    """Make a run and tell what it showed. AssertionError where it comes to a standstill."""
    async with cluster(server, seats=size.seats, cap=size.cap or size.seats) as scene:
        return await _PodStorm(scene, fault, size).run()


class _PodStorm:
    def __init__(self, scene: Cluster, fault: Fault, size: Size) -> None:
        self._scene, self._fault, self._size = scene, fault, size
        self._burst = range(size.callers)
        self._after = range(size.callers, size.callers + 2 * size.seats)
        self._changes = list(range(48))

    async def run(self) -> PodReport:
        """The three acts, and what is left after them."""
        began, scene = time.monotonic(), self._scene
        for informer in scene.informers:
            informer.start()
        await self._reaches(scene.up_to_date, "everybody has listed")
        blocked = await self._gather()
        changes = scene.changes()
        with self._fault.on(scene.link):
            scene.held.free()
            await self._change(changes, 24)
            await self._reaches(self._hit, f"{self._fault.name} has done its damage")
            if self._fault.effect == "sticks":
                with scene.link.down():
                    await self._reaches(lambda: scene.busy() == 0, "all connections are cut")
        await self._change(changes, 1000)
        await self._all_told(self._burst)
        await scene.crowd.ask(scene.proxy.url, self._after)
        await self._all_told(self._after)
        await self._reaches(scene.up_to_date, "everybody has seen what happened last")
        return await self._report(time.monotonic() - began, blocked)

    async def _gather(self) -> list[str]:
        """The seats are full of creates that are held, and everybody else waits; what is blocked by it."""
        scene, size = self._scene, self._size
        await scene.crowd.ask(scene.proxy.url, self._burst)
        await self._reaches(lambda: scene.present() == size.callers, "everybody is in")
        await self._reaches(lambda: scene.ledger.under_way >= size.seats, "the seats are full")
        needs: dict[str, Callable[[], Awaitable[object]]] = {
            "get": lambda: scene.get(f"{PODS}/agent-1"),
            "list": lambda: scene.get(PODS),
            "delete": lambda: scene.delete("nobody"),
            "watch": self._sees_a_change,
        }
        blocked = []
        for name, ask in needs.items():
            try:
                await asyncio.wait_for(ask(), _FREE_WITHIN)
            except TimeoutError:
                blocked.append(name)
        assert scene.ledger.finished == 0, "creates were not held"
        return blocked

    async def _sees_a_change(self) -> None:
        """Something happens, and informers hear of it."""
        scene = self._scene
        pod = scene.kube.store.get(NAMESPACE, "agent-1")
        annotated = pod["metadata"] | {"annotations": {"seen": "yes"}}
        scene.kube.store.replace(pod | {"metadata": annotated})
        await until(scene.up_to_date, within=2 * _FREE_WITHIN)

    async def _change(self, changes: Iterator[None], count: int) -> None:
        for _ in range(count):
            if next(changes, changes) is changes:
                return
            await asyncio.sleep(_BETWEEN)

    def _hit(self) -> bool:
        """Everybody is through; watches and creates were cut; or creates are stuck."""
        scene, told = self._scene, self._told(self._burst)
        if self._fault.effect == "passes":
            return told == self._size.callers
        if self._fault.effect == "sticks":
            finished = scene.ledger.finished + told
            return self._fault.swallows_requests or finished >= self._size.seats
        reopened = sum(informer.watches for informer in scene.informers) > len(scene.informers)
        lost = told - scene.crowd.outcomes(self._burst)["201"]
        return (reopened or self._fault.spares_watches) and (lost >= self._size.seats or told == self._size.callers)

    async def _all_told(self, numbers: range) -> None:
        await self._reaches(lambda: self._told(numbers) == len(numbers), "everybody has been answered")

    def _told(self, numbers: range) -> int:
        return sum(map(self._scene.crowd.ended, numbers))

    async def _reaches(self, holds: Callable[[], object], what: str) -> None:
        await until(holds, what, within=WITHIN)

    async def _report(self, seconds: float, blocked: list[str]) -> PodReport:
        scene, ledger = self._scene, self._scene.ledger
        informed = [self._informed(informer) for informer in scene.informers]
        for informer in scene.informers:
            await informer.stop()
        return PodReport(
            fault=self._fault.name,
            harmless=self._fault.effect == "passes",
            cap=ledger.cap,
            asked=self._size.callers,
            outcomes=scene.crowd.outcomes(self._burst),
            peak=ledger.peak,
            unnoticed=ledger.unnoticed,
            cut=ledger.cut,
            lost=len(scene.kube.seen.created) - scene.crowd.outcomes(range(self._after.stop))["201"],
            twice=ledger.twice(),
            denied=scene.denied(),
            mixed_up=scene.mixed_up(),
            blocked=blocked,
            informed=informed,
            left=await self._left(),
            recovered=scene.crowd.outcomes(self._after)["201"],
            recovering=len(self._after),
            seconds=seconds,
        )

    def _informed(self, informer: Informer) -> Informed:
        """What it was shown, beside what the fake has on record."""
        happened = {event.version: event for event in self._scene.kube.store.since(informer.listed)}
        untrue = []
        for version, kind, pod in informer.shown:
            event = happened.get(version)
            if event is not None:
                stored = event.last() if event.after is None else event.after
                if not _tells(pod, stored) or (kind == "DELETED") is not (event.after is None):
                    untrue.append(version)
        stored_now = {(p["metadata"]["namespace"], p["metadata"]["name"]): p for p in self._scene.kube.store}
        known = informer.pods
        differs = sorted(
            name
            for key in {*stored_now, *known}
            for name in [key[1]]
            if key not in known or key not in stored_now or not _tells(known[key], stored_now[key])
        )
        shown = [version for version, _, _ in informer.shown]
        return Informed(informer.lists, informer.watches, sorted(happened), shown, untrue, differs)

    async def _left(self) -> dict[str, object]:
        """What Headgate holds when everybody has gone home; it gets a moment to see them go."""
        scene = self._scene

        def held() -> dict[str, object]:
            return leftovers(scene.proxy, _ANY_TASKS)

        await scene.session.close()
        try:
            await until(lambda: not held() and scene.ledger.settled, within=10)
        except AssertionError:
            return held() or {"creates at the API server": scene.ledger.under_way}
        return {}


def _tells(shown: dict[str, Any], stored: dict[str, Any]) -> bool:
    """Whether a pod was shown as it has to be: as it is stored, but for a phase that is told."""
    truth = told_truth(stored)
    if shown["status"].get("phase") != truth or shown["metadata"] != stored["metadata"]:
        return False
    if truth == stored["status"].get("phase"):
        return bool(shown["status"] == stored["status"])
    marks = [c for c in shown["status"]["conditions"] if c["type"] == MARK]
    return len(marks) == 1 and shown["status"]["containerStatuses"] == stored["status"]["containerStatuses"]
