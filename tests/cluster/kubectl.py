"""kubectl as people use it: a real program with a kubeconfig, and a home of its own for its caches."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tests.support.waiting import WITHIN


@dataclass(frozen=True, slots=True)
class Said:
    """What one call came to."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class Kubectl:
    """One version of it, pointed at a server."""

    program: Path
    kubeconfig: Path
    home: Path

    def using(self, kubeconfig: Path) -> Kubectl:
        """The same program, pointed elsewhere."""
        return replace(self, kubeconfig=kubeconfig)

    async def __call__(self, *words: str, stdin: bytes | None = None, within: float = WITHIN) -> Said:
        """Run it to its end. TimeoutError after ``within`` seconds; then, and when cancelled, it is killed."""
        async with self.running(*words) as process, asyncio.timeout(within):
            out, err = await process.communicate(stdin or b"")
        assert process.returncode is not None
        return Said(process.returncode, out.decode(errors="replace"), err.decode(errors="replace"))

    async def good(self, *words: str, stdin: bytes | None = None) -> str:
        """What it prints when all goes well; AssertionError with its words otherwise."""
        said = await self(*words, stdin=stdin)
        assert said.code == 0, f"kubectl {' '.join(words)} ended with {said.code}: {said.err}"
        return said.out

    @asynccontextmanager
    async def running(self, *words: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """A call that goes on, with pipes to it; killed with the block where it has not ended."""
        pipe = asyncio.subprocess.PIPE
        environment = {**os.environ, "HOME": str(self.home), "KUBECONFIG": str(self.kubeconfig)}
        process = await asyncio.create_subprocess_exec(
            self.program, *words, env=environment, stdin=pipe, stdout=pipe, stderr=pipe
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()
