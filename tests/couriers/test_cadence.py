"""When beats go out, in virtual time (design.md §2.7)."""

from __future__ import annotations

import asyncio

from proxy.couriers.progress import ProgressCouriers
from proxy.domain.ids import Seconds
from proxy.policy.policyset import Sink
from proxy.policy.templates import Values
from proxy.ports import Vigil
from tests.couriers.builders import FIXED, SlowPost, Watcher, describe, sink
from tests.support.virtual_time import virtual


def now() -> float:
    return asyncio.get_running_loop().time()


class Bench:
    """Couriers with a post that takes no sockets."""

    def __init__(self, takes: float = 0.0, status: int = 200) -> None:
        self.post = SlowPost(takes, status)
        self.watcher = Watcher()
        self.couriers = ProgressCouriers(self.post.carry, self.watcher)

    def begin(self, *sinks: Sink, waited: float = 0.0, fixed: Values = FIXED) -> Vigil:
        return self.couriers.begin(sinks, fixed, describe, Seconds(waited))


@virtual
async def test_beats_come_first_then_in_a_fixed_cadence_and_not_after_the_end() -> None:
    bench, began = Bench(takes=0.4), now()
    vigil = bench.begin(sink(first=1, every=10))
    await asyncio.sleep(45)
    assert bench.post.times(began) == [1, 11, 21, 31, 41]
    await vigil.end()
    await asyncio.sleep(100)
    assert len(bench.post.started) == 5
    assert bench.watcher.beats == {("job", "ok"): 5}


@virtual
async def test_beats_end_before_for_at_most() -> None:
    bench, began = Bench(), now()
    bench.begin(sink(first=1, every=10, for_at_most=31))
    await asyncio.sleep(1000)
    assert bench.post.times(began) == [1, 11, 21]
    assert len(bench.couriers.timetable) == 0


@virtual
async def test_for_at_most_counts_from_the_first_arrival() -> None:
    bench, began = Bench(), now()
    bench.begin(sink(first=1, every=10, for_at_most=60), waited=45)
    bench.begin(sink(first=1, every=10, for_at_most=60), waited=60, fixed={**FIXED, "ticket": "t2"})
    await asyncio.sleep(1000)
    assert bench.post.times(began) == [0, 10]


@virtual
async def test_first_counts_from_the_first_arrival() -> None:
    bench, began = Bench(), now()
    bench.begin(sink(first=5, every=10), waited=3)
    await asyncio.sleep(13)
    assert bench.post.times(began) == [2, 12]


@virtual
async def test_who_comes_back_early_is_not_heard_of_sooner_than_every() -> None:
    bench, began = Bench(), now()
    progress = sink(first=1, every=10)
    for visit in range(8):  # three seconds of patience, away for half a second
        vigil = bench.begin(progress, waited=visit * 3.5)
        await asyncio.sleep(3)
        await vigil.end()
        await asyncio.sleep(0.5)
    assert bench.post.times(began) == [1, 11, 21]


@virtual
async def test_who_comes_back_late_is_heard_of_at_once() -> None:
    bench, began = Bench(), now()
    progress = sink(first=1, every=10)
    vigil = bench.begin(progress)
    await asyncio.sleep(2)
    await vigil.end()
    await asyncio.sleep(18)
    bench.begin(progress, waited=20)
    await asyncio.sleep(15)
    assert bench.post.times(began) == [1, 20, 30]


@virtual
async def test_a_beat_due_while_the_one_before_is_under_way_is_missed() -> None:
    bench, began = Bench(takes=25), now()
    bench.begin(sink(first=1, every=10))
    await asyncio.sleep(58)
    assert bench.post.times(began) == [1, 31]
    assert bench.watcher.beats == {("job", "missed"): 4, ("job", "ok"): 2}
    assert bench.post.peak == 1


@virtual
async def test_a_loop_that_stood_still_keeps_the_cadence() -> None:
    bench, began = Bench(), now()
    bench.begin(sink(first=1, every=10))
    await asyncio.sleep(5)
    loop = asyncio.get_running_loop()
    loop._jumping.now += 30  # type: ignore[attr-defined]
    await asyncio.sleep(20)
    assert bench.post.times(began) == [1, 35, 41, 51]


@virtual
async def test_stale_stops_this_sink_and_no_other() -> None:
    bench, began = Bench(status=409), now()
    bench.begin(sink(name="job", every=10), sink(name="session", every=10, to="http://other/"))
    bench.post.status = 409
    await asyncio.sleep(5)
    bench.post.status = 200
    bench.begin(sink(name="job", every=10))  # another request is told again
    await asyncio.sleep(10)
    assert bench.watcher.beats == {("job", "stale"): 1, ("session", "stale"): 1, ("job", "ok"): 1}
    assert bench.post.times(began) == [1, 1, 6]


@virtual
async def test_throttled_skips_a_beat_only() -> None:
    for status, result in (
        (429, "throttled"),
        (500, "throttled"),
        (503, "throttled"),
        (302, "failed"),
        (400, "failed"),
    ):
        bench, began = Bench(status=status), now()
        bench.begin(sink(first=1, every=10))
        await asyncio.sleep(22)
        assert bench.post.times(began) == [1, 11, 21]
        assert bench.watcher.beats == {("job", result): 3}


@virtual
async def test_what_lacks_a_name_is_skipped_once_and_costs_nothing() -> None:
    bench = Bench()
    lacking = sink(name="job", to="http://r/{header:x-session}")
    in_body = sink(name="body", body={"who": ["{header:x-session}"]})
    in_header = sink(name="head", headers={"X-Session": "{header:x-session}"})
    first, second = bench.begin(lacking, in_body, in_header), bench.begin()
    assert bench.watcher.beats == {("job", "skipped"): 1, ("body", "skipped"): 1, ("head", "skipped"): 1}
    assert first is second  # the silence is shared
    assert len(bench.couriers.timetable) == 0
    await asyncio.sleep(100)
    await first.end()
    assert bench.post.started == []
    assert bench.watcher.beats.total() == 3


@virtual
async def test_what_is_missing_at_a_beat_is_counted_once_and_may_come_back() -> None:
    bench, began = Bench(), now()
    known: dict[str, str] = {}
    bench.couriers.begin([sink(first=1, every=10)], FIXED, lambda: known, Seconds(0))
    await asyncio.sleep(25)
    known["waited"] = "25"
    await asyncio.sleep(10)
    assert bench.watcher.beats == {("job", "skipped"): 1, ("job", "ok"): 1}
    assert bench.post.times(began) == [31]


@virtual
async def test_the_dead_leave_the_timetable() -> None:
    bench = Bench()
    for _ in range(1000):
        vigil = bench.begin(sink(first=600, every=600))
        assert len(bench.couriers.timetable) == 1
        await vigil.end()
    assert len(bench.couriers.timetable) == 0
    assert len(bench.couriers.timetable._rows) < 200


@virtual
async def test_closing_stops_everything() -> None:
    bench = Bench(takes=5)
    bench.begin(sink(first=1, every=10))
    await asyncio.sleep(2)
    assert bench.post.under_way == 1
    await bench.couriers.close()
    assert bench.post.under_way == 0
    await asyncio.sleep(100)
    bench.begin(sink(first=1, every=10))
    await asyncio.sleep(100)
    assert len(bench.post.started) == 1
