"""One waiting request's vigil, and its watch over one sink.

Ten thousand of them wait at once, so they are small: no task, no timer, no queue of their own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from proxy.couriers.receivers import Receiver
from proxy.couriers.recipe import Recipe
from proxy.couriers.timetable import Timetable
from proxy.policy.templates import Values

GRACE: Final = 0.25
"""Seconds that the end of a vigil waits for a delivery under way before it is cut off. Long enough for a
receiver that lives; the request goes on that much later at worst. One that was waited for in vain is not waited
for again before it has replied: a dead receiver must not cost every grant this much."""


class Office(Protocol):
    """What watches need of those who run them."""

    timetable: Timetable[Watch]

    async def deliver(self, watch: Watch) -> None:
        """Make one delivery."""

    def sent(self, watch: Watch, when: float) -> None:
        """The vigil ends; its last delivery to this sink began ``when``."""


class Watch:
    """Beats of one request to one sink: in the timetable, then before its receiver, then under way."""

    __slots__ = (
        "delivery",
        "due",
        "last",
        "over",
        "receiver",
        "recipe",
        "scheduled",
        "sent_to",
        "skipped",
        "until",
        "vigil",
    )

    def __init__(self, vigil: WatchVigil, recipe: Recipe, until: float) -> None:
        self.vigil = vigil
        self.recipe = recipe
        self.until = until
        self.due = 0.0
        self.last: float | None = None
        self.over = False
        self.skipped = False
        self.scheduled = True
        self.receiver: Receiver | None = None
        self.sent_to: Receiver | None = None
        self.delivery: asyncio.Task[None] | None = None

    def stop(self) -> None:
        """No beat is due any more; a delivery under way is left alone."""
        if self.over:
            return
        self.over = True
        if self.scheduled:
            self.vigil.office.timetable.forget()
        if self.receiver is not None:
            self.receiver.remove(self)
            self.receiver = None

    def launch(self) -> asyncio.Task[None] | None:
        """The receiver has room: start the delivery, unless the time for it is over."""
        self.sent_to, self.receiver = self.receiver, None
        loop = asyncio.get_running_loop()
        now = loop.time()
        if now >= self.until:
            return None
        self.last = now
        self.delivery = loop.create_task(self.vigil.office.deliver(self))
        self.delivery.add_done_callback(self._delivered)
        return self.delivery

    def _delivered(self, task: asyncio.Task[None]) -> None:
        self.delivery = None
        if not task.cancelled() and (error := task.exception()) is not None:
            context = {"message": "a progress delivery failed in an unforeseen way", "exception": error}
            task.get_loop().call_exception_handler(context)


def _nothing() -> Values:
    return {}


class WatchVigil:
    """Implements :class:`~proxy.ports.Vigil`."""

    __slots__ = ("_describe", "_fixed", "office", "watches")

    def __init__(self, office: Office, fixed: Values, describe: Callable[[], Values]) -> None:
        self.office = office
        self._fixed = fixed
        self._describe = describe
        self.watches: list[Watch] = []

    @property
    def ticket(self) -> str:
        """The ticket's name; empty where the request has none."""
        return self._fixed.get("ticket", "")

    def values(self) -> Values:
        """Every placeholder as of now."""
        return {**self._fixed, **self._describe()}

    async def end(self) -> None:
        """Send nothing more. A delivery under way is awaited for :data:`GRACE` seconds, then cancelled.

        One to a silent receiver is cancelled at once.
        Cancelled: the delivery is cancelled too, and nothing more is sent. A second call does nothing more.
        """
        under_way = []
        for watch in self.watches:
            if watch.last is not None:
                self.office.sent(watch, watch.last)
            watch.stop()
            if watch.delivery is not None:
                under_way.append((watch.delivery, watch.sent_to))
        self._fixed, self._describe = (
            {},
            _nothing,
        )  # rows left in the timetable must not keep the request alive
        if under_way:
            await _finish(under_way)


async def _finish(under_way: list[tuple[asyncio.Task[None], Receiver | None]]) -> None:
    tasks = [task for task, _ in under_way]
    waited_for = [task for task, receiver in under_way if receiver is None or not receiver.silent]
    try:
        if waited_for:
            await asyncio.wait(waited_for, timeout=GRACE)
    except asyncio.CancelledError:
        for task in tasks:
            task.cancel()
        raise
    late = [(task, receiver) for task, receiver in under_way if not task.done()]
    for task, receiver in late:
        task.cancel()
        if receiver is not None and task in waited_for:
            receiver.silent = True
    if late:
        await asyncio.wait([task for task, _ in late])
