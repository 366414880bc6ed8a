"""The fake API server beside a real one: the same conversation with both, answer by answer.

Compared is what clients act on: status, type, the whole of every ``Status``, and of pods, lists, tables and events what
is not made up by the server itself (uids, versions, times) or by plugins that the fake does not have.
"""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest

from proxy.fakes import FakeKubernetes, KubernetesConfig
from tests.cluster.api import Api, Reply
from tests.cluster.running import Cluster
from tests.support.certificates import Authority

NOWHERE = "nowhere"
"""A node that does not exist: nobody changes the status of its pods."""
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
METADATA = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
METADATA_LIST = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"


def body(name: str, **more: Any) -> dict[str, Any]:
    containers = [{"name": "sandbox", "image": "x"}, {"name": "tool-server", "image": "x"}]
    spec = {"containers": containers, "restartPolicy": "Never", "nodeName": NOWHERE, "hostNetwork": False}
    metadata = {"name": name, "labels": {"l": "1"}} if name else {}
    return {"kind": "Pod", "apiVersion": "v1", "metadata": metadata, "spec": spec} | more


def told(name: str, state: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "state": state, "ready": False, "restartCount": 0, "image": "x", "imageID": ""}


UNSCHEDULED = {"containers": [{"name": "x", "image": "x"}], "schedulerName": "nobody"}
STATUS = {
    "status": {
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": "False"}],
        "containerStatuses": [
            told("sandbox", {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}),
            told("tool-server", {"running": {}}),
        ],
    }
}


_OWN_WORDS = {"NotAcceptable", "UnsupportedMediaType"}
"""Reasons whose text tells what the server speaks; the fake speaks JSON only."""


