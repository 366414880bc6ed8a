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

LOG = ["one", "two"]
EXEC = ["out\n", "err\n", 7]
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
    "deleted": "Running",
}
TOLD: Json = {
    "get": ["Failed", "OOMKilled", "OOMKilled", 137],
    "list": {"alive": "Running", "dead": "Failed", "failed": "Failed"},
    "failed": ["dead", "failed"],
    "deleted": "Failed",
}


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    """Each client library."""
    found: str = request.param
    return found


async def test_a_whole_life(
    cluster: Cluster, stage: Stage, direct: Way, through: Way, name: str, tmp_path: Path
) -> None:
    level = cluster.level.value
    client = client_named(name)
    manifest = tmp_path / "pod.json"
    manifest.write_text(json.dumps(incident("own", **({} if cluster.level is Level.NODE else {"node": NOWHERE}))))

    async def played(way: Way) -> Json:
        own = await asyncio.to_thread(cluster.namespace, name.replace("_", "-"))
        told = await tell(client, "life", way.kubeconfig, stage.namespace, own, str(manifest), level)
        assert isinstance(told, dict)
        return told

    true, told = await asyncio.gather(played(direct), played(through))
    assert {key: true[key] for key in TRUE} == TRUE
    phases = ["Pending", "Running"] if cluster.level is Level.NODE else ["Pending"]
    assert true["phases"] == phases
    missing, conflict = ERRORS[name]
    assert (true["missing"], true["again"], true["gone"]) == ([missing, 404], [conflict, 409], [missing, 404])
    if cluster.level is Level.NODE:
        assert true["streams"]["exec"] == EXEC
        assert true["streams"].get("stdin") == STDIN.get(name, ["got this\n", "", 0])
        assert true["streams"]["log"] == LOG
        assert true.get("attach") == ATTACH.get(name)
        phases = [*phases, "Failed"]
    assert told == {**true, **TOLD, "phases": phases}
