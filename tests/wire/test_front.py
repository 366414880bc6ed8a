"""What a caller's leaving does to its journey."""

from __future__ import annotations

import asyncio

from proxy.domain.errors import HeadgateError
from proxy.domain.messages import Reply
from proxy.ports import BeatResult, RequestRecord
from proxy.wire.exchange import Exchange
from proxy.wire.front import Front
from proxy.wire.listener import Listener
from proxy.wire.watchdog import Watchdog
from tests.support.wire import caller, happens


class Nobody:
    """An observer that keeps nothing."""

    def finished(self, record: RequestRecord) -> None: ...
    def retried(self, upstream: str, route: str) -> None: ...
    def beat(self, sink: str, result: BeatResult) -> None: ...
    def bad_head(self) -> None: ...


def plain(_error: HeadgateError) -> Reply:
    return Reply(400, (), b"")


async def test_a_journey_is_cancelled_once_so_that_it_can_clean_up() -> None:
    """First the end of file is seen, then the loss of the connection: that is one leaving, not two."""
    began, clean_up, cleaned = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def handle(_exchange: Exchange) -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            await clean_up.wait()
            cleaned.set()

    loop = asyncio.get_running_loop()
    watchdog = Watchdog(loop)
    front = Front(loop, handle, Nobody(), watchdog)
    _, port = await front.listen("127.0.0.1", 0, Listener(plain), shared=False)
    async with caller(port) as side:
        side.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await began.wait()
    await happens(lambda: front.connected == 0)
    clean_up.set()
    async with asyncio.timeout(5):
        await cleaned.wait()
    front.stop_listening()
    watchdog.close()