class Talk:
    """One side of the conversation: what was asked, and what came back, made comparable."""

    def __init__(self, api: Api, namespace: str) -> None:
        self._api = api
        self._namespace = namespace
        self.pods = f"/api/v1/namespaces/{namespace}/pods"
        self.answers: dict[str, Any] = {}

    def ask(self, label: str, method: str, path: str, said: object = None, **headers: str) -> Reply:
        """``path`` is below the namespace's pods, or absolute."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        target = path if path.startswith("/") else f"{self.pods}{'/' if path and path[0] != '?' else ''}{path}"
        reply = self._api.send(method, target, said, named)
        assert label not in self.answers
        kind = (reply.headers.get("Content-Type") or "").lower()
        self.answers[label] = (reply.status, kind, self._comparable(reply.body, kind))
        return reply

    def _comparable(self, data: bytes, kind: str) -> object:
        if not kind.startswith("application/json"):
            return self._plain(data.decode(errors="replace"))
        try:
            return self._shape(json.loads(data))
        except ValueError:  # many values, or none
            return [self._shape(json.loads(line)) for line in data.splitlines() if line]

    def _plain(self, text: str) -> str:
        text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UID", text.replace(self._namespace, "NS"))
        text = re.sub(r"(continue key is not valid: )[^\"]*", r"\1", text)
        return re.sub(r"\b\d{1,}\b", "N", text)

    def _shape(self, found: dict[str, Any]) -> object:
        if "type" in found and "object" in found:
            return found["type"], self._shape(found["object"])
        match found.get("kind"):
            case "Status":
                found.pop("message" if found.get("reason") in _OWN_WORDS else "", None)
                return self._plain(json.dumps(found, sort_keys=True))
            case "PodList" | "PartialObjectMetadataList":
                names = [item["metadata"]["name"] for item in found["items"]]
                return found["kind"], sorted(found["metadata"]), names, [sorted(item) for item in found["items"]]
            case "Table":
                columns = found.get("columnDefinitions")
                rows = [
                    (row["cells"][:4], row["cells"][6:], row["object"]["kind"], row.get("conditions"))
                    for row in found["rows"]
                ]
                return columns and [(c["name"], c["type"], c["format"], c["priority"]) for c in columns], rows
            case "Pod" | "PartialObjectMetadata":
                metadata = found["metadata"]
                kept = {key: metadata.get(key) for key in ("labels", "deletionGracePeriodSeconds", "generation")}
                kept["name"] = re.sub(r"^x-.*", "x-", metadata.get("name", ""))
                status = found.get("status", {})
                return found["kind"], sorted(set(metadata) - {"managedFields"}), kept, status.get("phase")
        return found


def conversation(talk: Talk) -> None:
    ask = talk.ask
    _creates(talk)
    _reads(talk)
    _writes(talk)
    _watches(talk)
    ask("log before it runs", "GET", "a/log")
    ask("log of a container", "GET", "a/log?container=nobody")
    ask("log of no pod", "GET", "nobody/log")
    ask("exec of no pod", "GET", "nobody/exec?command=true")
    _deletes(talk)
    ask("no such resource", "GET", "/api/v1/sandwiches")
    ask("no such group", "GET", "/apis/food.example/v1/sandwiches")
    ask("health", "GET", "/readyz")


def _creates(talk: Talk) -> None:
    ask = talk.ask
    ask("create", "POST", "", body("a"))
    ask("create again", "POST", "", body("a"))
    ask("create without a name", "POST", "", body(""))
    ask("create with a bad name", "POST", "", body("A_b"))
    ask("create without containers", "POST", "", body("b", spec={}))
    ask("create elsewhere", "POST", "", body("b", metadata={"name": "b", "namespace": "other"}))
    ask("create of something else", "POST", "", body("b", kind="Secret"))
    ask("create in no namespace", "POST", "/api/v1/pods", body("b"))
    ask("create with a wrong type", "POST", "", body("b"), Content_Type="text/plain")
    ask("create dry", "POST", "?dryRun=All", body("dry"))
    ask("create with a generated name", "POST", "?dryRun=All", body("", metadata={"generateName": "x-"}))
    ask("create b", "POST", "", body("b"))


def _reads(talk: Talk) -> None:
    ask = talk.ask
    ask("get", "GET", "a")
    ask("get status", "GET", "a/status")
    ask("get of nobody", "GET", "nobody")
    ask("get as table", "GET", "a", Accept=TABLE)
    ask("get as metadata", "GET", "a", Accept=METADATA)
    ask("get as something else", "GET", "a", Accept="text/csv")
    ask("list", "GET", "")
    ask("list as metadata", "GET", "", Accept=METADATA_LIST)
    ask("list by label", "GET", "?labelSelector=l%3D2")
    ask("list by phase", "GET", "?fieldSelector=status.phase%3DPending")
    ask("list by phase of others", "GET", "?fieldSelector=status.phase!%3DPending")
    ask("list by a field it has not", "GET", "?fieldSelector=status.reason%3Dx")
    ask("list by a broken selector", "GET", "?fieldSelector=x")
    first = ask("list a page", "GET", "?limit=1")
    token = first.json["metadata"]["continue"]
    ask("list the next page", "GET", f"?limit=1&continue={token}")
    ask("list with a broken token", "GET", "?limit=1&continue=xx")
    ask("list with a bad limit", "GET", "?limit=x")


def _writes(talk: Talk) -> None:
    ask = talk.ask
    ask("status by merge patch", "PATCH", "a/status", STATUS, Content_Type=MERGE)
    ask("table of a dead agent", "GET", "", Accept=TABLE)
    pod = ask("label by merge patch", "PATCH", "a", {"metadata": {"labels": {"m": "1"}}}, Content_Type=MERGE).json
    ask("label by strategic patch", "PATCH", "a", {"metadata": {"labels": {"m": None}}}, Content_Type=STRATEGIC)
    test = [{"op": "test", "path": "/status/phase", "value": "Failed"}]
    ask("a json patch that fails", "PATCH", "a", test, Content_Type=JSON_PATCH)
    add = [{"op": "add", "path": "/metadata/labels/k", "value": "1"}]
    ask("a json patch", "PATCH", "a", add, Content_Type=JSON_PATCH)
    ask("a patch of a wrong type", "PATCH", "a", {}, Content_Type="text/plain")
    ask("a patch of nobody", "PATCH", "nobody", {}, Content_Type=MERGE)
    ask("an update from an old version", "PUT", "a", pod)
    fresh = ask("get before updates", "GET", "a").json
    ask("an update under another name", "PUT", "b", fresh)
    ask("an update that lies", "PUT", "a", fresh | {"status": {"phase": "Failed"}})
    fresh = ask("get before a status", "GET", "a").json
    ask("an update of the status", "PUT", "a/status", fresh | {"status": {"phase": "Failed"}})
    other = fresh | {"metadata": fresh["metadata"] | {"uid": "11111111-2222-3333-4444-555555555555"}}
    ask("an update of another uid", "PUT", "a", other)


def _watches(talk: Talk) -> None:
    ask = talk.ask
    version = ask("list before a watch", "GET", "").json["metadata"]["resourceVersion"]
    ask("a change", "PATCH", "a", {"metadata": {"labels": {"w": "1"}}}, Content_Type=MERGE)
    ask("a change out of the selection", "PATCH", "b", {"metadata": {"labels": {"l": "2"}}}, Content_Type=MERGE)
    ask("watch from a version", "GET", f"?watch=true&resourceVersion={version}&timeoutSeconds=1")
    chosen = f"?watch=True&resourceVersion={version}&timeoutSeconds=1&labelSelector=l%3D1"
    ask("watch what is selected", "GET", chosen)
    ask("watch from the start", "GET", "?watch=1&timeoutSeconds=1")
    ask("watch as tables", "GET", f"?watch=true&resourceVersion={version}&timeoutSeconds=1", Accept=TABLE)
    listed = "?watch=true&sendInitialEvents=true&timeoutSeconds=1"
    ask("watch with a list, wrongly", "GET", listed)
    ask("watch with a list", "GET", f"{listed}&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true")
    ask("not a watch", "GET", "?watch=False")


def _deletes(talk: Talk) -> None:
    ask = talk.ask
    version = ask("list before the deletes", "GET", "").json["metadata"]["resourceVersion"]
    ask("delete of another uid", "DELETE", "b", {"preconditions": {"uid": "11111111-2222-3333-4444-555555555555"}})
    ask("delete", "DELETE", "b", {"gracePeriodSeconds": 7})
    ask("delete again", "DELETE", "b?gracePeriodSeconds=3")
    ask("delete at once", "DELETE", "b?gracePeriodSeconds=0")
    ask("delete of nobody", "DELETE", "b")
    ask("create for an eviction", "POST", "", body("c"))
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "c"}}
    ask("evict", "POST", "c/eviction", eviction)
    ask("evict nobody", "POST", "nobody/eviction", eviction | {"metadata": {"name": "nobody"}})
    ask("create for a quick end", "POST", "", body("d"))
    ask("delete unmarked at once", "DELETE", "d?gracePeriodSeconds=0")
    ask("create without a node", "POST", "", body("e", spec=UNSCHEDULED))
    ask("delete without a node", "DELETE", "e")
    ask("delete all", "DELETE", "", {"gracePeriodSeconds": 0})
    ask("list of none", "GET", "")
    ask("watch of all that", "GET", f"?watch=true&resourceVersion={version}&timeoutSeconds=1")


@pytest.fixture(scope="module")
def real(cluster: Cluster) -> dict[str, Any]:
    talk = Talk(cluster.api, cluster.namespace("verified"))
    conversation(talk)
    return talk.answers


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder: Path = tmp_path_factory.mktemp("fake")
    authority = Authority(folder)

    async def run() -> dict[str, Any]:
        config = KubernetesConfig(kubelet=False, certificate=authority.certificate("server", "127.0.0.1"))
        async with FakeKubernetes(config) as server:
            talk = Talk(Api(server.url, authority.file, "t"), "agents")
            await asyncio.to_thread(conversation, talk)
            return talk.answers

    return asyncio.run(run())


def test_both_answer_alike(real: dict[str, Any], fake: dict[str, Any]) -> None:
    assert len(real) > 70
    assert {label: (real[label], fake[label]) for label in real if fake[label] != real[label]} == {}
