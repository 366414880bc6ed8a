"""Client libraries through the TLS listener: what they tell is what they tell of the API server, but for the phase."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.pods import NOWHERE, Json, incident
from tests.cluster.programs import Level
from tests.cluster.running import Cluster
from tests.kubernetes.environments import NAMES
from tests.kubernetes.front import Way
from tests.kubernetes.scenes import client_named, tell
from tests.kubernetes.stage import Stage

STDIN: dict[str, Any] = {"lightkube": ["this\n", "", 0], "kr8s": None}
"""kr8s speaks a protocol without an end of standard input, and therefore has none."""
ATTACH = {"kubernetes": ["InternalError", 500], "kubernetes_asyncio": ["WSServerHandshakeError", 500]}
"""How an attach to a container that has ended fails, where a client says so (kubernetes.md §12.1)."""
ERRORS = {
    "kubernetes": ["NotFoundException", "ConflictException"],
    "kr8s": ["NotFoundError", "ServerError"],
    "lightkube": ["ApiError"] * 2,
    "client-node": ["ApiException"] * 2,
    "kubernetes_asyncio": ["ApiException"] * 2,
}
TRUE: Json = {
    "get": ["Running", None, "OOMKilled", 137],
    "list": {"alive": "Running", "dead": "Running", "failed": "Failed"},
    "failed": ["failed"],
    "created": "Pending",
    "patched": {"patched": "yes"},
}
TOLD: Json = {
    "get": ["Failed", "OOMKilled", "OOMKilled", 137],
    "list": {"alive": "Running", "dead": "Failed", "failed": "Failed"},
    "failed": ["dead", "failed"],
}


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    """Each client library."""
    found: str = request.param
    return found


async def test_a_whole_life(
    cluster: Cluster, stage: Stage, direct: Way, through: Way, name: str, tmp_path: Path
) -> None:
    client = client_named(name)
    node = cluster.level is Level.NODE
    manifest = tmp_path / "pod.json"
    manifest.write_text(json.dumps(incident("own", **({} if node else {"node": NOWHERE}))))

    async def played(way: Way) -> Json:
        own = await asyncio.to_thread(cluster.namespace, name.replace("_", "-"))
        where = (stage.namespace, own, str(manifest), cluster.level.value)
        told: Json = await tell(client, "life", way.kubeconfig, *where)
        return told

    true, told = await asyncio.gather(played(direct), played(through))
    missing, conflict = ERRORS[name]
    phases = ["Pending", "Running"] if node else ["Pending"]
    assert true == {
        **TRUE,
        "missing": [missing, 404],
        "again": [conflict, 409],
        "gone": [missing, 404],
        "phases": phases,
        "deleted": phases[-1],
        "streams": streams(name) if node else {},
        **({"attach": ATTACH.get(name) if node else None} if "attach" in true else {}),
    }
    ended = {"phases": [*phases, "Failed"], "deleted": "Failed"} if node else {}
    assert told == {**true, **TOLD, **ended}


def streams(name: str) -> Json:
    """What a client makes of exec and logs."""
    stdin = STDIN.get(name, ["got this\n", "", 0])
    found = {"exec": ["out\n", "err\n", 7], "stdin": stdin, "log": ["one", "two"]}
    return {what: said for what, said in found.items() if said is not None}
