"""Every fault does what it says to a real connection, and is gone after its block.

The far side is an echo server. Nothing here asserts that something is quick: a busy machine is not a fault.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from chaos import toxics
from chaos.toxics import Link, toxic


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass  # a fault that cut the connection; the caller's side is what is looked at
    finally:
        writer.close()


@pytest.fixture
async def echo() -> AsyncIterator[int]:
    async with await asyncio.start_server(_echo, "127.0.0.1", 0) as listener:
        yield listener.sockets[0].getsockname()[1]


@pytest.fixture
def link(server: toxics.Toxiproxy, echo: int) -> Iterator[Link]:
    with server.between("echo", "127.0.0.1", echo) as between:
        yield between


class Caller:
    """A connection through the link."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    async def hear(self, size: int) -> bytes:
        return await self._reader.readexactly(size)

    async def close(self) -> None:
        self._writer.close()


@pytest.fixture
async def caller(link: Link) -> AsyncIterator[Caller]:
    connected = Caller(*await asyncio.open_connection(link.host, link.port))
    yield connected
    await connected.close()


async def test_without_a_fault_bytes_pass(caller: Caller) -> None:
    caller.send(b"hello")
    assert await caller.hear(5) == b"hello"


async def test_what_is_swallowed_never_arrives(link: Link, caller: Caller) -> None:
    with toxic(link, "timeout", stream="upstream", timeout=0):
        caller.send(b"lost")
    with pytest.raises(asyncio.IncompleteReadError) as ended:  # such a connection ends with the toxic
        await caller.hear(1)
    assert ended.value.partial == b""


async def test_latency_delays_and_loses_nothing(link: Link, caller: Caller) -> None:
    loop = asyncio.get_running_loop()
    with toxic(link, "latency", latency=300):
        sent = loop.time()
        caller.send(b"slow")
        assert await caller.hear(4) == b"slow"
        assert loop.time() - sent >= 0.29  # a lower bound only: a busy machine makes it longer, never shorter


async def test_a_reset_cuts_the_connection(link: Link, caller: Caller) -> None:
    with toxic(link, "reset_peer", timeout=0):
        caller.send(b"x")
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await caller.hear(1)


async def test_after_so_many_bytes_the_connection_ends(link: Link, caller: Caller) -> None:
    with toxic(link, "limit_data", bytes=3):
        caller.send(b"abcdef")
        assert await caller.hear(3) == b"abc"
        with pytest.raises(asyncio.IncompleteReadError):
            await caller.hear(1)


async def test_slices_arrive_whole(link: Link, caller: Caller) -> None:
    with toxic(link, "slicer", average_size=1, size_variation=0, delay=0):
        caller.send(b"in pieces")
        assert await caller.hear(9) == b"in pieces"


async def test_down_refuses_and_up_accepts(link: Link) -> None:
    with link.down(), pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(link.host, link.port)
    again = Caller(*await asyncio.open_connection(link.host, link.port))
    again.send(b"up")
    assert await again.hear(2) == b"up"
    await again.close()


async def test_a_fault_is_undone_when_the_block_fails(link: Link, caller: Caller) -> None:
    class Broken(Exception):
        pass

    with pytest.raises(Broken), toxic(link, "bandwidth", rate=0):
        raise Broken
    assert link.proxy.toxics() == {}
    caller.send(b"free")
    assert await caller.hear(4) == b"free"


def test_one_server_at_a_time(server: toxics.Toxiproxy) -> None:
    with pytest.raises(RuntimeError, match="one toxiproxy server"), toxics.toxiproxy(toxics.binary()):
        pytest.fail("a second server started")


def test_a_missing_server_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("HEADGATE_TOXIPROXY", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="scripts/setup-tools toxiproxy"):
        toxics.binary()
