"""Run what is named (all unless said): ``python -m tests.heavy [paced] [idle] [sizes] …``. Exit 1 where one fails."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, get_args

import uvloop
from rich.console import Console

from proxy.fakes.temper import FakeTemper
from proxy.fakes.temper_config import TemperConfig
from tests.sdk.environments import PYTHON_VERSIONS, javascript, python
from tests.sdk_scenarios.unsteered import unsteered
from tests.support.callers import crowd
from tests.support.idle import SEATS, idle_waiters
from tests.support.paced import paced
from tests.support.pipelined import pipelined
from tests.support.policies import shipped
from tests.support.serving import serving
from tests.support.streams import FLAT, MIB, Framing, Streamed, reply, request, tunnels

Check = tuple[str, bool]
COUNT, RATE = 1000, 20
IDLE = 10_000
PIPELINED = 100_000


async def full_paced(folder: Path, console: Console) -> list[Check]:
    """A5: 1,000 creates within a second, 20 per second, one create of a second tenant."""
    run = await paced(COUNT, RATE, folder)
    console.print(run)
    return [
        (f"{run.served} of {run.asked} served", run.served == run.asked),
        (f"all had come within {run.arrived_within:.2f} s", run.arrived_within <= 1),
        (f"took {run.took:.1f} s, about {COUNT / RATE:g}", COUNT / RATE <= run.took <= 1.05 * COUNT / RATE),
        (f"at most {run.window} in any second, as the upstream saw it", run.window <= RATE),
        ("first come, first served within the tenant", run.in_order),
        (
            f"the second tenant waited {run.light_waited * 1000:.0f} ms, behind {run.ahead_of_light} others",
            run.ahead_of_light <= 2,
        ),
        (f"{run.per_waiter / 1024:.1f} kB per waiting request, {run.processor:.1f} s of processor in all", True),
    ]


async def full_idle(folder: Path, console: Console) -> list[Check]:
    """10,000 idle waiting requests on one process."""
    run = await idle_waiters(IDLE, folder)
    console.print(run)
    return [
        (f"{run.served} of {run.waited} served in {run.seconds:.1f} s", run.served == run.waited),
        (f"{run.peak} at once", run.peak == SEATS),
        (f"{run.per_waiter / 1024:.1f} kB per waiter", True),
    ]


async def full_writes(folder: Path, console: Console) -> list[Check]:
    """A1: bursts of file writes to an upstream that takes 10 to 50 ms for each; p99 below a second."""
    checks = []
    async with FakeTemper(TemperConfig(write_seconds=0.03)) as fake:
        policy = folder / "policy.yaml"
        policy.write_text(shipped("temper-e2b"))
        async with serving(str(policy), folder, TEMPER_URL=fake.url) as served, crowd() as people:
            for wide in (11, 100, 1000):
                times: list[float] = []

                async def write(base: str, number: int, times: list[float] = times, wide: int = wide) -> int:
                    file = fake.world.create("default", "Files", {}, 0.0, f"f-{wide}-{number}-{len(base)}").id
                    began = time.perf_counter()
                    answer = await people.send("PUT", f"{base}/tdata/Files('{file}')/$value", b"content")
                    times.append(time.perf_counter() - began)
                    return answer.status

                for name, base in (("direct", fake.url), ("through", f"{served.url}/temper")):
                    times.clear()
                    statuses = await asyncio.gather(*(write(base, number) for number in range(wide)))
                    p99 = sorted(times)[int(0.99 * (wide - 1))]
                    fine = set(statuses) == {204} and (p99 < 1 or wide == 1000)
                    checks.append((f"{wide} writes {name}: p99 {p99 * 1000:.0f} ms", fine))
    return checks


async def full_places(folder: Path, console: Console) -> list[Check]:
    """SDK retries keep their place: patience 2 s, waves of callers on the real clock, nobody steers them."""
    checks = []
    for sdk in (python(PYTHON_VERSIONS[0]), javascript()):
        for count, seconds in ((5, 2.0), (8, 1.0), (12, 0.7)):
            run = await unsteered(sdk, count, seconds)
            what = f"{sdk.label}: {count} creates of {seconds:g} s through one seat: order {list(run.order)}"
            checks.append((f"{what}, {len(run.failed)} failed", run.right))
    return checks


async def full_sizes(folder: Path, console: Console) -> list[Check]:
    """1 GiB down and up, framed by its length and in chunks; the same through 200 tunnels, 10 of which stall."""
    checks = []
    for name, way in (("down", reply), ("up", request)):
        for framing in get_args(Framing):
            run = await way(1024 * MIB, framing, folder)
            checks.append((f"{name}, {framing}: {_streamed(run)}", run.flat))
    run = await tunnels(200, 5 * MIB, 10, folder)
    return [*checks, (f"200 tunnels: {_streamed(run)}", run.flat)]


async def full_pipelined(folder: Path, console: Console) -> list[Check]:
    """100,000 requests at once on one connection, and others meanwhile."""
    run = await pipelined(PIPELINED, folder)
    return [
        (f"{run.answered:,} answered in order in {run.seconds:.1f} s", run.answered == PIPELINED and run.whole),
        (f"others were served before {run.ahead:,} of them were", run.ahead < PIPELINED // 2),
        (f"resident memory grew by {run.growth / MIB:.1f} MiB", run.growth < FLAT),
    ]


def _streamed(run: Streamed) -> str:
    return f"{run.came:,} bytes in {run.seconds:.1f} s, resident memory grew by {run.growth / MIB:.1f} MiB"


HEAVY: dict[str, Callable[[Path, Console], Coroutine[Any, Any, list[Check]]]] = {
    "paced": full_paced,
    "places": full_places,
    "idle": full_idle,
    "writes": full_writes,
    "sizes": full_sizes,
    "pipelined": full_pipelined,
}


def main(arguments: list[str]) -> int:
    """Run, print, and say how it went."""
    what = "\n".join(f"  {name:<10} {run.__doc__}" for name, run in HEAVY.items())
    parser = argparse.ArgumentParser(
        "python -m tests.heavy", description=what, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", metavar="NAME", nargs="*", help="which of them; all without")
    names = parser.parse_args(arguments).names
    if unknown := [name for name in names if name not in HEAVY]:
        parser.error(f"there is no {', '.join(unknown)}; there are {', '.join(HEAVY)}")
    console, failed = Console(highlight=False), 0
    for name in names or HEAVY:
        console.print(f"[bold]{name}[/bold]: {HEAVY[name].__doc__}")
        with tempfile.TemporaryDirectory() as folder:
            for text, fine in uvloop.run(HEAVY[name](Path(folder), console)):
                console.print(f"  {'ok  ' if fine else 'FAIL'}  {text}")
                failed += not fine
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
