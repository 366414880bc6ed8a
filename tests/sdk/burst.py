"""N creates at once from one process through the Python SDK; prints what became of each.

``burst.py N [--retries R] [--timeout SECONDS] [--async] [--kill]``. One JSON document: ``results`` holds ``ok`` or the
class of the exception, in order of start; ``ids`` counts distinct sandboxes. Without ``--retries`` the SDK does as it
does by default. Runs inside an SDK environment.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from e2b import AsyncSandbox, Sandbox


def options_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """What every create is given."""
    given: dict[str, Any] = {"template": "base", "timeout": 600}
    if arguments.retries is not None:
        given["retries"] = arguments.retries  # the SDK knows it from 2.60 on
    if arguments.timeout is not None:
        given["request_timeout"] = arguments.timeout
    return given


def in_threads(count: int, given: dict[str, Any], kill: bool) -> list[tuple[str, str]]:
    """Result and sandbox id of each."""

    def one(number: int) -> tuple[str, str]:
        try:
            sandbox = Sandbox.create(**given, metadata={"number": str(number)})
            if kill:
                sandbox.kill()
        except Exception as why:  # noqa: BLE001 - which class is the result
            return type(why).__name__, ""
        return "ok", sandbox.sandbox_id

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(one, range(count)))


async def in_tasks(count: int, given: dict[str, Any], kill: bool) -> list[tuple[str, str]]:
    """The same with the SDK's async half."""

    async def one(number: int) -> tuple[str, str]:
        try:
            sandbox = await AsyncSandbox.create(**given, metadata={"number": str(number)})
            if kill:
                await sandbox.kill()
        except Exception as why:  # noqa: BLE001 - which class is the result
            return type(why).__name__, ""
        return "ok", sandbox.sandbox_id

    return list(await asyncio.gather(*(one(number) for number in range(count))))


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser()
    parser.add_argument("count", type=int)
    parser.add_argument("--retries", type=int)
    parser.add_argument("--timeout", type=float)
    parser.add_argument("--async", dest="tasks", action="store_true")
    parser.add_argument("--kill", action="store_true")
    arguments = parser.parse_args()
    given = options_of(arguments)
    if arguments.tasks:
        results = asyncio.run(in_tasks(arguments.count, given, arguments.kill))
    else:
        results = in_threads(arguments.count, given, arguments.kill)
    told = {
        "results": [result for result, _ in results],
        "counts": dict(Counter(result for result, _ in results)),
        "ids": len({name for _, name in results if name}),
    }
    sys.stdout.write(json.dumps(told, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
