"""A dialect's translator as a test tells it, put before an upstream of a running proxy."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from proxy.dialects.translation import PodSeen, Transform, Witness
from proxy.domain.messages import RequestHead, ResponseHead
from tests.support.wire import POLICY, Running, headgate


class Shouting:
    """Says every letter aloud, as it comes. Same length, other bytes; bytes without letters stay the same object."""

    def feed(self, data: bytes) -> bytes:
        loud = data.upper()
        return data if loud == data else loud

    def end(self) -> bytes:
        return b""


class Silent:
    """Changes nothing: what comes is what goes on, the same object."""

    def feed(self, data: bytes) -> bytes:
        return data

    def end(self) -> bytes:
        return b""


class ByLine:
    """Holds back a line until it is whole, then says it aloud with its length; the rest at the end."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        *lines, self._held = (self._held + data).split(b"\n")
        return b"".join(b"%d:%b\n" % (len(line), line.upper()) for line in lines)

    def end(self) -> bytes:
        return b"last:" + self._held.upper()


def by_line(body: bytes) -> bytes:
    """What :class:`ByLine` makes of a body, however it was cut."""
    whole = ByLine()
    return whole.feed(body) + whole.end()


@dataclass
class Passing:
    """What becomes of one request: every field is what a :class:`~proxy.dialects.translation.Passage` says."""

    transform: Callable[[], Transform | None] = Silent
    streams: bool = False
    target: bytes = b""
    """Empty: as the caller said."""
    fields: Mapping[bytes, bytes | None] = field(default_factory=dict)
    longest_body: int = 0
    mend: Callable[[bytes], bytes] = lambda body: body
    bodies: list[bytes] = field(default_factory=list)
    """The bodies that were asked about."""

    def body(self, body: bytes) -> bytes:
        self.bodies.append(body)
        return self.mend(body)

    def reply(self, head: ResponseHead) -> Transform | None:
        return self.transform()

    def told(self, status: int) -> PodSeen | None:
        return None


class Translating:
    """A translator with one answer for every request."""

    def __init__(self, answer: Callable[[RequestHead], Passing | None]) -> None:
        self._answer = answer
        self.witnesses: list[Witness] = []

    def passage(self, operation: str, path: str, head: RequestHead, target: bytes, witness: Witness) -> Passing | None:
        self.witnesses.append(witness)
        passing = self._answer(head)
        return None if passing is None else replace(passing, target=passing.target or target)

    def look(self, pod: PodSeen, created: RequestHead) -> RequestHead:
        raise AssertionError("nothing is started here")


def put(proxy: Running, answer: Callable[[RequestHead], Passing | None]) -> Translating:
    """From now on every upstream of the proxy has this translator."""
    translator = Translating(answer)
    servings = proxy.app.journey.snapshot.servings
    for name, serving in list(servings.items()):
        servings[name] = replace(serving, translator=translator)
    return translator


@asynccontextmanager
async def translating(port: int, passing: Passing, policy: str = POLICY) -> AsyncIterator[Running]:
    """A proxy whose every request goes with this passage."""
    async with headgate(port, policy) as proxy:
        put(proxy, lambda _head: passing)
        yield proxy
