"""``hold: ready`` before a real HTTP server: never more pods that start than seats, as the API server itself sees it.

The judge listens to the fake's store and knows nothing of the proxy: a pod starts from its create until it is Ready,
or its main container has ended, or it is being deleted.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from proxy.fakes import FakeKubernetes, KubernetesConfig
from proxy.fakes.kubernetes_model import Pod
from proxy.fakes.kubernetes_store import Event
from proxy.pipeline import looking
from tests.support.callers import Crowd, RawCaller, crowd, request
from tests.support.certificates import Authority
from tests.support.pods import NAMESPACE, PODS, agent_pod, watching
from tests.support.proxies import Proxy, running
from tests.support.waiting import until

POLICY = """
version: 1
upstreams:
  kube: {url: "%s", dialect: kubernetes, pods: {main_containers: [sandbox]}}
tenants: {identify: [namespace]}
limits: {starting: {seats: 2, per: namespace, hold: ready}}
routes:
  - {name: create, match: {upstream: kube, operation: create}, limits: [starting], queue: {patience: 60s}}
"""
NEVER = 3600.0


@dataclass
class Judge:
    """Which pods are starting, by what is stored; ``peak`` is the most there ever were at once."""

    starting: set[str] = field(default_factory=set)
    peak: int = 0

    def sees(self, event: Event) -> None:
        pod, name = event.after, event.key[1]
        if pod is None or "deletionTimestamp" in pod["metadata"] or _is_over(pod):
            self.starting.discard(name)
        elif event.before is None:
            self.starting.add(name)
        self.peak = max(self.peak, len(self.starting))


def _is_over(pod: Pod) -> bool:
    status = pod["status"]
    ready = any(one["type"] == "Ready" and one["status"] == "True" for one in status.get("conditions", ()))
    mains = [one for one in status.get("containerStatuses", ()) if one["name"] == "sandbox"]
    return ready or any("terminated" in one["state"] for one in mains)


@dataclass
class Scene:
    """The server, its judge, the proxy, and callers."""

    fake: FakeKubernetes
    judge: Judge
    proxy: Proxy
    crowd: Crowd

    def url(self, rest: str = "") -> str:
        return f"{self.proxy.url}{PODS}{rest}"

    async def create(self, name: str = "", **headers: str) -> dict[str, Any]:
        """Make a pod; without a name the server gives it one."""
        pod = agent_pod(name)
        if not name:
            pod["metadata"]["generateName"] = "agent-"
            del pod["metadata"]["name"]
        fields = {"Content-Type": "application/json", **headers}
        answer = await self.crowd.send("POST", self.url(), json.dumps(pod).encode(), fields)
        assert answer.status == 201, answer.body
        made: dict[str, Any] = answer.json
        return made

    def burst(self, number: int) -> list[asyncio.Task[dict[str, Any]]]:
        return [asyncio.ensure_future(self.create()) for _ in range(number)]

    async def full(self) -> asyncio.Task[dict[str, Any]]:
        """Two pods are starting, and a third create waits."""
        await self.create("first")
        await self.create("second")
        third = asyncio.ensure_future(self.create("third"))
        await until(lambda: self.proxy.waiting() == 1, "the third waits")
        return third

    def ended(self, why: str) -> float:
        """How many creates' seats were given back for this reason."""
        return self._counted(f'headgate_ready_holds_ended_total{{route="create",why="{why}"}}')

    def looked(self, result: str) -> float:
        """How many looks of our own came to this."""
        return self._counted(f'headgate_looks_total{{result="{result}",upstream="kube"}}')

    def _counted(self, series: str) -> float:
        text = self.proxy.app.metrics.text()[0].decode()
        return next(float(row.rpartition(" ")[2]) for row in text.splitlines() if row.startswith(series))


@asynccontextmanager
async def scene(policy: str = POLICY, tls: Authority | None = None, **config: Any) -> AsyncIterator[Scene]:
    judge = Judge()
    tasks = len(asyncio.all_tasks())
    async with FakeKubernetes(KubernetesConfig(**config)) as fake, crowd() as people:
        fake.store.watch(judge.sees)
        url = fake.url if tls is None else fake.url.replace("http://", "https://")
        async with running(policy % url) as proxy:
            yield Scene(fake, judge, proxy, people)
        assert not proxy.app._starts.expecting
        assert proxy.held() == 0
        assert judge.peak <= 2, "never more than there are seats"
    await until(lambda: len(asyncio.all_tasks()) <= tasks, "every task is over")


