"""What runs in a fake container: an agent that says back what it hears, a log, files, and an end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(eq=False, slots=True)
class Container:
    """One life of one container. ``log`` is all it has written, ``heard`` what came on its standard input."""

    name: str
    id: str
    log: bytearray = field(default_factory=bytearray)
    heard: bytearray = field(default_factory=bytearray)
    files: dict[str, bytes] = field(default_factory=dict)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    _listeners: list[Callable[[bytes], None]] = field(default_factory=list)

    def write(self, data: bytes) -> None:
        """The container writes to its standard output."""
        self.log += data
        for listener in list(self._listeners):
            listener(data)

    def hear(self, data: bytes) -> None:
        """Standard input: it is said back."""
        self.heard += data
        self.write(data)

    def listen(self, listener: Callable[[bytes], None]) -> Callable[[], None]:
        """Tell ``listener`` of what is written from now on; returns what ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)
