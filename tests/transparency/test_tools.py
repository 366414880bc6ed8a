"""Real clients and servers, with Headgate between them and without: the same result."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import httpx
import pytest
import requests
import websockets
from aiohttp import web

from tests.support.wire import headgate

Facts = dict[str, object]

BIG = bytes(range(256)) * 12_000
"""3 MB."""


async def _echo(request: web.Request) -> web.StreamResponse:
    """What came, as JSON."""
    body = await request.read()
    shown = [(name, value) for name, value in request.raw_headers if name.lower().startswith(b"x-")]
    facts = {
        "method": request.method,
        "target": request.raw_path,
        "fields": [(name.decode(), value.decode("latin-1")) for name, value in shown],
        "type": request.headers.get("Content-Type"),
        "body": hashlib.sha256(body).hexdigest(),
        "size": len(body),
    }
    return web.json_response(facts, headers={"X-Answer": "yes"})


async def _stream(_request: web.Request) -> web.StreamResponse:
    return web.Response(body=_parts(), headers={"Content-Type": "text/plain"})


async def _parts() -> AsyncIterator[bytes]:
    for number in range(20):
        yield b"part %d\n" % number


async def _big(_request: web.Request) -> web.StreamResponse:
    return web.Response(body=BIG)


async def _moved(_request: web.Request) -> web.StreamResponse:
    return web.Response(status=302, headers={"Location": "/echo/there?x=1"})


async def _empty(_request: web.Request) -> web.StreamResponse:
    return web.Response(status=204)


async def _socket(request: web.Request) -> web.StreamResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        if message.type == aiohttp.WSMsgType.TEXT:
            await socket.send_str(message.data[::-1])
        else:
            await socket.send_bytes(message.data)
    return socket


@asynccontextmanager
async def both_ways() -> AsyncIterator[tuple[str, str]]:
    """Base URLs of a real server: its own, and Headgate's."""
    app = web.Application(client_max_size=16 << 20)
    app.router.add_get("/stream", _stream)
    app.router.add_get("/big", _big)
    app.router.add_get("/socket", _socket)
    app.router.add_get("/moved", _moved)
    app.router.add_get("/empty", _empty)
    app.router.add_route("*", "/echo{rest:.*}", _echo)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    try:
        async with headgate(port) as proxy:
            yield f"http://127.0.0.1:{port}", f"http://127.0.0.1:{proxy.port}"
    finally:
        await runner.cleanup()


async def same(ask: Callable[[str], Facts]) -> Facts:
    """What a tool (blocking) finds is the same both ways."""
    async with both_ways() as (direct, through):
        first = await asyncio.to_thread(ask, direct)
        second = await asyncio.to_thread(ask, through)
    assert second == first
    return first


async def test_requests() -> None:
    def ask(base: str) -> Facts:
        with requests.Session() as session:
            echo = session.post(
                f"{base}/echo/a%2Fb//c?d=%20", data=BIG, headers={"X-A": "1", "x-b": "é".encode("latin-1")}
            )
            chunks = session.put(f"{base}/echo", data=iter([b"one", b"two"]))
            moved = session.get(f"{base}/moved")
            with session.get(f"{base}/stream", stream=True) as stream:
                lines = list(stream.iter_lines())
            gone = session.get(f"{base}/empty")
            return {
                "echo": echo.json(),
                "answer": echo.headers["X-Answer"],
                "chunks": chunks.json(),
                "moved": (moved.json(), len(moved.history)),
                "lines": lines,
                "empty": (gone.status_code, gone.content),
                "big": session.get(f"{base}/big").content == BIG,
                "head": session.head(f"{base}/big").headers["Content-Length"],
            }

    facts = await same(ask)
    assert facts["big"] and facts["head"] == str(len(BIG))


async def test_httpx() -> None:
    def ask(base: str) -> Facts:
        with httpx.Client() as session:
            echo = session.post(f"{base}/echo/é?q=ü", json={"a": [1, 2]}, headers={"X-A": "1"})
            with session.stream("GET", f"{base}/stream") as stream:
                lines = list(stream.iter_lines())
            upload = session.post(f"{base}/echo", files={"file": ("a.bin", BIG[:1000])}, headers={"X-B": ""})
            return {
                "echo": echo.json(),
                "lines": lines,
                "upload": upload.json()["size"],
                "big": session.get(f"{base}/big").content == BIG,
                "moved": session.get(f"{base}/moved", follow_redirects=True).json(),
            }

    assert (await same(ask))["big"]