@pytest.fixture
def nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """News come by what passes only."""
    monkeypatch.setattr(looking, "FIRST", NEVER)


@pytest.fixture
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "FIRST", 0.02)
    monkeypatch.setattr(looking, "LONGEST", 0.05)


# -- ten creates, two seats -----------------------------------------------------------------------------
@pytest.mark.usefixtures("nobody_looks")
async def test_a_watch_brings_ten_creates_home() -> None:
    async with scene(start_seconds=0.01, ready_seconds=0.02) as one, watching(one.url()) as stream:
        reading = asyncio.ensure_future(_read(stream))
        made = await asyncio.gather(*one.burst(10))
        await until(lambda: one.proxy.held() == 0, "all are ready")
        reading.cancel()
        assert len({pod["metadata"]["uid"] for pod in made}) == 10
        assert one.judge.peak == 2
        assert one.ended("ready") == 10
        assert not one.fake.seen.of("get"), "we did not look ourselves"


async def _read(stream: Any) -> None:
    while await stream.line():
        pass


@pytest.mark.usefixtures("quick_looks")
async def test_where_nobody_looks_we_do() -> None:
    async with scene(start_seconds=0.01, ready_seconds=0.02, tokens={"t": "ann"}) as one:
        creates = [asyncio.ensure_future(one.create(Authorization="Bearer t")) for _ in range(10)]
        await asyncio.gather(*creates)
        await until(lambda: one.proxy.held() == 0, "all are ready")
        assert one.judge.peak == 2
        assert one.ended("ready") == 10
        looks = one.fake.seen.of("get")
        assert looks
        assert {look.header("Authorization") for look in looks} == {"Bearer t"}
        assert one.fake.seen.most_in_flight["get"] <= looking.AT_ONCE
        assert (one.looked("ready"), one.looked("refused")) == (10, 0)


@pytest.mark.usefixtures("quick_looks")
async def test_looks_go_over_tls_as_requests_do(tmp_path: Path) -> None:
    ours = Authority(tmp_path)
    certificate = ours.certificate("api", "127.0.0.1")
    policy = POLICY.replace("dialect: kubernetes", f"tls: {{ca_file: {ours.file}}}, dialect: kubernetes")
    async with scene(policy, ours, certificate=certificate, ready_seconds=0.02) as one:
        await asyncio.gather(*one.burst(3))
        await until(lambda: one.proxy.held() == 0, "all are ready")
        assert one.ended("ready") == 3


# -- what frees a seat ----------------------------------------------------------------------------------
@pytest.mark.usefixtures("nobody_looks")
async def test_pods_whose_main_dies_at_start_free_their_seats() -> None:
    async with scene(ready_seconds=NEVER) as one, watching(one.url()) as stream:
        reading = asyncio.ensure_future(_read(stream))
        creates = one.burst(6)
        for _ in range(6):
            await until(lambda: _running(one.fake), "a main runs")
            one.fake.kubelet.oom_kill(NAMESPACE, _running(one.fake)[0], "sandbox")
        await asyncio.gather(*creates)
        await until(lambda: one.proxy.held() == 0, "none is starting")
        reading.cancel()
        assert one.ended("over") == 6
        assert {pod["status"]["phase"] for pod in one.fake.store} == {"Running"}, "all their sidecars live"


def _running(fake: FakeKubernetes) -> list[str]:
    """Pods whose main runs."""
    found = []
    for pod in fake.store:
        states = {one["name"]: one["state"] for one in pod["status"].get("containerStatuses", ())}
        if "running" in states.get("sandbox", {}):
            found.append(pod["metadata"]["name"])
    return found


@pytest.mark.usefixtures("nobody_looks")
@pytest.mark.parametrize("how", ["delete", "force", "evict", "collection", "gone"])
async def test_deletes_free_the_seat_at_once(how: str) -> None:
    async with scene(ready_seconds=NEVER, stop_seconds=NEVER if how != "gone" else 0.0) as one:
        third = await one.full()
        match how:
            case "delete":
                await one.crowd.send("DELETE", one.url("/first"))
            case "force":
                await one.crowd.send("DELETE", one.url("/first?gracePeriodSeconds=0"))
            case "evict":
                body = {"kind": "Eviction", "apiVersion": "policy/v1", "metadata": {"name": "first"}}
                fields = {"Content-Type": "application/json"}
                await one.crowd.send("POST", one.url("/first/eviction"), json.dumps(body).encode(), fields)
            case "collection":
                await one.crowd.send("DELETE", one.url("?fieldSelector=metadata.name%3Dfirst"))
            case "gone":
                await one.crowd.send("DELETE", f"{one.fake.url}{PODS}/first?gracePeriodSeconds=0")
                answer = await one.crowd.send("GET", one.url("/first"))
                assert answer.status == 404
        assert (await third)["metadata"]["name"] == "third"


