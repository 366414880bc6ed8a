"""A sandbox's whole life through the Python SDK, told as one JSON document without anything that differs by run.

Runs inside an SDK environment, with ``E2B_API_URL``, ``E2B_SANDBOX_URL`` and ``E2B_API_KEY`` set; knows nothing of the
project. That output arrives live is proved without a clock: the command waits for a file, and the client writes that
file only after the command's first line has reached it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from e2b import Sandbox
from e2b.sandbox.sandbox_api import SandboxQuery

METADATA = {"who": "a b & c=d", "run": "journey"}
LIVE = "echo first; until [ -f /home/user/go ]; do sleep 0.01; done; echo second"


def listed(query: SandboxQuery | None = None) -> list[Any]:
    """Every page of a listing."""
    pages, found = Sandbox.list(query=query, limit=1), []
    while pages.has_next:
        found += pages.next_items()
    return found


def outcome(call: Callable[[], Any]) -> Any:
    """What a call returned, or the class of what it raised."""
    try:
        return call()
    except Exception as why:  # noqa: BLE001 - which class is the result
        return type(why).__name__


def live_output(sandbox: Sandbox) -> list[str]:
    """What happened, in order: a line, the client's answer to it, the next line."""
    seen: list[str] = []

    def on_stdout(piece: str) -> None:
        for line in str(piece).splitlines():
            seen.append(line)
            if line == "first":
                sandbox.files.write("/home/user/go", "")
                seen.append("client wrote")

    sandbox.commands.run(LIVE, on_stdout=on_stdout, timeout=30)
    return seen


def failed_command(sandbox: Sandbox) -> dict[str, Any]:
    """A command's own failure."""
    try:
        sandbox.commands.run("echo out; echo err >&2; exit 3")
    except Exception as why:  # noqa: BLE001 - which class is the result
        return {"class": type(why).__name__, "code": getattr(why, "exit_code", None)}
    return {"class": None}


def killed_in_background(sandbox: Sandbox) -> dict[str, Any]:
    """A background command, listed, killed and gone."""
    handle = sandbox.commands.run("sleep 3600", background=True)
    running = [p.pid for p in sandbox.commands.list()]
    killed = handle.kill()
    return {"was_listed": handle.pid in running, "killed": killed, "again": sandbox.commands.kill(handle.pid)}


def data_plane(sandbox: Sandbox) -> dict[str, Any]:
    """Commands and files."""
    result = sandbox.commands.run("echo $GREETING; pwd")
    written = sandbox.files.write("/home/user/deep/note.txt", "héllo\n" * 1000)
    sandbox.files.write("/home/user/raw.bin", bytes(range(256)) * 64)
    return {
        "running": sandbox.is_running(),
        "stdout": result.stdout,
        "exit_code": result.exit_code,
        "live": live_output(sandbox),
        "lines": len(sandbox.commands.run("seq 20000").stdout.splitlines()),
        "failed": failed_command(sandbox),
        "background": killed_in_background(sandbox),
        "written": [written.name, written.path],
        "read": sandbox.files.read("/home/user/deep/note.txt") == "héllo\n" * 1000,
        "bytes": bytes(sandbox.files.read("/home/user/raw.bin", format="bytes")) == bytes(range(256)) * 64,
        "listed": sorted(e.name for e in sandbox.files.list("/home/user")),
        "exists": [sandbox.files.exists("/home/user/go"), sandbox.files.exists("/nowhere")],
    }


def journey() -> dict[str, Any]:
    """Create, look, use, pause, resume, kill."""
    sandbox = Sandbox.create("base", timeout=120, metadata=METADATA, envs={"GREETING": "hello"})
    other = Sandbox.create("base", timeout=120)
    info = sandbox.get_info()
    sandbox.set_timeout(600)
    longer = sandbox.get_info()
    told: dict[str, Any] = {
        "sdk": version("e2b"),
        "info": [info.template_id, info.metadata, str(info.state), (info.end_at - info.started_at).seconds],
        "extended": longer.end_at > info.end_at,
        "listed": {sandbox.sandbox_id, other.sandbox_id} <= {s.sandbox_id for s in listed()},
        "found": [s.sandbox_id == sandbox.sandbox_id for s in listed(SandboxQuery(metadata=METADATA))],
        "data": data_plane(sandbox),
    }
    pause = getattr(sandbox, "pause", None) or sandbox.beta_pause
    told["paused"] = pause() is not False
    told["state"] = str(Sandbox.get_info(sandbox.sandbox_id).state)
    again = Sandbox.connect(sandbox.sandbox_id, timeout=90)
    # 2.10.2 forgets to name the sandbox to the data plane after a connect: the error is its result
    told["resumed"] = [again.sandbox_id == sandbox.sandbox_id, outcome(lambda: again.files.read("go"))]
    told["killed"] = [again.kill(), again.kill(), other.kill()]
    told["afterwards"] = outcome(lambda: Sandbox.connect(sandbox.sandbox_id) and "connected")
    return told


if __name__ == "__main__":
    sys.stdout.write(json.dumps(journey(), sort_keys=True) + "\n")
