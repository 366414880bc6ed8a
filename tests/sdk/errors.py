"""One call through the Python SDK; prints how its failure looks to the SDK's user.

``errors.py [create|run|read] [--retries R] [--timeout SECONDS] [--url URL]...``. One JSON document: ``class``,
``sandbox_exception`` (whether the SDK calls it a sandbox's failure), ``status`` where the exception has one,
``message``; ``class`` is null for success. ``run`` and ``read`` create a sandbox first and fail on the data plane.
With ``--url`` the call is made at each base URL in turn, and the document is a list. Runs inside an SDK environment.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from e2b import Sandbox
from e2b.exceptions import SandboxException


def attempt(kind: str, given: dict[str, Any]) -> None:
    """The call that is to fail."""
    sandbox = Sandbox.create("base", timeout=600, **given)
    if kind == "run":
        sandbox.commands.run("echo hello")
    elif kind == "read":
        sandbox.files.read("/home/user/none")


def outcome(kind: str, given: dict[str, Any]) -> dict[str, Any]:
    """How the call ended."""
    try:
        attempt(kind, given)
    except Exception as why:  # noqa: BLE001 - which class is the result
        return {
            "class": type(why).__name__,
            "sandbox_exception": isinstance(why, SandboxException),
            "status": getattr(why, "status_code", None),
            "message": str(why),
        }
    return {"class": None}


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", nargs="?", default="create", choices=["create", "run", "read"])
    parser.add_argument("--retries", type=int)
    parser.add_argument("--timeout", type=float)
    parser.add_argument("--url", action="append")
    arguments = parser.parse_args()
    given: dict[str, Any] = {}
    if arguments.retries is not None:
        given["retries"] = arguments.retries
    if arguments.timeout is not None:
        given["request_timeout"] = arguments.timeout
    if arguments.url:
        told: Any = [outcome(arguments.kind, given | {"api_url": url}) for url in arguments.url]
    else:
        told = outcome(arguments.kind, given)
    sys.stdout.write(json.dumps(told, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
