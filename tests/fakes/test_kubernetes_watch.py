"""Watches of the fake API server: what they begin with, what they show, and how they end."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest

from proxy.fakes import FakeKubernetes, KubernetesConfig, ManualClock
from proxy.fakes.kubernetes_watch import Cut
from tests.fakes.client import client
from tests.support.pods import NAMESPACE, PODS, Stream, agent_pod, watching

JSON = {"Content_Type": "application/json", "Accept": "application/json"}
STILL = KubernetesConfig(kubelet=False, seed=1)


def told(events: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """Type, name and resourceVersion."""
    metadata = [event["object"]["metadata"] for event in events]
    return [
        (event["type"], meta.get("name", ""), meta["resourceVersion"])
        for event, meta in zip(events, metadata, strict=True)
    ]


async def test_a_watch_begins_with_what_there_is_and_goes_on() -> None:
    async with FakeKubernetes(STILL) as fake, client(fake.url, **JSON) as call:
        await call("POST", PODS, agent_pod("a"))
        async with watching(fake.url + PODS) as stream:
            assert stream.reply.headers["Content-Type"] == "application/json"
            assert stream.reply.headers["Transfer-Encoding"] == "chunked"
            first = await stream.event()
            assert first["object"]["kind"] == "Pod"
            await call("PATCH", f"{PODS}/a", {"metadata": {"labels": {"n": "1"}}}, MERGE)
            await call("DELETE", f"{PODS}/a")
            events = [first, *await stream.until("DELETED")]
            kinds = ["ADDED", "MODIFIED", "MODIFIED", "DELETED"]
            assert told(events) == [(kind, "a", str(number + 2)) for number, kind in enumerate(kinds)]
            assert events[2]["object"]["metadata"]["deletionGracePeriodSeconds"] == 0
            assert events[3]["object"]["metadata"]["labels"]["n"] == "1"
        await fake.until(lambda: not fake.watches.open)


MERGE = {"Content-Type": "application/merge-patch+json"}


async def test_a_watch_resumes_from_a_resource_version() -> None:
    async with FakeKubernetes(STILL) as fake, client(fake.url, **JSON) as call:
        for name in ("a", "b", "c"):
            await call("POST", PODS, agent_pod(name))
        async with watching(fake.url + PODS, resourceVersion="2") as stream:
            assert told([await stream.event(), await stream.event()]) == [("ADDED", "b", "3"), ("ADDED", "c", "4")]
        async with watching(fake.url + PODS, resourceVersion="4") as stream:
            await call("DELETE", f"{PODS}/b")
            assert told(await stream.until("DELETED")) == [("MODIFIED", "b", "5"), ("DELETED", "b", "6")]


async def test_leaving_a_selector_is_a_deletion_and_entering_it_an_addition() -> None:
    async with FakeKubernetes(STILL) as fake, client(fake.url, **JSON) as call:
        await call("POST", PODS, agent_pod("a", labels={"n": "1"}))
        await call("POST", PODS, agent_pod("other"))
        async with watching(fake.url + PODS, labelSelector="n=1", resourceVersion="3") as stream:
            for value in ("2", "1"):
                await call("PATCH", f"{PODS}/a", {"metadata": {"labels": {"n": value}}}, MERGE)
            await call("PATCH", f"{PODS}/other", {"metadata": {"labels": {"m": "1"}}}, MERGE)
            await call("DELETE", f"{PODS}/a")
            events = [await stream.event() for _ in range(4)]
            left, came, *gone = told(events)
            assert (left, came) == (("DELETED", "a", "4"), ("ADDED", "a", "5"))
            assert gone == [("MODIFIED", "a", "7"), ("DELETED", "a", "8")]
            assert events[0]["object"]["metadata"]["labels"]["n"] == "1"


async def test_an_initial_list_ends_with_its_bookmark() -> None:
    asked = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
    async with FakeKubernetes(STILL) as fake, client(fake.url, **JSON) as call:
        await call("POST", PODS, agent_pod("a"))
        async with watching(fake.url + PODS, **asked) as stream:
            events = await stream.until("BOOKMARK")
            assert told(events) == [("ADDED", "a", "2"), ("BOOKMARK", "", "2")]
            assert events[1]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
            await call("POST", PODS, agent_pod("b"))
            assert told([await stream.event()]) == [("ADDED", "b", "3")]
        async with watching(fake.url + PODS, sendInitialEvents="true") as stream:
            assert stream.reply.status == 422


async def test_bookmarks_and_the_end_come_by_the_clock() -> None:
    clock = ManualClock()
    async with FakeKubernetes(STILL, clock=clock) as fake:
        async with watching(fake.url + PODS, allowWatchBookmarks="true", timeoutSeconds="150") as stream:
            await clock.sleeping(1)
            for _ in range(2):
                await clock.advance(60)
                assert (await stream.event())["type"] == "BOOKMARK"
            await clock.advance(30)
            assert await stream.line() == b""
        async with watching(fake.url + PODS, timeoutSeconds="150") as stream:
            await clock.sleeping(1)
            await clock.advance(150)
            assert await stream.line() == b""


async def test_a_resource_version_that_is_forgotten() -> None:
    config = KubernetesConfig(kubelet=False, history=2)
    async with FakeKubernetes(config) as fake, client(fake.url, **JSON) as call:
        for name in ("a", "b", "c", "d"):
            await call("POST", PODS, agent_pod(name))
        async with watching(fake.url + PODS, resourceVersion="3") as stream:
            assert told([await stream.event(), await stream.event()]) == [("ADDED", "c", "4"), ("ADDED", "d", "5")]
        async with watching(fake.url + PODS, resourceVersion="2") as stream:
            event = await stream.event()
            assert stream.reply.status == 200
            assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")
            assert await stream.line() == b""


@pytest.mark.parametrize("truth", ["true", "True", "1", ""])
async def test_the_ways_to_ask_for_a_watch(truth: str) -> None:
    async with FakeKubernetes(STILL) as fake, client(fake.url, **JSON) as call:
        await call("POST", PODS, agent_pod("a"))
        async with watching(f"{fake.url}{PODS}", watch=truth) as stream:
            assert (await stream.event())["type"] == "ADDED"
        assert (await call("GET", f"{PODS}?watch=False")).json["kind"] == "PodList"


async def test_the_deprecated_prefix_and_one_name() -> None:
    async with FakeKubernetes(STILL) as fake, client(fake.url, **JSON) as call:
        for name in ("a", "b"):
            await call("POST", PODS, agent_pod(name))
        for path in (f"/api/v1/watch/namespaces/{NAMESPACE}/pods/b", f"{PODS}?fieldSelector=metadata.name%3Db&watch=1"):
            async with aiohttp.ClientSession() as session, session.get(fake.url + path) as reply:
                assert told([await Stream(reply).event()])[0][:2] == ("ADDED", "b")
        assert {call.operation for call in fake.seen.calls} == {"create", "watch"}


async def test_only_the_first_table_of_a_watch_has_columns() -> None:
    accept = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
    async with FakeKubernetes(STILL) as fake, client(fake.url, **JSON) as call:
        for name in ("a", "b"):
            await call("POST", PODS, agent_pod(name))
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{fake.url}{PODS}?watch=1", headers=accept) as reply,
        ):
            stream = Stream(reply)
            tables = [(await stream.event())["object"] for _ in range(2)]
        assert [table["columnDefinitions"] is None for table in tables] == [False, True]
        assert [len(table["rows"]) for table in tables] == [1, 1]


@pytest.mark.parametrize("how", ["end", "half", "close", "reset"])
async def test_watches_are_cut_in_every_way(how: Cut) -> None:
    async with FakeKubernetes(STILL) as fake, client(fake.url, **JSON) as call:
        await call("POST", PODS, agent_pod("a"))
        async with watching(fake.url + PODS) as stream:
            await stream.event()
            assert fake.cut_watches(how) == 1
            if how == "end":
                assert await stream.line() == b""
            else:
                with pytest.raises((aiohttp.ClientError, json.JSONDecodeError)):
                    await stream.event()
        await fake.until(lambda: not fake.watches.open)
