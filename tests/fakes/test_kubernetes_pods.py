"""Pods of the fake API server, one at a time: made, read, changed, deleted, refused."""

from __future__ import annotations

import io
import json
from typing import Any

import aiohttp
import pytest

from proxy.fakes import FakeKubernetes, KubernetesConfig
from tests.fakes.client import Client, client
from tests.support.pods import NAMESPACE, PODS, agent_pod

JSON = {"Content_Type": "application/json", "Accept": "application/json"}
STILL = KubernetesConfig(kubelet=False, seed=1)


async def made(call: Client, name: str = "a", **more: Any) -> dict[str, Any]:
    answer = await call("POST", PODS, agent_pod(name, **more))
    assert answer.status == 201, answer.raw
    pod: dict[str, Any] = answer.json
    return pod


async def test_a_pod_is_made_read_and_removed() -> None:
    async with FakeKubernetes(STILL) as fake, client(fake.url, **JSON) as call:
        pod = await made(call)
        assert pod["status"] == {"phase": "Pending", "qosClass": "BestEffort"}
        assert (pod["metadata"]["namespace"], pod["metadata"]["resourceVersion"]) == (NAMESPACE, "2")
        assert len(pod["metadata"]["uid"]) == 36
        for path in (f"{PODS}/a", f"{PODS}/a/status"):
            assert (await call("GET", path)).json == pod
        gone = await call("DELETE", f"{PODS}/a")
        assert gone.json["kind"] == "Pod"
        assert gone.json["metadata"]["resourceVersion"] == "4"
        assert gone.json["metadata"]["deletionGracePeriodSeconds"] == 0
        missing = await call("GET", f"{PODS}/a")
        assert missing.status == 404
        assert missing.json == {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": 'pods "a" not found',
            "reason": "NotFound",
            "details": {"name": "a", "kind": "pods"},
            "code": 404,
        }
        assert missing.headers["Content-Type"] == "application/json"
        assert fake.seen.created == [f"{NAMESPACE}/a"]
        assert [call.operation for call in fake.seen.calls] == ["create", "get", "get/status", "delete", "get"]


async def test_json_is_as_go_writes_it() -> None:
    async with FakeKubernetes(STILL) as fake, client(fake.url, **JSON) as call:
        small = await call("POST", PODS, agent_pod("a", annotations={"n": "<a> & ü"}))
        assert b'{"n":"\\u003ca\\u003e \\u0026 \xc3\xbc"}' in small.raw
        assert small.raw.endswith(b"}\n")
        assert small.headers["Content-Length"] == str(len(small.raw))
        large = await call("POST", PODS, agent_pod("b", annotations={"n": "x" * 3000}))
        assert large.headers["Transfer-Encoding"] == "chunked"
        assert "Content-Length" not in large.headers
        pretty = await call("GET", f"{PODS}/a", headers={"User-Agent": "curl/8.1"})
        assert pretty.raw.startswith(b'{\n  "kind": "Pod",\n')
        assert (await call("GET", f"{PODS}/a?pretty=true")).raw == pretty.raw


async def test_only_large_replies_are_compressed() -> None:
    async with FakeKubernetes(STILL) as fake, client(fake.url, **JSON) as call:
        await made(call, annotations={"n": "x" * 200_000})
        zipped = await call("GET", f"{PODS}/a", headers={"Accept-Encoding": "gzip"})
        plain = await call("GET", f"{PODS}/a", headers={"Accept-Encoding": "identity"})
        assert zipped.headers["Content-Encoding"] == "gzip"
        assert "Content-Encoding" not in plain.headers
        assert zipped.json == plain.json
        await made(call, "b")
        small = await call("GET", f"{PODS}/b", headers={"Accept-Encoding": "gzip"})
        assert "Content-Encoding" not in small.headers


async def test_generated_names() -> None:
    async with FakeKubernetes(STILL) as fake, client(fake.url, **JSON) as call:
        body = agent_pod("x")
        body["metadata"] = {"generateName": "job-" + "n" * 60}
        names = [(await call("POST", PODS, body)).json["metadata"]["name"] for _ in range(3)]
        assert len(set(names)) == 3
        assert all(name.startswith("job-" + "n" * 54) and len(name) == 63 for name in names)


@pytest.mark.parametrize(
    ("path", "change", "status", "reason"),
    [
        (PODS, {}, 409, "AlreadyExists"),
        (PODS, {"metadata": {}}, 422, "Invalid"),
        (PODS, {"metadata": {"name": "A_b"}}, 422, "Invalid"),
        (PODS, {"spec": {}}, 422, "Invalid"),
        (PODS, {"metadata": {"name": "b", "namespace": "other"}}, 400, "BadRequest"),
        (PODS, {"kind": "Secret", "metadata": {"name": "b"}}, 400, "BadRequest"),
        ("/api/v1/pods", {}, 405, "MethodNotAllowed"),
        ("/api/v1/namespaces/x/secrets", {}, 404, "NotFound"),
    ],
)
async def test_what_is_not_created(path: str, change: dict[str, Any], status: int, reason: str) -> None:
    async with FakeKubernetes(STILL) as fake, client(fake.url, **JSON) as call:
        await made(call)
        answer = await call("POST", path, agent_pod("a") | change)
        assert (answer.status, answer.json["code"], answer.json["reason"]) == (status, status, reason)
        assert fake.seen.created == [f"{NAMESPACE}/a"]


