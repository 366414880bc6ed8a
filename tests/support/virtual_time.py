"""An event loop whose clock jumps: when nothing is ready, it is at once the time of the next timer.

For code without sockets and threads. ``loop.time()``, ``asyncio.sleep``, timeouts and ``call_later`` keep
virtual time; a test over half an hour takes a moment and gives the same result on every machine. A loop
that would wait for ever (no timer, nothing ready) raises :class:`NothingLeft` instead.
"""

from __future__ import annotations

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine, Mapping
from contextvars import Context
from typing import Any, ParamSpec, TypeVar, TypeVarTuple

P = ParamSpec("P")
T = TypeVar("T")
Ts = TypeVarTuple("Ts")

THREADS_MAY_TAKE = 5.0
"""Real seconds to wait for a thread or a socket when no timer is left, before it counts as a deadlock."""


class NothingLeft(RuntimeError):
    """Everybody waits and nothing is going to happen."""


SHORTEST_WAIT = 2e-9
"""A timer set for "now" comes so many virtual seconds later: code that does so until time has passed (a leaky
bucket that lacks no more than a rounding error) counts on a clock that moves. Twice the resolution of the
loop's clock, which calls timers that much early."""


class _JumpingSelector(selectors.BaseSelector):
    """A selector that looks at its files without waiting, and moves the clock instead."""

    def __init__(self) -> None:
        self._real = selectors.DefaultSelector()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = self._real.select(0)
        if ready:
            return ready
        if timeout is None:
            ready = self._real.select(THREADS_MAY_TAKE)
            if not ready:
                raise NothingLeft("everybody waits and no timer is set")
        elif timeout > 0:
            self.now += timeout
        return ready

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.modify(fileobj, events, data)

    def get_key(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.get_key(fileobj)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()

    def close(self) -> None:
        self._real.close()


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """The loop; ``start`` is what its clock shows first."""

    def __init__(self, start: float = 1000.0) -> None:
        self._jumping = _JumpingSelector()
        self._jumping.now = start
        super().__init__(self._jumping)

    def time(self) -> float:
        """Virtual seconds."""
        return self._jumping.now

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """As asyncio's own, but always a little later than now."""
        return super().call_at(max(when, self._jumping.now + SHORTEST_WAIT), callback, *args, context=context)


def run_virtual(main: Coroutine[Any, Any, T]) -> T:
    """``asyncio.run`` in virtual time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)


def virtual(test: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    """Make an async test function run in virtual time (it may still take fixtures that are not async)."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        return run_virtual(test(*args, **kwargs))

    return run