async def test_aiohttp() -> None:
    async def ask(base: str) -> Facts:
        async with aiohttp.ClientSession() as session:
            async with session.post(f"{base}/echo?a=b", data=_parts(), headers={"X-A": "1"}) as echo:
                facts: Facts = {"echo": await echo.json()}
            async with session.get(f"{base}/stream") as stream:
                facts["lines"] = [line async for line in stream.content]
            async with session.get(f"{base}/big") as big:
                facts["big"] = await big.read() == BIG
            async with session.post(f"{base}/echo", data=io.BytesIO(BIG), expect100=True) as expecting:
                facts["expecting"] = await expecting.json()
            async with session.ws_connect(f"{base}/socket") as socket:
                await socket.send_str("hello")
                facts["socket"] = await socket.receive_str()
            return facts

    async with both_ways() as (direct, through):
        assert await ask(through) == await ask(direct)


async def test_websockets() -> None:
    async def ask(base: str) -> list[object]:
        async with websockets.connect(f"{base.replace('http', 'ws')}/socket") as socket:
            await socket.send("hello")
            await socket.send(BIG[:300_000])
            got: list[object] = [await socket.recv(), await socket.recv() == BIG[:300_000]]
            waiter = await socket.ping()
            await waiter
        return [*got, socket.close_code]

    async with both_ways() as (direct, through):
        assert await ask(through) == await ask(direct) == ["olleh", True, 1000]


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_curl(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(BIG)

    def curl(*arguments: str) -> bytes:
        done = subprocess.run(
            ["curl", "-sS", "--path-as-is", "--noproxy", "*", *arguments], capture_output=True, timeout=30, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def ask(base: str) -> Facts:
        return {
            "get": curl(f"{base}/echo/a/../b//%2F?x=[1]", "-g", "-H", "X-A: 1", "-H", "x-empty;"),
            "upload": curl("-T", str(tmp_path / "big"), f"{base}/echo", "-H", "Expect: 100-continue"),
            "chunked": curl(
                "-H", "Transfer-Encoding: chunked", "--data-binary", "@" + str(tmp_path / "big"), f"{base}/echo"
            ),
            "old": curl("-0", f"{base}/stream"),
            "head": curl("-I", f"{base}/empty").split(b"\r\n")[0],
            "moved": curl("-L", f"{base}/moved"),
            "two": curl(f"{base}/echo/1", f"{base}/echo/2"),
            "big": hashlib.sha256(curl(f"{base}/big")).hexdigest(),
        }

    facts = await same(ask)
    assert facts["head"] == b"HTTP/1.1 204 No Content"


NODE = """
const base = process.argv[1];
const facts = {};
const echo = await fetch(base + "/echo/a%2Fb?x=1", {method: "POST", body: "hello", headers: {"X-A": "1"}});
facts.echo = [echo.status, await echo.json()];
const stream = new ReadableStream({start(c) { c.enqueue(new TextEncoder().encode("one")); c.close(); }});
facts.upload = await (await fetch(base + "/echo", {method: "PUT", body: stream, duplex: "half"})).json();
const parts = [];
for await (const part of (await fetch(base + "/stream")).body) parts.push(Buffer.from(part).toString());
facts.stream = parts.join("");
facts.big = (await (await fetch(base + "/big")).arrayBuffer()).byteLength;
facts.moved = await (await fetch(base + "/moved")).json();
facts.empty = (await fetch(base + "/empty")).status;
console.log(JSON.stringify(facts));
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
async def test_node_fetch() -> None:
    def ask(base: str) -> Facts:
        done = subprocess.run(
            ["node", "--input-type=module", "-e", NODE, base], capture_output=True, timeout=30, check=False
        )
        assert done.returncode == 0, done.stderr
        facts: Facts = json.loads(done.stdout)
        return facts

    assert (await same(ask))["big"] == len(BIG)


@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
async def test_wrk() -> None:
    """Kept connections under load: not one request fails, and wrk has nothing to complain of."""

    def ask(base: str) -> Facts:
        done = subprocess.run(
            ["wrk", "-t1", "-c20", "-d1s", f"{base}/empty"], capture_output=True, timeout=30, check=True, text=True
        )
        total = re.search(r"(\d+) requests in", done.stdout)
        assert total is not None and int(total[1]) > 100, done.stdout
        return {"wrong": re.findall(r"Non-2xx.*|Socket errors.*", done.stdout)}

    assert (await same(ask))["wrong"] == []
