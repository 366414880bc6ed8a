"""``headgate serve`` as a process of its own, and waiting for what it or an in-process proxy comes to. Not a test."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from proxy.fakes import FakeE2B

ROOT = Path(__file__).parent.parent.parent
_MOUNT = re.compile(r"(http://127\.0\.0\.1:\d+)/e2b ->.*admin (http://127\.0\.0\.1:\d+)")


@dataclass(frozen=True, slots=True)
class Served:
    """Where a serving process listens."""

    url: str
    admin: str


@contextlib.asynccontextmanager
async def serving(fake: FakeE2B, state: Path, **settings: str) -> AsyncIterator[Served]:
    """The shipped policy ``e2b`` before a fake; ended by SIGTERM, after which its exit code must be 0."""
    environment = os.environ | {
        "E2B_UPSTREAM_URL": fake.url,
        "E2B_SANDBOX_UPSTREAM_URL": fake.sandbox_url,
        "HEADGATE_STATE_DIR": str(state),
        **settings,
    }
    command = [sys.executable, "-m", "proxy", "serve", "--policy", "e2b"]
    addresses = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--drain", "5s"]
    process = await asyncio.create_subprocess_exec(
        *command,
        *addresses,
        cwd=ROOT,
        env=environment,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(30):
            line = (await process.stderr.readline()).decode()
        found = _MOUNT.search(line)
        assert found is not None, line + (await process.stderr.read()).decode()
        yield Served(found[1], found[2])
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        _, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    assert b"Traceback" not in errors, errors.decode()


async def until(condition: Callable[[], bool], what: str, *, within: float = 30.0) -> None:
    """Return once it holds. TimeoutError with ``what`` if it does not within so many seconds."""
    deadline = asyncio.get_running_loop().time() + within
    while not condition():
        if asyncio.get_running_loop().time() > deadline:
            raise TimeoutError(what)
        await asyncio.sleep(0.002)
