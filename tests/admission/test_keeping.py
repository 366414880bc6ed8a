"""Holding on, design.md §1 and §2.3: seats that outlive their request (``hold: ready``), beside those that do not."""

from __future__ import annotations

import pytest

from proxy.admission.accounts import SeatAccount
from proxy.admission.events import Why
from proxy.admission.view import TicketState
from proxy.domain.ids import Instant
from tests.admission.story import Granted, Refused, Story, Waits, need, rate, seats


def test_what_is_held_for_the_request_is_free_and_the_rest_stays() -> None:
    story = Story(creates=seats(1), starting=seats(2))
    story.at(0).arrive("a", "b", "c").expect(Granted("a"), Waits("b"), Waits("c"))
    story.at(1).keep("a", "starting").expect(Granted("b"))
    story.at(2).keep("b", "starting").expect()
    assert story.look("c").blocker == "starting"
    story.at(9).leave("a").expect(Granted("c"))
    story.at(10).leave("b", "c").expect()
    assert held(story) == {"creates": 0, "starting": 0}


def test_what_is_kept_is_seen() -> None:
    story = Story(creates=seats(4), starting=seats(4))
    story.at(0).arrive("a", "b").expect(Granted("a"), Granted("b"))
    story.at(1).keep("a", "starting").expect()
    assert held(story) == {"creates": 1, "starting": 2}
    assert story.look("a").state is TicketState.HOLDING
    assert [ticket.ticket for ticket in story.pool.view(Instant(1), 9).tickets] == ["a", "b"]


def test_what_is_kept_can_become_less_and_never_more() -> None:
    story = Story(creates=seats(1), starting=seats(1), warm=seats(1))
    story.at(0).arrive("a").expect(Granted("a"))
    story.at(1).keep("a", "starting", "warm").expect()
    story.at(2).keep("a", "warm", "creates").expect()
    assert held(story) == {"creates": 0, "starting": 0, "warm": 1}
    story.at(3).keep("a").expect()
    assert held(story) == {"creates": 0, "starting": 0, "warm": 0}
    story.at(4).leave("a", "a").expect()


def test_only_a_holder_keeps() -> None:
    story = Story(creates=seats(1), starting=seats(9))
    story.at(0).arrive("a", "b").expect(Granted("a"), Waits("b"))
    story.at(1).keep("b", "starting").keep("nobody", "starting").expect()
    story.at(2).leave("a").expect(Granted("b"))
    assert held(story) == {"creates": 1, "starting": 1}


def test_who_had_its_reply_never_waits_again() -> None:
    story = Story(creates=seats(1), starting=seats(1))
    story.at(0).arrive("a").expect(Granted("a"))
    story.at(1).keep("a", "starting").expect()
    story.at(2).retry_later("a", rest=5).expect()
    assert held(story) == {"creates": 0, "starting": 1}
    story.at(3).arrive("b", claims="a").expect(Waits("b"))


def test_a_rate_is_not_kept_and_what_was_not_sent_is_forgotten() -> None:
    story = Story(pace=rate(1), starting=seats(9))
    story.at(0).arrive("a").expect(Granted("a"))
    story.at(3).keep("a", "starting").expect()
    story.at(3).arrive("b").expect(Granted("b"))
    story.at(3).depart("b").keep("b", "starting").leave("b").expect()
    story.at(9).arrive("c").expect(Granted("c"))


def test_each_limit_knows_how_long_it_is_held() -> None:
    story = Story(creates=seats(1), starting=seats(2))
    story.at(0).arrive("a").expect(Granted("a"))
    story.at(2).keep("a", "starting").expect()
    story.at(30).leave("a").expect()
    means = {account.limit: account.mean for account in story.pool._book.accounts() if isinstance(account, SeatAccount)}
    assert means == {"creates": 2.0, "starting": 30.0}


def test_time_to_go_counts_the_whole_holding() -> None:
    story = Story(starting=seats(2))
    for second in (0, 40, 80):
        story.at(second).arrive(f"x{second}", tenant="other").expect(Granted(f"x{second}"))
        story.at(second + 1).keep(f"x{second}", "starting").expect()
        story.at(second + 40).leave(f"x{second}").expect()
    story.at(200).arrive("a", "b", "c").expect(Granted("a"), Granted("b"), Waits("c"))
    assert story.look("c").eta == pytest.approx(20.0), "two seats of 40 s each"


def test_kept_seats_count_in_fairness() -> None:
    story = Story(starting=seats(4))
    story.at(0).arrive("a1", "a2", "a3", tenant="acme").expect(Granted("a1"), Granted("a2"), Granted("a3"))
    story.at(0).arrive("b1", tenant="beta").expect(Granted("b1"))
    for name in ("a1", "a2", "a3", "b1"):
        story.keep(name, "starting").expect()
    story.at(1).arrive("a4", tenant="acme").arrive("b2", tenant="beta").expect(Waits("a4"), Waits("b2"))
    story.at(2).leave("a1").expect(Granted("b2"))
    story.at(3).leave("a2").expect(Granted("a4"))


def test_new_limits_count_what_is_kept() -> None:
    story = Story(starting=seats(2))
    story.at(0).arrive("a", "b", "c").expect(Granted("a"), Granted("b"), Waits("c"))
    story.at(1).keep("a", "starting").keep("b", "starting").expect()
    story.at(2).relimit(starting=seats(1)).expect()
    story.at(3).leave("a").expect()
    story.at(4).relimit(starting=seats(2)).expect(Granted("c"))
    story.at(5).relimit(starting=rate(1)).expect()
    story.at(6).leave("b", "c").expect()


def test_neither_an_operator_nor_a_drain_ends_what_is_kept() -> None:
    story = Story(starting=seats(1))
    story.at(0).arrive("a", "b").expect(Granted("a"), Waits("b"))
    story.at(1).keep("a", "starting").evict("a").expect()
    story.at(2).drain().expect(Refused("b", Why.DRAINING))
    assert held(story) == {"starting": 1}
    story.at(3).leave("a").expect()
    assert held(story) == {"starting": 0}


def test_a_wide_one_keeps_all_its_seats() -> None:
    story = Story(creates=seats(3), starting=seats(3))
    both = (need("creates", cost=2), need("starting", cost=2))
    story.at(0).arrive("wide", needs=both).arrive("a", "b").expect(Granted("wide"), Granted("a"), Waits("b"))
    story.at(1).keep("wide", "starting").leave("a").expect(Granted("b"))
    assert held(story) == {"creates": 1, "starting": 3}
    story.at(2).leave("wide", "b").expect()


def held(story: Story) -> dict[str, float]:
    """The seats held of each limit, as the state page shows them."""
    return {limit.name: limit.held for limit in story.pool.view(Instant(story.now), 0).limits}
