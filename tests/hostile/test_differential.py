"""Whenever Headgate forwards, other servers see the same single request in the same bytes.

Requests, written down and mutated, go through a whole proxy to an upstream that keeps every byte. Each request
that arrived there is then sent, byte for byte, to nginx, HAProxy and aiohttp, with another one behind it: they
must see that method, that target, a body of that size, then the other request, and nothing else. A server may
refuse what Headgate forwards only for a reason of :data:`REFUSALS`. What Headgate began to forward and then gave
up must be a request for none of them.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest
import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.wire.bodies import ChunkedBody, request_framing
from proxy.wire.heads import parse_request
from tests.hostile.cases import CHUNK_SIZES, CHUNKS, HEADS, TE, get, post
from tests.hostile.test_requests import PASS
from tests.support.judges import END, ENDED, Sight, Verdict, judge, judges
from tests.support.wire import HEAD_END, Running, Side, caller, happens, headgate, upstream

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
QUIET = 0.05
"""Seconds without a byte after which a request counts as unfinished: too early, and one case is judged less."""

PAUSE = 0.02
"""Seconds for a piece to reach the upstream before the next is sent: where it does not, fewer splits are tried."""

EXAMPLES = 350

REFUSALS: dict[str, dict[str, bytes]] = {
    "nginx": {"it does not take a tab for space around a length": rb"\nContent-Length:[^\r]*\t"},
    "haproxy": {},
    "aiohttp": {},
}
"""By server, the reasons to refuse what Headgate sends on, each with what is found in such bytes."""


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
    refused: Counter[str] = field(default_factory=Counter)

    async def record(self, side: Side) -> None:
        """The upstream: takes one request after the other, framed as Headgate frames it, and answers each."""
        self.sides.append(side)
        self.whole[side] = 0
        while True:
            data = await side.head()
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
                before = self.seen
                side.send(piece)
                with suppress(TimeoutError):
                    await happens(lambda: side.ended.is_set() or self.seen > before, PAUSE)  # noqa: B023
            moved = -1
            while not side.ended.is_set() and moved < len(side.received):
                moved = len(side.received)
                with suppress(TimeoutError):
                    await asyncio.wait_for(side.ended.wait(), QUIET)
            if not (ended := side.ended.is_set()):
                side.half_close()
            reply = await side.rest()
        await self.settled()
        if ended:
            wholes = sum(one.sight is not None for one in self.forwarded)
            assert reply.count(b"HTTP/1.1 200 OK\r\n") == wholes, (pieces, reply, self.forwarded)

    @property
    def seen(self) -> int:
        """Bytes that came to the upstream."""
        return sum(len(side.received) for side in self.sides)

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
        elif verdict.saw == () and (why := reason(name, one.data)):
            self.refused[f"{name}: {why}"] += 1
        else:
            assert verdict == Verdict((one.sight, ENDED)), f"{name} saw {verdict} in {one.data!r}"

    def run(self, *pieces: bytes) -> None:
        """The same, for tests that are no coroutines."""
        self.runner.run(self.try_all(pieces))


def reason(name: str, data: bytes) -> str | None:
    """Why that server may refuse what Headgate forwards."""
    return next((why for why, pattern in REFUSALS[name].items() if re.search(pattern, data, re.S)), None)


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
    post(b"X-Y: z\r\n" + TE, b"5;a=b\r\nhello\r\n0A\r\n0123456789\r\n0\r\nX-T: v\r\n\r\n"),
    post(TE, CHUNKS) + get(line=b"DELETE /second HTTP/1.1"),
]
"""Requests that are all in order, before they are mutated."""

PARTS = [
    *(
        b"\r",
        b"\n",
        b"\r\n",
        b"\r\n\r\n",
        b" ",
        b"\t",
        b"\0",
        b"\x0b",
        b"\x85",
        b"\xa0",
        b":",
        b";",
        b",",
        b'"',
        b"_",
        b"%",
    ),
    *(
        b"0",
        b"1",
        b"5",
        b"A",
        b"+",
        b"-",
        b"0x",
        b"00000000000000",
        b"x",
        b"/",
        b"/../",
        b"//",
        b"?",
        b"#",
        b"\xff",
        b"chunked",
    ),
    *(b"\r\n" + TE, b"\r\nContent-Length: 3\r\n", b"\r\nContent-Length: 5\r\n", b"\r\nHost: b\r\n", b"\r\n folded\r\n"),
    *(
        b"\r\nConnection: close\r\n",
        b"\r\nConnection: upgrade\r\nUpgrade: x\r\n",
        b"\r\nContent_Length: 3\r\n",
        END,
        CHUNKS,
    ),
]


def mutate(data: bytes, kind: str, at: int, size: int, part: bytes) -> bytes:
    """One change: at a byte, or to the line behind ``at`` lines."""
    lines = data.split(b"\r\n")
    line, at = at % len(lines), at % (len(data) + 1)
    match kind:
        case "insert":
            return data[:at] + part + data[at:]
        case "delete":
            return data[:at] + data[at + size :]
        case "replace":
            return data[:at] + part + data[at + len(part) :]
        case "repeat":
            return b"\r\n".join([*lines[:line], lines[line], *lines[line:]])
        case "prepend":
            return b"\r\n".join([*lines[:line], part + lines[line], *lines[line + 1 :]])
        case "append":
            return b"\r\n".join([*lines[:line], lines[line] + part, *lines[line + 1 :]])
        case _:
            return b"\r\n".join([*lines[: line + 1], part.strip(b"\r\n"), *lines[line + 1 :]])


MUTATION = st.tuples(
    st.sampled_from(["insert", "delete", "replace", "repeat", "prepend", "append", "line"]),
    st.integers(0, 400),
    st.integers(1, 12),
    st.sampled_from(PARTS) | st.binary(min_size=1, max_size=3),
)


@settings(
    max_examples=EXAMPLES, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)
@given(
    base=st.sampled_from(BASES),
    mutations=st.lists(MUTATION, min_size=1, max_size=2),
    cuts=st.lists(st.integers(0, 300), max_size=3),
)
def test_mutated(court: Court, base: bytes, mutations: list[tuple[str, int, int, bytes]], cuts: list[int]) -> None:
    data = base
    for mutation in mutations:
        data = mutate(data, *mutation)
    places = [0, *sorted(cuts), len(data)]
    court.run(*(data[start:end] for start, end in pairwise(places)))


def test_unchanged_requests_are_judged_alike(court: Court) -> None:
    """The court itself: what is in order is forwarded, and no judge refuses it."""
    refused = court.refused.total()
    for base in BASES:
        court.run(base)
        assert court.forwarded and all(one.sight for one in court.forwarded)
    assert court.refused.total() == refused
