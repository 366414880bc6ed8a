"""Bad input from the API server: the original bytes pass, a counter tells why, and Headgate makes no 500 of it."""

from __future__ import annotations

import gzip
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest

from tests.support.pod_states import container_status, encoded, incident_pod, pod, running, terminated
from tests.support.wire import Running, Script, Side, headgate, upstream

POLICY = """
version: 1
upstreams:
  kube: {url: "http://127.0.0.1:%(port)d", dialect: kubernetes, pods: {main_containers: [sandbox]}}
"""
PODS = "/api/v1/namespaces/agents-1/pods"
ONE, WATCH = f"{PODS}/agent-1", f"{PODS}?watch=true"
WHYS = ("too-big", "not-json", "other-encoding", "broken")
BIG = 5 * 1024 * 1024

INCIDENT = encoded(incident_pod())
TOLD = b'"phase":"Failed"'


def head(body: bytes, *fields: str, content_type: str = "application/json", status: int = 200) -> bytes:
    lines = [f"HTTP/1.1 {status} As Told", f"Content-Type: {content_type}", f"Content-Length: {len(body)}", *fields]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def chunked(*chunks: bytes, ends: bool = True) -> bytes:
    start = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    frames = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return start + frames + (b"0\r\n\r\n" if ends else b"")


@dataclass
class Stage:
    """Headgate before an API server that answers every request alike."""

    proxy: Running
    session: aiohttp.ClientSession
    seen: list[int] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.proxy.port}"

    async def get(self, target: str) -> bytes:
        """The body of the answer, which must be a 200."""
        async with self.session.get(self.url + target) as reply:
            assert reply.status == 200
            return await reply.read()

    def passed(self) -> dict[str, float]:
        """What passed as it was, by why; only what did."""
        return {why: count for why in WHYS if (count := self._count("headgate_pods_passed_total", {"why": why}))}

    @property
    def rewritten(self) -> float:
        return self._count("headgate_pods_rewritten_total", {})

    def _count(self, name: str, labels: dict[str, str]) -> float:
        value = self.proxy.app.metrics.registry.get_sample_value(name, labels)
        assert value is not None, f"{name}{labels} exists from the start"
        return value


@asynccontextmanager
async def stage(script: Script) -> AsyncIterator[Stage]:
    """The API server does as ``script`` says."""
    timeout = aiohttp.ClientTimeout(total=30)
    async with (
        upstream(script) as up,
        headgate(up.port, POLICY) as proxy,
        aiohttp.ClientSession(auto_decompress=False, timeout=timeout) as session,
    ):
        yield Stage(proxy, session)


def always(reply: bytes, *, close: bool = False) -> Script:
    async def script(side: Side) -> None:
        while True:
            await side.head()
            side.send(reply)
            await side.drain()
            if close:
                return

    return script


def changed(**status: Any) -> bytes:
    """The incident's pod with something else in its status."""
    document = incident_pod()
    return encoded(document | {"status": document["status"] | status})


def without_containers(containers: Any) -> bytes:
    document = incident_pod()
    return encoded(document | {"spec": document["spec"] | {"containers": containers}})


DEEP = b'{"kind":"Pod","deep":' + b"[" * 100_000 + b"]" * 100_000 + b',"status":{"terminated":1}}\n'
BROKEN = {
    "cut off": INCIDENT[:-30] + b"\n",
    "two commas": INCIDENT.replace(b",", b",,", 1),
    "no colon": INCIDENT.replace(b":", b" ", 1),
    "no object": b'["terminated"]\n',
    "a word": b'"terminated"\n',
    "no brace": b'"terminated":{}}\n',
    "a status of text": changed().replace(b'"status":{', b'"status":"', 1),
    "container states of text": changed(containerStatuses="terminated", terminated={}),
    "an exit code of text": INCIDENT.replace(b'"exitCode":137', b'"exitCode":"137"'),
    "an exit code that is broken": INCIDENT.replace(b'"exitCode":137', b'"exitCode":1.5'),
    "conditions that are none": changed(conditions={"Ready": True}),
    "a condition without a type": changed(conditions=[{"status": "True"}]),
    "deeply nested": DEEP,
    "a nul": INCIDENT.replace(b'"kind"', b'\0"kind"', 1),
    "a byte order mark": b"\xef\xbb\xbf" + INCIDENT,
}
"""What may hold a dead agent and cannot be read."""

HARMLESS = {
    "no containers": without_containers([]),
    "null for containers": without_containers(None),
    "no spec": encoded({k: v for k, v in incident_pod().items() if k != "spec"}),
    "no metadata": encoded({k: v for k, v in incident_pod().items() if k != "metadata"}),
    "null for status": encoded(incident_pod() | {"status": None}),
    "no states": changed(containerStatuses=None),
    "a phase nobody knows": changed(phase="Terminated"),
    "something else": encoded({"kind": "Status", "status": "Failure", "details": {"terminated": {}}}),
    "nothing dead": b"<html>502</html>\n",
}
"""What can be read, or cannot hold a dead agent, and needs no change."""


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
async def test_a_pod_that_cannot_be_read_passes_and_is_counted(body: bytes) -> None:
    async with stage(always(head(body) + body)) as scene:
        assert await scene.get(ONE) == body
        assert scene.passed() == {"broken": 1}
        assert scene.rewritten == 0


