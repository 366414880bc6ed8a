"""Each fake as a process of its own, as ``headgate demo`` and the benches start them."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from proxy.fakes.__main__ import build, parser
from tests.fakes.client import client

ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def running(*arguments: str) -> AsyncIterator[tuple[dict[str, str], asyncio.subprocess.Process]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "proxy.fakes", *arguments, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        yield json.loads(await process.stdout.readline()), process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_e2b_tells_its_urls_its_state_and_forgets(number: signal.Signals) -> None:
    arguments = ("e2b", "--live-limit", "1", "--fault", "create:2:undone:503")
    async with running(*arguments) as (urls, process), client(urls["url"]) as call:
        assert set(urls) == {"url", "sandbox_url"}
        await call.made()
        assert [(await call.create()).status for _ in range(2)] == [503, 429]
        state: dict[str, Any] = (await call("GET", "/_fake/state")).json
        assert (len(state["creates"]), state["live"], state["created"]) == (3, 1, 1)
        assert state["refused"] == {"fault": 1, "concurrency": 1}
        assert (await call("POST", "/_fake/reset")).status == 204
        assert (await call("GET", "/_fake/state")).json["sandboxes"] == []
        await call.made()
        process.send_signal(number)
        assert await process.wait() == 0


async def test_temper_tells_its_url_and_its_state() -> None:
    async with running("temper", "--timer-scale", "0.01") as (urls, _), client(urls["url"]) as call:
        name = (await call("POST", "/tdata/CurationJobs", {"id": "j1"})).json["entity_id"]
        await call("POST", f"/tdata/CurationJobs('{name}')/Temper.Start", {})
        await call("POST", f"/tdata/CurationJobs('{name}')/Temper.RecordProgress", {"progress_log": "x"})
        state = (await call("GET", "/_fake/state")).json
        assert state["entities"][0]["status"] == "Running"
        assert [c["action"] for c in state["calls"]] == ["Start", "RecordProgress"]
        await call("POST", "/_fake/reset")
        assert (await call("GET", "/_fake/state")).json["entities"] == []


def test_every_option_reaches_the_configuration() -> None:
    text = (
        "e2b --create-seconds 1 --start-seconds 2 --destroy-seconds 3 --pause-seconds 4 --snapshot-seconds 5"
        " --linger-seconds 6 --live-limit 7 --max-creating 8 --max-starting 9 --drop-above 10"
        " --route-rate create=5/20 --throttle 1800/10 --caller-leaves finishes --idempotency"
    )
    config = build(parser().parse_args(text.split())).config
    assert repr(config) == (
        "E2BConfig(live_limit=7, create_seconds=1.0, start_seconds=2.0, max_creating=8, max_starting=9,"
        " drop_above=10, route_rates={'create': Rate(per_second=5.0, burst=20)},"
        " throttles=(Throttle(requests=1800, seconds=10.0, path='/sandboxes', by='key'),),"
        " destroy_seconds=3.0, pause_seconds=4.0, snapshot_seconds=5.0, linger_seconds=6.0,"
        " max_timeout_seconds=86400, caller_leaves='finishes', idempotency=True, idempotency_seconds=600.0,"
        " envd_version='0.6.12', keys=None, teams={}, faults=(), seed=None)"
    )
