"""Who makes room when one caller too many comes."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from proxy.domain.errors import HeadgateError, TooManyLongHeads
from proxy.wire.crowd import LONG_HEADS, Crowd


@dataclass(eq=False)
class One:
    """A caller: what it is doing, and what it was told."""

    awaited_since: float
    awaited: bool = True
    leaving: bool = False
    told: list[str] = field(default_factory=list)

    def give_way(self) -> None:
        assert self.awaited, "it has a request under way"
        self.told.append("give way")

    def break_off(self, error: HeadgateError) -> None:
        assert error == TooManyLongHeads(LONG_HEADS)
        self.told.append("break off")

    def turn_away(self) -> None:
        self.told.append("turn away")

    def abort(self) -> None:
        self.told.append("abort")


class House:
    """A crowd and its clock, which goes on by one at each arrival."""

    def __init__(self, bound: int) -> None:
        self.time = 0.0
        self.inside: set[One] = set()
        self.crowd = Crowd(self.inside, bound, lambda: self.time)

    def enter(self, *, awaited: bool = True) -> One:
        self.time += 1
        one = One(self.time, awaited)
        self.inside.add(one)
        self.crowd.entered(one)
        return one

    def leave(self, one: One) -> None:
        self.inside.remove(one)
        self.crowd.left(one)


def test_the_one_awaited_longest_goes() -> None:
    house = House(3)
    first, second, third = house.enter(), house.enter(), house.enter()
    assert not (first.told or second.told or third.told)
    first.awaited_since = house.time + 0.5  # it was served meanwhile
    fourth = house.enter()
    assert (second.told, fourth.told) == (["give way"], [])
    fifth = house.enter()
    assert (third.told, first.told, fifth.told) == (["give way"], [], [])
    assert (house.crowd.gave_way, house.crowd.turned_away) == (2, 0)


def test_who_is_busy_stays_also_if_it_was_idle_when_they_were_looked_out() -> None:
    house = House(3)
    ones = [house.enter() for _ in range(3)]
    house.enter()
    ones[1].awaited = False
    house.enter()
    assert [one.told for one in ones] == [["give way"], [], ["give way"]]


def test_who_has_gone_makes_no_room() -> None:
    house = House(3)
    ones = [house.enter() for _ in range(4)]
    house.leave(ones[1])
    assert not house.enter().told
    house.enter()
    assert [one.told for one in ones] == [["give way"], [], ["give way"], []]


def test_where_all_are_busy_the_newcomer_goes() -> None:
    house = House(2)
    busy = [house.enter(awaited=False) for _ in range(2)]
    late = house.enter()
    assert late.told == ["turn away"]
    assert not any(one.told for one in busy)
    house.leave(late)
    house.leave(busy[0])
    assert house.enter().told == [], "there is room again"


def test_those_who_are_to_go_take_no_room() -> None:
    house = House(1)
    busy = house.enter(awaited=False)
    for _ in range(3):
        assert house.enter().told == ["turn away"]
    house.leave(busy)
    assert house.enter().told == []


def test_too_many_at_the_door_are_cut() -> None:
    house = House(1)
    house.enter(awaited=False)
    ones = [house.enter() for _ in range(1000)]
    told = [one.told[0] for one in ones]
    assert told == ["turn away"] * 256 + ["abort"] * 744
    assert house.crowd.turned_away == 1000
    for one in ones[255:]:
        house.leave(one)
    assert house.enter().told == ["turn away"]


def test_a_flood_looks_through_the_crowd_seldom() -> None:
    """Each look costs as much as there are callers: a flood of n must not cost n times that."""
    looks = 0

    class Counting(One):
        def __getattribute__(self, name: str) -> object:
            nonlocal looks
            looks += name == "awaited"
            return super().__getattribute__(name)

    for awaited in (True, False):
        house = House(2000)
        for _ in range(2000):
            house.time += 1
            house.inside.add(Counting(house.time, awaited))
        looks = 0
        for _ in range(1000):
            one = One(house.time, awaited)  # all at one instant
            house.inside.add(one)
            house.crowd.entered(one)
        assert looks <= 2 * (2000 + 512) + 1000


def test_of_too_many_long_heads_the_one_that_began_first_is_broken_off() -> None:
    house = House(2 * LONG_HEADS)
    ones = [house.enter() for _ in range(LONG_HEADS + 3)]
    for one in ones[:LONG_HEADS]:
        house.crowd.long_head(one)
    house.crowd.long_head(ones[0])  # more of it came: it is still the one that began first
    assert not any(one.told for one in ones)
    house.crowd.long_head(ones[LONG_HEADS])
    assert [one for one in ones if one.told] == [ones[0]] and ones[0].told == ["break off"]
    house.crowd.long_head_over(ones[1])
    house.leave(ones[2])
    assert house.crowd.long_heads == LONG_HEADS - 2
    for one in ones[-2:]:
        house.crowd.long_head(one)
    assert [one for one in ones if one.told] == [ones[0]], "there was room for two"
    assert house.crowd.gave_way == 1


@given(
    bound=st.integers(1, 8),
    steps=st.lists(st.tuples(st.sampled_from(["enter", "busy", "leave", "use"]), st.integers(0, 30))),
)
def test_never_more_stay_than_may(bound: int, steps: list[tuple[str, int]]) -> None:
    house, ones = House(bound), list[One]()
    for what, which in steps:
        if what in ("enter", "busy"):
            ones.append(house.enter(awaited=what == "enter"))
        elif ones and what == "leave":
            house.leave(ones.pop(which % len(ones)))
        elif ones:
            one = ones[which % len(ones)]
            one.awaited, one.awaited_since = not one.awaited, house.time
        staying = [one for one in ones if not one.leaving]
        assert len(staying) <= bound
        assert all(len(one.told) == one.leaving for one in ones)
