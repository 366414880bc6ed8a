"""Limits, design.md §2.3 and §2.5: all or none, costs, rates, gates, and limits that change under way."""

from __future__ import annotations

import random

import pytest

from proxy.admission.events import LimitSpec, Why
from proxy.domain.ids import Instant
from tests.admission.story import Granted, Refused, Story, Waits, need, rate, seats


# -- all or none ------------------------------------------------------------------------------------
def test_all_limits_or_none() -> None:
    story = Story(creates=seats(2), live=seats(1))
    story.at(0).arrive("a", "b").expect(Granted("a"), Waits("b"))
    assert story.look("b").blocker == "live"
    story.at(1).arrive("c", tenant="beta", needs=(need("creates"),)).expect(Granted("c"))
    story.at(2).leave("a").expect(Granted("b"))


def test_who_waits_for_one_limit_takes_nothing_of_another() -> None:
    story = Story(pace=rate(1, burst=2), creates=seats(1))
    story.at(0).arrive("a", "b").expect(Granted("a"), Waits("b"))
    story.at(0).arrive("c", tenant="beta", needs=(need("pace"),)).expect(Granted("c"))


def test_blocked_at_one_limit_and_then_at_another() -> None:
    story = Story(creates=seats(1), pace=rate(0.5))
    story.at(0).arrive("a", "b").expect(Granted("a"), Waits("b"))
    assert story.look("b").blocker == "creates"
    story.at(1).leave("a").expect()
    assert story.look("b").blocker == "pace"
    story.at(2.1).expect(Granted("b"))


def test_the_own_number_of_a_scope_wins_exact_names_before_patterns() -> None:
    story = Story(creates=LimitSpec(seats=1, own_seats={"batch-*": 2, "batch-7": 3}))
    for scope, number in (("batch-7", 3), ("batch-8", 2), ("acme", 1)):
        names = [f"{scope}{index}" for index in range(number)]
        how = {"tenant": scope, "needs": (need("creates", scope),)}
        story.at(0).arrive(*names, **how).expect(*(Granted(name) for name in names))
        story.at(0).arrive(f"{scope}-next", **how).expect(Waits(f"{scope}-next"))


def test_the_own_rate_of_a_scope() -> None:
    story = Story(pace=rate(1, acme=4.0))
    story.at(0).arrive("a", "b", needs=(need("pace", "acme"),)).expect(Granted("a"), Waits("b"))
    story.at(0.26).expect(Granted("b"))


# -- costs ----------------------------------------------------------------------------------------------
def test_a_fork_of_n_takes_n_seats_all_or_none() -> None:
    story = Story(creates=seats(4))
    fork = {"needs": (need("creates", cost=3),)}
    story.at(0).arrive("a", **fork).expect(Granted("a"))
    story.at(0).arrive("b", **fork).expect(Waits("b"))
    story.at(1).leave("a").expect(Granted("b"))
    story.at(1).arrive("c").expect(Granted("c"))
    story.at(1).arrive("d").expect(Waits("d"))


def test_a_wide_head_reserves_and_is_not_starved_by_narrow_ones() -> None:
    story = Story(creates=seats(4))
    story.at(0).arrive("a", "b", "c", "d", tenant="narrow").expect(*(Granted(name) for name in "abcd"))
    story.at(1).arrive("wide", tenant="wide", needs=(need("creates", cost=2),)).expect(Waits("wide"))
    story.at(1).arrive("e", tenant="narrow").expect(Waits("e"))
    story.at(2).leave("a").expect()
    story.at(3).arrive("f", tenant="narrow").expect(Waits("f"))
    story.at(4).leave("b").expect(Granted("wide"))


def test_who_was_held_back_by_a_wide_head_goes_when_it_leaves() -> None:
    story = Story(creates=seats(3))
    story.at(0).arrive("a", "b", tenant="narrow").expect(Granted("a"), Granted("b"))
    story.at(1).arrive("wide", tenant="wide", needs=(need("creates", cost=2),)).expect(Waits("wide"))
    story.at(1).arrive("c", tenant="narrow").expect(Waits("c"))
    story.at(2).leave("wide").expect(Granted("c"))