@pytest.mark.parametrize("body", HARMLESS.values(), ids=HARMLESS)
async def test_a_pod_of_which_nothing_can_be_said_passes(body: bytes) -> None:
    async with stage(always(head(body) + body)) as scene:
        assert await scene.get(ONE) == body
        assert scene.passed() == {}
        assert scene.rewritten == 0


LIST = b'{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"9"},"items":[%b]}\n'
BROKEN_ITEMS = ["a status of text", "an exit code of text", "conditions that are none"]


@pytest.mark.parametrize("what", BROKEN_ITEMS)
async def test_a_bad_item_of_a_list_spoils_no_other(what: str) -> None:
    if what == "a status of text":  # in a list the quote must close again
        item = encoded(incident_pod() | {"status": '"terminated'}).strip()
    else:
        item = BROKEN[what].strip()
    good = INCIDENT.strip()
    body = LIST % b",".join((good, item, good))
    async with stage(always(chunked(body))) as scene:
        got = await scene.get(PODS)
        assert got.count(TOLD) == 2
        assert b"," + item + b"," in got
        assert scene.passed() == {"broken": 1}
        assert scene.rewritten == 2


async def test_from_an_item_that_is_nested_too_deeply_on_a_list_passes() -> None:
    good, deep = INCIDENT.strip(), BROKEN["deeply nested"].strip()
    async with stage(always(chunked(LIST % b",".join((good, deep, good))))) as scene:
        got = await scene.get(PODS)
        assert got.count(TOLD) == 1
        assert got.endswith(b"," + deep + b"," + good + b"]}\n")
        assert scene.passed() == {"broken": 1}


@pytest.mark.parametrize("cut", [20, 200, 1500])
async def test_a_list_that_is_cut_off_passes(cut: int) -> None:
    body = (LIST % b",".join((INCIDENT.strip(),) * 2))[:-cut]
    async with stage(always(chunked(body))) as scene:
        got = await scene.get(PODS)
        assert got.count(TOLD) == scene.rewritten == 1
        assert got.endswith(b"," + INCIDENT[: 3 - 1 - cut])
        assert scene.passed() == {"broken": 1}


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b"{", b'{"items":{}}', b'{"items":[', b'{"items":[1,2', b"\xff" * 64]
)
async def test_what_is_no_list_passes(body: bytes) -> None:
    async with stage(always(head(body) + body)) as scene:
        assert await scene.get(PODS) == body


def event(shown: bytes, kind: bytes = b"MODIFIED") -> bytes:
    return b'{"type":"%b","object":%b}\n' % (kind, shown.strip())


@pytest.mark.parametrize("what", BROKEN)
async def test_a_bad_event_spoils_only_itself_and_at_most_the_next(what: str) -> None:
    bad = event(BROKEN[what])
    good = event(INCIDENT)
    async with stage(always(chunked(good, bad, good, good))) as scene:
        got = await scene.get(WATCH)
        lines = got.split(b"\n")
        assert TOLD in lines[0] and TOLD in lines[3]
        assert b"\n" + bad in got
        assert scene.passed() == {"broken": 1}


@pytest.mark.parametrize("cut", [1, 10, 500])
async def test_a_watch_that_ends_in_an_event_passes_it(cut: int) -> None:
    good = event(INCIDENT)
    async with stage(always(chunked(good, good[: -cut - 1]))) as scene:
        got = await scene.get(WATCH)
        first, _, rest = got.partition(b"\n")
        assert TOLD in first
        assert rest == good[: -cut - 1]
        assert scene.passed() == {"broken": 1}


async def test_a_watch_that_is_cut_in_a_frame_ends_badly_after_its_last_whole_event() -> None:
    good = event(INCIDENT)
    broken = chunked(good, ends=False) + b"%x\r\n%b" % (len(good), good[:700])
    async with stage(always(broken, close=True)) as scene:
        async with scene.session.get(scene.url + WATCH) as reply:
            assert reply.status == 200
            got = await reply.content.readline()
            with pytest.raises(aiohttp.ClientPayloadError):
                got += await reply.content.read()
        assert got.count(TOLD) == 1
        assert got.endswith(b"\n")


@pytest.mark.parametrize(
    "reply",
    [
        head(INCIDENT) + INCIDENT[:-100],
        chunked(INCIDENT, ends=False),
        chunked(INCIDENT, ends=False) + b"zz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Ty",
    ],
    ids=["too short", "no last chunk", "a bad chunk", "half a head"],
)
@pytest.mark.parametrize("target", [ONE, PODS, WATCH])
async def test_a_reply_that_breaks_off_is_a_bad_gateway_or_breaks_off(target: str, reply: bytes) -> None:
    async with stage(always(reply, close=True)) as scene, scene.session.get(scene.url + target) as answer:
        if answer.status == 200:
            with pytest.raises(aiohttp.ClientPayloadError):
                await answer.read()
        else:
            assert answer.status == 502
            assert (await answer.json())["kind"] == "Status"


