"""``hold: ready``: seats that creates hold until their pods are over it, by what passes (design.md §1, §2.9)."""

from __future__ import annotations

import asyncio
import json

import pytest

from proxy.dialects.translation import LONGEST_WHOLE
from tests.pipeline.acted_api import PODS, Answer
from tests.pipeline.cluster import cluster, settled, went
from tests.support.virtual_time import virtual

OTHERS = ("Authorization: Bearer somebody-else",)


# -- what passes ----------------------------------------------------------------------------------------
@virtual
async def test_a_seat_is_held_beyond_the_reply_until_anybody_sees_the_pod_ready() -> None:
    async with cluster() as one:
        first, _, waiting = await one.full()
        assert one.starts.expecting
        await one.ask("GET", f"{PODS}/{first}", *OTHERS)
        await settled()
        assert not waiting.done(), "it was seen, and it is not ready"
        one.api.ready(first)
        await settled()
        assert not waiting.done(), "it is ready, and nobody has seen it"
        await one.ask("GET", f"{PODS}/{first}", *OTHERS)
        await went(waiting)
        assert one.counted.ended == {"ready": 1}
        assert one.held() == 2


@virtual
async def test_the_callers_get_the_reply_at_once_and_whole() -> None:
    async with cluster() as one:
        caller = await one.ask("POST", PODS)
        assert json.loads(caller.got) == one.api.pods["pod-1"], "its name is in the reply only"
        assert one.held() == 1


@virtual
async def test_lists_tell_too() -> None:
    async with cluster() as one:
        first, _, waiting = await one.full()
        one.api.ready(first)
        await one.ask("GET", PODS, *OTHERS)
        await went(waiting)


def event(kind: str, pod: object) -> Answer:
    return Answer(200, raw=json.dumps({"type": kind, "object": pod}).encode() + b"\n")


@pytest.mark.parametrize(
    ("query", "kind", "state", "frees"),
    [
        ("", "ADDED", "starting", False),
        ("", "MODIFIED", "ready", True),
        ("", "MODIFIED", "dead", True),
        ("", "MODIFIED", "leaving", True),
        ("", "DELETED", "starting", True),
        ("&fieldSelector=metadata.name%3Dfirst", "DELETED", "starting", True),
        ("&fieldSelector=status.phase%3DPending", "DELETED", "starting", True),
        ("&fieldSelector=spec.nodeName%3D", "DELETED", "starting", False),
        ("&labelSelector=job%3D1", "DELETED", "starting", False),
        ("&labelSelector=job%3D1", "MODIFIED", "ready", True),
        ("", "BOOKMARK", "ready", False),
    ],
)
def test_watches_tell_too(query: str, kind: str, state: str, frees: bool) -> None:
    @virtual
    async def scenario() -> None:
        async with cluster() as one:
            first, _, waiting = await one.full()
            if state == "ready":
                one.api.ready(first)
            elif state == "dead":
                one.api.dies(first)
            elif state == "leaving":
                one.api.pods[first]["metadata"]["deletionTimestamp"] = "2025-11-21T10:00:00Z"
            said = event(kind, one.api.pods[first])
            one.api.script = lambda asked: said if "watch=1" in asked.target else None
            await one.ask("GET", f"{PODS}?watch=1{query}", *OTHERS)
            await settled()
            assert waiting.done() is frees
            waiting.cancel()

    scenario()


@virtual
async def test_a_dead_main_ends_it_whatever_the_sidecar_does() -> None:
    async with cluster() as one:
        first, _, waiting = await one.full()
        one.api.dies(first)
        caller = await one.ask("GET", f"{PODS}/{first}")
        assert json.loads(caller.got)["status"]["phase"] == "Failed"
        await went(waiting)
        assert one.counted.ended == {"over": 1}


@pytest.mark.parametrize(
    ("method", "path", "why"), [("DELETE", "", "over"), ("POST", "/eviction", "over"), ("GET", "", "gone")]
)
def test_a_pod_that_is_deleted_or_gone(method: str, path: str, why: str) -> None:
    @virtual
    async def scenario() -> None:
        async with cluster() as one:
            first, _, waiting = await one.full()
            if method == "GET":
                del one.api.pods[first]
            await one.ask(method, f"{PODS}/{first}{path}", *OTHERS)
            await went(waiting)
            assert one.counted.ended == {why: 1}

    scenario()


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("DELETE", "/first?dryRun=All", 200),
        ("DELETE", "/first", 409),
        ("DELETE", "/first", 403),
        ("POST", "/first/eviction", 429),
        ("PATCH", "/first/resize", 404),
        ("GET", "/second-with-another-name", 404),
        ("GET", "/first", 403),
        ("GET", "/first", 500),
        ("PATCH", "/first", 422),
    ],
)
def test_what_tells_nothing(method: str, target: str, status: int) -> None:
    @virtual
    async def scenario() -> None:
        async with cluster() as one:
            _, _, waiting = await one.full()
            one.api.script = lambda asked: Answer(status, {"kind": "Status"})
            await one.ask(method, PODS + target)
            await settled()
            assert not waiting.done()
            waiting.cancel()

    scenario()


