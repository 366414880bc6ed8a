"""``headgate status`` against a real admin listener, and against everything that is none."""

from __future__ import annotations

import argparse
import asyncio
import socket

import pytest
from aiohttp import web

from proxy.admin.state import State
from proxy.cli import status
from tests.admin.running import admin
from tests.observe.policies import arrival


def arguments(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    status.configure(parser)
    return parser.parse_args(words)


async def show(*words: str) -> int:
    return await asyncio.to_thread(status.run, arguments(*words))


@pytest.fixture(autouse=True)
def _surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("HEADGATE_ADMIN", raising=False)
    monkeypatch.delenv("HEADGATE_ADMIN_TOKEN", raising=False)


async def test_it_shows_limits_queues_and_who_waits_for_what(capsys: pytest.CaptureFixture[str]) -> None:
    async with admin() as running:
        for number in range(3):
            running.store.arrive(arrival("batch-1", f"ticket-{number}"))
        running.policy["stale"] = True
        assert await show("--admin", running.url) == 0
        shown = capsys.readouterr().out
        for words in ("normal", "an older one is in force", "creates", "batch-1", "ticket-2", "waiting", "Queues"):
            assert words in shown
        rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in shown.splitlines()]
        assert ["creates", "batch-1", "2", "2"] in rows
        assert ["create", "batch-1", "1", "0"] in rows
        (waiting,) = [row for row in rows if "ticket-2" in row]
        assert waiting[:6] == ["ticket-2", "batch-1", "create", "waiting", "1", "creates"]
        assert await show("--admin", running.url.removeprefix("http://")) == 0


async def test_where_to_look_comes_from_the_environment_too(monkeypatch: pytest.MonkeyPatch) -> None:
    async with admin("0.0.0.0", "open-sesame") as running:
        port = running.url.rsplit(":", 1)[1]
        monkeypatch.setenv("HEADGATE_ADMIN", f"0.0.0.0:{port}")
        monkeypatch.setenv("HEADGATE_ADMIN_TOKEN", "open-sesame")
        assert await show() == 0


async def test_a_wrong_token_is_one_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    async with admin("0.0.0.0", "open-sesame") as running:
        monkeypatch.setenv("HEADGATE_ADMIN_TOKEN", "wrong")
        assert await show("--admin", running.url) == 1
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    assert "HEADGATE_ADMIN_TOKEN" in shown


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_nobody_there_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert status.run(arguments("--admin", f"http://127.0.0.1:{free_port()}")) == 1
    shown = capsys.readouterr().err
    assert shown.startswith("headgate status: nothing listens at http://127.0.0.1:")
    assert shown.count("\n") == 1


@pytest.mark.parametrize("address", ["", "ftp://x", "http://", "http://x:port", "http://[::1"])
def test_what_is_no_address_is_one_line(capsys: pytest.CaptureFixture[str], address: str) -> None:
    assert status.run(arguments("--admin", address)) == 1
    shown = capsys.readouterr().err
    assert "is no address" in shown
    assert shown.count("\n") == 1


@pytest.mark.parametrize(
    ("code", "body", "words"),
    [
        (200, b"<html>", "is no Headgate admin listener"),
        (200, b"{}", "is no Headgate admin listener"),
        (302, b"", "answered 302"),
        (500, b"bad\x1b[2J\nmore", "answered 500: bad?[2J"),
    ],
)
async def test_another_server_is_one_line(
    capsys: pytest.CaptureFixture[str], code: int, body: bytes, words: str
) -> None:
    async def answer(request: web.BaseRequest) -> web.Response:
        return web.Response(status=code, body=body, headers={"Location": "http://127.0.0.1:1/"})

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    assert await show("--admin", f"http://127.0.0.1:{runner.addresses[0][1]}") == 1
    await runner.cleanup()
    shown = capsys.readouterr().err
    assert words in shown
    assert "\x1b" not in shown
    assert shown.count("\n") == 1


async def test_watching_goes_on_until_the_proxy_is_gone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status, "REFRESH", 0.01)
    looked = asyncio.Event()
    loop = asyncio.get_running_loop()
    fetch, count = status.fetch_state, 0

    def counting(where: str, token: str) -> State:
        nonlocal count
        count += 1
        if count == 3:
            loop.call_soon_threadsafe(looked.set)
        return fetch(where, token)

    monkeypatch.setattr(status, "fetch_state", counting)
    async with admin() as running:
        watching = asyncio.create_task(show("--watch", "--admin", running.url))
        await looked.wait()
    assert await watching == 1
    shown = capsys.readouterr()
    assert shown.err.startswith("headgate status: no")  # nothing listens, or it closed at the very moment
    assert shown.err.count("\n") == 1
