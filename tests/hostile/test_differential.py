"""Whenever Headgate forwards, other servers see the same single request in the same bytes.

Requests, written down and mutated, go through a whole proxy to an upstream that keeps every byte. Each request
that arrived there is then sent, byte for byte, to nginx, HAProxy and aiohttp, with another one behind it: they
must see that method, that target, a body of that size, then the other request, and nothing else; a refusal is only
borne where it is of what the path means (:data:`REFUSALS`), never of how the message is framed. What Headgate began
to forward and then gave up must be a request for none of them.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import reduce
from itertools import pairwise
from pathlib import Path

import pytest
import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.wire.bodies import ChunkedBody, request_framing
from proxy.wire.heads import parse_request
from tests.hostile.cases import CHUNK_SIZES, CHUNKS, HEADS, TE, get, post
from tests.hostile.mutations import Mutation, mutate, mutations
from tests.hostile.stillness import next_head, stillness
from tests.hostile.test_requests import PASS
from tests.support.judges import END, ENDED, Sight, Verdict, judge, judges
from tests.support.wire import HEAD_END, Running, Side, caller, happens, headgate, upstream

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
EXAMPLES = 1000

REFUSALS = {"nginx": rb"[A-Z]+ [^ ?]*%(?![0-9A-Fa-f]{2})"}
"""A path with a percent sign that begins no escape. Others serve it, so it is the upstream's to refuse."""


@dataclass(frozen=True, slots=True)
class Forwarded:
    """Bytes that reached the upstream as one request; ``sight`` is None where the request never ended."""

    data: bytes
    sight: Sight | None


@dataclass
class Court:
    """Headgate with its recording upstream, and the judges."""

    runner: asyncio.Runner
    paths: dict[str, Path] = field(default_factory=dict)
    proxy: Running | None = None
    sides: list[Side] = field(default_factory=list)
    whole: dict[Side, int] = field(default_factory=dict)
    """Bytes of a connection that were whole requests."""
    forwarded: list[Forwarded] = field(default_factory=list)
    judged: set[Forwarded] = field(default_factory=set)

    async def record(self, side: Side) -> None:
        """The upstream: takes one request after the other, framed as Headgate frames it, and answers each."""
        self.sides.append(side)
        self.whole[side] = 0
        while True:
            data = await next_head(side)
            head = parse_request(data)
            framing, plain, size = request_framing(head), request_framing(head), 0
            if isinstance(plain, ChunkedBody):
                plain = ChunkedBody(unwrap=True)
            excess = None if framing else b""
            while framing is not None and plain is not None and excess is None:
                more = await side.exactly(1)
                data += more
                size += len(plain.feed(more)[0])
                _, excess = framing.feed(more)
            self.forwarded.append(Forwarded(data, Sight(head.method.encode(), head.target, size)))
            self.whole[side] += len(data)
            side.send(OK)

    async def send(self, pieces: Sequence[bytes]) -> None:
        """Send a request in pieces, and another behind it; return when Headgate has ended all that came of it."""
        assert self.proxy is not None
        self.forwarded.clear()
        async with caller(self.proxy.port) as side:
            for piece in (*pieces, END):
                side.send(piece)
                await stillness(self.proxy, lambda: [side, *self.sides], self.seen, answered=True)
            if not (ended := side.ended.is_set()):
                side.half_close()
            reply = await side.rest()
        await self.settled()
        if ended:
            wholes = sum(one.sight is not None for one in self.forwarded)
            assert reply.count(b"HTTP/1.1 200 OK\r\n") == wholes, (pieces, reply, self.forwarded)

    def seen(self) -> tuple[int, int]:
        """Bytes and whole requests that came to the upstream."""
        return sum(len(side.received) for side in self.sides), len(self.forwarded)

    async def settled(self) -> None:
        """What was begun and not ended is recorded as such, once its connection is closed."""
        for side in self.sides:
            await happens(lambda side=side: side.ended.is_set() or len(side.received) == self.whole[side])  # type: ignore[misc]
            if rest := bytes(side.received[self.whole[side] :]):
                self.forwarded.append(Forwarded(rest, None))
        self.sides = [side for side in self.sides if not side.ended.is_set()]

    async def try_all(self, pieces: Sequence[bytes]) -> None:
        """Send a request, and have every judge judge what was forwarded of it."""
        await self.send(pieces)
        for one in self.forwarded:
            if one in self.judged:
                continue
            self.judged.add(one)
            whole = one.sight is not None
            verdicts = await asyncio.gather(*(judge(path, one.data, whole=whole) for path in self.paths.values()))
            for name, verdict in zip(self.paths, verdicts, strict=True):
                self.compare(name, one, verdict)

    def compare(self, name: str, one: Forwarded, verdict: Verdict) -> None:
        """One judge's verdict against what Headgate forwarded."""
        if one.sight is None:
            assert verdict.saw == (), f"{name} saw {verdict} in the unfinished {one.data!r}"
        elif name in REFUSALS and re.match(REFUSALS[name], one.data):
            assert verdict == Verdict((), 400)
        else:
            assert verdict == Verdict((one.sight, ENDED)), f"{name} saw {verdict} in {one.data!r}"

    def run(self, *pieces: bytes) -> None:
        """The same, for tests that are no coroutines."""
        self.runner.run(self.try_all(pieces))