async def test_a_five_megabyte_event_passes_and_the_next_one_is_told() -> None:
    big = event(encoded(incident_pod(annotations={"note": "x" * BIG})))
    good = event(INCIDENT)
    async with stage(always(chunked(good, big, good, good))) as scene:
        got = await scene.get(WATCH)
        assert big in got
        assert got.count(TOLD) >= 2
        assert got.endswith(b"\n") and TOLD in got.split(b"\n")[-2]
        assert scene.passed() == {"too-big": 1}


async def test_a_five_megabyte_event_of_a_live_agent_is_not_even_counted() -> None:
    document = pod(container_status("sandbox", running()), annotations={"note": "x" * BIG})
    big = event(encoded(document))
    async with stage(always(chunked(big, event(INCIDENT)))) as scene:
        got = await scene.get(WATCH)
        assert got.startswith(big)
        assert scene.rewritten + sum(scene.passed().values()) >= 1


@pytest.mark.parametrize("target", [ONE, PODS])
async def test_a_five_megabyte_pod_passes(target: str) -> None:
    document = incident_pod(annotations={"note": "x" * BIG})
    body = encoded(document) if target == ONE else LIST % encoded(document).strip()
    async with stage(always(head(body) + body)) as scene:
        assert await scene.get(target) == body
        assert scene.passed() == {"too-big": 1}


@pytest.mark.parametrize("target", [ONE, PODS, WATCH])
async def test_protobuf_where_json_was_asked_for_passes(target: str) -> None:
    body = b"k8s\0\n\t\n\x02v1\x12\x03Pod" + bytes(range(256)) * 8
    kind = "application/vnd.kubernetes.protobuf" + (";stream=watch" if target == WATCH else "")
    async with stage(always(head(body, content_type=kind) + body)) as scene:
        assert await scene.get(target) == body
        assert scene.passed() == {"not-json": 1}


@pytest.mark.parametrize("target", [ONE, PODS, WATCH])
async def test_compression_that_was_not_asked_for_passes(target: str) -> None:
    body = gzip.compress(INCIDENT)
    async with stage(always(head(body, "Content-Encoding: gzip") + body)) as scene:
        assert await scene.get(target) == body
        assert scene.passed() == {"other-encoding": 1}


@pytest.mark.parametrize("status", [403, 404, 410, 429, 500, 503])
async def test_errors_pass_as_they_are(status: int) -> None:
    for body, kind in ((INCIDENT, "application/json"), (b'"terminated" too many', "text/plain")):
        async with stage(always(head(body, content_type=kind, status=status) + body)) as scene:
            for target in (ONE, PODS, WATCH):
                async with scene.session.get(scene.url + target) as reply:
                    assert (reply.status, await reply.read()) == (status, body)
            assert scene.passed() == {}


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_happens_to_the_bytes_the_answer_is_the_upstreams(seed: int) -> None:
    """Bytes are changed, dropped and doubled at random: always a whole 200, and the same bytes where none is told."""
    chance = random.Random(seed)
    good = event(INCIDENT) + LIST % INCIDENT.strip() + INCIDENT
    bodies = [_spoiled(good, chance) for _ in range(40)]
    left = iter([body for body in bodies for _ in (ONE, PODS, WATCH)])

    async def script(side: Side) -> None:
        while True:
            await side.head()
            body = next(left)
            at = chance.randrange(len(body))
            side.send(chunked(body[: at + 1], body[at + 1 :] or b"\n"))

    async with stage(script) as scene:
        for body in bodies:
            for target in (ONE, PODS, WATCH):
                before = scene.rewritten
                got = await scene.get(target)
                assert got.removesuffix(b"\n") == body.removesuffix(b"\n") or scene.rewritten > before


def _spoiled(data: bytes, chance: random.Random) -> bytes:
    spoiled = bytearray(data)
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(spoiled))
        match chance.randrange(4):
            case 0:
                spoiled[at] = chance.randrange(256)
            case 1:
                del spoiled[at : at + chance.randint(1, 40)]
            case 2:
                spoiled[at:at] = spoiled[at : at + chance.randint(1, 40)]
            case 3:
                spoiled[at:at] = chance.choice([b"\n", b"}\n{", b'"', b"\\", b"{", b"]", b"\0", b"\xff"])
    return bytes(spoiled)


async def test_a_terminated_container_of_somebody_else_changes_nothing() -> None:
    body = encoded(pod(container_status("sandbox", running()), container_status("sidecar", terminated(1))))
    async with stage(always(head(body) + body)) as scene:
        assert await scene.get(ONE) == body
        assert scene.rewritten == 0
