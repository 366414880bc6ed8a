"""What a socket tells of its peer."""

from __future__ import annotations

import asyncio

from proxy.wire.sockets import delivered
from tests.support.waiting import turns, until
from tests.support.wire import Side, caller, upstream


async def test_delivered_grows_when_the_peer_takes_and_only_then() -> None:
    async def script(side: Side) -> None:
        side.stop_reading()
        await go.wait()
        side.read_on()
        await side.rest()

    go = asyncio.Event()
    async with upstream(script) as up, caller(up.port) as side:
        transport = side.writer.transport
        begin = delivered(transport)
        side.send(b"x" * 1000)
        await until(lambda: delivered(transport) == begin + 1000)
        for _ in range(30):
            side.send(bytes(1 << 20))
            await turns(20)
        looks: list[int] = []

        def settled() -> bool:
            looks.append(delivered(transport))
            return looks[-20:] == [looks[-1]] * 20

        await until(settled)
        full = delivered(transport)
        side.send(bytes(1 << 20))
        await turns(50)
        assert delivered(transport) == full, "what waits here is not taken"
        go.set()
        await until(lambda: delivered(transport) == begin + 1000 + (31 << 20))
