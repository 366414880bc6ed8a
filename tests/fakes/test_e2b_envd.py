"""The data plane on the wire: Connect envelopes, files, tokens, the edge's errors."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from proxy.fakes import E2BConfig, FakeE2B, ManualClock
from proxy.fakes.e2b_connect import END, STREAM, envelope, messages
from tests.fakes.client import Client, client


@asynccontextmanager
async def sandbox(**body: Any) -> AsyncIterator[tuple[FakeE2B, Client, Client, str]]:
    """A fake with one sandbox: the fake, its control plane, its data plane, the sandbox's id."""
    async with FakeE2B(E2BConfig(live_limit=2), clock=ManualClock()) as fake, client(fake.url) as api:
        made = (await api.create(**body)).json
        headers = {"E2b_Sandbox_Id": made["sandboxID"], "X_Access_Token": made["envdAccessToken"]}
        async with client(fake.sandbox_url, **headers) as envd:
            yield fake, api, envd, made["sandboxID"]


def start(script: str, **more: Any) -> bytes:
    return envelope({"process": {"cmd": "/bin/bash", "args": ["-l", "-c", script]}, "stdin": False, **more})


RPC = {"Content-Type": STREAM}
UNARY = {"Content-Type": "application/json"}


async def test_a_command_is_a_stream_of_envelopes() -> None:
    async with sandbox(envVars={"WHO": "you"}) as (_, _, envd, _):
        answer = await envd("POST", "/process.Process/Start", start("echo hi $WHO; exit 3"), RPC)
        assert (answer.status, answer.headers["Content-Type"]) == (200, STREAM)
        first, data, end = messages(answer.raw)
        assert first["event"]["start"]["pid"] > 0
        assert base64.b64decode(data["event"]["data"]["stdout"]) == b"hi you\n"
        assert end["event"]["end"]["exitCode"] == 3
        assert end["event"]["end"]["status"] == "exit status 3"
        assert answer.raw.endswith(envelope({}, flags=END))


async def test_output_arrives_while_the_command_runs() -> None:
    async with sandbox() as (fake, _, envd, name):
        url = fake.sandbox_url + "/process.Process/Start"
        token = next(iter(fake.fleet)).access_token or ""
        headers = {"E2b-Sandbox-Id": name, "X-Access-Token": token, **RPC}
        async with (
            aiohttp.ClientSession() as session,
            session.post(
                url, data=start("echo one; until [ -f go ]; do sleep 1; done; echo two"), headers=headers
            ) as r,
        ):
            got = b""
            while len(messages(got)) < 2:
                got += await r.content.readany()
            assert len(messages(got)) == 2
            listed = await envd("POST", "/process.Process/List", b"{}", UNARY)
            assert len(listed.json["processes"]) == 1
            await envd("POST", "/files?path=go", b"", {"Content-Type": "application/octet-stream"})
            assert isinstance(fake.clock, ManualClock)
            await fake.clock.advance(2)
            got += await r.content.read()
        assert len(messages(got)) == 4


async def test_input_signals_and_tags() -> None:
    async with sandbox() as (fake, _, envd, name):
        token = next(iter(fake.fleet)).access_token or ""
        headers = {"E2b-Sandbox-Id": name, "X-Access-Token": token, **RPC}
        async with (
            aiohttp.ClientSession(fake.sandbox_url) as session,
            session.post("/process.Process/Start", data=start("cat", stdin=True, tag="t"), headers=headers) as r,
        ):
            pid = messages(await r.content.readany())[0]["event"]["start"]["pid"]
            fed = {"process": {"tag": "t"}, "input": {"stdin": base64.b64encode(b"abc").decode()}}
            assert (await envd("POST", "/process.Process/SendInput", fed, UNARY)).status == 200
            assert base64.b64decode(messages(await r.content.readany())[0]["event"]["data"]["stdout"]) == b"abc"
            kill = {"process": {"pid": pid}, "signal": "SIGNAL_SIGKILL"}
            assert (await envd("POST", "/process.Process/SendSignal", kill, UNARY)).status == 200
            assert messages(await r.content.read())[-1]["event"]["end"]["status"] == "signal: killed"
        again = await envd("POST", "/process.Process/SendSignal", kill, UNARY)
        assert (again.status, again.json["code"]) == (404, "not_found")
        assert again.headers["Content-Type"] == "application/json"


async def test_a_killed_sandbox_breaks_its_streams() -> None:
    async with sandbox() as (fake, api, _, name):
        token = next(iter(fake.fleet)).access_token or ""
        headers = {"E2b-Sandbox-Id": name, "X-Access-Token": token, **RPC}
        async with (
            aiohttp.ClientSession(fake.sandbox_url) as session,
            session.post("/process.Process/Start", data=start("sleep 3600"), headers=headers) as r,
        ):
            await r.content.readany()
            await api("DELETE", f"/sandboxes/{name}")
            with pytest.raises(aiohttp.ClientError):
                await r.content.read()


