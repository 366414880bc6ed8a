"""Looks at what a whole proxy's journeys ask of their surroundings, while it works.

Nothing is replaced in an object: a compiled Headgate does not allow that (docs/decisions/0004-compiled-wheel.md). The
journeys get surroundings that tell first, and then do what they always did.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from proxy.app import App
from proxy.pipeline.journey import Journey

Told = Mapping[str, Callable[..., object]]
"""By method: who is told of a call, with its arguments."""


class _Telling:
    """An object whose calls are told before they are made."""

    def __init__(self, inner: object, told: Told) -> None:
        self._inner = inner
        self._told = told

    def __getattr__(self, name: str) -> Any:
        own = getattr(self._inner, name)
        tell = self._told.get(name)
        if tell is None:
            return own

        def call(*args: Any, **more: Any) -> Any:
            tell(*args, **more)
            return own(*args, **more)

        return call


@contextmanager
def watched(app: App, **parts: Told) -> Iterator[None]:
    """Tell of calls to parts of :class:`~proxy.pipeline.trip.World`, as in ``watched(app, store={"arrive": tell})``."""
    before = app.journey
    world = before._world
    told: dict[str, Any] = {name: _Telling(getattr(world, name), told) for name, told in parts.items()}
    app.journey = Journey(replace(world, **told), before.snapshot)
    app.front.handle = app.journey.handle
    try:
        yield
    finally:
        app.journey = before
        app.front.handle = before.handle
