"""An upstream that dies in a reply: real clients see it break through Headgate as they do without."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Callable

import aiohttp
import httpx
import pytest
import requests

from tests.support.wire import Side, headgate, upstream

REPLIES = {
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n",
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n186a0\r\n",
    "until-close": b"HTTP/1.1 200 OK\r\n\r\n",
}
HALF = bytes(50_000)


def with_requests(url: str) -> int:
    return len(requests.get(url, timeout=20).content)


def with_httpx(url: str) -> int:
    return len(httpx.get(url, timeout=20).content)


def with_aiohttp(url: str) -> int:
    async def ask() -> int:
        async with aiohttp.ClientSession() as session, session.get(url) as reply:
            return len(await reply.read())

    return asyncio.run(ask())


def with_curl(url: str) -> int:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    done = subprocess.run(["curl", "-sS", "--noproxy", "*", url], capture_output=True, timeout=20, check=True)
    return len(done.stdout)


NODE = "const r = await fetch(process.argv[1]); console.log((await r.arrayBuffer()).byteLength);"


def with_node(url: str) -> int:
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    argv = ["node", "--input-type=module", "-e", NODE, url]
    return int(subprocess.run(argv, capture_output=True, timeout=20, check=True).stdout)


CLIENTS: dict[str, tuple[Callable[[str], int], type[Exception] | tuple[type[Exception], ...]]] = {
    "requests": (with_requests, requests.RequestException),
    "httpx": (with_httpx, httpx.TransportError),
    "aiohttp": (with_aiohttp, aiohttp.ClientError),
    "curl": (with_curl, subprocess.CalledProcessError),
    "node": (with_node, subprocess.CalledProcessError),
}


async def outcome(client: str, port: int) -> object:
    """How many bytes a client got, or the error it saw."""
    ask, error = CLIENTS[client]
    try:
        return await asyncio.to_thread(ask, f"http://127.0.0.1:{port}/")
    except error as broke:
        return type(broke)


@pytest.mark.parametrize("reply", REPLIES)
@pytest.mark.parametrize("client", CLIENTS)
async def test_the_break_is_seen(client: str, reply: str) -> None:
    """A reply that ends only with its connection breaks by a reset, which aiohttp and Node take for an end anyway."""

    async def script(side: Side) -> None:
        await side.head()
        side.send(REPLIES[reply] + HALF)
        await side.drain()
        if reply == "until-close":
            side.cut(reset=True)

    async with upstream(script) as up, headgate(up.port) as proxy:
        direct, through = await outcome(client, up.port), await outcome(client, proxy.port)
    assert through == direct
    assert isinstance(through, type) or reply == "until-close"
