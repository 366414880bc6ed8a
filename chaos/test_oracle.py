"""What judges the runs notices what it is there for."""

import re
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from chaos.faults import FAULTS
from chaos.ledger import Ledger
from chaos.report import Report, broken
from chaos.stage import stage
from chaos.storm import Size, run
from chaos.toxics import Toxiproxy
from tests.support.waiting import turns, until

FINE = Report(
    fault="none",
    place="upstream",
    harmless=True,
    cap=2,
    asked=3,
    outcomes=Counter({"201": 3}),
    peak=2,
    unnoticed=0,
    busy_peak=2,
    cut=0,
    twice=[],
    denied=[],
    mixed_up=[],
    left={},
    beats=Counter(ok=1),
    recorded=1,
    awaited=None,
    recovered=4,
    recovering=4,
    beats_recovered=True,
    seconds=1.0,
)

BREAKS: dict[str, tuple[dict[str, Any], str]] = {
    "too many creates": ({"peak": 3}, "3 creates under way"),
    "too many connections": ({"busy_peak": 3}, "3 busy connections"),
    "let go of, and not cut": ({"unnoticed": 1}, "1 creates let go of, and 0 cut"),
    "more let go of than cut": ({"harmless": False, "unnoticed": 2, "cut": 1}, "2 creates let go of, and 1 cut"),
    "twice": ({"twice": [7]}, r"sent twice .* \[7\]"),
    "denied": ({"denied": [7]}, r"not processed, and it had arrived: callers \[7\]"),
    "mixed up": ({"mixed_up": [7]}, r"somebody else's sandbox: callers \[7\]"),
    "no answer": ({"harmless": False, "outcomes": Counter({"201": 2})}, "1 of 3 callers never heard"),
    "an odd answer": ({"harmless": False, "outcomes": Counter({"201": 2, "500": 1})}, r"no fault here explains.*500"),
    "refused for nothing": ({"outcomes": Counter({"201": 2, "504": 1})}, "nothing was in the way: 504: 1"),
    "left over": ({"left": {"seats": 1}}, "left over: .*seats"),
    "not recovered": ({"recovered": 3}, "after the fault 3 of 4"),
    "a beat too many": ({"beats": Counter(ok=2)}, "2 beats ok, 1 recorded"),
    "an odd beat": ({"beats": Counter(ok=1, stale=1)}, "another way: {'stale': 1}"),
    "no beats": ({"beats": Counter()}, "no beat at all"),
    "waited for the receiver": ({"awaited": 1}, "1 hanging deliveries"),
    "beats did not come back": ({"beats_recovered": False}, "no beat arrived after"),
}


def test_nothing_is_found_where_all_is_well() -> None:
    assert broken(FINE) == []


@pytest.mark.parametrize("what", BREAKS)
def test_each_invariant_is_looked_at(what: str) -> None:
    change, expected = BREAKS[what]
    found = broken(replace(FINE, **change))
    assert len(found) == 1
    assert re.search(expected, found[0])


async def test_a_create_whose_caller_still_waits_counts() -> None:
    ledger = Ledger(cap=1, told=lambda number: False)
    ledger.arrived(0)
    ledger.arrived(1)
    await turns(10)
    assert (ledger.peak, ledger.unnoticed) == (2, 0)


async def test_a_create_that_was_cut_counts_apart() -> None:
    ledger = Ledger(cap=1, told=lambda number: number == 0)
    ledger.arrived(0)
    ledger.arrived(1)
    await turns(10)
    assert (ledger.peak, ledger.unnoticed) == (1, 1)


async def test_an_arrival_is_judged_before_all_is_settled() -> None:
    ledger = Ledger(cap=1, told=lambda number: False)
    ledger.arrived(0)
    ledger.ended(0, 201)
    assert not ledger.settled
    await turns(10)
    assert ledger.settled


async def test_what_was_refused_may_come_again_and_nothing_else() -> None:
    ledger = Ledger(cap=9, told=lambda number: False)
    for number, status in ((0, 429), (0, 201), (1, None), (1, 201), (2, 503), (2, 201)):
        ledger.arrived(number)
        ledger.ended(number, status)
    assert ledger.twice() == [1, 2]


async def test_a_create_that_comes_twice_is_seen(server: Toxiproxy) -> None:
    async with stage(server, seats=2, cap=2, every="1s") as scene:
        await scene.ask(range(1))
        await until(lambda: scene.ledger.under_way == 1)
        await scene.crowd.ask(f"{scene.proxy.url}/e2b", range(1))  # the same caller, as a retry would
        scene.clock.free()
        await until(lambda: scene.ledger.finished == 2)
        assert scene.ledger.twice() == [0]


async def test_a_seat_that_is_not_given_back_is_seen(server: Toxiproxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """A create that never ends keeps its seat: the run says so instead of going on."""
    monkeypatch.setattr("chaos.storm.WITHIN", 2.0)
    monkeypatch.setattr("chaos.ledger.HeldClock.free", lambda clock: None)
    with pytest.raises(AssertionError, match="latency has done its damage"):
        await run(server, FAULTS[0], "upstream", Size(callers=3, seats=1))
