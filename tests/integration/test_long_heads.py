"""A script of ``kubectl exec`` stands in the request line: it passes on Kubernetes' own listener, in whatever pieces.

Elsewhere, of anything else, and beyond what Linux takes in one argument, 431, in the language of whoever asked there.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from proxy.domain.ids import UpstreamName
from proxy.wire.crowd import LONG_HEADS
from tests.support.proxies import Proxy, running
from tests.support.waiting import until
from tests.support.wire import HEAD_END, Side, caller, replies, upstream

POLICY = """
version: 1
upstreams:
  kube: {url: "http://127.0.0.1:%(port)d", dialect: kubernetes, prefix: /kube, listen: {address: "127.0.0.1:0"}}
  files: {url: "http://127.0.0.1:%(port)d", prefix: /files, listen: {address: "127.0.0.1:0"}}
timeouts: {header: 5m}
"""
REPLY = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
LONG = 128 * 1024 * 3
"""An argument as long as Linux takes it, with three bytes for each."""


def exec_of(size: int) -> bytes:
    """A request whose line has a script of so many bytes."""
    target = b"/api/v1/namespaces/a/pods/p/exec?command=" + b"%20" * (size // 3)
    return b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % target


@asynccontextmanager
async def stage() -> AsyncIterator[tuple[dict[str, int], list[Side]]]:
    """Ports by listener, and the connections that the upstream saw."""
    async with upstream(replies(REPLY)) as up, running(POLICY % {"port": up.port}) as proxy:
        yield ports_of(proxy), up.connections


def ports_of(proxy: Proxy) -> dict[str, int]:
    own = proxy.addresses.own
    ports = {name: own[UpstreamName(name)][1] for name in ("kube", "files")}
    return ports | {"main": proxy.addresses.main[1]}


async def test_a_long_script_passes_byte_for_byte() -> None:
    async with stage() as (ports, seen), caller(ports["kube"]) as side:
        for size in (10_000, LONG):
            side.send(exec_of(size))
            assert (await side.head()).startswith(b"HTTP/1.1 200 ")
            assert await side.exactly(2) == b"ok"
        (upstream_side,) = seen
        lines = [head.partition(b"\r\n")[0] for head in bytes(upstream_side.received).split(HEAD_END)[:-1]]
        assert lines == [exec_of(size).partition(b"\r\n")[0] for size in (10_000, LONG)]


async def test_a_long_script_behind_a_request_that_is_under_way() -> None:
    """More comes than is kept behind a request: it is read on once that has its reply."""
    async with stage() as (ports, _), caller(ports["kube"]) as side:
        side.send(exec_of(30) + exec_of(LONG) + exec_of(LONG))
        for _ in range(3):
            assert (await side.head()).startswith(b"HTTP/1.1 200 ")
            assert await side.exactly(2) == b"ok"


async def test_a_long_head_in_pieces() -> None:
    async with stage() as (ports, seen), caller(ports["kube"]) as side:
        sent = exec_of(LONG)
        for at in range(0, len(sent), 10_000):
            side.send(sent[at : at + 10_000])
            await side.drain()
        assert (await side.head()).startswith(b"HTTP/1.1 200 ")
        assert bytes(seen[0].received).startswith(sent.partition(b"\r\n")[0])


async def test_too_long_for_kubernetes_is_a_status() -> None:
    async with stage() as (ports, seen):
        exec_line, too_long = exec_of(30).partition(b" HTTP")[0], b"x" * 40 * 1024
        for sent in (
            exec_of(LONG + 32 * 1024),
            exec_line + b"x" * (600 * 1024),
            exec_of(10_000).replace(b"/exec?", b"/log?"),
            exec_of(10_000).replace(b"/exec?", b"/portforward/exec?"),
            b"GET /api/" + too_long,
            exec_of(30).replace(b"Host: a", b"Host: a\r\nX: " + too_long),
            exec_of(30).replace(b"Host: a", b"Host: a\r\nX: " + too_long[:10_000]),
            exec_of(30).replace(b"Host: a", b"Host: a" + b"\r\nX: " * 7 + (b"\r\nX: " + too_long[:5000]) * 7),
        ):
            async with caller(ports["kube"]) as side:
                side.send(sent)
                head, _, body = (await side.rest()).partition(HEAD_END)
                assert head.startswith(b"HTTP/1.1 431 ") and b"\r\nConnection: close" in head
                assert (json.loads(body)["kind"], json.loads(body)["code"]) == ("Status", 431)
        assert not seen


@pytest.mark.parametrize("listener", ["main", "files"])
async def test_everywhere_else_lines_are_short(listener: str) -> None:
    async with stage() as (ports, seen), caller(ports[listener]) as side:
        side.send(exec_of(10_000).replace(b"/api", b"/kube/api"))
        head, _, body = (await side.rest()).partition(HEAD_END)
        assert head.startswith(b"HTTP/1.1 431 ") and b'"kind"' not in body
        assert not seen


async def test_of_too_many_at_once_the_one_that_began_first_hears_so() -> None:
    """So what is kept of them is bounded; the others lose nothing, and one that has gone makes room."""
    beyond, half = 3, LONG // 2
    sent = exec_of(LONG)
    async with upstream(replies(REPLY)) as up, running(POLICY % {"port": up.port}) as proxy, AsyncExitStack() as stack:
        crowd, port = proxy.app.front.crowd, ports_of(proxy)["kube"]

        async def begin(due: int) -> Side:
            side = await stack.enter_async_context(caller(port))
            side.send(sent[:half])
            await until(lambda: crowd.long_heads == due, f"{due} long heads are on their way")
            return side

        sides = [await begin(number + 1) for number in range(LONG_HEADS)]
        sides.pop(0).cut()
        await until(lambda: crowd.long_heads == LONG_HEADS - 1, "whoever has gone makes room")
        sides.append(await begin(LONG_HEADS))
        for first in sides[:beyond]:
            sides.append(await begin(LONG_HEADS))
            head, _, body = (await first.rest()).partition(HEAD_END)
            assert head.startswith(b"HTTP/1.1 503 ") and b"\r\nRetry-After: 1" in head and not first.reset
            assert json.loads(body)["kind"] == "Status" and b"128 requests with long heads" in body
            first.send(exec_of(30))  # the rest of its head may look like a request: nothing reads it as one
        for side in sides[beyond:]:
            side.send(sent[half:])
            assert (await side.head()).startswith(b"HTTP/1.1 200 ")
        assert crowd.long_heads == 0
        sides[-1].send(exec_of(LONG + 32 * 1024))
        assert b"HTTP/1.1 431 " in await sides[-1].rest()
        assert crowd.long_heads == 0, "what is refused is not on its way any more"
        lines = {bytes(seen.received).partition(b"\r\n")[0] for seen in up.connections}
        assert lines == {sent.partition(b"\r\n")[0]}
        assert sum(bytes(seen.received).count(HEAD_END) for seen in up.connections) == LONG_HEADS
