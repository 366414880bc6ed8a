"""Waiting, design.md §2.5: order, patience, places that are kept and taken back, bounds."""

from __future__ import annotations

import pytest

from proxy.admission.events import Why
from proxy.admission.view import TicketState
from proxy.domain.ids import Instant
from tests.admission.story import Granted, Lapsed, Refused, Story, Waits, need, rate, seats


def held(*names: str, number: int = 1) -> Story:
    """One limit of so many seats, held by the named."""
    story = Story(creates=seats(number))
    story.at(0).arrive(*names, tenant="holder", route="other").expect(*(Granted(name) for name in names))
    return story


def test_first_come_first_served_inside_a_tenant_and_route() -> None:
    story = Story(creates=seats(1))
    story.at(0).arrive("a", "b", "c").expect(Granted("a"), Waits("b"), Waits("c"))
    story.at(1).leave("a").expect(Granted("b"))
    story.at(1).arrive("d").expect(Waits("d"))
    story.at(2).leave("b").expect(Granted("c"))
    story.at(3).leave("c").expect(Granted("d"))


def test_one_that_fits_does_not_overtake_one_of_its_own_that_does_not() -> None:
    story = Story(creates=seats(3))
    story.at(0).arrive("a", "b").expect(Granted("a"), Granted("b"))
    story.at(1).arrive("wide", needs=(need("creates", cost=2),)).expect(Waits("wide"))
    story.at(1).arrive("narrow").expect(Waits("narrow"))
    story.at(2).leave("a").expect(Granted("wide"))
    story.at(3).leave("b").expect(Granted("narrow"))


def test_a_capped_tenant_delays_no_other() -> None:
    story = Story(shared=seats(3))
    mine = {"needs": (need("creates", "acme"), need("shared")), "tenant": "acme"}
    other = {"needs": (need("creates", "beta"), need("shared")), "tenant": "beta"}
    story.relimit(shared=seats(3), creates=seats(1)).expect()
    story.at(0).arrive("a1", "a2", "a3", **mine).expect(Granted("a1"), Waits("a2"), Waits("a3"))
    story.at(0).arrive("b1", **other).expect(Granted("b1"))
    assert story.look("a2").blocker == "creates"
    story.at(1).leave("b1").expect()
    story.at(1).arrive("b2", **other).expect(Granted("b2"))
    story.at(2).leave("a1").expect(Granted("a2"))


def test_two_routes_of_a_tenant_share_its_turn_by_age() -> None:
    story = held("h")
    story.at(1).arrive("a", route="create").expect(Waits("a"))
    story.at(2).arrive("b", route="fork").expect(Waits("b"))
    story.at(3).arrive("c", route="create").expect(Waits("c"))
    story.at(4).leave("h").expect(Granted("a"))
    story.at(5).leave("a").expect(Granted("b"))
    story.at(6).leave("b").expect(Granted("c"))


def test_who_needs_nothing_never_waits_behind_who_does() -> None:
    story = held("h")
    story.at(1).arrive("a").expect(Waits("a"))
    story.at(1).arrive("destroy", needs=()).expect(Granted("destroy"))
    story.close_gate("key", 5).expect()
    story.at(2).arrive("observe", needs=()).expect(Waits("observe"))
    story.at(6).expect(Granted("observe"))


# -- patience and linger ----------------------------------------------------------------------------
def test_patience_ends_and_the_place_is_kept_for_linger() -> None:
    story = held("h")
    story.at(1).arrive("a", patience=10).expect(Waits("a"))
    story.at(10.9).expect()
    story.at(11).expect(Refused("a", Why.PATIENCE, kept=True))
    assert story.refusal().blocker == "creates"
    assert story.refusal().waited == 10.0
    assert story.refusal().position == 1
    assert story.refusal().retry_after == 1.0
    story.at(40.9).expect()
    story.at(41).expect(Lapsed("a"))
    story.at(42).leave("h").expect()


def test_leaving_after_the_refusal_does_not_end_the_place() -> None:
    story = held("h")
    story.at(0).arrive("a", patience=10).expect(Waits("a"))
    story.at(10).expect(Refused("a", Why.PATIENCE, kept=True))
    story.at(10).leave("a").expect()
    story.at(12).arrive("again", claims="a").expect(Waits("again", "a"))
    story.at(13).leave("h").expect(Granted("again", "a"))


