"""Lists of the fake API server: pages of one moment, selectors, tables, metadata."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.fakes import FakeKubernetes, KubernetesConfig
from proxy.fakes.kubernetes_model import Pod
from proxy.fakes.kubernetes_selectors import parse
from proxy.fakes.kubernetes_table import cells, status_cell
from proxy.fakes.kubernetes_views import negotiate
from proxy.fakes.server import Refused
from tests.fakes.client import Client, client
from tests.support.pods import PODS, agent_pod

JSON = {"Content_Type": "application/json", "Accept": "application/json"}
STILL = KubernetesConfig(kubelet=False, seed=1)
TABLE = (
    "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json"
)
METADATA = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,"
METADATA += "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"


async def fill(call: Client, *names: str, path: str = PODS) -> None:
    for name in names:
        assert (await call("POST", path, agent_pod(name, labels={"n": name}))).status == 201


def named(answer: Any) -> list[str]:
    return [item["metadata"]["name"] for item in answer["items"]]


async def test_a_list_is_ordered_and_its_items_have_no_kind() -> None:
    async with FakeKubernetes(STILL) as fake, client(fake.url, **JSON) as call:
        await fill(call, "c", "a", "b")
        await fill(call, "z", path="/api/v1/namespaces/aaa/pods")
        answer = (await call("GET", PODS)).json
        assert (answer["kind"], answer["metadata"]) == ("PodList", {"resourceVersion": "5"})
        assert named(answer) == ["a", "b", "c"]
        assert all("kind" not in item and "apiVersion" not in item for item in answer["items"])
        assert named((await call("GET", "/api/v1/pods")).json) == ["z", "a", "b", "c"]


async def test_all_pages_show_one_moment() -> None:
    async with FakeKubernetes(STILL) as fake, client(fake.url, **JSON) as call:
        await fill(call, "a", "b", "c", "d", "e")
        first = (await call("GET", f"{PODS}?limit=2")).json
        assert (named(first), first["metadata"]["remainingItemCount"]) == (["a", "b"], 3)
        await call("DELETE", f"{PODS}/d")
        await fill(call, "bb")
        second = (await call("GET", f"{PODS}?limit=2&continue={first['metadata']['continue']}")).json
        assert (named(second), second["metadata"]["resourceVersion"]) == (["c", "d"], "6")
        third = (await call("GET", f"{PODS}?limit=2&continue={second['metadata']['continue']}")).json
        assert (named(third), "continue" in third["metadata"]) == (["e"], False)


async def test_a_page_that_is_too_old_can_be_gone_on_from() -> None:
    async with FakeKubernetes(STILL) as fake, client(fake.url, **JSON) as call:
        await fill(call, "a", "b", "c")
        token = (await call("GET", f"{PODS}?limit=1")).json["metadata"]["continue"]
        await call("DELETE", f"{PODS}/b")
        fake.store.forget()
        late = await call("GET", f"{PODS}?limit=1&continue={token}")
        assert (late.status, late.json["reason"]) == (410, "Expired")
        assert late.json["message"].startswith("The provided continue parameter is too old")
        rest = (await call("GET", f"{PODS}?limit=1&continue={late.json['metadata']['continue']}")).json
        assert named(rest) == ["c"]
        assert (await call("GET", f"{PODS}?continue=xx")).status == 400


async def test_a_moment_can_be_asked_for() -> None:
    async with FakeKubernetes(STILL) as fake, client(fake.url, **JSON) as call:
        await fill(call, "a", "b")
        exact = "resourceVersionMatch=Exact"
        assert named((await call("GET", f"{PODS}?resourceVersion=2&{exact}")).json) == ["a"]
        assert named((await call("GET", f"{PODS}?resourceVersion=2")).json) == ["a", "b"]
        future = await call("GET", f"{PODS}?resourceVersion=99")
        assert (future.status, future.json["reason"]) == (504, "Timeout")
        fake.store.forget()
        assert (await call("GET", f"{PODS}?resourceVersion=2&{exact}")).status == 410
        assert (await call("GET", f"{PODS}?limit=x")).status == 400


def pod(**labels: str) -> Pod:
    status = {"phase": "Running", "podIP": "10.0.0.1"}
    return {
        "metadata": {"name": "a", "namespace": "ns", "labels": labels},
        "spec": {"nodeName": "n,1"},
        "status": status,
    }


@pytest.mark.parametrize(
    ("selector", "holds"),
    [
        ("", True),
        ("app=x", True),
        ("app==x,tier!=y", True),
        ("app!=x", False),
        ("app in (w, x),tier notin (y)", True),
        ("app in (w)", False),
        ("tier notin (y,z)", True),
        ("app", True),
        ("!app", False),
        ("!tier", True),
        ("n>3", True),
        ("n<5", False),
        ("tier>1", False),
        ("app=", False),
        ("example.com/app=x", False),
    ],
)
def test_label_selectors(selector: str, *, holds: bool) -> None:
    assert parse(selector, "")(pod(app="x", n="5")) is holds


@pytest.mark.parametrize(
    ("selector", "holds"),
    [
        ("status.phase=Running", True),
        ("status.phase==Running,metadata.name=a", True),
        ("status.phase!=Running", False),
        ("spec.nodeName=n\\,1", True),
        ("spec.restartPolicy=", True),
        ("spec.hostNetwork=false", True),
        ("metadata.namespace!=ns", False),
    ],
)
def test_field_selectors(selector: str, *, holds: bool) -> None:
    assert parse("", selector)(pod()) is holds


@pytest.mark.parametrize(("labels", "fields"), [("a b", ""), ("", "status.reason=x"), ("", "phase")])
def test_selectors_it_cannot_read(labels: str, fields: str) -> None:
    with pytest.raises(Refused) as refused:
        parse(labels, fields)
    assert refused.value.reply.status == 400


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (None, "object"),
        ("*/*", "object"),
        ("application/json, */*;q=0.8", "object"),
        (TABLE, "table"),
        (METADATA, "metadata"),
        ("application/json;q=0.9,application/json;as=Table;g=meta.k8s.io;v=v1", "table"),
        ("application/vnd.kubernetes.protobuf,application/json", "object"),
        ("application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json", "object"),
    ],
)
def test_what_accept_asks_for(accept: str | None, kind: str) -> None:
    assert negotiate(accept) == kind


async def test_what_it_does_not_speak() -> None:
    async with FakeKubernetes(STILL) as fake, client(fake.url, Accept="application/vnd.kubernetes.protobuf") as call:
        answer = await call("GET", PODS)
        assert (answer.status, answer.json["reason"]) == (406, "NotAcceptable")


async def test_a_table() -> None:
    async with FakeKubernetes(STILL) as fake, client(fake.url, **JSON) as call:
        await fill(call, "a", "b")
        table = (await call("GET", PODS, headers={"Accept": TABLE})).json
        assert (table["kind"], table["apiVersion"]) == ("Table", "meta.k8s.io/v1")
        assert [column["name"] for column in table["columnDefinitions"]][:5] == [
            "Name",
            "Ready",
            "Status",
            "Restarts",
            "Age",
        ]
        assert table["rows"][0]["cells"][:4] == ["a", "0/2", "Pending", "0"]
        assert set(table["rows"][0]["object"]) == {"kind", "apiVersion", "metadata"}
        whole = (await call("GET", f"{PODS}/a?includeObject=Object", headers={"Accept": TABLE})).json
        assert whole["rows"][0]["object"]["status"]["phase"] == "Pending"
        bare = (await call("GET", f"{PODS}?includeObject=None", headers={"Accept": TABLE})).json
        assert "object" not in bare["rows"][0]


async def test_metadata_only() -> None:
    async with FakeKubernetes(STILL) as fake, client(fake.url, **JSON) as call:
        await fill(call, "a")
        found = (await call("GET", PODS, headers={"Accept": METADATA})).json
        assert (found["kind"], found["items"][0]["kind"]) == ("PartialObjectMetadataList", "PartialObjectMetadata")
        assert "status" not in found["items"][0]


RUNNING = {"state": {"running": {}}, "ready": True, "name": "tool-server", "restartCount": 0}


def ended(code: int, reason: str = "", name: str = "sandbox") -> dict[str, Any]:
    told = {"exitCode": code} | ({"reason": reason} if reason else {})
    return {"state": {"terminated": told}, "ready": False, "name": name, "restartCount": 0}


def shown(*containers: dict[str, Any], phase: str = "Running", deleted: bool = False, **status: Any) -> Pod:
    metadata = {"name": "a", "namespace": "ns"} | ({"deletionTimestamp": "2026-01-01T00:00:00Z"} if deleted else {})
    spec = {"containers": [{"name": c["name"]} for c in containers]}
    return {
        "metadata": metadata,
        "spec": spec,
        "status": {"phase": phase, "containerStatuses": list(containers)} | status,
    }


WAITS = {"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "ready": False, "name": "sandbox", "restartCount": 3}
UNREADY: dict[str, Any] = {"conditions": [{"type": "Ready", "status": "False"}]}
READY: dict[str, Any] = {"conditions": [{"type": "Ready", "status": "True"}]}


@pytest.mark.parametrize("phase", ["Running", "Failed"])
@pytest.mark.parametrize(
    ("container", "says"),
    [
        (ended(137, "OOMKilled"), "OOMKilled"),
        (ended(1, "Error"), "Error"),
        (ended(137), "ExitCode:137"),
        (ended(0, "Completed"), "NotReady"),
        (WAITS, "CrashLoopBackOff"),
    ],
)
def test_the_status_column_of_a_dead_agent_with_a_living_sidecar(
    container: dict[str, Any], says: str, phase: str
) -> None:
    """kubernetes.md §3.1: the same for phase Running and Failed, in either order of the containers."""
    assert status_cell(shown(container, RUNNING, phase=phase, **UNREADY)) == says
    assert status_cell(shown(RUNNING, container, phase=phase, **UNREADY)) == says
    deleting = status_cell(shown(container, RUNNING, phase=phase, deleted=True, **UNREADY))
    assert deleting == (says if phase == "Failed" else "Terminating")


@pytest.mark.parametrize(
    ("pod", "says"),
    [
        (shown(RUNNING), "Running"),
        (shown(ended(0, "Completed"), RUNNING, **READY), "Running"),
        (shown(RUNNING, reason="Evicted", phase="Failed"), "Evicted"),
        (shown(RUNNING, deleted=True, reason="NodeLost"), "Unknown"),
        (shown(RUNNING, conditions=[{"type": "PodScheduled", "reason": "SchedulingGated"}]), "SchedulingGated"),
        (shown(RUNNING, initContainerStatuses=[ended(2, "Error", "i")]), "Init:Error"),
        (shown(RUNNING, initContainerStatuses=[ended(0, "Completed", "i")]), "Running"),
        (shown(RUNNING, initContainerStatuses=[WAITS | {"name": "i"}]), "Init:CrashLoopBackOff"),
        (shown(RUNNING, initContainerStatuses=[RUNNING | {"name": "i"}]), "Init:0/0"),
    ],
)
def test_the_status_column(pod: Pod, says: str) -> None:
    assert status_cell(pod) == says


@pytest.mark.parametrize(
    ("seconds", "age"), [(59, "59s"), (130, "2m10s"), (180, "3m"), (3600, "60m"), (4 * 3600, "4h"), (3 * 86400, "3d")]
)
def test_ages(seconds: int, age: str) -> None:
    born = shown(RUNNING)
    born["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
    assert cells(born, 1767225600.0 + seconds)[4] == age


def test_restarts() -> None:
    once = WAITS | {"lastState": {"terminated": {"finishedAt": "2026-01-01T00:00:00Z"}}}
    assert cells(shown(once, RUNNING), 1767225600.0 + 300)[1:4] == ["1/2", "CrashLoopBackOff", "3 (5m ago)"]
