"""The catalogue: which faults the network gets, and how long each one stays.

A fault **passes** (bytes come late, slowly or in pieces, and all of them come), **cuts** (connections end in the
middle) or **sticks** (bytes vanish and nothing ends). What passes stays for a whole burst; what cuts or sticks is
undone in the middle of one, so that the same burst also sees the way back.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Final, Literal

from chaos.toxics import Link, Stream, toxic

Effect = Literal["passes", "cuts", "sticks"]

CREATE_SECONDS: Final = 0.05
"""How long a create takes at the fake. What cuts does so before that, while the create is under way."""

_CUT_AFTER: Final = 30  # ms


@dataclass(frozen=True, slots=True)
class Poison:
    """One toxic of toxiproxy, with its attributes in toxiproxy's units."""

    kind: str
    stream: Stream
    attributes: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is wrong with a link. Without poisons the link is down."""

    name: str
    effect: Effect
    poisons: tuple[Poison, ...] = ()

    @property
    def swallows_requests(self) -> bool:
        """Whether what goes to the far side is what is lost, and not what comes back."""
        return any(poison.stream == "upstream" for poison in self.poisons)

    @property
    def spares_watches(self) -> bool:
        """Whether an open watch goes on: a reset strikes with the next bytes of its way, and a watch asks once."""
        return any(poison.kind == "reset_peer" and poison.stream == "upstream" for poison in self.poisons)

    @contextmanager
    def on(self, link: Link) -> Iterator[None]:
        """The link has this fault while the block lasts, its open connections too."""
        with ExitStack() as undo:
            if not self.poisons:
                undo.enter_context(link.down())
            for poison in self.poisons:
                undo.enter_context(toxic(link, poison.kind, stream=poison.stream, **dict(poison.attributes)))
            yield


POD_SECONDS: Final = 0.02
"""How long a create of a pod takes at the fake; before that what cuts has done so now and then, after it too."""


def _both(name: str, kind: str, **attributes: int) -> Fault:
    """A fault that passes, both ways."""
    streams: tuple[Stream, Stream] = ("upstream", "downstream")
    return Fault(name, "passes", tuple(Poison(kind, stream, tuple(attributes.items())) for stream in streams))


def _one(name: str, effect: Effect, kind: str, stream: Stream, **attributes: int) -> Fault:
    return Fault(name, effect, (Poison(kind, stream, tuple(attributes.items())),))


FAULTS: Final = (
    _both("latency", "latency", latency=40),
    _both("jitter", "latency", latency=30, jitter=25),
    _both("bandwidth", "bandwidth", rate=5),
    _both("slicer", "slicer", average_size=32, size_variation=16, delay=500),
    _both("slow_close", "slow_close", delay=100),
    _one("timeout, requests", "cuts", "timeout", "upstream", timeout=_CUT_AFTER),
    _one("timeout, replies", "cuts", "timeout", "downstream", timeout=_CUT_AFTER),
    _one("stuck, requests", "sticks", "timeout", "upstream", timeout=0),
    _one("stuck, replies", "sticks", "timeout", "downstream", timeout=0),
    _one("reset_peer, requests", "cuts", "reset_peer", "upstream", timeout=_CUT_AFTER),
    _one("reset_peer, replies", "cuts", "reset_peer", "downstream", timeout=_CUT_AFTER),
    _one("limit_data", "cuts", "limit_data", "downstream", bytes=300),
    Fault("down and back", "cuts"),
)
"""Every fault. ``limit_data`` ends a reply in the middle of its body."""

POD_FAULTS: Final = (
    _both("latency", "latency", latency=20),
    _both("jitter", "latency", latency=15, jitter=12),
    _both("bandwidth", "bandwidth", rate=150),
    _both("slicer", "slicer", average_size=300, size_variation=200, delay=200),
    _both("slow_close", "slow_close", delay=100),
    *(fault for fault in FAULTS if fault.effect != "passes" and fault.name != "limit_data"),
    _one("limit_data", "cuts", "limit_data", "downstream", bytes=5_000),
)
"""The same before an API server, sized for watches: events of some 2 kB, of which ``limit_data`` lets two through and
half of the next."""