def test_without_linger_nothing_is_kept() -> None:
    story = held("h")
    story.at(0).arrive("a", patience=10, linger=0).expect(Waits("a"))
    story.at(10).expect(Refused("a", Why.PATIENCE, kept=False))
    story.at(11).arrive("again", claims="a").expect(Waits("again"))


def test_patience_zero_takes_what_is_there_and_is_refused_at_once_otherwise() -> None:
    story = Story(creates=seats(1))
    story.at(0).arrive("a", patience=0).expect(Granted("a"))
    story.at(0).arrive("b", patience=0).expect(Waits("b"))
    story.at(0).expect(Refused("b", Why.PATIENCE, kept=True))


def test_retry_after_of_a_kept_place_is_never_beyond_half_of_linger() -> None:
    story = held("holder")
    story.at(0).arrive(*"abcdefghijk", patience=10, linger=5).expect(*(Waits(name) for name in "abcdefghijk"))
    story.at(0).arrive("short", patience=10, linger=2).expect(Waits("short"))
    story.at(10).expect(
        *(Refused(name, Why.PATIENCE, kept=True) for name in "abcdefghijk"), Refused("short", Why.PATIENCE, kept=True)
    )
    refused = {effect.ticket: effect.retry_after for effect in story.last if hasattr(effect, "retry_after")}
    assert refused == {**dict.fromkeys("abcdefghij", 1.0), "k": 2.0, "short": 1.0}


def test_a_place_is_taken_back_by_its_ticket_with_its_age() -> None:
    story = held("h")
    story.at(0).arrive("a", patience=2).expect(Waits("a"))
    story.at(1).arrive("b").expect(Waits("b"))
    story.at(2).expect(Refused("a", Why.PATIENCE, kept=True))
    story.at(3).arrive("again", claims="a").expect(Waits("again", "a"))
    assert story.look("again").position == 1
    assert story.look("again").waited == 3.0
    story.at(4).leave("h").expect(Granted("again", "a"))
    story.at(5).leave("again").expect(Granted("b"))


def test_a_place_is_taken_back_by_an_identical_request_and_then_the_oldest() -> None:
    story = held("h")
    story.at(0).arrive("a", "b", patience=2, identity=b"same").expect(Waits("a"), Waits("b"))
    story.at(2).expect(Refused("a", Why.PATIENCE, kept=True), Refused("b", Why.PATIENCE, kept=True))
    story.at(3).arrive("other", identity=b"other").expect(Waits("other"))
    story.at(3).arrive("first", identity=b"same").expect(Waits("first", "a"))
    story.at(3).arrive("second", identity=b"same").expect(Waits("second", "b"))
    story.at(3).arrive("third", identity=b"same").expect(Waits("third"))


@pytest.mark.parametrize("elsewhere", [{"tenant": "beta"}, {"route": "fork"}])
def test_nobody_takes_a_place_of_another_tenant_or_route(elsewhere: dict[str, str]) -> None:
    story = held("h")
    story.at(0).arrive("a", patience=2, identity=b"same").expect(Waits("a"))
    story.at(2).expect(Refused("a", Why.PATIENCE, kept=True))
    story.at(3).arrive("thief", claims="a", identity=b"same", **elsewhere).expect(Waits("thief"))
    story.at(3).arrive("owner", claims="a").expect(Waits("owner", "a"))


def test_two_identical_requests_that_both_wait_are_two() -> None:
    story = held("h")
    story.at(0).arrive("a", "b", identity=b"same").expect(Waits("a"), Waits("b"))


def test_a_seat_passes_over_an_absent_head_which_stays_the_head() -> None:
    story = held("h")
    story.at(0).arrive("a", patience=2).expect(Waits("a"))
    story.at(1).arrive("b", "c").expect(Waits("b"), Waits("c"))
    story.at(2).expect(Refused("a", Why.PATIENCE, kept=True))
    assert story.look("b").position == 2, "kept places count, so that a position never grows"
    story.at(2.5).leave("h").expect(Granted("b"))
    story.at(4).arrive("again", claims="a").expect(Waits("again", "a"))
    story.at(5).leave("b").expect(Granted("again", "a"))


