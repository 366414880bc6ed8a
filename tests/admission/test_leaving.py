"""Leaving, design.md §2.5, §2.6 and §2.13: leave, try again, evict, drain; and what is forgotten afterwards."""

from __future__ import annotations

from proxy.admission.events import Why
from tests.admission.invariants import accounts
from tests.admission.story import Granted, Lapsed, Refused, Story, Waits, need, rate, seats


def test_who_leaves_while_waiting_is_gone_at_once() -> None:
    story = Story(creates=seats(1))
    story.at(0).arrive("a", "b", "c").expect(Granted("a"), Waits("b"), Waits("c"))
    story.at(1).leave("b").expect()
    story.at(2).leave("a").expect(Granted("c"))
    story.at(100).expect()


def test_leaving_twice_or_by_a_past_visit_is_silence() -> None:
    story = Story(creates=seats(1))
    story.at(0).arrive("a", "b").expect(Granted("a"), Waits("b"))
    story.at(1).arrive("b2", claims="b").expect(Refused("b", Why.SUPERSEDED), Waits("b2", "b"))
    story.at(1).leave("b", "b").expect()
    story.at(2).leave("a", "a").expect(Granted("b2", "b"))


# -- trying again ---------------------------------------------------------------------------------------
def test_who_tries_again_keeps_its_age() -> None:
    story = Story(creates=seats(2))
    story.at(0).arrive("a", "b", "c", "d").expect(Granted("a"), Granted("b"), Waits("c"), Waits("d"))
    story.at(1).retry_later("b").expect(Granted("b"))
    story.at(2).retry_later("a", rest=5).expect(Granted("c"))
    assert story.look("a").position == 1
    assert story.look("a").attempt == 2
    assert story.look("a").blocker == "retry-after"
    story.at(6.9).leave("b").expect(Granted("d"))
    story.at(7).expect()
    story.at(8).arrive("e").expect(Waits("e"))
    story.at(9).leave("c").expect(Granted("a"))
    story.at(9).leave("d").expect(Granted("e"))


def test_who_rests_is_passed_and_not_granted_before() -> None:
    story = Story(creates=seats(1))
    story.at(0).arrive("a").expect(Granted("a"))
    story.at(1).retry_later("a", rest=5).expect()
    story.at(2).arrive("b").expect(Granted("b"))
    story.at(3).leave("b").expect()
    story.at(5.9).expect()
    story.at(6).expect(Granted("a"))


def test_taking_over_does_not_end_a_rest() -> None:
    story = Story(creates=seats(1))
    story.at(0).arrive("a").expect(Granted("a"))
    story.at(1).retry_later("a", rest=5).expect()
    story.at(2).arrive("b", claims="a").expect(Refused("a", Why.SUPERSEDED), Waits("b", "a"))
    story.at(5.9).expect()
    story.at(6).expect(Granted("b", "a"))


def test_patience_counts_the_waiting_before_all_tries_and_not_the_tries() -> None:
    story = Story(creates=seats(1))
    story.at(0).arrive("h", tenant="other").expect(Granted("h"))
    story.at(0).arrive("a", patience=10).expect(Waits("a"))
    story.at(4).leave("h").expect(Granted("a"))
    story.at(100).retry_later("a", rest=3).expect()
    story.at(101).arrive("h2", tenant="other").expect(Granted("h2"))
    story.at(105.9).expect()
    story.at(106).expect(Refused("a", Why.PATIENCE, kept=True))


def test_a_rest_longer_than_the_patience_left_ends_with_it() -> None:
    story = Story(creates=seats(1))
    story.at(0).arrive("a", patience=10).expect(Granted("a"))
    story.at(1).retry_later("a", rest=60).expect()
    story.at(11).expect(Refused("a", Why.PATIENCE, kept=True))
    story.at(12).arrive("again", claims="a", patience=99).expect(Waits("again", "a"))
    story.at(60.9).expect()
    story.at(61).expect(Granted("again", "a"))


def test_only_a_holder_can_try_again() -> None:
    story = Story(creates=seats(1))
    story.at(0).arrive("a", "b").expect(Granted("a"), Waits("b"))
    story.at(1).retry_later("b", rest=9).expect()
    story.at(2).leave("a").expect(Granted("b"))


def test_another_try_takes_the_rate_again() -> None:
    story = Story(pace=rate(1))
    story.at(0).arrive("a").expect(Granted("a"))
    story.at(0).retry_later("a").expect()
    story.at(1.02).expect(Granted("a"))