@pytest.mark.usefixtures("nobody_looks")
async def test_after_ready_within_they_are_free() -> None:
    policy = POLICY.replace("hold: ready", "hold: ready, ready_within: 50ms")
    async with scene(policy, ready_seconds=NEVER) as one:
        one.judge.starting = _Nobody()
        await asyncio.gather(*one.burst(6))
        await until(lambda: one.ended("late") == 6)
        assert one.proxy.held() == 0


class _Nobody(set[str]):
    """Here more pods start than there are seats, and that is meant."""

    def add(self, name: str) -> None:
        """Forget it."""


@pytest.mark.usefixtures("nobody_looks")
async def test_a_pod_of_the_same_name_is_another() -> None:
    async with scene(ready_seconds=NEVER) as one:
        third = await one.full()
        direct = f"{one.fake.url}{PODS}"
        await one.crowd.send("DELETE", f"{direct}/first?gracePeriodSeconds=0")
        fields = {"Content-Type": "application/json"}
        await one.crowd.send("POST", direct, json.dumps(agent_pod("first")).encode(), fields)
        await until(lambda: "first" in _running(one.fake))
        one.fake.kubelet.oom_kill(NAMESPACE, "first", "sandbox")
        answer = await one.crowd.send("GET", one.url("/first"), headers={"Accept": "application/json"})
        assert answer.json["status"]["phase"] == "Failed"
        assert one.proxy.waiting() == 1, "it was not ours"
        await one.crowd.send("DELETE", one.url("/second"))
        await third


# -- creates ----------------------------------------------------------------------------------------------
@pytest.mark.usefixtures("nobody_looks")
async def test_clients_of_protobuf_get_json_and_their_seat_is_held() -> None:
    async with scene(ready_seconds=NEVER) as one:
        await one.create("first", Accept="application/vnd.kubernetes.protobuf,application/json")
        assert one.proxy.held() == 1
        assert one.ended("unread") == 0


@pytest.mark.usefixtures("nobody_looks")
async def test_who_is_refused_or_collides_holds_nothing() -> None:
    async with scene(ready_seconds=NEVER, quota={NAMESPACE: 1}) as one:
        await one.create("first")
        body = json.dumps(agent_pod("first")).encode()
        for name, status in (("first", 403), ("second", 403)):
            pod = json.dumps(agent_pod(name)).encode()
            answer = await one.crowd.send("POST", one.url(), pod, {"Content-Type": "application/json"})
            assert answer.status == status
        assert one.proxy.held() == 1
        dry = await one.crowd.send("POST", one.url("?dryRun=All"), body, {"Content-Type": "application/json"})
        assert dry.status in (201, 403, 409)
        assert one.proxy.held() == 1


@pytest.mark.usefixtures("quick_looks")
async def test_a_caller_that_leaves_before_its_reply_leaves_the_seat_to_its_pod() -> None:
    async with scene(latency={"create": 0.2}, ready_seconds=NEVER) as one:
        caller = await RawCaller.connect(one.proxy.url)
        fields = [("Content-Type", "application/json")]
        caller.send(request("POST", PODS, json.dumps(agent_pod("first")).encode(), fields))
        await until(lambda: one.fake.seen.of("create"), "the create is under way")
        caller.leave()
        await until(lambda: one.fake.seen.created, "the pod is made all the same")
        await until(lambda: one.proxy.app._starts.expecting, "and known")
        assert one.proxy.held() == 1
        await until(lambda: _running(one.fake))
        one.fake.kubelet.oom_kill(NAMESPACE, "first", "sandbox")
        await until(lambda: one.proxy.held() == 0, "we looked ourselves")


@pytest.mark.usefixtures("quick_looks")
async def test_what_starts_when_the_process_ends_is_let_go() -> None:
    async with scene(ready_seconds=NEVER) as one:
        third = await one.full()
        drained = asyncio.ensure_future(one.proxy.app.drain(5.0, asyncio.Event()))
        with pytest.raises(AssertionError, match="ServiceUnavailable"):
            await third
        await until(lambda: one.proxy.held() == 0)
        assert one.ended("closed") == 2
        before = len(one.fake.seen.of("get"))
        await drained
        assert len(one.fake.seen.of("get")) <= before + looking.AT_ONCE
