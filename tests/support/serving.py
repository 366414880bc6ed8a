"""A real ``headgate serve`` process: started on free ports, watched through its own words, ended by its id."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from tests.support.waiting import until

ROOT: Final = Path(__file__).resolve().parents[2]
_ANNOUNCED: Final = re.compile(r"headgate: (http://[0-9.:]+)\S*.*; admin (http://[0-9.:]+)")


def environment(state: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """What the process sees: nothing of ours but the path, a state folder, and what the test adds."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HEADGATE_", "E2B_"))}
    return {**kept, "HEADGATE_STATE_DIR": str(state), "PYTHONUNBUFFERED": "1", **(more or {})}


@dataclass
class Served:
    """The process. ``log`` is its access log, ``said`` its other lines, ``url`` and ``admin`` where it listens."""

    process: asyncio.subprocess.Process
    log: list[dict[str, Any]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    url: str = ""
    admin: str = ""
    reading: list[asyncio.Task[None]] = field(default_factory=list)

    async def announced(self) -> None:
        """It listens."""
        await until(lambda: self._find_addresses() or self.process.returncode is not None, "it listens")
        assert self.url, "\n".join(self.said)

    def _find_addresses(self) -> bool:
        for line in self.said:
            found = _ANNOUNCED.match(line)
            if found:
                self.url, self.admin = found[1], found[2]
        return bool(self.url)

    async def metric(self, name: str, **labels: str) -> float | None:
        """One series of /metrics; None where it is not there."""
        async with aiohttp.ClientSession() as session, session.get(f"{self.admin}/metrics") as reply:
            text = await reply.text()
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == name and labels.items() <= sample.labels.items():
                    return sample.value
        return None

    async def reaches(self, name: str, value: float, **labels: str) -> None:
        """Wait until a series has this value."""
        seen: list[float | None] = []

        async def asking() -> None:
            while not seen or seen[-1] != value:
                seen.append(await self.metric(name, **labels))
                await asyncio.sleep(0.01)

        try:
            async with asyncio.timeout(30):
                await asking()
        except TimeoutError:
            raise AssertionError(f"{name}{labels} is {seen[-1]} and not {value}") from None

    async def ready(self) -> bool:
        """What /readyz says."""
        async with aiohttp.ClientSession() as session, session.get(f"{self.admin}/readyz") as reply:
            return reply.status == 200

    def signal(self, number: signal.Signals) -> None:
        """Send the process a signal."""
        self.process.send_signal(number)

    async def ended(self) -> int:
        """Its exit code, when everything it said has been read."""
        code = await asyncio.wait_for(self.process.wait(), 40)
        await asyncio.gather(*self.reading)
        return code

    def memory(self) -> int:
        """Resident memory in bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS"))

    def processor_seconds(self) -> float:
        """CPU time used so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def start(
    policy: str, state: Path, *flags: str, listen: str = "127.0.0.1:0", admin: str = "127.0.0.1:0", **more: str
) -> Served:
    """Start it; does not wait for anything."""
    arguments = ["-m", "proxy", "serve", "--policy", policy, "--listen", listen, "--admin", admin, *flags]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, cwd=ROOT, env=environment(state, more), stdout=pipe, stderr=pipe
    )
    served = Served(process)
    served.reading = [asyncio.ensure_future(_read_log(served)), asyncio.ensure_future(_read_words(served))]
    return served


@asynccontextmanager
async def serving(policy: str, state: Path, *flags: str, **more: str) -> AsyncIterator[Served]:
    """A process that listens, ended with the block whatever state it is in."""
    served = await start(policy, state, *flags, **more)
    try:
        await served.announced()
        yield served
    finally:
        if served.process.returncode is None:
            served.process.kill()
        await served.ended()


async def _read_log(served: Served) -> None:
    assert served.process.stdout is not None
    async for line in served.process.stdout:
        served.log.append(json.loads(line))


async def _read_words(served: Served) -> None:
    assert served.process.stderr is not None
    async for line in served.process.stderr:
        served.said.append(line.decode().rstrip())