# -- which pod it is ------------------------------------------------------------------------------------
@virtual
async def test_a_pod_of_the_same_name_made_anew_is_another() -> None:
    async with cluster() as one:
        first, second, waiting = await one.full()
        del one.api.pods[first]
        one.api.make(first)
        one.api.ready(first)
        await one.ask("GET", f"{PODS}/{first}")
        await settled()
        assert not waiting.done(), "that one is ready, ours is not known to be"
        one.api.ready(second)
        await one.ask("GET", PODS)
        await went(waiting)
        assert one.counted.ended == {"ready": 1}


@virtual
async def test_a_name_that_is_made_anew_was_free() -> None:
    async with cluster() as one:
        await one.create("first")
        del one.api.pods["first"]
        await one.create("first")
        assert one.counted.ended == {"gone": 1}
        assert one.held() == 1
        one.api.ready("first")
        await one.ask("GET", f"{PODS}/first")
        assert one.held() == 0


@virtual
async def test_a_404_from_before_the_create_tells_nothing() -> None:
    async with cluster() as one:
        slow = Answer(404, {"kind": "Status"})
        one.api.pause = lambda asked: 1.0 if asked.method == "GET" and not asked.look else 0.0
        one.api.script = lambda asked: slow if asked.method == "GET" and not asked.look else None
        poll = asyncio.ensure_future(one.ask("GET", f"{PODS}/first"))
        await settled()
        await one.create("first")
        await poll
        assert one.held() == 1, "its answer is older than the pod"
        await one.ask("GET", f"{PODS}/first")
        assert one.held() == 0, "and this one is not"


@virtual
async def test_two_clusters_have_pods_of_the_same_name() -> None:
    async with cluster() as one:
        await one.create("first")
        kept = dict(one.api.pods)
        one.api.pods.clear()
        await one.create("first", host="other.example")
        assert one.held() == 2, "nobody's name was free"
        await asyncio.sleep(0.1)
        one.api.pods.clear()
        await one.ask("GET", f"{PODS}/first", host="other.example")
        assert one.held() == 1, "a 404 of one says nothing of the other"
        one.api.pods = kept
        one.api.ready("first")
        await one.ask("GET", f"{PODS}/first", host="other.example")
        assert one.held() == 0, "the pod itself is known wherever it is seen"


# -- creates without a pod ------------------------------------------------------------------------------
@pytest.mark.parametrize("status", [400, 401, 403, 409, 422, 429, 500, 503, 504])
def test_a_create_that_fails_holds_nothing(status: int) -> None:
    @virtual
    async def scenario() -> None:
        async with cluster() as one:
            one.api.script = lambda asked: Answer(status, {"kind": "Status"})
            await one.ask("POST", PODS)
            assert one.held() == 0
            assert not one.counted.ended
            assert not one.starts.expecting

    scenario()


@virtual
async def test_a_create_whose_reply_never_comes_holds_nothing() -> None:
    async with cluster() as one:
        one.api.script = lambda asked: Answer(0)
        caller = await one.ask("POST", PODS)
        assert caller.status == 504
        assert one.held() == 0


@pytest.mark.parametrize(
    "answer",
    [
        Answer(201, raw=b"k8s\0...", fields=("Content-Type: application/vnd.kubernetes.protobuf",)),
        Answer(201, {"kind": "Pod"}, fields=("Content-Type: application/json", "Content-Encoding: gzip")),
        Answer(201, raw=b'{"kind": "Pod", "metadata": {'),
        Answer(201, {"kind": "Pod", "metadata": {"name": "p", "namespace": "n"}}),
        Answer(201, {"kind": "Status"}),
        Answer(201, {"kind": "Pod", "metadata": {"name": "p", "uid": "u", "labels": {"x": "y" * LONGEST_WHOLE}}}),
        Answer(201, raw=b""),
    ],
)
def test_a_reply_that_cannot_be_read_is_counted_and_holds_nothing(answer: Answer) -> None:
    @virtual
    async def scenario() -> None:
        async with cluster() as one:
            one.api.script = lambda asked: answer
            await one.ask("POST", PODS)
            assert one.held() == 0
            assert one.counted.ended == {"unread": 1}

    scenario()


@virtual
async def test_a_pod_that_is_ready_or_over_in_the_reply_holds_nothing() -> None:
    async with cluster() as one:
        for change in (one.api.ready, one.api.dies):
            pod = one.api.make()
            change(pod["metadata"]["name"])
            one.api.script = lambda asked, pod=pod: Answer(201, pod)  # type: ignore[misc]
            await one.ask("POST", PODS)
        assert one.held() == 0
        assert one.counted.ended == {"ready": 1, "over": 1}


@virtual
async def test_big_pods_are_read_too_and_raw_requests_hold_as_others() -> None:
    async with cluster() as one:
        pod = one.api.make("first")
        pod["metadata"]["annotations"] = {"x": "y" * (LONGEST_WHOLE - 1000)}
        one.api.script = lambda asked: Answer(201, pod) if asked.method == "POST" else None
        await one.ask("POST", PODS, "Headgate-Raw: 1", "Kubectl-Command: kubectl debug")
        assert one.held() == 1


@virtual
async def test_only_creates_hold_on() -> None:
    limited = {"match: {upstream: kube}}": "match: {upstream: kube}, limits: [starting]}"}
    async with cluster(**limited) as one:
        one.api.make("first")
        for method, target in (("GET", f"{PODS}/first"), ("POST", f"{PODS}?dryRun=All"), ("PATCH", f"{PODS}/first")):
            await one.ask(method, target)
            assert one.held() == 0, method
