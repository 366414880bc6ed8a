"""The WASM caller against the fake directly: what it sends, what it makes of each kind of answer."""

from __future__ import annotations

import asyncio
import json
import threading

import pytest
from aiohttp import web

from proxy.fakes import E2BConfig, FakeE2B, Fault
from proxy.fakes.server import FakeServer
from tests.wasm.provisioner import Provisioned, Provisioner


async def provision(url: str, timeout: float = 30.0) -> Provisioned:
    return await asyncio.to_thread(Provisioner(url, "e2b_00ff", timeout, {"traceparent": "00-aa-bb-01"}).run)


async def answering(status: int, body: bytes) -> Provisioned:
    """What the guest makes of one canned answer."""

    async def handle(request: web.Request) -> web.Response:
        return web.Response(status=status, body=body, content_type="application/json")

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", handle)
    server = FakeServer()
    try:
        return await provision(await server.serve(app))
    finally:
        await server.close()


async def test_it_sends_the_provisioners_exact_call() -> None:
    async with FakeE2B() as fake:
        result = await provision(fake.url)
        assert result == Provisioned("sandbox", fake.live()[0])
        (call,) = fake.seen.creates
    assert (call.method, call.target) == ("POST", "/sandboxes")
    assert call.body == b'{"templateID":"base","timeout":600}'
    assert call.header("x-api-key") == "e2b_00ff"
    assert call.header("content-type") == "application/json"
    assert call.header("traceparent") == "00-aa-bb-01"
    assert call.header("x-tenant-id") is None


async def test_a_trailing_slash_becomes_a_doubled_one() -> None:
    async with FakeE2B() as fake:
        result = await provision(fake.url + "/")
        assert result.kind == "error"
        assert result.text.startswith("E2B sandbox creation failed (HTTP 404): ")


async def test_a_refusal_is_told_once_with_status_and_body() -> None:
    async with FakeE2B(E2BConfig(live_limit=0)) as fake:
        result = await provision(fake.url)
        assert len(fake.seen.creates) == 1
    prefix = "E2B sandbox creation failed (HTTP 429): "
    assert result.kind == "error"
    assert json.loads(result.text.removeprefix(prefix))["code"] == 429


@pytest.mark.parametrize(
    ("body", "sandbox"),
    [
        (b'{"sandboxID": "i1", "clientID": "c"}', "i1"),
        (b'{"clientID":"c","sandbox_id":"i2"}', "i2"),
        (b'{"clientID":"c"}', "unknown"),
        (b"", "unknown"),
    ],
)
async def test_any_2xx_is_a_sandbox_even_without_an_id(body: bytes, sandbox: str) -> None:
    assert await answering(200, body) == Provisioned("sandbox", sandbox)


async def test_the_error_is_cut_at_500_bytes() -> None:
    result = await answering(503, b"x" * 600)
    assert result == Provisioned("error", "E2B sandbox creation failed (HTTP 503): " + "x" * 500)


async def test_a_character_across_byte_500_traps_the_guest() -> None:
    assert (await answering(503, b"x" * 499 + "é".encode() + b"x" * 9)).kind == "trap"
    assert (await answering(503, b"x" * 498 + "é".encode() + b"x" * 9)).kind == "error"


@pytest.mark.parametrize("what", ["reset", "close"])
async def test_a_broken_connection_is_a_nameless_error(what: str) -> None:
    async with FakeE2B(E2BConfig(faults=(Fault("create", 1, 1, False, what),))) as fake:
        assert await provision(fake.url) == Provisioned("error", "host_http_call failed: -1")


async def test_its_patience_is_the_total_timeout() -> None:
    async with FakeE2B(E2BConfig(faults=(Fault("create", 1, 1, False, "hang"),))) as fake:
        assert await provision(fake.url, timeout=0.2) == Provisioned("error", "host_http_call failed: -1")
        await fake.until(lambda: fake.seen.left == 1)


async def test_a_reply_that_does_not_fit_is_an_error() -> None:
    assert await answering(201, b"x" * 70_000) == Provisioned("error", "host_http_call failed: -2")


async def test_a_held_call_holds_its_thread() -> None:
    async with FakeE2B(E2BConfig(faults=(Fault("create", 1, 1, False, "hang"),))) as fake:
        names: list[str] = []

        def run() -> None:
            names.append(threading.current_thread().name)
            Provisioner(fake.url, "e2b_00ff", 0.3).run()

        waiting = asyncio.create_task(asyncio.to_thread(run))
        await fake.until(lambda: fake.seen.in_flight == 1)
        assert names
        assert not waiting.done()
        await waiting