def test_a_newcomer_passes_over_places_whose_owners_are_all_away() -> None:
    story = held("h")
    story.at(0).arrive("a", patience=2).expect(Waits("a"))
    story.at(2).expect(Refused("a", Why.PATIENCE, kept=True))
    story.at(3).leave("h").expect()
    story.at(4).arrive("b").expect(Granted("b"))


def test_patience_starts_anew_for_who_comes_back() -> None:
    story = held("h")
    story.at(0).arrive("a", patience=10).expect(Waits("a"))
    story.at(10).expect(Refused("a", Why.PATIENCE, kept=True))
    story.at(15).arrive("again", claims="a", patience=10).expect(Waits("again", "a"))
    story.at(24.9).expect()
    story.at(25).expect(Refused("again", Why.PATIENCE, kept=True, ticket="a"))
    assert story.refusal().waited == 25.0


def test_who_presents_a_waiting_ticket_takes_it_over() -> None:
    story = held("h")
    story.at(0).arrive("a", "b", patience=10).expect(Waits("a"), Waits("b"))
    story.at(5).arrive("new", claims="a", patience=10).expect(Refused("a", Why.SUPERSEDED), Waits("new", "a"))
    story.at(5).leave("a").expect()
    story.at(6).leave("h").expect(Granted("new", "a"))


def test_a_ticket_that_holds_cannot_be_taken_over() -> None:
    story = held("h")
    story.at(0).arrive("new", tenant="holder", route="other", claims="h").expect(Waits("new"))


def test_who_comes_back_brings_its_own_needs() -> None:
    story = Story(creates=seats(3))
    story.at(0).arrive("x", "y", "z").expect(Granted("x"), Granted("y"), Granted("z"))
    story.at(0).arrive("a", patience=2).expect(Waits("a"))
    story.at(2).expect(Refused("a", Why.PATIENCE, kept=True))
    story.at(3).arrive("again", claims="a", needs=(need("creates", cost=2),)).expect(Waits("again", "a"))
    story.at(4).leave("x").expect()
    story.at(5).leave("y").expect(Granted("again", "a"))
    story.at(6).arrive("b").expect(Waits("b"))


def test_who_comes_back_for_more_than_there_is_is_refused_and_the_place_stays() -> None:
    story = held("h")
    story.at(0).arrive("a", patience=2).expect(Waits("a"))
    story.at(2).expect(Refused("a", Why.PATIENCE, kept=True))
    story.at(3).arrive("wide", claims="a", needs=(need("creates", cost=2),)).expect(Refused("wide", Why.NEVER_FITS))
    story.at(4).arrive("again", claims="a").expect(Waits("again", "a"))


# -- bounds ---------------------------------------------------------------------------------------------
def test_a_full_queue_of_a_tenant_refuses_at_once() -> None:
    story = held("h")
    story.at(0).arrive("a", "b", bounds=(2, 3)).expect(Waits("a"), Waits("b"))
    story.at(0).arrive("c", bounds=(2, 3)).expect(Refused("c", Why.FULL_TENANT))
    assert (story.refusal().number, story.refusal().bound, story.refusal().blocker) == (2, 2, "creates")
    story.at(0).arrive("d", tenant="beta", bounds=(2, 3)).expect(Waits("d"))
    story.at(0).arrive("e", tenant="beta", bounds=(2, 3)).expect(Refused("e", Why.FULL_TOTAL))
    assert (story.refusal().number, story.refusal().bound) == (3, 3)
    story.at(1).leave("a").expect()
    story.at(1).arrive("f", bounds=(2, 3)).expect(Waits("f"))


