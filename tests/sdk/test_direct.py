"""The real SDKs against the fake directly: the fake is close enough, and the scripts tell what happens.

What holds here is what the same scripts must tell through the proxy.
"""

from __future__ import annotations

import asyncio
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


RETRIES = {"2.63.0": {"429", "429-concurrency", "502", "503", "504"}, "2.51.0": {"429"}}
"""By SDK version: the answers to a create that the SDK tries again by itself, three times."""
CLASSES: dict[str, dict[str, str]] = {
    "2.63.0": {"503": "ServiceBusy", "edge-429": "JSONDecode", "edge-503": "JSONDecode", "edge-504": "JSONDecode"},
    "2.51.0": {"503": "ServiceBusy", "edge-429": "RateLimit", "edge-503": "ServiceBusy"},
    "2.30.0": {"edge-429": "RateLimit"},
    "2.10.2": {"edge-429": "RateLimit"},
}
"""By SDK version and answer: the exception, where it is not the one below."""
USUAL = {"401": "Authentication", "429": "RateLimit", "429-concurrency": "RateLimit"}


@pytest.mark.parametrize(
    "what",
    [
        "400",
        "401",
        "429",
        "429-concurrency",
        "500",
        "502",
        "503",
        "504",
        "edge-429",
        "edge-502",
        "edge-503",
        "edge-504",
    ],
)
async def test_how_a_failed_create_looks(sdk: Sdk, what: str) -> None:
    async with FakeE2B(E2BConfig(faults=(parse(f"create:1-9:undone:{what}"),))) as fake:
        told = await tell(sdk, "errors", url=fake.url)
        expected = CLASSES[sdk.version].get(what) or USUAL.get(what, "Sandbox")
        assert common(told["class"]) == expected
        bare = what.removeprefix("edge-")
        tries = 4 if bare in RETRIES.get(sdk.version, ()) and what != "edge-429" else len(fake.seen.creates)
        assert len(fake.seen.creates) == tries


async def test_the_newest_sdk_repeats_a_create_that_may_have_worked(newest: Sdk) -> None:
    async with FakeE2B(E2BConfig(faults=(parse("create:1:done:503"),))) as fake:
        assert (await tell(newest, "errors", url=fake.url))["class"] is None
        assert len(fake.live()) == 2


async def test_a_failed_read_is_told_as_such(sdk: Sdk) -> None:
    async with FakeE2B() as fake:
        told = await tell(sdk, "errors", "read", url=fake.url, sandbox_url=fake.sandbox_url)
        assert common(told["class"]) == ("NotFound" if sdk.version == "2.10.2" else "FileNotFound")
        assert (await tell(sdk, "errors", "run", url=fake.url, sandbox_url=fake.sandbox_url))["class"] is None