@pytest.mark.parametrize(
    ("content_type", "raw", "status"),
    [
        ("application/vnd.kubernetes.protobuf", b"k8s\0", 415),
        ("application/cbor", b"\xd9\xd9\xf7", 415),
        ("application/json", b"{broken", 400),
        ("application/json", b"[]", 400),
    ],
)
async def test_bodies_it_cannot_read(content_type: str, raw: bytes, status: int) -> None:
    async with FakeKubernetes(STILL) as fake, client(fake.url, Content_Type=content_type) as call:
        answer = await call("POST", PODS, raw)
        assert (answer.status, answer.json["code"]) == (status, status)


async def test_a_body_that_is_too_large() -> None:
    body = io.BytesIO(b"x" * (3 * 1024 * 1024 + 1))
    async with (
        FakeKubernetes(STILL) as fake,
        aiohttp.ClientSession() as session,
        session.post(fake.url + PODS, data=body, headers={"Content-Type": "application/json"}) as answer,
    ):
        assert answer.status == 413
        assert (await answer.json())["reason"] == "RequestEntityTooLarge"


async def test_an_update_leaves_the_status_and_an_update_of_the_status_leaves_the_rest() -> None:
    async with FakeKubernetes(STILL) as fake, client(fake.url, **JSON) as call:
        pod = await made(call)
        lie = pod | {"status": {"phase": "Failed"}, "metadata": pod["metadata"] | {"labels": {"l": "1"}}}
        stored = (await call("PUT", f"{PODS}/a", lie)).json
        assert stored["status"]["phase"] == "Pending"
        assert stored["metadata"]["labels"] == {"l": "1"}
        stale = await call("PUT", f"{PODS}/a", lie)
        assert (stale.status, stale.json["reason"]) == (409, "Conflict")
        told = stored | {"status": {"phase": "Failed"}, "spec": {"containers": []}}
        after = (await call("PUT", f"{PODS}/a/status", told)).json
        assert after["status"] == {"phase": "Failed"}
        assert after["spec"] == stored["spec"]
        same = (await call("PUT", f"{PODS}/a/status", after)).json
        assert same["metadata"]["resourceVersion"] == after["metadata"]["resourceVersion"]
        wrong = await call("PUT", f"{PODS}/b", after)
        assert wrong.status == 400
        other = after | {"metadata": after["metadata"] | {"uid": "1"}}
        assert (await call("PUT", f"{PODS}/a", other)).status == 409


PATCHES = [
    ("application/merge-patch+json", {"metadata": {"labels": {"l": "1", "centaur.ai/managed": None}}}),
    ("application/strategic-merge-patch+json", {"metadata": {"labels": {"l": "1", "centaur.ai/managed": None}}}),
    ("application/json-patch+json", [{"op": "replace", "path": "/metadata/labels", "value": {"l": "1"}}]),
    ("application/apply-patch+yaml", {"metadata": {"labels": {"l": "1", "centaur.ai/managed": None}}}),
]


@pytest.mark.parametrize(("kind", "patch"), PATCHES)
async def test_every_kind_of_patch(kind: str, patch: Any) -> None:
    async with FakeKubernetes(STILL) as fake, client(fake.url, **JSON) as call:
        pod = await made(call)
        answer = await call("PATCH", f"{PODS}/a", patch, {"Content-Type": kind})
        assert answer.status == 200
        assert answer.json["metadata"]["labels"] == {"l": "1"}
        assert answer.json["spec"] == pod["spec"]
        assert answer.json["metadata"]["uid"] == pod["metadata"]["uid"]


