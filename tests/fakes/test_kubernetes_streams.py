"""exec, attach and log of the fake API server, with the client that centaur uses and with a bare WebSocket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from kubernetes_asyncio.client import Configuration, CoreV1Api
from kubernetes_asyncio.stream import WsApiClient

from proxy.fakes import FakeKubernetes
from proxy.fakes.kubernetes_streams import V4, V5
from tests.fakes.client import client
from tests.fakes.test_kubernetes_kubelet import is_ready
from tests.support.pods import NAMESPACE, PODS, agent_pod
from tests.support.waiting import WITHIN

JSON = {"Content_Type": "application/json", "Accept": "application/json"}


@asynccontextmanager
async def stage() -> AsyncIterator[FakeKubernetes]:
    """One pod that is ready."""
    async with FakeKubernetes() as fake, client(fake.url, **JSON) as call:
        await call("POST", PODS, agent_pod("a"))
        await fake.until(lambda: is_ready(fake))
        yield fake


@asynccontextmanager
async def websocket(fake: FakeKubernetes, what: str, *protocols: str) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    url = fake.url.replace("http", "ws") + f"{PODS}/a/{what}"
    async with aiohttp.ClientSession() as session, session.ws_connect(url, protocols=protocols or (V5, V4)) as socket:
        yield socket


async def frames(socket: aiohttp.ClientWebSocketResponse) -> list[bytes]:
    async with asyncio.timeout(WITHIN):
        return [message.data async for message in socket]


@pytest.mark.parametrize(
    ("command", "out", "code"),
    [(["echo", "hello", "wörld"], "hello wörld\n", 0), (["sh", "-c", "echo no >&2; exit 3"], "no\n", 3)],
)
async def test_exec_with_kubernetes_asyncio(command: list[str], out: str, code: int) -> None:
    async with stage() as fake, WsApiClient(Configuration(host=fake.url)) as api:
        core: Any = CoreV1Api(api)
        arguments = {"command": command, "container": "sandbox", "stdout": True, "stderr": True, "tty": False}
        said = await core.connect_get_namespaced_pod_exec("a", NAMESPACE, stdin=False, **arguments)
        assert said == out
        opened = await core.connect_get_namespaced_pod_exec("a", NAMESPACE, _preload_content=False, **arguments)
        async with opened as socket:
            got = await frames(socket)
        assert got[0] == b"\x01"
        assert got[-1][:1] == b"\x03"
        assert WsApiClient.parse_error_data(got[-1][1:]) == code


async def test_v5_can_close_its_input() -> None:
    async with stage() as fake:
        async with websocket(fake, "exec?container=sandbox&command=cat&stdin=true&stdout=true") as socket:
            assert socket.protocol == V5
            await socket.send_bytes(b"\x00two ")
            await socket.send_bytes(b"\x00words")
            await socket.send_bytes(b"\xff\x00")
            got = await frames(socket)
        assert got == [b"\x01", b"\x01two ", b"\x01words", b'\x03{"metadata":{},"status":"Success"}']
        assert socket.close_code == 1000


async def test_attach_joins_the_container_until_it_ends() -> None:
    async with stage() as fake, websocket(fake, "attach?container=sandbox&stdin=true&stdout=true", V4) as socket:
        assert await socket.receive_bytes() == b"\x01"
        await socket.send_bytes(b"\x00hello\n")
        assert await socket.receive_bytes() == b"\x01hello\n"
        fake.kubelet.oom_kill(NAMESPACE, "a", "sandbox")
        assert await frames(socket) == [b'\x03{"metadata":{},"status":"Success"}']


async def test_a_container_that_is_dead_cannot_be_joined() -> None:
    async with stage() as fake, client(fake.url, **JSON) as call:
        fake.kubelet.oom_kill(NAMESPACE, "a", "sandbox")
        for what, text in (
            ("attach", f"container sandbox not found in pod a_{NAMESPACE}"),
            ("exec", 'container not found ("sandbox")'),
        ):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                async with websocket(fake, f"{what}?container=sandbox&command=true"):
                    pass
            assert refused.value.status == 500
            answer = await call("GET", f"{PODS}/a/{what}?container=sandbox&command=true")
            assert (answer.raw, answer.headers["Content-Type"]) == (text.encode(), "text/plain")


async def test_a_caller_that_leaves_ends_its_command() -> None:
    async with stage() as fake:
        async with websocket(fake, "exec?container=sandbox&command=cat&stdin=true&stdout=true") as socket:
            await socket.receive_bytes()
            await fake.until(lambda: fake.seen.in_flight["exec"] == 1)
        await fake.until(lambda: fake.seen.in_flight["exec"] == 0)
        async with websocket(fake, "attach?container=sandbox&stdin=true&stdout=true") as socket:
            await socket.receive_bytes()
            assert socket._response.connection is not None
            assert socket._response.connection.transport is not None
            socket._response.connection.transport.abort()
        await fake.until(lambda: fake.seen.in_flight["attach"] == 0)


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("a/exec?container=sandbox&command=true", 400),
        ("a/attach?container=nobody", 400),
        ("a/log", 400),
        ("b/log", 404),
    ],
)
async def test_what_streams_refuse(target: str, status: int) -> None:
    async with stage() as fake, client(fake.url, **JSON) as call:
        answer = await call("GET", f"{PODS}/{target}")
        assert (answer.status, answer.json["kind"]) == (status, "Status")


async def test_logs_are_text() -> None:
    async with stage() as fake, client(fake.url, **JSON) as call:
        running = fake.kubelet.container(fake.pod(NAMESPACE, "a"), "sandbox")
        assert running is not None
        running.write(b'one\n{"kind":"Pod"}\n')
        answer = await call("GET", f"{PODS}/a/log?container=sandbox")
        assert (answer.raw, answer.headers["Content-Type"]) == (b'one\n{"kind":"Pod"}\n', "text/plain")
        for tail, text in ((1, b'{"kind":"Pod"}\n'), (0, b""), (5, b'one\n{"kind":"Pod"}\n')):
            assert (await call("GET", f"{PODS}/a/log?container=sandbox&tailLines={tail}")).raw == text


async def test_a_log_is_followed_until_the_container_ends() -> None:
    async with stage() as fake, aiohttp.ClientSession() as session:
        running = fake.kubelet.container(fake.pod(NAMESPACE, "a"), "sandbox")
        assert running is not None
        running.write(b"one\n")
        async with session.get(f"{fake.url}{PODS}/a/log?container=sandbox&follow=true") as reply:
            assert await reply.content.readline() == b"one\n"
            running.write(b"two\n")
            assert await reply.content.readline() == b"two\n"
            fake.kubelet.end(NAMESPACE, "a", "sandbox")
            assert await reply.content.read() == b""


async def test_a_long_command_stands_in_the_request_line() -> None:
    async with stage() as fake:
        words = "x" * 100_000
        async with websocket(fake, f"exec?container=sandbox&command=echo&command={words}&stdout=true") as socket:
            got = await frames(socket)
        assert got[1] == b"\x01" + words.encode() + b"\n"
        assert json.loads(got[-1][1:])["status"] == "Success"
