"""The stage for upstreams that say anything: a whole proxy, an upstream that plays a reply, a caller, and the verdict.

What the upstream sent and what the caller got are read by h11: they must be one message. Where that cannot be, the
caller gets a 502 or its kin, or a break it can see. Its next request gets its own reply, or its connection has ended.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from tests.hostile.reading import Head, Read, carried, read, untimed
from tests.hostile.stillness import next_head, stillness
from tests.support.wire import HEAD_END, PATIENCE, Running, Side, caller

SECOND = b"GET /second HTTP/1.1\r\nHost: a\r\n\r\n"
OWN = b"HTTP/1.1 200 Second\r\nX-Which: second\r\nContent-Length: 6\r\n\r\nsecond"
"""The reply that belongs to the second request, and to nobody else."""
OWN_HEAD: Head = (200, b"Second", ((b"x-which", b"second"), (b"content-length", b"6")))

End = Literal["open", "close", "reset"]
"""What the upstream does when it has said everything."""


@dataclass(frozen=True, slots=True)
class Ask:
    """The first request."""

    data: bytes
    body: bytes = b""
    """What the upstream reads behind the head."""
    method: str = "GET"
    old: bool = False
    """HTTP/1.0: no interim replies, no chunks."""
    upgrade: bool = False
    missing: int = 0
    """Bytes of the body that never come."""

    @property
    def alone(self) -> bool:
        """Whether no other request may be sent right behind."""
        return self.upgrade or self.missing > 0


@dataclass(slots=True)
class Play:
    """What the upstream does with the first request, and what came of it."""

    ask: Ask
    pieces: Sequence[bytes]
    end: End
    said: bytes = b""
    """The bytes that were sent: all but those that would have come when the next request was there already."""
    kept: bool = False
    """On a connection that was used before."""
    pipelined: bool = False
    """The next request comes right behind the first."""
    firsts: int = 0
    over: asyncio.Event = field(default_factory=asyncio.Event)


class Complaints(logging.Handler):
    """Whatever Headgate logs as a warning or worse: in all of this there is no reason to."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.heard.append(logging.Formatter().format(record))


@dataclass(slots=True)
class Stage:
    """Headgate and the upstream behind it. One play after the other."""

    complaints: Complaints = field(default_factory=Complaints)
    proxy: Running | None = None
    play: Play | None = None
    sides: list[Side] = field(default_factory=list)

    async def serve(self, side: Side) -> None:
        """The upstream's connections."""
        self.sides.append(side)
        while True:
            if b" /first " not in await next_head(side):
                side.send(OWN)
                continue
            await self._first(side)
            if self.play is not None and self.play.ask.missing:
                await side.ended.wait()  # whatever comes here belongs to the body

    async def _first(self, side: Side) -> None:
        play = self.play
        assert play is not None
        play.firsts += 1
        play.said = b""
        try:
            await side.exactly(len(play.ask.body))
            for piece in play.pieces:
                if side.waiting or side.ended.is_set():
                    return  # the next request is there, or the connection is gone: what comes now is for nobody
                side.send(piece)
                play.said += piece
                await self._still()
            if side.waiting or side.ended.is_set():
                return
            if play.end == "reset":
                side.cut(reset=True)
            elif play.end == "close":
                side.writer.close()
        finally:
            play.over.set()

    async def act(self, play: Play) -> bytes:
        """One play, judged. Returns the bytes that the caller got."""
        assert self.proxy is not None
        self.play = play
        pipelined = play.pipelined and not play.ask.alone
        async with caller(self.proxy.port) as side:
            if play.kept:
                side.send(SECOND)
                await side.until(b"\r\n\r\nsecond")
            start = len(side.received)
            side.send(play.ask.data + (SECOND if pipelined else b""))
            async with asyncio.timeout(PATIENCE):
                await play.over.wait()
            await self._still(side)
            got = self._got(side, start)
            if not pipelined and got.ending == "whole" and not side.ended.is_set():
                side.send(SECOND)
                await self._still(side, answered=True)
            got, ended, data = self._got(side, start), side.ended.is_set(), bytes(side.received[start:])
        try:
            judge(play, got, ended=ended)
            await self._next_caller()
        finally:
            await self._cleared()
        return data

    async def _next_caller(self) -> None:
        """Whoever gets a connection that was kept gets its own reply."""
        assert self.proxy is not None
        if self.proxy.app.connections.idle:
            async with caller(self.proxy.port) as side:
                side.send(SECOND)
                await self._still(side)
                assert bytes(side.received).startswith(OWN[:20]) and side.received.endswith(b"\r\n\r\nsecond")

    def _got(self, side: Side, start: int) -> Read:
        assert self.play is not None
        ask, ended = self.play.ask, side.ended.is_set() and not side.reset
        return read(bytes(side.received[start:]), ask.method, upgrade=ask.upgrade, ended=ended)

    async def _still(self, *more: Side, answered: bool = False) -> None:
        assert self.proxy is not None and self.play is not None
        play = self.play

        def seen() -> object:
            sides = (*more, *self.sides)
            received = sum(len(side.received) for side in sides), sum(side.ended.is_set() for side in sides)
            return received, len(sides), len(play.said), play.firsts, play.over.is_set()

        await stillness(self.proxy, lambda: [*more, *self.sides], seen, answered=answered)

    async def _cleared(self) -> None:
        """Nothing is left of a play, and nobody complained."""
        assert self.proxy is not None
        app = self.proxy.app
        async with asyncio.timeout(PATIENCE):
            while app.front.connected or app.connections.open > app.connections.idle:  # noqa: ASYNC110
                await asyncio.sleep(0)
            app.connections.close()
            while app.connections.open:  # noqa: ASYNC110
                await asyncio.sleep(0)
        for side in self.sides:
            await side.close()
        self.sides.clear()
        heard, self.complaints.heard = self.complaints.heard, []
        assert heard == []


