"""Very many requests at once on one connection: what comes of them, what they cost, and who is served meanwhile."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final, cast

from tests.support.memory import Peak
from tests.support.streams import between
from tests.support.waiting import until
from tests.support.wire import caller

OTHERS: Final = 50
REPLY: Final = re.compile(
    rb"HTTP/1\.1 200 OK\r\nContent-Length: (\d+)\r\nServer-Timing: [^\r]+\r\n\r\n(\d+)(?=H|$)", re.ASCII
)


class Answers(asyncio.Protocol):
    """An upstream, and a quick one: says the number it is asked for."""

    def __init__(self) -> None:
        self.kept = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        *heads, self.kept = (self.kept + data).split(b"\r\n\r\n")
        for head in heads:
            number = head[5 : head.index(b" ", 5)]
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(number), number))


class Pipeline(asyncio.Protocol):
    """The caller: sends as fast as it is taken, and counts the replies that come as they should."""

    def __init__(self, count: int) -> None:
        self.unsent = (b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number for number in range(count))
        self.paused = False
        self.answered = 0
        self.kept = b""
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.send()

    def send(self) -> None:
        while not self.paused and (some := b"".join(islice(self.unsent, 100))):
            self.transport.write(some)

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False
        self.send()

    def data_received(self, data: bytes) -> None:
        self.kept += data
        at = 0
        while (found := REPLY.match(self.kept, at)) and len(found[2]) == int(found[1]):
            assert int(found[2]) == self.answered, "out of order"
            self.answered += 1
            at = found.end()
        self.kept = self.kept[at:]

    def connection_lost(self, _error: Exception | None) -> None:
        self.lost = True


@dataclass(frozen=True, slots=True)
class Pipelined:
    """What came of it. ``answered`` in order and as they should, ``ahead`` when the others had been served."""

    answered: int
    ahead: int
    whole: bool
    growth: int
    seconds: float


async def pipelined(count: int, folder: Path) -> Pipelined:
    """So many requests on one connection to a proxy in its own process; meanwhile others come and are served."""
    loop = asyncio.get_running_loop()
    async with between(Answers, folder) as (served, port):
        began = loop.time()
        transport, pipeline = await loop.create_connection(lambda: Pipeline(count), "127.0.0.1", port)
        await until(lambda: pipeline.answered > count // 100)
        peak = Peak(served.process.pid)
        for number in range(OTHERS):
            async with caller(port) as other:
                other.send(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number)
                assert (await other.until(b"\r\n\r\n%d" % number)).startswith(b"HTTP/1.1 200 OK\r\n")
        ahead = pipeline.answered
        await until(lambda: pipeline.answered == count or pipeline.lost, within=300)
        run = Pipelined(
            pipeline.answered, ahead, not (pipeline.kept or pipeline.lost), peak.growth, loop.time() - began
        )
        transport.close()
    return run