def test_who_was_held_back_by_a_wide_head_goes_when_its_patience_ends() -> None:
    story = Story(creates=seats(3))
    story.at(0).arrive("a", "b", tenant="narrow").expect(Granted("a"), Granted("b"))
    story.at(1).arrive("wide", tenant="wide", needs=(need("creates", cost=2),), patience=5).expect(Waits("wide"))
    story.at(1).arrive("c", tenant="narrow").expect(Waits("c"))
    story.at(6).expect(Refused("wide", Why.PATIENCE, kept=True), Granted("c"))


def test_who_was_held_back_goes_when_an_older_one_takes_the_wide_heads_place() -> None:
    story = Story(creates=seats(3), other=seats(1))
    creates, both = (need("creates"),), (need("other"), need("creates"))
    wide = {"tenant": "wide", "needs": (need("creates", cost=2),)}
    story.at(0).arrive("a", "b", needs=creates, tenant="narrow").expect(Granted("a"), Granted("b"))
    story.at(0).arrive("o", needs=(need("other"),), tenant="third").expect(Granted("o"))
    story.at(1).arrive("old", needs=both, tenant="wide", patience=1).expect(Waits("old"))
    story.at(2).expect(Refused("old", Why.PATIENCE, kept=True))
    story.at(3).arrive("wide", **wide).expect(Waits("wide"))
    story.at(3).arrive("c", needs=creates, tenant="narrow").expect(Waits("c"))
    story.at(4).arrive("again", needs=both, tenant="wide", claims="old").expect(Waits("again", "old"), Granted("c"))


def test_what_never_fits_is_refused_at_once() -> None:
    story = Story(creates=seats(4))
    story.at(0).arrive("a", needs=(need("creates", cost=5),)).expect(Refused("a", Why.NEVER_FITS))
    assert (story.refusal().number, story.refusal().bound, story.refusal().blocker) == (5, 4, "creates")
    story.at(0).arrive("b", needs=(need("creates", cost=4),)).expect(Granted("b"))


def test_a_limit_of_no_seats_is_waited_for() -> None:
    story = Story(creates=seats(0))
    story.at(0).arrive("a").expect(Waits("a"))
    story.at(1).relimit(creates=seats(1)).expect(Granted("a"))


# -- rates ----------------------------------------------------------------------------------------------
def test_a_rate_lets_one_through_per_interval() -> None:
    story = Story(pace=rate(5))
    story.at(0).arrive("a", "b", "c").expect(Granted("a"), Waits("b"), Waits("c"))
    story.at(0.2).expect()
    story.at(0.2041).expect(Granted("b"))
    story.at(0.407).expect()
    story.at(0.4081).expect(Granted("c"))


def test_a_rate_is_not_given_back() -> None:
    story = Story(pace=rate(1))
    story.at(0).arrive("a").expect(Granted("a"))
    story.at(0.1).leave("a").expect()
    story.at(0.2).arrive("b").expect(Waits("b"))


def test_a_burst_after_a_rest_and_no_more() -> None:
    story = Story(pace=rate(1, burst=3))
    story.at(100).arrive(*"abcde").expect(Granted("a"), Granted("b"), Granted("c"), Waits("d"), Waits("e"))
    story.at(101).expect()
    story.at(101.021).expect(Granted("d"))
    story.at(102.041).expect(Granted("e"))
    story.at(200).arrive(*"fghi").expect(Granted("f"), Granted("g"), Granted("h"), Waits("i"))


@pytest.mark.parametrize(("per_second", "burst"), [(1, 1), (5, 1), (20, 1), (5, 4), (0.5, 2), (33, 1)])
def test_no_window_holds_more_than_burst_and_rate(per_second: float, burst: int) -> None:
    story = Story(pace=rate(per_second, burst))
    names = [str(number) for number in range(80)]
    story.at(0).arrive(*names, patience=1000)
    grants: list[float] = []
    while True:
        grants += [story.now] * sum(isinstance(line, Granted) for _, line in story._unread)
        story._unread = []
        if len(grants) == len(names):
            break
        due = story.pool.next_deadline()
        assert due is not None
        assert due < 1000
        story.at(due)
    for window in (1.0, 2.5, 10.0):
        most = max(sum(1 for at in grants if start <= at <= start + window) for start in grants)
        assert most <= burst + per_second * window
        if burst == 1 and window == 1.0 and per_second >= 1:
            assert most <= per_second, "with burst 1 no second holds more than the rate"
    assert grants[-1] <= 1.0201 * (len(names) - burst) / per_second, "and it is not slower than it must be"