# -- operators and the end ------------------------------------------------------------------------------
def test_evict_ends_who_waits_and_kept_places_but_no_holder() -> None:
    story = Story(creates=seats(1))
    story.at(0).arrive("a", "b").expect(Granted("a"), Waits("b"))
    story.at(0).arrive("c", patience=5).expect(Waits("c"))
    story.at(5).expect(Refused("c", Why.PATIENCE, kept=True))
    story.at(6).evict("a").evict("c").evict("b").expect(Lapsed("c"), Refused("b", Why.EVICTED))
    story.at(7).evict("nobody").expect()
    story.at(8).arrive("d", claims="c").expect(Waits("d"))


def test_a_drain_refuses_everybody_at_once_and_grants_nobody_on_the_way() -> None:
    story = Story(creates=seats(3))
    story.at(0).arrive("a", "b", tenant="narrow").expect(Granted("a"), Granted("b"))
    story.at(1).arrive("wide", tenant="wide", needs=(need("creates", cost=2),)).expect(Waits("wide"))
    story.at(1).arrive("c", "d", tenant="narrow").expect(Waits("c"), Waits("d"))
    story.at(2).drain().expect(*(Refused(name, Why.DRAINING) for name in ("wide", "c", "d")))
    story.at(3).arrive("e").expect(Refused("e", Why.DRAINING))
    story.at(4).leave("a", "b").expect()


def test_kept_places_outlive_a_drain_and_cannot_be_taken_back_here() -> None:
    story = Story(creates=seats(1))
    story.at(0).arrive("a").expect(Granted("a"))
    story.at(0).arrive("b", patience=5).expect(Waits("b"))
    story.at(5).expect(Refused("b", Why.PATIENCE, kept=True))
    story.at(6).drain().expect()
    story.at(7).arrive("again", claims="b").expect(Refused("again", Why.DRAINING, kept=True, ticket="b"))
    story.at(35).expect(Lapsed("b"))


def test_a_holder_that_tries_again_while_draining_is_refused() -> None:
    story = Story(creates=seats(1))
    story.at(0).arrive("a").expect(Granted("a"))
    story.at(1).drain().expect()
    story.at(2).retry_later("a").expect(Refused("a", Why.DRAINING))
    story.at(3).leave("a").expect()


# -- what is forgotten ----------------------------------------------------------------------------------
def test_the_names_of_thousands_of_callers_are_not_kept() -> None:
    """Tenants are the callers' to name: whatever they do, what is remembered of them is bounded."""
    story = Story(creates=seats(1))
    story.quiet = True
    for number in range(6000):
        scope = need("creates", f"t{number}", cost=1 + number % 2)  # every second one never fits
        story.arrive(f"a{number}", tenant=f"t{number}", needs=(scope,), gate=f"g{number}")
        story.close_gate(f"g{number}", 0)
        story.leave(f"a{number}")
    assert len(list(story.pool._room.queues())) <= 1025
    assert len(accounts(story.pool)) <= 1100
    assert len(story.pool._timers) <= 300


def test_the_timers_of_thousands_who_left_are_not_kept() -> None:
    story = Story(creates=seats(1))
    story.quiet = True
    story.at(0).arrive("h")
    for number in range(3000):
        story.arrive(f"a{number}", patience=1800).leave(f"a{number}")
    assert len(story.pool._timers) <= 300


def test_debts_of_thousands_of_tenants_are_not_kept() -> None:
    story = Story(creates=seats(1))
    story.quiet = True
    story.at(0).arrive("t0", "waits", tenant="t0")
    for number in range(1, 4000):
        name, before = f"t{number}", f"t{number - 1}"
        story.at(number).arrive(name, tenant=name, weight=0.001).leave(before)
    (account,) = story.pool._book.accounts()
    assert len(account.active) <= 4
    assert len(account._debtors) <= 1024


def test_a_holder_comes_back_to_its_queue_among_thousands_of_others() -> None:
    story = Story(creates=seats(1))
    free = {"tenant": "one", "needs": ()}
    story.at(0).arrive("a", "b", **free).expect(Granted("a"), Granted("b"))
    story.quiet = True
    for number in range(1100):
        story.arrive(f"x{number}", tenant=f"x{number}", needs=())
    story.quiet = False
    story.leave("a").expect()
    story.at(1).retry_later("b", rest=5).expect()
    story.at(2).close_gate("key", 9).expect()
    story.at(2).arrive("c", bounds=(1, 9999), **free).expect(Refused("c", Why.FULL_TENANT))
