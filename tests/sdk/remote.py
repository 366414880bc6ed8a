"""The Python SDK by remote control: does what it is told, line by line, and tells what its user would see.

Each line of standard input is a JSON object: ``id``, ``do`` (a name of :data:`CALLS`), ``options`` for the SDK's call
(``api_url``, ``sandbox_url``, ``retries`` …), and ``name`` and ``arg`` where the call needs them. Calls run at the same
time, each in a thread; when one ends, a line of standard output has its ``id`` with ``value``, or with ``class`` (the
exception's; null for success), ``sandbox_exception``, ``status`` and ``message``. The end of input ends the process at
once. ``name`` is what a sandbox is called here: ``create`` gives the name, the others use it. Runs inside an SDK
environment.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

from e2b import Sandbox
from e2b.exceptions import SandboxException

sandboxes: dict[str, Sandbox] = {}
output = threading.Lock()


def create(name: str, arg: Any, options: dict[str, Any]) -> Any:
    """``name`` also stands in the metadata, so that whoever looks on knows which create it is."""
    sandboxes[name] = Sandbox.create("base", timeout=600, metadata={"name": name}, **options)
    return sandboxes[name].sandbox_id


def listed(name: str, arg: Any, options: dict[str, Any]) -> Any:
    """Ids of the first page."""
    return [s.sandbox_id for s in Sandbox.list(**options).next_items()]


def fork(name: str, arg: Any, options: dict[str, Any]) -> Any:
    """How many copies came."""
    return len(sandboxes[name].fork(count=arg, **options))


CALLS: dict[str, Callable[[str, Any, dict[str, Any]], Any]] = {
    "create": create,
    "list": listed,
    "fork": fork,
    "kill": lambda name, _, options: sandboxes[name].kill(**options),
    "set_timeout": lambda name, arg, options: sandboxes[name].set_timeout(arg, **options),
    "info": lambda name, _, options: str(sandboxes[name].get_info(**options).state),
    "connect": lambda name, _, options: sandboxes[name].connect(**options).sandbox_id,
    "run": lambda name, arg, _: sandboxes[name].commands.run(arg).stdout,
    "processes": lambda name, _a, _o: len(sandboxes[name].commands.list()),
    "directory": lambda name, arg, _: len(sandboxes[name].files.list(arg)),
    "read": lambda name, arg, _: sandboxes[name].files.read(arg),
    "write": lambda name, arg, _: sandboxes[name].files.write(arg, "text").path,
    "alive": lambda name, _a, _o: sandboxes[name].is_running(),
}


def outcome(order: dict[str, Any]) -> dict[str, Any]:
    """How a call ended."""
    try:
        value = CALLS[order["do"]](order.get("name", ""), order.get("arg"), order.get("options", {}))
    except Exception as why:  # noqa: BLE001 - which class is the result
        return {
            "class": type(why).__name__,
            "sandbox_exception": isinstance(why, SandboxException),
            "status": getattr(why, "status_code", None),
            "message": str(why),
        }
    return {"class": None, "value": value}


def carry_out(order: dict[str, Any]) -> None:
    """Make the call and tell how it ended."""
    told = json.dumps({"id": order["id"]} | outcome(order), default=str)
    with output:
        sys.stdout.write(told + "\n")
        sys.stdout.flush()


def main() -> None:
    """Entry point."""
    for line in sys.stdin:
        threading.Thread(target=carry_out, args=[json.loads(line)], daemon=True).start()
    os._exit(0)  # calls under way are not waited for


if __name__ == "__main__":
    main()
