"""Hot reload: notice a changed policy, validate all of it, then swap; on error keep the old one.

Content is compared, not one file's time: a mounted ConfigMap changes by swapping a symlink. Files are read and
checked off the loop.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final, Literal

from proxy.policy.mistakes import PolicyErrors
from proxy.policy.policyset import PolicySet

_PERIOD: Final = 1.0
"""Seconds between looks: a change is noticed within 2 s (design.md §2.3)."""

_log = logging.getLogger("headgate.policy")

Files = list[tuple[str, bytes]]


class Reloader:
    """Watches one policy. ``stale`` is true while what was last read is bad."""

    def __init__(
        self,
        read: Callable[[], Files],
        load: Callable[[Files], PolicySet],
        swap: Callable[[PolicySet], None],
        count: Callable[[Literal["ok", "error"], bool], None],
    ) -> None:
        self._read = read
        self._load = load
        self._swap = swap
        self._count = count
        self._seen: Files | str | None = None
        self._asked = asyncio.Event()
        self.stale = False

    def first(self, files: Files) -> None:
        """What was read at the start."""
        self._seen = files

    def ask(self) -> None:
        """Look now, and report even where nothing changed (SIGHUP)."""
        self._asked.set()

    async def watch(self) -> None:
        """Look again and again. Cancelled: the policy stays as it is."""
        while True:
            asked = await self._pause()
            await self.look(asked=asked)

    async def look(self, *, asked: bool = False) -> None:
        """Read once; take the policy over if it changed and is good."""
        try:
            files: Files | str = await asyncio.to_thread(self._read)
        except PolicyErrors as errors:
            files = str(errors)
        if files == self._seen and not asked:
            return
        self._seen = files
        if isinstance(files, str):
            self._keep(files)
            return
        try:
            policies = await asyncio.to_thread(self._load, files)  # a hostile megabyte takes seconds to check
        except PolicyErrors as errors:
            self._keep(str(errors))
            return
        self.stale = False
        self._swap(policies)
        self._count("ok", False)
        _log.info("policy taken over: digest %s", policies.digest[:12])

    def _keep(self, errors: str) -> None:
        self.stale = True
        self._count("error", True)
        for line in errors.splitlines():
            _log.error("policy: %s", line)
        _log.error("policy: nothing was changed, the old one stays in force")

    async def _pause(self) -> bool:
        try:
            async with asyncio.timeout(_PERIOD):
                await self._asked.wait()
        except TimeoutError:
            return False
        self._asked.clear()
        return True
