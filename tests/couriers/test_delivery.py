"""Deliveries over real sockets: what is sent, and what every kind of receiver does to a beat."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from proxy.couriers.carrier import REPLY_READ, HttpCarrier, NoReply
from proxy.couriers.progress import ProgressCouriers
from proxy.couriers.recipe import Letter, Recipe
from proxy.domain.ids import Seconds
from proxy.policy.policyset import Sink
from proxy.ports import BeatResult, Vigil
from tests.couriers.builders import FIXED, Watcher, describe, sink
from tests.couriers.receiver import Answer, receiving, status

SECRET = "sesame-opens"


@asynccontextmanager
async def delivering(*sinks: Sink, **fixed: str) -> AsyncIterator[tuple[Watcher, Vigil]]:
    """Couriers at work for one request, until the end of the block."""
    watcher, carrier = Watcher(), HttpCarrier()
    couriers = ProgressCouriers(carrier.carry, watcher)
    vigil = couriers.begin(sinks, {**FIXED, **fixed}, describe, Seconds(0))
    try:
        yield watcher, vigil
    finally:
        await vigil.end()
        await couriers.close()
        await carrier.close()


async def test_what_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    async with receiving(status(200)) as receiver:
        progress = sink(
            receiver.url + "/tdata/Jobs('{header:x-job-id}')/A.Progress?w={waited}",
            headers={"X-Tenant-Id": "{tenant}", "Authorization": f"Bearer {SECRET}", "X-Job": "{header:x-job-id}"},
            body={"log": "queued {waited}s, position {position}, about {eta}s to go", "job": ["{header:x-job-id}"]},
            first=0,
            every=60,
        )
        evil = 'o\'1/../x?y#z\r\nX-Evil: "1" é'
        async with delivering(progress, **{"header:x-job-id": evil}) as (watcher, _):
            await watcher.until("job", "ok")
    escaped = "o%27%271%2F..%2Fx%3Fy%23z%0D%0AX-Evil%3A%20%221%22%20%C3%A9"
    assert receiver.targets == [f"/tdata/Jobs('{escaped}')/A.Progress?w=3"]
    assert receiver.bodies == [{"log": "queued 3s, position 2, about unknowns to go", "job": [evil]}]
    headers = receiver.headers[0]
    assert headers["x-tenant-id"] == "acme"
    assert headers["authorization"] == f"Bearer {SECRET}"
    assert headers["content-type"] == "application/json"
    assert headers["x-job"] == 'o\'1/../x?y#z??X-Evil: "1" ?'
    assert "x-evil" not in headers
    assert set(headers) <= {
        *("host", "accept", "user-agent", "content-type", "content-length"),
        *("x-tenant-id", "authorization", "x-job"),
    }


def test_a_content_type_of_the_policy_is_kept_and_a_null_body_is_none() -> None:
    typed = Recipe(sink(headers={"content-TYPE": "application/vnd.x+json"})).fill({**FIXED, **describe()})
    assert typed.headers == (("content-TYPE", "application/vnd.x+json"),)
    assert typed.body == b'{"log":"queued 3s"}'


def test_a_letter_shows_nothing_of_itself() -> None:
    letter = Recipe(sink(headers={"Authorization": SECRET})).fill({**FIXED, **describe()})
    assert SECRET not in repr(letter)
    assert "receiver" not in repr(letter)


RESULTS: dict[int, BeatResult] = {
    **dict.fromkeys((200, 204), "ok"),
    **dict.fromkeys((404, 409, 410), "stale"),
    **dict.fromkeys((429, 500, 503), "throttled"),
    **dict.fromkeys((400, 403), "failed"),
}


@pytest.mark.parametrize(("code", "result"), RESULTS.items())
async def test_every_status(code: int, result: BeatResult) -> None:
    every = 60 if result == "stale" else 0.4  # a delivery that a busy machine makes slower would count as missed
    async with (
        receiving(status(code)) as receiver,
        delivering(sink(receiver.url, first=0, every=every)) as (watcher, _),
    ):
        if result == "stale":
            await watcher.until("job", "stale")
            await asyncio.wait_for(receiver.count(1), 5)
            assert watcher.beats == {("job", "stale"): 1}
        else:
            await watcher.until("job", result, 2)
            assert set(watcher.beats) <= {("job", result), ("job", "missed")}


async def test_redirects_are_not_followed() -> None:
    async with receiving(status(200)) as elsewhere:
        for code in (301, 302, 303, 307, 308):
            async with (
                receiving(status(code, Location=elsewhere.url)) as receiver,
                delivering(sink(receiver.url, first=0, every=60)) as (watcher, _),
            ):
                await watcher.until("job", "failed")
        assert elsewhere.targets == []


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_a_dead_receiver_fails_every_beat_and_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    url = f"http://127.0.0.1:{_free_port()}/jobs/7"
    progress = sink(url, headers={"Authorization": SECRET}, first=0, every=0.05)
    with caplog.at_level(logging.DEBUG, "proxy"):
        async with delivering(progress) as (watcher, _):
            await watcher.until("job", "failed", 3)
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("proxy")]
    assert len(lines) == 1
    assert lines[0].startswith("progress sink job: ConnectionRefusedError")
    assert SECRET not in caplog.text


async def test_a_name_nobody_knows_fails() -> None:
    async with delivering(sink("http://nowhere.invalid/", first=0, every=60)) as (watcher, _):
        await watcher.until("job", "failed")


async def test_names_are_looked_up() -> None:
    async with receiving(status(200)) as receiver:
        url = receiver.url.replace("127.0.0.1", "localhost")
        async with delivering(sink(url, first=0, every=60)) as (watcher, _):
            await watcher.until("job", "ok")


def _never() -> Answer:
    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError("never")

    return answer


async def test_a_receiver_that_never_answers_times_out_and_is_not_written_to_twice() -> None:
    async with (
        receiving(_never()) as receiver,
        delivering(sink(receiver.url, first=0, every=0.1)) as (watcher, _),
    ):
        await watcher.until("job", "failed", 3)
        assert receiver.peak == 1


async def test_the_end_cuts_off_a_receiver_that_never_answers() -> None:
    gone = asyncio.Event()

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        try:
            await asyncio.Event().wait()
        finally:
            gone.set()
        raise AssertionError("never")

    async with (
        receiving(answer) as receiver,
        delivering(sink(receiver.url, first=0, every=60)) as (watcher, vigil),
    ):
        await receiver.count(1)
        await vigil.end()
        assert watcher.beats == {("job", "failed"): 1}
        await asyncio.wait_for(gone.wait(), 10)  # the receiver sees the connection close


async def test_a_reply_without_end_is_not_read_to_its_end() -> None:
    sent = 0

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * REPLY_READ)
            sent += 1

    carrier = HttpCarrier()
    async with receiving(answer) as receiver:
        letter = Letter("POST", receiver.url, (), b"{}")
        assert await carrier.carry(letter, Seconds(30)) == 200
    assert sent < 1000
    await carrier.close()


async def test_a_connection_is_used_again() -> None:
    ports = set()

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        assert request.transport is not None
        ports.add(request.transport.get_extra_info("peername"))
        return web.json_response({"big": "x" * 1000})

    carrier = HttpCarrier()
    async with receiving(answer) as receiver:
        for _ in range(5):
            assert await carrier.carry(Letter("POST", receiver.url, (), b"{}"), Seconds(30)) == 200
    await carrier.close()
    assert len(ports) == 1


@pytest.mark.parametrize("reply", [b"nonsense\r\n\r\n", b""])
async def test_nonsense_is_no_reply(reply: bytes) -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(reply)
        writer.close()

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    carrier = HttpCarrier()
    with pytest.raises(NoReply):
        await carrier.carry(Letter("POST", f"http://127.0.0.1:{port}/", (), b"{}"), Seconds(30))
    await carrier.close()
    server.close()
    await server.wait_closed()


async def test_a_receiver_that_never_answers_timed_out() -> None:
    """The log names it so; what aiohttp raises stems from a CancelledError, which would tell an operator nothing."""
    held = asyncio.Event()

    async def hold(request: web.BaseRequest) -> web.StreamResponse:
        await held.wait()
        return web.Response()

    carrier = HttpCarrier()
    async with receiving(hold) as receiver:
        with pytest.raises(NoReply, match=r"^TimeoutError$"):
            await carrier.carry(Letter("POST", receiver.url, (), b"{}"), Seconds(0.05))
        held.set()
    await carrier.close()


@pytest.mark.parametrize("url", ["nonsense", "ftp://x/", "http://", "http://a b/"])
async def test_a_url_that_is_none_is_no_reply(url: str) -> None:
    carrier = HttpCarrier()
    with pytest.raises(NoReply):
        await carrier.carry(Letter("POST", url, (), b"{}"), Seconds(5))
    await carrier.close()
