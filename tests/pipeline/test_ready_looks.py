"""Looks of Headgate's own at starting pods: when, how many, with whose credential, and what comes of them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.pipeline.acted_api import PODS, Answer, Asked
from tests.pipeline.cluster import Cluster, cluster
from tests.support.virtual_time import virtual

MANY = {"seats: 2": "seats: 100"}


async def until_free(one: Cluster) -> float:
    """When no seat is held any more, in seconds since the beginning."""
    for _ in range(10_000):
        if not one.held():
            return asyncio.get_running_loop().time() - 1000
        await asyncio.sleep(0.01)
    raise AssertionError("still held after 100 seconds")


def rounded(times: list[float]) -> list[float]:
    return [round(time, 2) for time in times]


@virtual
async def test_where_nobody_looks_we_do() -> None:
    async with cluster() as one:
        await one.create("first")
        one.api.ready("first")
        assert await until_free(one) == pytest.approx(2, abs=0.02)
        assert (one.counted.looks, one.counted.ended) == ({"ready": 1}, {"ready": 1})
        await asyncio.sleep(60)
        assert len(one.api.looks()) == 1, "and never again"


@virtual
async def test_looks_become_rarer_up_to_a_quarter_of_a_minute() -> None:
    async with cluster() as one:
        await one.create("first")
        await asyncio.sleep(99)
        assert rounded(one.api.looks()) == [2, 6, 14, 29, 44, 59, 74, 89]
        assert one.counted.looks == {"starting": 8}


@virtual
async def test_pods_made_together_are_not_looked_at_together() -> None:
    async with cluster() as one:
        one.chance = 1.0
        await one.create("first")
        await asyncio.sleep(20)
        assert rounded(one.api.looks()) == [1.5, 4.5, 10.5], "by chance up to a quarter sooner"


@virtual
async def test_who_is_heard_of_is_not_looked_at() -> None:
    async with cluster() as one:
        await one.create("first")
        await one.create("second")
        for _ in range(20):
            await asyncio.sleep(1)
            await one.ask("GET", f"{PODS}/first")
        assert not one.api.looks("first")
        assert rounded(one.api.looks("second")) == [2, 6, 14]
        await asyncio.sleep(0.5)
        await one.ask("GET", f"{PODS}/first")
        await asyncio.sleep(3)
        assert rounded(one.api.looks("first")) == [22.5], "two seconds after the last of it"


@pytest.mark.parametrize(
    ("change", "why"), [("ready", "ready"), ("dies", "over"), ("goes", "gone"), ("is made anew", "gone")]
)
def test_what_looks_find(change: str, why: str) -> None:
    @virtual
    async def scenario() -> None:
        async with cluster() as one:
            await one.create("first")
            if change in ("ready", "dies"):
                getattr(one.api, change)("first")
            else:
                del one.api.pods["first"]
            if change == "is made anew":
                one.api.make("first")
            assert await until_free(one) == pytest.approx(2, abs=0.02)
            assert (one.counted.looks, one.counted.ended) == ({why: 1}, {why: 1})

    scenario()


@pytest.mark.parametrize("status", [401, 403])
def test_who_may_not_look_looks_once(status: int) -> None:
    @virtual
    async def scenario() -> None:
        async with cluster() as one:
            one.api.script = lambda asked: Answer(status, {"kind": "Status"}) if asked.look else None
            await one.create("first")
            await asyncio.sleep(99)
            assert one.held() == 1
            assert one.counted.looks == {"refused": 1}
            one.api.ready("first")
            await one.ask("GET", PODS)
            assert one.held() == 0, "what passes still counts"

    scenario()


@pytest.mark.parametrize(
    "answer",
    [
        Answer(0),
        Answer(500, {"kind": "Status"}),
        Answer(302, {}, fields=("Location: /elsewhere",)),
        Answer(429, raw=b"Too many requests, please try again later.", fields=("Content-Type: text/plain",)),
        Answer(200, raw=b"<html>", fields=("Content-Type: text/html",)),
        Answer(200, raw=b'{"kind": "Pod", "met'),
        Answer(200, {"kind": "Status"}),
        Answer(200, {"kind": "PodList", "items": []}),
    ],
)
def test_a_look_that_fails_is_made_again(answer: Answer) -> None:
    @virtual
    async def scenario() -> None:
        async with cluster() as one:
            one.api.script = lambda asked: answer if asked.look and len(one.api.looks()) < 4 else None
            await one.create("first")
            one.api.ready("first")
            assert await until_free(one) == pytest.approx(29, abs=0.02)
            assert one.counted.looks == {"failed": 3, "ready": 1}
            assert not one.counted.passes, "nothing passed to anybody"

    scenario()


@virtual
async def test_the_upstream_may_ask_for_more_time() -> None:
    async with cluster() as one:
        fields = ("Content-Type: text/plain", "Retry-After: 30")
        one.api.script = lambda asked: Answer(429, "", fields) if asked.look and len(one.api.looks()) == 1 else None
        await one.create("first")
        await asyncio.sleep(99)
        assert rounded(one.api.looks())[:3] == [2, 32, 47]


@virtual
async def test_a_slow_upstream_gets_four_at_a_time_and_nobody_waits_for_that() -> None:
    async with cluster(**MANY) as one:
        one.api.pause = lambda asked: 1.0 if asked.look else 0.0
        for _ in range(20):
            await one.create()
        await asyncio.sleep(6.5)
        assert one.api.most_looks == 4
        assert len(one.api.looks()) == 20, "each had its turn"
        begin = asyncio.get_running_loop().time()
        await one.ask("GET", PODS)
        await one.create()
        assert asyncio.get_running_loop().time() == begin


@virtual
async def test_news_while_a_look_waits_for_room_make_it_needless() -> None:
    async with cluster(**MANY) as one:
        one.api.pause = lambda asked: 1.0 if asked.look else 0.0
        names = [await one.create() for _ in range(8)]
        await asyncio.sleep(2.5)
        for name in names[4:6]:
            one.api.ready(name)
        await one.ask("GET", PODS)
        assert one.held() == 6
        await asyncio.sleep(1.0)
        assert len(one.api.looks()) == 4, "all were heard of a second ago"


@virtual
async def test_two_upstreams_do_not_wait_for_each_other() -> None:
    async with cluster(**MANY) as one:
        one.api.pause = lambda asked: 1.0 if asked.look else 0.0
        for _ in range(4):
            await one.create()
            await one.create(host="other.example")
        await asyncio.sleep(2.5)
        assert one.api.looking == 8


@virtual
async def test_a_start_that_ends_takes_its_look_with_it() -> None:
    async with cluster() as one:
        one.api.pause = lambda asked: 5.0 if asked.look else 0.0
        await one.create("first")
        await asyncio.sleep(3)
        assert one.api.looking == 1
        await one.ask("DELETE", f"{PODS}/first")
        await asyncio.sleep(0.1)
        assert (one.held(), one.api.looking) == (0, 0)
        assert not one.counted.looks, "it came to nothing"


def looked_with(one: Cluster) -> list[str]:
    (asked,) = [asked for asked in one.api.asked if asked.look]
    return sorted(line.decode() for line in asked.head.lines)


@virtual
async def test_a_look_is_made_as_the_one_who_created() -> None:
    async with cluster() as one:
        lines = (
            "Authorization: Bearer secret",
            "Impersonate-User: ann",
            "Impersonate-Group: g",
            "Impersonate-Group: h",
        )
        await one.create(
            "first", *lines, "User-Agent: kubectl", "Content-Length: 0", "Cookie: c", "Headgate-Patience: 9s"
        )
        one.api.ready("first")
        await until_free(one)
        assert looked_with(one) == sorted(["Accept: application/json", "Host: api.example", *lines])


@virtual
async def test_a_look_with_a_credential_of_our_own(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("ours")
    own = {"url: http://api.example": f"auth: {{own: {{token_file: {token}}}}}, url: https://api.example"}
    async with cluster(**own) as one:
        await one.create("first", "Authorization: Bearer theirs")
        one.api.ready("first")
        await until_free(one)
        assert looked_with(one) == ["Accept: application/json", "Authorization: Bearer ours", "Host: api.example"]


@virtual
async def test_where_the_upstream_is_below_a_path_and_wants_its_callers_host() -> None:
    base = {"url: http://api.example, dialect": "url: http://10.0.0.1:8001/k8s, host: caller, dialect"}
    async with cluster(**base) as one:
        await one.create("p")
        one.api.ready("p")
        await until_free(one)
        (look,) = [asked for asked in one.api.asked if asked.look]
        assert look.target == f"/k8s{PODS}/p"
        assert look.head.get(b"host") == b"api.example"


@virtual
async def test_names_of_the_upstreams_are_not_trusted() -> None:
    async with cluster() as one:
        pod = one.api.make("first")
        pod["metadata"] |= {"name": "../x?y#z /\r\nHost: evil", "namespace": "a/b\N{SNOWMAN}"}
        one.api.script = lambda asked: Answer(201, pod) if asked.method == "POST" else Answer(500, {})
        await one.ask("POST", PODS)
        await asyncio.sleep(2.5)
        (look,) = [asked for asked in one.api.asked if asked.look]
        assert look.target == "/api/v1/namespaces/a%2Fb%E2%98%83/pods/..%2Fx%3Fy%23z%20%2F%0D%0AHost%3A%20evil"


@virtual
async def test_credentials_are_not_shown() -> None:
    async with cluster() as one:
        await one.create("first", "Authorization: Bearer secret")
        (start,) = one.starts._starts["agents", "first"]
        shown = [repr(thing) for thing in (start, vars(start), start.looks, one.starts, vars(one.starts))]
        assert not any("secret" in text for text in shown)


@virtual
async def test_what_nobody_foresaw_is_told_and_ends_no_looking() -> None:
    async with cluster() as one:

        def crash(asked: Asked) -> Answer | None:
            if asked.look and len(one.api.looks()) == 1:
                raise RuntimeError("a look went wrong")
            return None

        one.api.script = crash
        await one.create("first")
        one.api.ready("first")
        assert await until_free(one) == pytest.approx(6, abs=0.02)
        assert one.counted.looks == {"failed": 1, "ready": 1}
        assert [str(error) for error in one.crashes] == ["a look went wrong"]
        one.crashes.clear()