def judge(play: Play, got: Read, *, ended: bool) -> None:
    """What the caller got: one message, the upstream's or ours; then the reply to its next request, or an end."""
    ask = play.ask
    said = read(play.said, ask.method, upgrade=ask.upgrade, ended=play.end == "close")
    twice = play.kept and ask.method != "POST"  # what was kept may have been closed; only one play is ever heard of
    assert play.firsts == 1 or (play.firsts == 2 and twice), "sent again"
    assert got.ending != "broken", "what was passed on is no reply"
    if got.final is None:
        assert (said.final, play.end, ended) == (None, "open", False), (said, got)
        assert play.said.count(HEAD_END) == len(said.interim), "a head that is there must have its verdict"
    elif got.own:
        assert got.final[0] in (502, 503, 504) and got.ending == "whole", got
    else:
        same_head(said, got, old=ask.old)
        same_body(said, got, old=ask.old, quiet=play.end == "open", ended=ended)
    if got.ending != "whole":
        assert got.rest == b"" or got.ending == "switched", "bytes that belong to no reply"
    elif got.rest or not ended:
        second = read(got.rest, "GET")
        assert second.final is not None and carried(untimed(second.final)) == OWN_HEAD, second
        assert (second.body, second.ending, second.rest) == (b"second", "whole", b"")
    else:
        assert got.closing, "an end that was not announced"


def same_head(said: Read, got: Read, *, old: bool) -> None:
    """The head that came is the head that was sent, and so are the interim replies before it."""
    assert said.final is not None and got.final is not None, (said, got)
    unwrapped = old and any(name == b"transfer-encoding" for name, _ in said.final[2])
    assert carried(untimed(got.final)) == carried(said.final, unwrapped=unwrapped)
    assert got.interim == ([] if old else said.interim)


def same_body(said: Read, got: Read, *, old: bool, quiet: bool, ended: bool) -> None:
    """All of the body, and its end; or a part of it, and a break; or no more yet, where the upstream may go on.

    A break is borne also where h11 sees none, for it forgives things in chunks that Headgate does not.
    """
    if got.ending in ("whole", "switched"):
        assert (said.ending, said.body) == (got.ending, got.body)
        assert got.trailers == (() if old else said.trailers)
        assert got.ending == "whole" or got.rest == said.rest
    elif ended:
        assert said.body.startswith(got.body)
    else:
        assert quiet and said.ending != "whole", "the caller waits for what will not come"
        assert said.ending == "broken" or got.body == said.body, "held back"