@pytest.fixture(scope="module")
def court() -> Iterator[Court]:
    """All servers, for all tests of this file."""
    with (
        tempfile.TemporaryDirectory(prefix="judges", ignore_cleanup_errors=True) as folder,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        stack = AsyncExitStack()
        own = Court(runner)

        async def start() -> None:
            own.paths = await stack.enter_async_context(judges(Path(folder)))
            up = await stack.enter_async_context(upstream(own.record))
            own.proxy = await stack.enter_async_context(headgate(up.port))

        runner.run(start())
        try:
            yield own
        finally:
            runner.run(stack.aclose())


WRITTEN = {f"{row}-{case.name}": case.data for row, cases in {**HEADS, "chunks": CHUNK_SIZES}.items() for case in cases}
WRITTEN |= {f"pass-{name}": data for name, (data, _, _) in PASS.items()}


def test_written_down(court: Court) -> None:
    """In one test, for speed; what Headgate sends on is judged, also where it breaks off later."""
    for data in WRITTEN.values():
        court.run(data)
        if b"chunked" in data.lower() and HEAD_END in data:
            at = data.index(HEAD_END) + 4
            court.run(data[:at], data[at:])
    assert sum(one.sight is not None for one in court.judged) > 8
    assert any(one.sight is None for one in court.judged), "one was forwarded and broken off"


BASES = [
    get(line=b"GET /a//b/%2F?x=1&y HTTP/1.1"),
    get(b"Connection: keep-alive, x\r\nX: y\r\nAccept: */*\r\n", b"HEAD / HTTP/1.1"),
    get(line=b"GET /old HTTP/1.0"),
    get(line=b"OPTIONS /x HTTP/1.1"),
    post(b"Content-Length: 11\r\n", b"hello\r\nGET "),
    post(b"Expect: 100-continue\r\nContent-Length: 5\r\n", b"hello"),
    post(b"X-Y: z\r\n" + TE, b'5;a=b;c="d\\"e"\r\nhello\r\n0A\r\n0123456789\r\n0;z\r\nX-T: v\r\n\r\n'),
    post(TE, CHUNKS) + get(line=b"DELETE /second HTTP/1.1"),
]
"""Requests that are all in order, before they are mutated."""


@settings(
    max_examples=EXAMPLES, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)
@given(
    base=st.sampled_from(BASES),
    changes=mutations(b"/", b"/../", b"//", b"?", b"#", b"\r\nHost: b\r\n", END),
    cuts=st.lists(st.integers(0, 300), max_size=3),
)
def test_mutated(court: Court, base: bytes, changes: list[Mutation], cuts: list[int]) -> None:
    data = reduce(mutate, changes, base)
    places = [0, *sorted(cuts), len(data)]
    court.run(*(data[start:end] for start, end in pairwise(places)))


def test_unchanged_requests_are_judged_alike(court: Court) -> None:
    """The court itself: what is in order is forwarded, and no judge refuses it."""
    for base in BASES:
        court.run(base)
        assert court.forwarded and all(one.sight for one in court.forwarded)
