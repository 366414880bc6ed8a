"""Runs a scenario with a real client in a process of its own, and reads the document it prints."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from tests.cluster.fixtures import left_out
from tests.kubernetes.environments import Client, client
from tests.sdk.client import KEPT
from tests.sdk.environments import NotBuildable
from tests.support.waiting import WITHIN

LONGEST: Final = 3 * WITHIN
"""Seconds that a scenario may take; there are whole lives among them."""


@cache
def _built(name: str) -> Client | NotBuildable:
    try:
        return client(name)
    except NotBuildable as why:
        return why


def client_named(name: str) -> Client:
    """This client, built if need be. Where it cannot be, the test is skipped, but in CI it fails."""
    found = _built(name)
    if isinstance(found, NotBuildable):
        left_out(f"{name} cannot be built here: {found}")
    return found


async def tell(
    which: Client, scenario: str, kubeconfig: Path, *arguments: str, more: Mapping[str, str] | None = None
) -> Any:
    """The document that the scenario prints. Raises AssertionError with its words if it failed.

    The process gets no more of this environment than it needs, and what ``more`` says. It is killed when it takes too
    long, and when the caller is cancelled.
    """
    environment = {name: os.environ[name] for name in KEPT if name in os.environ}
    environment |= {"KUBECONFIG": str(kubeconfig), "NO_PROXY": "*", **(more or {})}
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *which.command(scenario, *arguments), env=environment, stdout=pipe, stderr=pipe
    )
    try:
        async with asyncio.timeout(LONGEST):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    words = f"{which.name} {which.version} {scenario}: {err.decode(errors='replace')[-3000:]}"
    assert process.returncode == 0, words
    return json.loads(out)
