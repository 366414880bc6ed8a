"""Callers by the thousand: more than may be connected, more than the system lets in; memory and service stay."""

from __future__ import annotations

import asyncio
import re
import resource
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import pytest

from proxy.wire.crowd import LONG_HEADS
from tests.hostile.stillness import next_head
from tests.support.serving import Served, serving
from tests.support.waiting import until
from tests.support.wire import Side, Upstream, caller, upstream

POLICY = """
version: 1
upstreams: {api: {url: "http://127.0.0.1:%d"}}
timeouts: {header: %s}
"""
KUBERNETES = """
version: 1
upstreams: {api: {url: "http://127.0.0.1:%d", dialect: kubernetes, listen: {address: "127.0.0.1:0"}}}
timeouts: {header: %s}
"""
"""A listener of its own, where the head of an exec may have 440 KiB."""
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
SLOW = b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
BOUND = 500
BEYOND = 5000


@pytest.fixture(autouse=True)
def _files() -> None:
    """These callers live here: each is an open file."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class One(asyncio.Protocol):
    """One of many callers, who does nothing after its first word."""

    def __init__(self, many: Many) -> None:
        self.many = many

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.many.here.add(self)
        if self.many.word:
            self.transport.write(self.many.word)

    def data_received(self, data: bytes) -> None:
        self.many.heard += data.startswith(b"HTTP/1.1 503 ")

    def eof_received(self) -> bool:
        return self.many.stay

    def connection_lost(self, _error: Exception | None) -> None:
        self.many.here.discard(self)
        self.many.gone += 1


class Many:
    """Callers who come and stay. ``here`` are those still connected, ``heard`` counts the 503s they were told.

    With ``stay`` they do not even leave when the other side has ended.
    """

    def __init__(self, port: int, word: bytes = b"", *, stay: bool = False) -> None:
        self.port, self.word, self.stay = port, word, stay
        self.here: set[One] = set()
        self.gone = self.heard = 0

    async def come(self, count: int) -> None:
        """So many more, one after the other."""
        for _ in range(count):
            await asyncio.get_running_loop().create_connection(lambda: One(self), "127.0.0.1", self.port)

    async def __aenter__(self) -> Many:
        return self

    async def __aexit__(self, *_error: object) -> None:
        """All of them leave."""
        for one in list(self.here):
            one.transport.abort()
        await until(lambda: not self.here)


@asynccontextmanager
async def proxied(
    folder: Path, bound: int, header: str = "1m", policy: str = POLICY
) -> AsyncIterator[tuple[Served, int, Upstream, asyncio.Event]]:
    """A proxy in its own process, its port, its upstream, and what lets slow replies go."""
    go = asyncio.Event()

    async def script(side: Side) -> None:
        while True:
            if b"/slow" in await next_head(side):
                await go.wait()
            side.send(OK)

    file = folder / "policy.yaml"
    async with upstream(script) as up:
        file.write_text(policy % (up.port, header))
        async with serving(str(file), folder, HEADGATE_CONNECTIONS=str(bound)) as served:
            yield served, urlsplit(served.url).port or 0, up, go


async def is_served(port: int) -> None:
    async with caller(port) as other:
        other.send(GET)
        assert (await other.until(b"ok")).startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize("word", [b"", GET[:-2]], ids=["idle", "slow-heads"])
async def test_five_thousand_beyond_the_bound(tmp_path: Path, word: bytes) -> None:
    """Each takes the place of one before it; those who have something to do do not notice."""
    async with (
        proxied(tmp_path, BOUND) as (served, port, up, go),
        caller(port) as slow,
        caller(port) as regular,
        Many(port, word) as many,
    ):
        slow.send(SLOW)
        await (await up.connection()).sees(b"\r\n\r\n")
        await many.come(BOUND - 2)
        before = served.memory()
        for _ in range(BEYOND // 100):
            regular.send(GET)
            await regular.until(b"ok")
            await many.come(100)
            await is_served(port)
        assert served.memory() - before < 8 << 20
        assert await served.metric("headgate_callers_bound") == BOUND
        assert (await served.metric("headgate_callers") or 0) <= BOUND
        assert (await served.metric("headgate_callers_crowded_total", result="gave_way") or 0) >= BEYOND
        assert await served.metric("headgate_callers_crowded_total", result="turned_away") == 0
        await until(lambda: many.gone >= BEYOND and many.heard == (many.gone if word else 0), "who had begun hears why")
        go.set()
        assert (await slow.until(b"ok")).startswith(b"HTTP/1.1 200 OK\r\n")


async def test_where_all_are_busy_newcomers_hear_so(tmp_path: Path) -> None:
    async with (
        proxied(tmp_path, 50) as (served, port, up, go),
        Many(port) as silent,
        AsyncExitStack() as stack,
    ):
        busy = [await stack.enter_async_context(caller(port)) for _ in range(50)]
        for side in busy:
            side.send(SLOW)
        await until(lambda: up.saw.count(b"\r\n\r\n") == 50)
        for _ in range(300):
            async with caller(port) as late:
                late.send(GET)
                reply = await late.rest()
                assert reply.startswith(b"HTTP/1.1 503 ") and not late.reset
                assert b"\r\nRetry-After: 1\r\n" in reply and b"\r\nConnection: close\r\n" in reply
                assert b'"code": "too_many_callers"' in reply
        before = served.memory()
        await silent.come(2000)
        await served.reaches("headgate_callers_crowded_total", 2300, result="turned_away")
        assert served.memory() - before < 8 << 20
        assert up.saw.count(b"\r\n\r\n") == 50
        assert len([line for line in served.said if "turned away" in line]) == 1, "said once, not for each of them"
        await until(lambda: not silent.here, "who asks nothing is not kept either")
        go.set()
        for side in busy:
            assert (await side.until(b"ok")).startswith(b"HTTP/1.1 200 OK\r\n")
        await is_served(port)


async def test_no_file_is_left_for_another_caller(tmp_path: Path) -> None:
    """The system does not let in whom we would: no listener dies of it, and nothing spins meanwhile."""
    async with proxied(tmp_path, 10_000, header="2s") as (served, port, _, _), Many(port) as many:
        await is_served(port)
        resource.prlimit(served.process.pid, resource.RLIMIT_NOFILE, (100, 100))
        await many.come(400)
        await until(lambda: many.gone > 300, "whom the system does not let in is closed, not left waiting")
        assert len(many.here) > 50
        used = served.processor_seconds()
        await until(lambda: not many.here, "the others go when their time is over")
        assert served.processor_seconds() - used < 0.2
        await is_served(port)


async def test_a_thousand_long_heads_without_an_end(tmp_path: Path) -> None:
    """Together they are 400 MB; what is kept of them is bounded, and whoever comes with a whole one is served."""
    script = b"GET /api/v1/namespaces/a/pods/p/exec?command="
    bomb = script + b"a" * 400_000
    async with proxied(tmp_path, 5000, policy=KUBERNETES) as (served, _, up, _), AsyncExitStack() as stack:
        (own,) = re.findall(r"http://127.0.0.1:(\d+) -> api", "\n".join(served.said))
        port = int(own)
        await is_served(port)
        before = served.memory()
        many = await stack.enter_async_context(Many(port, bomb, stay=True))
        for _ in range(10):
            await many.come(100)
            await is_served(port)
            async with caller(port) as other:
                other.send(script + b"b" * 250_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n")
                assert (await other.until(b"ok")).startswith(b"HTTP/1.1 200 OK\r\n")
        await until(lambda: many.heard >= 1000 - LONG_HEADS, "those that began first hear why")
        assert (await served.metric("headgate_callers_crowded_total", result="gave_way") or 0) >= many.heard
        assert served.memory() - before < 100 << 20
        assert b"=aaa" not in up.saw
