"""The real SDKs against the fake directly: the fake is close enough, and the scripts tell what happens.

What holds here is what the same scripts must tell through the proxy.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from proxy.fakes import E2BConfig, FakeE2B, ManualClock
from proxy.fakes.e2b_faults import parse
from tests.sdk.client import tell
from tests.sdk.environments import Sdk

LIFE = {
    "afterwards": "SandboxNotFound",
    "data": {
        "background": {"again": False, "killed": True, "was_listed": True},
        "bytes": True,
        "exists": [True, False],
        "exit_code": 0,
        "failed": {"class": "CommandExit", "code": 3},
        "lines": 20_000,
        "listed": ["deep", "go", "raw.bin"],
        "live": ["first", "client wrote", "second"],
        "read": True,
        "running": True,
        "stdout": "hello\n/home/user\n",
        "written": ["note.txt", "/home/user/deep/note.txt"],
    },
    "extended": True,
    "found": [True],
    "info": ["base", {"run": "journey", "who": "a b & c=d"}, "running", 120],
    "killed": [True, False, True],
    "listed": True,
    "paused": True,
    "resumed": [True, ""],
    "state": "paused",
}
OLD = {"afterwards": "NotFound", "resumed": [True, "InvalidArgument"]}
"""2.10.2 has one exception for everything missing, and after a connect names no sandbox to the data plane."""


def common(told: Any) -> Any:
    """A document with class names as all SDKs have them: without ``Exception`` or ``Error``."""
    match told:
        case dict():
            return {name: common(value) for name, value in told.items() if name != "sdk"}
        case list():
            return [common(value) for value in told]
        case str():
            return told.removesuffix("Exception").removesuffix("Error")
    return told


async def test_a_whole_life(sdk: Sdk) -> None:
    async with FakeE2B() as fake:
        told = await tell(sdk, "journey", url=fake.url, sandbox_url=fake.sandbox_url)
        assert common(told) == LIFE | (OLD if sdk.version == "2.10.2" else {})
        assert fake.live() == []
        assert fake.seen.refused == {}
        create = fake.seen.creates[0]
        assert create.target == ("/v2/sandboxes" if sdk.version in ("2.63.0", "2.51.0") else "/sandboxes")


async def test_a_burst_above_four_creates_fails_without_a_queue(sdk: Sdk) -> None:
    clock = ManualClock()
    config = E2BConfig(max_creating=4, create_seconds=2)
    once = ["--retries", "0"] if sdk.version == "2.63.0" else []
    async with FakeE2B(config, clock=clock) as fake:
        burst = asyncio.create_task(tell(sdk, "burst", "10", *once, url=fake.url))
        await fake.until(lambda: fake.seen.refused["creating"] == 6)
        await clock.sleeping(4)
        await clock.advance(2)
        told = await burst
        assert common(sorted(told["results"])) == ["RateLimit"] * 6 + ["ok"] * 4
        assert told["ids"] == 4
        assert len(fake.seen.creates) == 10


@pytest.mark.parametrize("mode", [[], ["--async"]])
async def test_a_burst_in_threads_and_in_tasks(mode: list[str], newest: Sdk) -> None:
    async with FakeE2B() as fake:
        told = await tell(newest, "burst", "20", "--kill", *mode, url=fake.url)
        assert told == {"results": ["ok"] * 20, "counts": {"ok": 20}, "ids": 20}
        assert len(fake.seen.deletes) == 20


FINAL = {"400", "401", "500"}
"""What no SDK tries again."""


def tries(sdk: Sdk, what: str) -> int:
    """How often an SDK sends a create that is always answered so."""
    if sdk.version == "2.63.0":
        return 1 if what in FINAL else 4
    return 4 if sdk.version == "2.51.0" and what == "429" else 1  # only with a Retry-After


CLASSES: dict[str, dict[str, str]] = {
    "2.63.0": {"503": "ServiceBusy", "edge-429": "JSONDecode", "edge-503": "JSONDecode", "edge-504": "JSONDecode"},
    "2.51.0": {"503": "ServiceBusy", "edge-429": "RateLimit", "edge-503": "ServiceBusy"},
    "2.30.0": {"edge-429": "RateLimit"},
    "2.10.2": {"edge-429": "RateLimit"},
}
"""By SDK version and answer: the exception, where it is not the one below."""
USUAL = {"401": "Authentication", "429": "RateLimit", "429-concurrency": "RateLimit"}


ANSWERED = [*sorted(FINAL), "429", "429-concurrency", "502", "503", "504"]
EDGE = ["edge-429", "edge-502", "edge-503", "edge-504"]
BROKEN = ["reset", "close"]
RAW = {"TypeError", "RemoteProtocolError", "ReadError", "WriteError"}
"""What a broken connection looks like: the transport's own exceptions, in all SDKs."""


@asynccontextmanager
async def failing(whats: Sequence[str]) -> AsyncIterator[list[FakeE2B]]:
    """A fake for each kind of failure, which befalls every create."""
    async with AsyncExitStack() as stack:
        configs = [E2BConfig(faults=(parse(f"create:1-99:undone:{what}"),)) for what in whats]
        yield [await stack.enter_async_context(FakeE2B(config)) for config in configs]


async def test_how_failed_creates_look_and_how_often_they_are_tried(sdk: Sdk) -> None:
    whats = [*ANSWERED, *EDGE]
    async with failing(whats) as fakes:
        urls = [word for fake in fakes for word in ("--url", fake.url)]
        told = await tell(sdk, "errors", *urls, url=fakes[0].url)
        classes = {what: common(one["class"]) for what, one in zip(whats, told, strict=True)}
        own = CLASSES[sdk.version]
        assert classes == {what: own.get(what) or USUAL.get(what, "Sandbox") for what in whats}
        sent = {what: len(fake.seen.creates) for what, fake in zip(whats, fakes, strict=True)}
        assert sent == {what: tries(sdk, what) for what in whats}


async def test_a_broken_connection_is_tried_once_and_told_raw(sdk: Sdk) -> None:
    async with failing(BROKEN) as fakes:
        urls = [word for fake in fakes for word in ("--url", fake.url)]
        told = await tell(sdk, "errors", *urls, url=fakes[0].url)
        assert {one["class"] for one in told} <= RAW
        assert not any(one["sandbox_exception"] for one in told)
        assert [len(fake.seen.creates) for fake in fakes] == [1, 1]


async def test_the_newest_sdk_repeats_a_create_that_may_have_worked(newest: Sdk) -> None:
    async with FakeE2B(E2BConfig(faults=(parse("create:1:done:503"),))) as fake:
        assert (await tell(newest, "errors", url=fake.url))["class"] is None
        assert len(fake.live()) == 2


async def test_a_failed_read_is_told_as_such(sdk: Sdk) -> None:
    async with FakeE2B() as fake:
        told = await tell(sdk, "errors", "read", url=fake.url, sandbox_url=fake.sandbox_url)
        assert common(told["class"]) == ("NotFound" if sdk.version == "2.10.2" else "FileNotFound")
        assert (await tell(sdk, "errors", "run", url=fake.url, sandbox_url=fake.sandbox_url))["class"] is None
