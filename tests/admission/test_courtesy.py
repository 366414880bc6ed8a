"""Callers who are refused together and come back together keep their order (courtesy), and cost others little."""

from __future__ import annotations

import pytest

from proxy.admission.events import Why
from tests.admission.story import Granted, Lapsed, Refused, Story, Waits, seats


def refused_together(*names: str) -> Story:
    """All of them came a few milliseconds apart, and lost patience at 2 s; ``h`` holds the only seat."""
    story = Story(creates=seats(1))
    story.at(0).arrive("h", tenant="holder").expect(Granted("h"))
    for number, name in enumerate(names):
        story.at(number / 100).arrive(name, patience=2, linger=30).expect(Waits(name))
    last = 2 + (len(names) - 1) / 100
    story.at(last).expect(*(Refused(name, Why.PATIENCE, kept=True) for name in names))
    return story


def test_a_wave_is_refused_at_one_moment() -> None:
    story = Story(creates=seats(1))
    story.at(0).arrive("h").expect(Granted("h"))
    for at, name in ((0, "a"), (0.05, "b"), (0.14, "c"), (0.3, "d")):
        story.at(at).arrive(name, patience=2, linger=30).expect(Waits(name))
    story.at(2.049).expect()
    story.at(2.05).expect(Refused("a", Why.PATIENCE, kept=True))
    story.at(2.139).expect()
    story.at(2.14).expect(Refused("b", Why.PATIENCE, kept=True), Refused("c", Why.PATIENCE, kept=True))
    story.at(2.3).expect(Refused("d", Why.PATIENCE, kept=True))


def test_the_first_one_back_lets_the_older_one_go_first() -> None:
    story = refused_together("a", "b")
    story.at(2.5).leave("h").expect()
    story.at(3.005).arrive("b2", claims="b").expect(Waits("b2", "b"))
    story.at(3.02).arrive("a2", claims="a").expect(Waits("a2", "a"), Granted("a2", "a"))
    story.at(4).leave("a2").expect(Granted("b2", "b"))


def test_an_older_one_that_does_not_come_back_costs_a_quarter_of_a_second() -> None:
    story = refused_together("a", "b")
    story.at(2.5).leave("h").expect()
    story.at(3.02).arrive("b2", claims="b").expect(Waits("b2", "b"))
    assert story.look("b2").blocker == "retry-after"
    story.at(3.259).expect()
    story.at(3.261).expect(Granted("b2", "b"))


def test_a_newcomer_too_lets_an_older_one_go_first_that_is_due() -> None:
    story = refused_together("a")
    story.at(2.5).leave("h").expect()
    story.at(2.8).arrive("new").expect(Waits("new"))
    story.at(3).arrive("a2", claims="a").expect(Waits("a2", "a"), Granted("a2", "a"))


def test_an_absent_one_that_is_not_due_yet_costs_nobody_anything() -> None:
    story = refused_together("a")
    story.at(2.5).leave("h").expect()
    story.at(2.7).arrive("new").expect(Granted("new"))


def test_another_tenant_waits_for_nobody() -> None:
    story = refused_together("a", "b")
    story.at(2.5).leave("h").expect()
    story.at(3).arrive("b2", claims="b").expect(Waits("b2", "b"))
    story.at(3.01).arrive("other", tenant="beta").expect(Granted("other"))
    story.at(3.02).arrive("a2", claims="a").expect(Waits("a2", "a"))
    story.at(4).leave("other").expect(Granted("a2", "a"))


def test_the_wait_for_an_older_one_ends_with_its_place() -> None:
    story = refused_together("a", "b")
    story.at(2.5).leave("h").expect()
    story.at(3).arrive("b2", claims="b").expect(Waits("b2", "b"))
    story.at(3.01).evict("a").expect(Lapsed("a"), Granted("b2", "b"))


def test_many_waves_keep_the_order_of_first_arrival() -> None:
    """Ten callers, patience 2 s, a second away, 0.7 s a seat: everybody's turn comes in order."""
    story = Story(creates=seats(1))
    names = [f"c{number}" for number in range(10)]
    back: list[tuple[float, str, int]] = []
    story.at(0).arrive("h", tenant="holder").expect(Granted("h"))
    for number, name in enumerate(names):
        story.at(number / 200).arrive(name, patience=2, linger=30).expect(Waits(name))
    served: list[str] = []
    holder, frees, now = "h", 0.7, 0.05
    while len(served) < len(names):
        now = min([frees, now + 0.001] if holder else [now + 0.001])
        story.at(now)
        if holder and now >= frees:
            story.leave(holder)
            holder = ""
        for due, name, times in [item for item in back if item[0] <= now]:
            back.remove((due, name, times))
            story.arrive(f"{name}.{times}", claims=name, patience=2, linger=30)
        for effect in story.take():
            if isinstance(effect, Granted):
                served.append(effect.ticket or effect.caller)
                holder, frees = effect.caller, now + 0.7
            elif isinstance(effect, Refused):
                late = (7 * len(back) % 10) / 1000  # not in the order they left
                name = effect.caller.partition(".")[0]
                back.append((now + 1 + late, name, int(effect.caller.partition(".")[2] or 0) + 1))
    assert served == names


@pytest.mark.parametrize("doubling", [2.0, 65536.0, 131072.0])
def test_the_wait_ends_where_floats_become_coarser(doubling: float) -> None:
    """The moment an older place is given up is one sum: two that differ by rounding would wait forever."""
    story = Story(creates=seats(1))
    start = doubling - 0.2 - 3
    story.at(start).arrive("h", tenant="holder").expect(Granted("h"))
    story.at(start).arrive("a", "b", patience=2, linger=30).expect(Waits("a"), Waits("b"))
    story.at(start + 2).expect(Refused("a", Why.PATIENCE, kept=True), Refused("b", Why.PATIENCE, kept=True))
    story.at(start + 2.5).leave("h").expect()
    story.at(start + 3).arrive("b2", claims="b").expect(Waits("b2", "b"))
    story.at(start + 4).expect(Granted("b2", "b"))
