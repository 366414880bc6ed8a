"""A changed policy on a real process, under load: nothing is lost, nothing is doubled, a bad one changes nothing."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from tests.support.callers import CREATE, RawCaller, crowd, request
from tests.support.load import callers
from tests.support.serving import Served, serving
from tests.support.upstreams import Gate, Seen, reply, upstream
from tests.support.waiting import until

CREATED = reply(201, b'{"sandboxID":"sb-1","clientID":"c"}')
POLICY = """
version: 1
upstreams: {e2b: {url: "%s", dialect: e2b, prefix: /e2b}}
limits: {%s: {seats: %d, per: upstream}}
routes:
  - name: create
    match: {upstream: e2b, operation: create}
    limits: [%s]
    queue: {patience: 60s, waiting: {per_tenant: 2000, total: 2000}}
"""
RELOADS = "headgate_policy_reload_total"
STALE = "headgate_policy_stale"


def policy(url: str, seats: int, limit: str = "creates") -> str:
    return POLICY % (url, limit, seats, limit)


async def taken_over(served: Served, times: int) -> None:
    await served.reaches(RELOADS, times, result="ok")


async def waiting(served: Served, count: int) -> list[RawCaller]:
    people = [await RawCaller.connect(served.url) for _ in range(count)]
    for caller in people:
        caller.send(request("POST", "/e2b/sandboxes", CREATE, [("X-API-Key", "e2b_aa")]))
    return people


async def test_a_raised_limit_wakes_waiters_and_a_lowered_one_evicts_nobody(tmp_path: Path) -> None:
    gate, file = Gate(), tmp_path / "policy.yaml"
    async with upstream(gate) as e2b:
        file.write_text(policy(e2b.url, 1))
        async with serving(str(file), tmp_path) as served:
            people = await waiting(served, 6)
            await served.reaches("headgate_queue_waiting", 5, route="create")
            file.write_text(policy(e2b.url, 4))
            await until(lambda: e2b.now == 4, "the raised limit is felt without a signal")
            await taken_over(served, 1)
            file.write_text(policy(e2b.url, 2))
            await taken_over(served, 2)
            assert e2b.now == 4
            await served.reaches("headgate_seats_limit", 2, limit="creates")
            gate.open()
            assert [(await caller.answer()).status for caller in people] == [201] * 6
            assert len(e2b.seen) == 6


async def test_a_bad_policy_changes_nothing_and_says_so(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    async with upstream(Gate()) as e2b:
        file.write_text(policy(e2b.url, 2))
        async with serving(str(file), tmp_path) as served:
            await waiting(served, 3)
            await served.reaches("headgate_queue_waiting", 1, route="create")
            file.write_text(policy(e2b.url, -7))
            await served.reaches(STALE, 1)
            await served.reaches(RELOADS, 1, result="error")
            await until(lambda: any("policy.yaml:4" in line for line in served.said), "the error names its line")
            assert await served.metric("headgate_seats_limit", limit="creates") == 2
            assert await served.ready()
            file.write_text(policy(e2b.url, 3))
            await served.reaches(STALE, 0)
            await until(lambda: e2b.now == 3)


async def test_a_policy_that_vanishes_is_a_bad_one(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    async with upstream(Gate()) as e2b, crowd():
        file.write_text(policy(e2b.url, 2))
        async with serving(str(file), tmp_path) as served:
            file.unlink()
            await served.reaches(STALE, 1)
            assert await served.metric("headgate_seats_limit", limit="creates") == 2


async def test_sighup_reads_again_even_where_nothing_changed(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    async with upstream(Gate()) as e2b:
        file.write_text(policy(e2b.url, 2))
        async with serving(str(file), tmp_path) as served:
            for times in (1, 2):
                served.signal(signal.SIGHUP)
                await taken_over(served, times)
            assert served.process.returncode is None


async def test_a_mounted_folder_whose_link_is_swapped(tmp_path: Path) -> None:
    """As Kubernetes does it: `policy.yaml -> ..data/policy.yaml`, and `..data` is swapped in one rename."""
    folder = tmp_path / "mounted"
    folder.mkdir()
    async with upstream(Gate()) as e2b:

        def publish(version: str, seats: int) -> None:
            data = folder / version
            data.mkdir()
            (data / "policy.yaml").write_text(policy(e2b.url, seats))
            link = folder / "..data_tmp"
            link.symlink_to(version)
            link.rename(folder / "..data")

        publish("..2026_01", 1)
        (folder / "policy.yaml").symlink_to("..data/policy.yaml")
        async with serving(str(folder), tmp_path) as served:
            await waiting(served, 5)
            await served.reaches("headgate_queue_waiting", 4, route="create")
            publish("..2026_02", 3)
            await until(lambda: e2b.now == 3, "the swapped link is noticed")


async def test_a_file_added_to_a_folder_is_part_of_the_policy(tmp_path: Path) -> None:
    folder = tmp_path / "policies"
    folder.mkdir()
    async with upstream(Gate()) as e2b:
        (folder / "a.yaml").write_text(policy(e2b.url, 1))
        async with serving(str(folder), tmp_path) as served:
            more = f'upstreams: {{more: {{url: "{e2b.url}", dialect: http, prefix: /more}}}}\n'
            (folder / "b.yaml").write_text(more)
            await taken_over(served, 1)
            caller = await RawCaller.connect(served.url)
            caller.send(request("GET", "/more/x"))
            await until(lambda: e2b.seen and e2b.seen[0].line == "GET /x HTTP/1.1")
            (folder / "c.yaml").write_text(more)
            await served.reaches(STALE, 1)
            await until(lambda: any("c.yaml:1" in line for line in served.said), "a name twice is an error")


async def test_a_renamed_limit_neither_strands_nor_doubles_anybody(tmp_path: Path) -> None:
    gate, file = Gate(), tmp_path / "policy.yaml"
    async with upstream(gate) as e2b:
        file.write_text(policy(e2b.url, 2))
        async with serving(str(file), tmp_path) as served:
            people = await waiting(served, 5)
            await served.reaches("headgate_queue_waiting", 3, route="create")
            file.write_text(policy(e2b.url, 2, "sandboxes"))
            await taken_over(served, 1)
            late = await waiting(served, 2)
            gate.open()
            assert [(await caller.answer()).status for caller in [*people, *late]] == [201] * 7
            assert len(e2b.seen) == 7
            await served.reaches("headgate_seats_held", 0, limit="sandboxes")


RAISED_AND_LOWERED = [(3, "creates"), (6, "creates"), (1, "creates"), (-1, "creates"), (5, "creates")]
RENAMED = [(6, "creates"), (4, "other"), (2, "creates"), (3, "third")]


@pytest.mark.parametrize("variants", [RAISED_AND_LOWERED, RENAMED], ids=["raised and lowered", "renamed"])
async def test_reloads_under_load_lose_and_double_nothing(tmp_path: Path, variants: list[tuple[int, str]]) -> None:
    count, file = 600, tmp_path / "policy.yaml"

    async def soon(seen: Seen) -> bytes:
        await asyncio.sleep(0.002)
        return CREATED

    async with upstream(soon) as e2b:
        file.write_text(policy(e2b.url, 6))
        async with serving(str(file), tmp_path) as served, callers(served.url) as people:
            asking = asyncio.ensure_future(people.ask_all(count, create, at_once=20))
            reloads = 0
            while len(people.statuses) < count or reloads < len(variants):
                seats, limit = variants[reloads % len(variants)]
                file.write_text(policy(e2b.url, seats, limit))
                served.signal(signal.SIGHUP)
                reloads += 1
                share = min(count, reloads * count // (3 * len(variants)))
                await until(lambda share=share: len(people.statuses) + people.broken >= share)  # type: ignore[misc]
            await asking
            assert set(people.statuses.values()) == {201}
            assert people.broken == 0
            names = [seen.get("x-name") for seen in e2b.seen]
            assert sorted(names, key=str) == sorted((str(number) for number in range(count)), key=str)
            allowed = 6 if variants is RAISED_AND_LOWERED else sum(seats for seats, _ in RENAMED)
            assert e2b.peak <= allowed, "never above what the policies allowed, each limit by itself"
            file.write_text(policy(e2b.url, 5))
            served.signal(signal.SIGHUP)
            await served.reaches(STALE, 0)
            await served.reaches("headgate_seats_held", 0, limit="creates")
            await served.reaches("headgate_queue_waiting", 0, route="create")
            assert (await served.metric(RELOADS, result="ok") or 0) >= 2


def create(number: int) -> bytes:
    return request("POST", "/e2b/sandboxes", CREATE, [("X-API-Key", "e2b_aa"), ("X-Name", str(number))])