@pytest.mark.parametrize(("per_second", "burst"), [(1, 1), (5, 1), (20, 1), (5, 4), (33, 1)])
@pytest.mark.parametrize("seed", range(5))
def test_no_window_holds_more_however_late_the_granted_ones_are_sent(per_second: float, burst: int, seed: int) -> None:
    """A busy loop and new connections delay a request after its grant; the far side counts what is sent."""
    story, chance = Story(pace=rate(per_second, burst)), random.Random(seed)
    names = [str(number) for number in range(80)]
    story.at(0).arrive(*names, patience=1000)
    sent: list[float] = []
    going: list[tuple[float, str]] = []
    while len(sent) < len(names):
        going += [(story.now + chance.choice((0, 0.001, 0.3)), line.caller) for line in granted(story)]
        due = story.pool.next_deadline()
        moments = [at for at, _ in going] if due is None else [due, *(at for at, _ in going)]
        story.at(min(moments))
        going += [(story.now + chance.choice((0, 0.001, 0.3)), line.caller) for line in granted(story)]
        for at, name in sorted(item for item in going if item[0] <= story.now):
            going.remove((at, name))
            sent.append(story.now)
            story.depart(name)
    for window in (1.0, 2.5, 10.0):
        most = max(sum(1 for at in sent if start <= at <= start + window) for start in sent)
        assert most <= burst + per_second * window, "the far side sees no more than the rate allows"


def granted(story: Story) -> list[Granted]:
    return [line for line in story.take() if isinstance(line, Granted)]


def test_what_is_sent_late_moves_the_next_ones() -> None:
    story = Story(pace=rate(1))
    story.at(0).arrive("a", "b").expect(Granted("a"), Waits("b"))
    story.at(0.5).depart("a")
    story.at(1.5).expect()
    story.at(1.53).expect(Granted("b"))
    story.at(1.53).depart("b", "b").leave("b").arrive("c").expect(Waits("c"))
    story.at(2.56).expect(Granted("c"))


def test_who_leaves_unsent_delays_nobody_further() -> None:
    story = Story(pace=rate(1))
    story.at(0).arrive("a", "b", "c").expect(Granted("a"), Waits("b"), Waits("c"))
    story.at(0.9).leave("a").expect()
    story.at(1.021).expect(Granted("b"))
    story.at(1.021).depart("b")
    story.at(2.042).expect(Granted("c"))


def test_a_burst_that_is_sent_bit_by_bit_moves_the_next_one() -> None:
    story = Story(pace=rate(1, burst=2))
    story.at(0).arrive("a", "b", "c").expect(Granted("a"), Granted("b"), Waits("c"))
    story.at(0.5).depart("a")
    story.at(1.5).expect()
    story.at(1.53).expect(Granted("c"))


def test_what_is_sent_is_counted_once_and_then_forgotten() -> None:
    story = Story(pace=rate(1))
    story.at(0).arrive("a").expect(Granted("a"))
    story.depart("a", "a").leave("a").expect()
    (account,) = story.pool._book.accounts()
    assert account.idle(Instant(9))


# -- gates ----------------------------------------------------------------------------------------------
def test_a_gate_closes_for_its_scope_only() -> None:
    story = Story(creates=seats(9))
    story.at(0).close_gate("key", 5).expect()
    story.at(1).arrive("a", gate="key").expect(Waits("a"))
    story.at(1).arrive("b", gate="other", tenant="beta").expect(Granted("b"))
    assert story.look("a").blocker == "retry-after"
    story.at(4.9).expect()
    story.at(5).expect(Granted("a"))


def test_the_longer_time_counts() -> None:
    story = Story(creates=seats(9))
    story.at(0).close_gate("key", 5).close_gate("key", 2).expect()
    story.at(1).arrive("a").expect(Waits("a"))
    story.at(2).close_gate("key", 8).expect()
    story.at(5).expect()
    story.at(10).expect(Granted("a"))


def test_a_gate_stops_those_too_who_wait_for_something_else() -> None:
    story = Story(creates=seats(1))
    story.at(0).arrive("a", "b", "c").expect(Granted("a"), Waits("b"), Waits("c"))
    story.at(1).close_gate("key", 5).expect()
    story.at(2).leave("a").expect()
    assert story.look("b").blocker == "retry-after"
    story.at(6).expect(Granted("b"))


