"""TLS on either side: requests and replies as without, and whoever is slow slows the other side only."""

from __future__ import annotations

import asyncio
import socket
import ssl

from tests.support.tls_chain import Place, legs
from tests.support.tls_listener import tls_caller
from tests.support.wire import Counting, Side, counting_caller, happens

GET = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
MIB = 1 << 20
SOME = bytes(range(256)) * 400


@legs
async def test_kept_pipelined_and_big(place: Place, legs: str) -> None:
    async def script(side: Side) -> None:
        while True:
            head = await side.head()
            size = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0] or 0)
            side.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (size, await side.exactly(size)))

    async with place.chain(legs, script) as chain, chain.caller() as side:
        bodies = [b"", SOME, b"x", SOME * 40, b"last"]
        for body in bodies:
            side.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        for body in bodies:
            await side.head()
            assert await side.exactly(len(body)) == body
        assert len(chain.up.connections) == 1


@legs
async def test_a_slow_reader_slows_the_upstream(place: Place, legs: str) -> None:
    size, sent = 48 * MIB, asyncio.Event()

    async def script(side: Side) -> None:
        await side.head()
        side.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size // MIB):
            side.send(bytes(MIB))
            await side.drain()
        sent.set()
        await side.rest()

    async with place.chain(legs, script) as chain:
        secured_one = tls_caller(chain.proxy.port, chain.proxy.trust, Counting)
        async with secured_one if chain.tls else counting_caller(chain.proxy.plain) as side:
            assert isinstance(side, Counting)
            side.stop_reading()
            side.send(GET)
            await happens(lambda: any(c.full for c in chain.proxy.app.front._connections))
            assert not sent.is_set()
            side.read_on()
            await side.counted(size)


@legs
async def test_a_slow_upstream_slows_the_caller(place: Place, legs: str) -> None:
    size, go = 48 * MIB, asyncio.Event()

    async def script(side: Side) -> None:
        side.stop_reading()
        await go.wait()
        side.read_on()
        await side.head()
        await side.exactly(size)
        side.send(OK)

    async def sending(side: Side) -> None:
        for _ in range(size // MIB):
            side.send(bytes(MIB))
            await side.drain()

    async with place.chain(legs, script) as chain, chain.caller() as side:
        side.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
        upload = asyncio.ensure_future(sending(side))
        await happens(lambda: any(c._paused for c in chain.proxy.app.front._connections))
        assert not upload.done()
        go.set()
        await upload
        await side.until(b"ok")


async def test_a_reader_over_tls_that_takes_little_but_often(place: Place) -> None:
    """It takes something all the time, though less than our buffers hold: it is slow, not gone."""

    async def script(side: Side) -> None:
        await side.head()
        side.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (24 * MIB) + bytes(24 * MIB))
        await side.rest()

    loop = asyncio.get_running_loop()
    async with place.chain("tls-plain", script, "{write_stall: 500ms}") as chain:
        own = socket.socket()
        own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
        own.connect(("127.0.0.1", chain.proxy.port))
        own.setblocking(False)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        talk = chain.proxy.trust.wrap_bio(incoming, outgoing, server_hostname="localhost")
        while True:
            try:
                talk.do_handshake()
                break
            except ssl.SSLWantReadError:
                await loop.sock_sendall(own, outgoing.read())
                incoming.write(await loop.sock_recv(own, 65536))
        talk.write(GET)
        await loop.sock_sendall(own, outgoing.read())
        end = loop.time() + 2.5
        while loop.time() < end:
            assert await loop.sock_recv(own, 2 * 1024), "it was cut off"
            await asyncio.wait([loop.create_future()], timeout=0.02)
        assert chain.proxy.app.front.connected == 1
        own.close()
