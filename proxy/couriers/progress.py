"""Progress: who waits is said to be "queued", beat by beat, until the seats are held.

Rules (design.md §2.7): the first beat comes ``first`` after the ticket's first arrival, the others follow in
a fixed cadence of ``every``, none comes ``for_at_most`` after that arrival or later. A caller who comes back
to its place is heard of at once, but not sooner than ``every`` after the beat before. A beat that is due
while the one before is still under way is missed, not doubled. After ``Vigil.end()`` nothing is under way.

Not here: how a letter is filled (:mod:`.recipe`), how hard a receiver is written to (:mod:`.receivers`), how
a letter travels (:mod:`.carrier`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from proxy.couriers.carrier import NoReply
from proxy.couriers.receivers import Receivers
from proxy.couriers.recent import RecentBeats
from proxy.couriers.recipe import Letter, Recipe
from proxy.couriers.timetable import Timetable
from proxy.couriers.watch import Watch, WatchVigil
from proxy.domain.ids import Seconds, SinkName
from proxy.policy.policyset import Sink
from proxy.policy.templates import Missing, Values
from proxy.ports import BeatResult, Observer, Vigil

COMPLAIN_EVERY: Final = 60.0
"""Seconds between two log lines about one sink that cannot be reached; the metrics count every beat."""

Carry = Callable[[Letter, Seconds], Awaitable[int]]
"""Deliver a letter within so many seconds: the status of the reply, or :class:`.carrier.NoReply`."""

_log: Final = logging.getLogger(__name__)


class _Silence:
    """The vigil of a request that has nobody to tell."""

    __slots__ = ()

    async def end(self) -> None:
        """Nothing was begun."""


_SILENCE: Final = _Silence()


class ProgressCouriers:
    """Implements :class:`~proxy.ports.Couriers`. Belongs to one event loop."""

    def __init__(self, carry: Carry, observer: Observer) -> None:
        self._carry = carry
        self._observer = observer
        self._receivers = Receivers()
        self._recent = RecentBeats()
        self._recipes: dict[SinkName, Recipe] = {}
        self._complained: dict[SinkName, float] = {}
        self._closed = False
        self.timetable: Timetable[Watch] = Timetable(self._due)

    def begin(self, sinks: Sequence[Sink], fixed: Values, describe: Callable[[], Values], waited: Seconds) -> Vigil:
        """See :meth:`proxy.ports.Couriers.begin`. Sinks that lack something are counted here, once."""
        wanted = [recipe for recipe in map(self._recipe, sinks) if self._wanted(recipe, fixed)]
        if not wanted or self._closed:
            return _SILENCE
        now = asyncio.get_running_loop().time()
        vigil = WatchVigil(self, fixed, describe)
        for recipe in wanted:
            self._watch(vigil, recipe, now, now - waited)
        return vigil

    async def close(self) -> None:
        """Stop every beat and cancel every delivery; new vigils are silent."""
        self._closed = True
        self.timetable.close()
        tasks = self._receivers.close()
        if tasks:
            await asyncio.wait(tasks)

    def _recipe(self, sink: Sink) -> Recipe:
        known = self._recipes.get(sink.name)
        if known is None or known.sink is not sink:
            known = self._recipes[sink.name] = Recipe(sink)
        return known

    def _wanted(self, recipe: Recipe, fixed: Values) -> bool:
        if recipe.fits(fixed):
            return True
        self._observer.beat(recipe.sink.name, "skipped")
        return False

    def _watch(self, vigil: WatchVigil, recipe: Recipe, now: float, arrived: float) -> None:
        due = arrived + recipe.sink.first
        if due < now:
            kept = self._recent.get(vigil.ticket, recipe.sink.name)
            due = now if kept is None else max(now, kept)
        until = arrived + recipe.sink.for_at_most
        if due < until:
            watch = Watch(vigil, recipe, until)
            vigil.watches.append(watch)
            watch.due = due
            self.timetable.add(due, watch)

    def _due(self, watch: Watch, now: float) -> None:
        """A beat is due: put it before its receiver, and the next one into the timetable."""
        if watch.receiver is not None or watch.delivery is not None:
            self._observer.beat(watch.recipe.sink.name, "missed")
        else:
            self._post(watch)
        every = watch.recipe.every
        watch.due += every
        if watch.due <= now:  # the loop stood still: those beats are gone, the cadence stays
            watch.due += ((now - watch.due) // every + 1) * every
        watch.scheduled = watch.due < watch.until and not watch.over
        if watch.scheduled:
            self.timetable.add(watch.due, watch)

    def _post(self, watch: Watch) -> None:
        origin = watch.recipe.receiver
        if origin is None:
            try:
                origin = watch.recipe.receiver_for(watch.vigil.values())
            except Missing:
                self._skip(watch)
                return
        watch.receiver = self._receivers.get(origin)
        watch.receiver.put(watch)

    async def deliver(self, watch: Watch) -> None:
        """One delivery, counted by how it ended. Cancelled: it is cut off and counts as failed."""
        if watch.over:
            return
        result: BeatResult | None = "failed"
        try:
            letter = watch.recipe.fill(watch.vigil.values())
            status = await self._carry(letter, watch.recipe.timeout)
            if watch.sent_to is not None:
                watch.sent_to.silent = False
            result = judge(status, watch.recipe.sink)
            if result == "failed":
                self._complain(watch.recipe.sink.name, f"answered {status}")
        except Missing:
            result = None
            self._skip(watch)
        except (NoReply, ValueError) as error:
            self._complain(watch.recipe.sink.name, str(error) if isinstance(error, NoReply) else "cannot be filled in")
        finally:
            if result is not None:
                self._observer.beat(watch.recipe.sink.name, result)
        if result == "stale":
            watch.stop()

    def sent(self, watch: Watch, when: float) -> None:
        """Keep the moment of the last beat of a vigil that ends, should its caller come back."""
        now = asyncio.get_running_loop().time()
        next_beat = when + watch.recipe.every
        if next_beat > now:
            self._recent.keep(watch.vigil.ticket, watch.recipe.sink.name, next_beat, now)

    def _skip(self, watch: Watch) -> None:
        if not watch.skipped:
            watch.skipped = True
            self._observer.beat(watch.recipe.sink.name, "skipped")

    def _complain(self, sink: SinkName, what: str) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._complained.get(sink, -COMPLAIN_EVERY) >= COMPLAIN_EVERY:
            self._complained[sink] = now
            _log.warning("progress sink %s: %s (further ones within %g s are only counted)", sink, what, COMPLAIN_EVERY)


def judge(status: int, sink: Sink) -> BeatResult:
    """What a reply's status means for the sink."""
    if status in sink.stop_on:
        return "stale"
    if 200 <= status < 300:
        return "ok"
    return "throttled" if status == 429 or status >= 500 else "failed"
