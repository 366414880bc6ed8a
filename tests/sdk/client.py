"""Runs a client script of a real SDK in a process of its own, and reads its document. Not a test."""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any, Final

from tests.sdk.environments import Sdk

KEY: Final = "e2b_00c0ffee"
"""The form that every SDK version accepts: some check it before the first request."""
KEPT: Final = ("PATH", "HOME", "LANG", "TMPDIR", "SSL_CERT_FILE")


async def tell(
    sdk: Sdk, script: str, *arguments: str, url: str, sandbox_url: str = "", key: str = KEY, within: float = 120.0
) -> Any:
    """The JSON document the script printed. Raises AssertionError with its stderr if it failed.

    The process gets no more of this environment than it needs, so that neither a proxy nor an SDK setting of the
    machine decides a test. It is killed after ``within`` seconds, and when the caller is cancelled.
    """
    environment = {name: os.environ[name] for name in KEPT if name in os.environ}
    environment |= {"E2B_API_URL": url, "E2B_API_KEY": key, "NO_PROXY": "*"}
    if sandbox_url:
        environment["E2B_SANDBOX_URL"] = sandbox_url
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *sdk.command(script, *arguments), env=environment, stdout=pipe, stderr=pipe
    )
    try:
        async with asyncio.timeout(within):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    said = err.decode(errors="replace")[-2000:]
    assert process.returncode == 0, f"{sdk.label} {script} ended with {process.returncode}: {said}"
    return json.loads(out)