def test_a_gate_opens_for_the_oldest_first() -> None:
    story = Story(creates=seats(1))
    story.at(0).close_gate("key", 5).expect()
    story.at(1).arrive("a", tenant="one").expect(Waits("a"))
    story.at(2).arrive("b", tenant="two").expect(Waits("b"))
    story.at(5).expect(Granted("a"))


# -- limits that change ---------------------------------------------------------------------------------
def test_a_raised_limit_wakes_at_once() -> None:
    story = Story(creates=seats(1))
    story.at(0).arrive(*"abcd").expect(Granted("a"), Waits("b"), Waits("c"), Waits("d"))
    story.at(1).relimit(creates=seats(3)).expect(Granted("b"), Granted("c"))


def test_a_lowered_limit_drains_by_attrition() -> None:
    story = Story(creates=seats(3))
    story.at(0).arrive(*"abcd").expect(Granted("a"), Granted("b"), Granted("c"), Waits("d"))
    story.at(1).relimit(creates=seats(1)).expect()
    story.at(2).leave("a").expect()
    story.at(3).leave("b").expect()
    story.at(4).leave("c").expect(Granted("d"))


def test_who_waits_for_more_than_a_lowered_limit_has_delays_no_other() -> None:
    story = Story(creates=seats(4))
    story.at(0).arrive("h", needs=(need("creates", cost=4),), tenant="holder").expect(Granted("h"))
    story.at(1).arrive("wide", needs=(need("creates", cost=3),), tenant="wide").expect(Waits("wide"))
    story.at(1).arrive("a", "b").expect(Waits("a"), Waits("b"))
    story.at(2).relimit(creates=seats(1)).expect()
    story.at(3).leave("h").expect(Granted("a"))
    story.at(4).leave("a").expect(Granted("b"))
    story.at(5).relimit(creates=seats(4)).expect(Granted("wide"))


def test_a_removed_limit_binds_those_who_came_under_it() -> None:
    story = Story(creates=seats(1))
    story.at(0).arrive(*"abc").expect(Granted("a"), Waits("b"), Waits("c"))
    story.at(1).relimit(other=seats(1)).expect()
    story.at(1).arrive("d", needs=(need("other"),), route="renamed").expect(Granted("d"))
    story.at(2).leave("a").expect(Granted("b"))
    story.at(3).relimit(creates=seats(2)).expect(Granted("c"))


def test_a_removed_rate_binds_those_who_came_under_it() -> None:
    story = Story(pace=rate(0.1))
    story.at(0).arrive("a", "b", "c").expect(Granted("a"), Waits("b"), Waits("c"))
    story.at(1).relimit().expect()
    story.at(10.2).expect(Granted("b"))
    story.at(20.4).expect(Granted("c"))


def test_a_raised_rate_wakes_as_soon_as_the_new_one_allows() -> None:
    story = Story(pace=rate(0.1))
    story.at(0).arrive("a", "b").expect(Granted("a"), Waits("b"))
    story.at(1).relimit(pace=rate(10)).expect()
    story.at(1.11).expect(Granted("b"))


def test_a_lowered_rate_counts_what_was_let_through() -> None:
    story = Story(pace=rate(10))
    story.at(0).arrive("a", "b").expect(Granted("a"), Waits("b"))
    story.at(0).relimit(pace=rate(1)).expect()
    story.at(1).expect()
    story.at(1.02).expect(Granted("b"))


def test_a_raised_burst_wakes_at_once() -> None:
    story = Story(pace=rate(0.1))
    story.at(0).arrive(*"abcd").expect(Granted("a"), Waits("b"), Waits("c"), Waits("d"))
    story.at(0).relimit(pace=rate(0.1, burst=3)).expect(Granted("b"), Granted("c"))


def test_seats_that_become_a_rate_and_back() -> None:
    story = Story(creates=seats(1))
    story.at(0).arrive("a", "b", "c").expect(Granted("a"), Waits("b"), Waits("c"))
    story.at(1).relimit(creates=rate(1)).expect(Granted("b"))
    story.at(2).leave("a").expect()
    story.at(2.1).expect(Granted("c"))
    story.at(2.2).arrive("d").expect(Waits("d"))
    story.at(2.2).relimit(creates=seats(1)).expect(Granted("d"))
    story.at(2.3).leave("b", "c").expect()
    story.at(2.4).arrive("e").expect(Waits("e"))
    story.at(2.5).leave("d").expect(Granted("e"))