def test_kept_places_have_the_same_bounds_again() -> None:
    story = held("h")
    story.at(0).arrive("a", "b", bounds=(2, 3), patience=5).expect(Waits("a"), Waits("b"))
    story.at(0).arrive("c", bounds=(2, 3), tenant="beta", patience=5).expect(Waits("c"))
    story.at(5).expect(*(Refused(name, Why.PATIENCE, kept=True) for name in "abc"))
    story.at(6).arrive("d", bounds=(2, 3), patience=5).expect(Waits("d"))
    story.at(6).arrive("e", bounds=(2, 3), tenant="beta", patience=5).expect(Waits("e"))
    story.at(11).expect(Refused("d", Why.PATIENCE, kept=False), Refused("e", Why.PATIENCE, kept=False))


def test_who_comes_back_to_a_full_queue_is_refused_and_its_place_stays() -> None:
    story = held("h")
    story.at(0).arrive("a", bounds=(1, 9), patience=5).expect(Waits("a"))
    story.at(5).expect(Refused("a", Why.PATIENCE, kept=True))
    story.at(6).arrive("b", bounds=(1, 9)).expect(Waits("b"))
    story.at(7).arrive("again", claims="a", bounds=(1, 9)).expect(
        Refused("again", Why.FULL_TENANT, kept=True, ticket="a")
    )
    assert (story.refusal().number, story.refusal().bound) == (1, 1)
    story.at(8).arrive("total", claims="a", bounds=(9, 1)).expect(
        Refused("total", Why.FULL_TOTAL, kept=True, ticket="a")
    )
    story.at(9).leave("b").expect()
    story.at(9).arrive("third", claims="a", bounds=(1, 9)).expect(Waits("third", "a"))


def test_who_takes_over_needs_no_room_of_its_own() -> None:
    story = held("h")
    story.at(0).arrive("a", bounds=(1, 1)).expect(Waits("a"))
    story.at(1).arrive("b", claims="a", bounds=(1, 1)).expect(Refused("a", Why.SUPERSEDED), Waits("b", "a"))


# -- refusing early -------------------------------------------------------------------------------------
def test_refuse_early_by_the_tenants_own_pace() -> None:
    story = Story(creates=seats(1))
    for second in range(6):  # one grant per second is known
        story.at(second).arrive(f"x{second}").expect(Granted(f"x{second}"))
        story.at(second + 0.9).leave(f"x{second}").expect()
    story.at(6).arrive("h").expect(Granted("h"))
    story.at(6).arrive(*"abc").expect(*(Waits(name) for name in "abc"))
    story.at(6).arrive("late", patience=1, linger=1, refuse_early=True).expect(Refused("late", Why.EARLY))
    assert story.refusal().retry_after == pytest.approx(4 * 6 / 7)
    story.at(6).arrive("calm", patience=9, linger=1, refuse_early=True).expect(Waits("calm"))
    story.at(6).arrive("late2", patience=1, linger=1).expect(Waits("late2"))


def test_refuse_early_knows_how_long_a_gate_is_shut() -> None:
    story = Story(creates=seats(1))
    story.close_gate("key", 100).expect()
    story.at(1).arrive("a", refuse_early=True, patience=45, linger=30).expect(Refused("a", Why.EARLY))
    assert story.refusal().retry_after == 30.0
    story.at(60).arrive("b", refuse_early=True, patience=45, linger=30).expect(Waits("b"))


# -- what is seen ---------------------------------------------------------------------------------------
def test_a_waiting_ticket_says_where_it_stands() -> None:
    story = Story(pace=rate(2))
    story.at(0).arrive("a", "b", "c").expect(Granted("a"), Waits("b"), Waits("c"))
    view = story.look("c")
    assert (view.position, view.blocker) == (2, "pace")
    assert (view.state, view.waited) == (TicketState.WAITING, 0.0)
    assert view.eta == pytest.approx(2 * 0.51)
    assert story.look("a").position == 0
    assert story.look("a").state is TicketState.HOLDING


def test_the_survey_shows_who_waits_first() -> None:
    story = Story(creates=seats(1))
    story.at(0).arrive("a", "b", "c").expect(Granted("a"), Waits("b"), Waits("c"))
    view = story.pool.view(Instant(story.now), 2)
    assert [ticket.ticket for ticket in view.tickets] == ["b", "c"]
    assert [(line.tenant, line.waiting) for line in view.queues] == [("acme", 2)]
    assert [(limit.name, limit.held, limit.limit) for limit in view.limits] == [("creates", 1, 1)]