async def test_connect_errors_come_in_the_shape_of_the_call() -> None:
    async with sandbox() as (_, _, envd, _):
        unary = await envd("POST", "/filesystem.Filesystem/Stat", {"path": "/none"}, UNARY)
        assert (unary.status, unary.json["code"]) == (404, "not_found")
        unknown = await envd("POST", "/filesystem.Filesystem/Fly", {}, UNARY)
        assert (unknown.status, unknown.json["code"]) == (501, "unimplemented")
        stream = await envd("POST", "/process.Process/Connect", envelope({"process": {"pid": 1}}), RPC)
        assert stream.status == 200
        assert stream.raw[0] == END
        assert json.loads(stream.raw[5:])["error"]["code"] == "not_found"


async def test_files_both_ways() -> None:
    async with sandbox() as (fake, _, envd, name):
        form = aiohttp.FormData(quote_fields=False)
        form.add_field("file", b"\x00\x01", filename="/data/deep/a.bin")
        form.add_field("file", b"two", filename="b.txt")
        token = next(iter(fake.fleet)).access_token or ""
        headers = {"E2b-Sandbox-Id": name, "X-Access-Token": token}
        async with (
            aiohttp.ClientSession(fake.sandbox_url, headers=headers) as session,
            session.post("/files", data=form) as answer,
        ):
            assert await answer.json() == [
                {"name": "a.bin", "type": "file", "path": "/data/deep/a.bin"},
                {"name": "b.txt", "type": "file", "path": "/home/user/b.txt"},
            ]
        octets = {"Content-Type": "application/octet-stream"}
        assert (await envd("POST", "/files?path=c", b"raw", octets)).status == 200
        assert (await envd("GET", "/files?path=/data/deep/a.bin")).raw == b"\x00\x01"
        assert (await envd("GET", "/files?path=c&username=user")).raw == b"raw"
        missing = await envd("GET", "/files?path=none")
        assert (missing.status, missing.json["code"]) == (404, 404)


async def test_folders() -> None:
    async with sandbox() as (_, _, envd, _):

        async def rpc(name: str, **body: Any) -> Any:
            return (await envd("POST", f"/filesystem.Filesystem/{name}", body, UNARY)).json

        await envd("POST", "/files?path=d/e/f", b"12345", {"Content-Type": "application/octet-stream"})
        assert (await rpc("Stat", path="d/e/f"))["entry"]["size"] == "5"
        assert [e["name"] for e in (await rpc("ListDir", path="d", depth=1))["entries"]] == ["e"]
        assert [e["type"] for e in (await rpc("ListDir", path="d", depth=2))["entries"]] == [
            "FILE_TYPE_DIRECTORY",
            "FILE_TYPE_FILE",
        ]
        assert (await rpc("MakeDir", path="d"))["code"] == "already_exists"
        await rpc("Move", source="d", destination="g")
        assert (await rpc("Stat", path="g/e/f"))["entry"]["path"] == "/home/user/g/e/f"
        await rpc("Remove", path="g")
        assert (await rpc("Stat", path="g/e/f"))["code"] == "not_found"


async def test_the_access_token_is_wanted_and_the_api_key_is_not() -> None:
    async with sandbox() as (_, _, envd, _):
        wrong = {"X-Access-Token": "wrong"}
        assert (await envd("GET", "/health", headers=wrong)).status == 204
        assert (await envd("GET", "/files?path=x", headers=wrong)).json["code"] == 401
        rpc = await envd("POST", "/filesystem.Filesystem/Stat", {}, wrong | UNARY)
        assert rpc.json["code"] == "unauthenticated"


async def test_the_edges_own_errors() -> None:
    async with sandbox() as (fake, api, envd, name):
        gone = await envd("GET", "/health", headers={"E2b-Sandbox-Id": "nope"})
        assert (gone.status, gone.json) == (
            502,
            {"sandboxId": "nope", "message": "The sandbox was not found", "code": 502},
        )
        port = await envd("GET", "/", headers={"E2b-Sandbox-Port": "8000"})
        assert port.json["message"] == "The sandbox is running but port is not open"
        async with client(fake.sandbox_url, Host=f"49983-{name}.e2b.app") as by_host:
            assert (await by_host("GET", "/health")).status == 204
        async with client(fake.sandbox_url, Accept="*/*") as nameless:
            assert (await nameless("GET", "/health")).status == 400
        await api("POST", f"/sandboxes/{name}/pause")
        assert (await envd("GET", "/health")).status == 502


async def test_traffic_resumes_what_asked_for_it_and_takes_a_place() -> None:
    async with sandbox(autoPause=True, autoResume={"enabled": True}) as (fake, api, envd, name):
        await api("POST", f"/sandboxes/{name}/pause")
        first, _ = await api.made(), await api.made()
        refused = await envd("GET", "/health")
        assert refused.status == 429
        assert (refused.json["sandboxId"], refused.json["code"]) == (name, 429)
        await api("DELETE", f"/sandboxes/{first}")
        assert (await envd("GET", "/health")).status == 204
        assert name in fake.live()
        assert not any(call.operation in ("resume", "connect") for call in fake.seen.calls)
