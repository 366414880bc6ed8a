"""``headgate demo``: the main job on one screen. Ten jobs ask an E2B that allows four creates at once.

Everything is real but the far side: the built-in fake E2B and a fake Temper (whose liveness timers the
progress calls keep alive) on loopback, the proxy in this process, ten callers over HTTP.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import aiohttp
import uvloop
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from proxy.app import App
from proxy.dialects.registry import OPERATIONS
from proxy.fakes.e2b import FakeE2B
from proxy.fakes.e2b_config import E2BConfig
from proxy.fakes.temper import FakeTemper
from proxy.fakes.temper_config import TemperConfig
from proxy.policy.compile import load_policy
from proxy.settings import Settings

TENANT = "demo"
KEY = "e2b_d3a0"

POLICY = """
version: 1
upstreams:
  e2b: {url: "%(e2b)s", dialect: e2b, prefix: /e2b}
tenants:
  identify: [path]
limits:
  creates: {seats: %(seats)d, per: tenant}
routes:
  - name: create
    match: {upstream: e2b, operation: create}
    limits: [creates]
    queue: {patience: 60s}
    progress: [job]
  - {name: rest, match: {upstream: e2b}}
progress:
  job:
    to: "%(temper)s/tdata/CurationJobs('{header:x-job-id}')/Katagami.Curation.RecordProgress"
    headers: {X-Tenant-Id: "{tenant}", x-temper-principal-kind: agent}
    body: {progress_log: "queued {waited}s, position {position}, seconds to go: {eta}"}
    first: 500ms
    every: 1s
"""


@dataclass
class Run:
    """What one burst came to."""

    got: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    peak: int = 0
    seconds: float = 0.0
    progress: list[tuple[str, str]] = field(default_factory=list)
    """Job and what its liveness timer was told, in order."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's flags."""
    parser.add_argument("--jobs", type=_positive, default=10, metavar="N", help="sandboxes asked for at once (10)")
    parser.add_argument("--seats", type=_positive, default=4, metavar="N", help="creates the E2B allows at once (4)")
    parser.add_argument("--seconds", type=float, default=2.0, metavar="S", help="how long one create takes (2)")


def run(arguments: argparse.Namespace) -> int:
    """Show both bursts; 0 only if every job got its sandbox with Headgate."""
    console = Console(highlight=False)
    console.print(
        f"{arguments.jobs} jobs ask for a sandbox at once. The E2B behind allows {arguments.seats} creates at a time,"
        f" each takes {arguments.seconds:g} s.\n"
    )
    without, behind = uvloop.run(_both(arguments, console))
    _show(console, arguments, without, behind)
    return 0 if behind.got == arguments.jobs and behind.peak <= arguments.seats else 1


async def _both(arguments: argparse.Namespace, console: Console) -> tuple[Run, Run]:
    columns = (TextColumn("{task.description:16}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bars:
        first = bars.add_task("without Headgate", total=arguments.jobs)
        second = bars.add_task("with Headgate", total=arguments.jobs, start=False)
        without = await _burst(arguments, bars, first, console, through=False)
        bars.start_task(second)
        behind = await _burst(arguments, bars, second, console, through=True)
    return without, behind


async def _burst(arguments: argparse.Namespace, bars: Progress, bar: TaskID, console: Console, *, through: bool) -> Run:
    outcome = Run()
    config = E2BConfig(max_creating=arguments.seats, create_seconds=arguments.seconds)
    async with FakeE2B(config) as e2b, FakeTemper(TemperConfig()) as temper:
        for job in range(arguments.jobs):
            temper.job(TENANT, running=True, id=f"job-{job + 1}")
        app = await _proxy(arguments, e2b, temper) if through else None
        base = e2b.url if app is None else f"http://127.0.0.1:{app[1]}/t/{TENANT}/e2b"
        watching = asyncio.ensure_future(_watch(temper, outcome, console.print))
        began = time.monotonic()
        async with aiohttp.ClientSession() as session:
            jobs = [
                _ask(session, base, f"job-{n + 1}", outcome, lambda: bars.advance(bar)) for n in range(arguments.jobs)
            ]
            await asyncio.gather(*jobs)
        outcome.seconds = time.monotonic() - began
        outcome.peak = e2b.seen.max_creating
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        if app is not None:
            await app[0].close()
    bars.update(bar, completed=arguments.jobs)
    return outcome


async def _proxy(arguments: argparse.Namespace, e2b: FakeE2B, temper: FakeTemper) -> tuple[App, int]:
    text = POLICY % {"e2b": e2b.url, "temper": temper.url, "seats": arguments.seats}
    policies = load_policy([("demo.yaml", text.encode())], {}, OPERATIONS)
    app = App(Settings(listen="127.0.0.1:0", admin="127.0.0.1:0"), policies, secrets.token_bytes(16), access_log=False)
    addresses = await app.start()
    return app, addresses.main[1]


async def _ask(session: aiohttp.ClientSession, base: str, job: str, outcome: Run, done: Callable[[], None]) -> None:
    """The request of a sandbox provisioner: one try, whatever comes back is the end of it."""
    headers = {"x-api-key": KEY, "X-Job-Id": job}
    body = json.dumps({"templateID": "base", "timeout": 600}, separators=(",", ":"))
    headers["content-type"] = "application/json"
    timeout = aiohttp.ClientTimeout(total=120)
    try:
        async with session.post(f"{base}/sandboxes", data=body, headers=headers, timeout=timeout) as reply:
            document = await reply.json()
            if reply.status // 100 == 2 and document.get("sandboxID"):
                outcome.got += 1
            else:
                reason = f"{reply.status} {str(document.get('message', ''))[:19]}"
                outcome.refused[reason] = outcome.refused.get(reason, 0) + 1
    except (aiohttp.ClientError, TimeoutError) as error:
        reason = type(error).__name__
        outcome.refused[reason] = outcome.refused.get(reason, 0) + 1
    done()


async def _watch(temper: FakeTemper, outcome: Run, say: Callable[[str], None]) -> None:
    """Print what the jobs' liveness timers hear, as it comes."""
    while True:
        calls = temper.calls("RecordProgress")
        for call in calls[len(outcome.progress) :]:
            text = str(call.params.get("progress_log", ""))
            outcome.progress.append((call.id, text))
            say(f"  {call.id:7} {text}")
        await asyncio.sleep(0.1)


def _show(console: Console, arguments: argparse.Namespace, without: Run, behind: Run) -> None:
    table = Table(title=f"{arguments.jobs} creates at once, {arguments.seats} allowed")
    for heading in ("", "sandboxes", "refused", "at once", "heard queued", "seconds"):
        table.add_column(heading)
    for name, outcome in (("without", without), ("with", behind)):
        refused = ", ".join(f"{count}x {reason}" for reason, count in outcome.refused.items()) or "none"
        told = len({job for job, _ in outcome.progress})
        table.add_row(name, str(outcome.got), refused, str(outcome.peak), f"{told} jobs", f"{outcome.seconds:.1f}")
    console.print(table)
    console.print(f"without: {without.got} of {arguments.jobs}")
    console.print(f"with: {behind.got} of {arguments.jobs}")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number