async def test_patches_of_the_status() -> None:
    kind = {"Content-Type": "application/strategic-merge-patch+json"}
    async with FakeKubernetes(STILL) as fake, client(fake.url, **JSON) as call:
        await made(call)
        first = {"status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Mine", "status": "True"}]}}
        await call("PATCH", f"{PODS}/a/status", first, kind)
        second = {"spec": {}, "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "False"}]}}
        stored = (await call("PATCH", f"{PODS}/a/status", second, kind)).json
        assert stored["status"]["phase"] == "Running"
        assert [(c["type"], c["status"]) for c in stored["status"]["conditions"]] == [
            ("Ready", "False"),
            ("Mine", "True"),
        ]
        assert len(stored["spec"]["containers"]) == 2
        wrong = await call("PATCH", f"{PODS}/a", {}, {"Content-Type": "application/json"})
        assert wrong.status == 415


async def test_an_apply_creates_what_is_not_there() -> None:
    async with FakeKubernetes(STILL) as fake, client(fake.url, **JSON) as call:
        path, kind = f"{PODS}/a?fieldManager=t", {"Content-Type": "application/apply-patch+yaml"}
        assert (await call("PATCH", path, agent_pod("a"), kind)).status == 201
        assert (await call("PATCH", path, agent_pod("a", labels={"l": "1"}), kind)).status == 200
        assert fake.seen.created == [f"{NAMESPACE}/a"]
        assert (await call("PATCH", f"{PODS}/b", {}, {"Content-Type": PATCHES[0][0]})).status == 404


async def test_a_deleted_pod_of_a_node_is_marked_and_then_gone() -> None:
    config = KubernetesConfig(stop_seconds=0)
    async with FakeKubernetes(config) as fake, client(fake.url, **JSON) as call:
        await made(call)
        await fake.until(lambda: fake.pod(NAMESPACE, "a")["status"]["phase"] == "Running")
        marked = (await call("DELETE", f"{PODS}/a?gracePeriodSeconds=5")).json
        assert marked["metadata"]["deletionGracePeriodSeconds"] == 5
        assert marked["status"]["phase"] == "Running"
        await fake.until(lambda: not list(fake.store))


async def test_grace_is_as_the_caller_says_and_only_shortened() -> None:
    async with FakeKubernetes(STILL) as fake, client(fake.url, **JSON) as call:
        pod = agent_pod("a", nodeName="n", terminationGracePeriodSeconds=20)
        await call("POST", PODS, pod)
        first = await call("DELETE", f"{PODS}/a")
        assert first.json["metadata"]["deletionGracePeriodSeconds"] == 20
        longer = await call("DELETE", f"{PODS}/a", {"kind": "DeleteOptions", "gracePeriodSeconds": 30})
        assert longer.json["metadata"]["deletionGracePeriodSeconds"] == 20
        shorter = await call("DELETE", f"{PODS}/a", {"kind": "DeleteOptions", "gracePeriodSeconds": 3})
        assert shorter.json["metadata"]["deletionGracePeriodSeconds"] == 3
        wrong = await call("DELETE", f"{PODS}/a", {"preconditions": {"uid": "1"}})
        assert (wrong.status, wrong.json["reason"]) == (409, "Conflict")
        assert (await call("DELETE", f"{PODS}/a?gracePeriodSeconds=0")).status == 200
        assert list(fake.store) == []


async def test_a_terminal_pod_has_no_grace() -> None:
    async with FakeKubernetes(STILL) as fake, client(fake.url, **JSON) as call:
        pod = (await call("POST", PODS, agent_pod("a", nodeName="n"))).json
        await call("PUT", f"{PODS}/a/status", pod | {"status": {"phase": "Failed"}})
        await call("DELETE", f"{PODS}/a")
        assert list(fake.store) == []


async def test_an_eviction_is_a_delete_that_answers_a_status() -> None:
    async with FakeKubernetes(STILL) as fake, client(fake.url, **JSON) as call:
        await made(call)
        answer = await call("POST", f"{PODS}/a/eviction", {"kind": "Eviction", "metadata": {"name": "a"}})
        assert (answer.status, answer.json["kind"], answer.json["status"]) == (201, "Status", "Success")
        assert list(fake.store) == []
        told = fake.store.since(2)[0].after
        assert told is not None
        assert told["status"]["conditions"][0]["reason"] == "EvictionByEvictionAPI"


async def test_a_collection_is_deleted_by_its_selectors() -> None:
    async with FakeKubernetes(STILL) as fake, client(fake.url, **JSON) as call:
        for name in ("a", "b", "c"):
            await made(call, name, labels={"n": name})
        answer = await call("DELETE", f"{PODS}?labelSelector=n+in+(a,c)")
        assert answer.json["kind"] == "PodList"
        assert [item["metadata"]["name"] for item in answer.json["items"]] == ["a", "c"]
        assert all("kind" not in item for item in answer.json["items"])
        assert [pod["metadata"]["name"] for pod in fake.store] == ["b"]


async def test_what_clients_ask_first() -> None:
    async with FakeKubernetes() as fake, client(fake.url, Accept="*/*") as call:
        assert (await call("GET", "/version")).json["gitVersion"] == "v1.34.2"
        assert (await call("GET", "/api/")).json["versions"] == ["v1"]
        names = [r["name"] for r in (await call("GET", "/api/v1")).json["resources"]]
        assert "pods" in names
        assert (await call("GET", "/apis")).json["groups"] == []
        assert (await call("GET", "/readyz")).raw == b"ok"
        assert (await call("POST", "/version")).status == 405
        assert (await call("GET", "/api/v1/nodes")).json["reason"] == "NotFound"
        nobody = await call("GET", "/apis/metrics.k8s.io/v1/namespaces/x/pods")
        assert (nobody.status, nobody.raw) == (404, b"404 page not found\n")


async def test_its_record_can_be_read_and_forgotten() -> None:
    async with FakeKubernetes(STILL) as fake, client(fake.url, **JSON) as call:
        await made(call)
        state = (await call("GET", "/_fake/state")).json
        assert json.loads(state["creates"][0]["body"])["metadata"]["name"] == "a"
        assert state["created"] == [f"{NAMESPACE}/a"]
        assert len(state["pods"]) == 1
        assert (await call("POST", "/_fake/reset")).status == 204
        assert (await call("GET", PODS)).json["items"] == []
