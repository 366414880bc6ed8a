"""The table from errors to problems, and what holds for each of them whichever dialect renders it."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Final

import pytest

from proxy.dialects.base import Dialect
from proxy.dialects.registry import DIALECTS
from proxy.domain.errors import (
    BadRequest,
    DeadlinePassed,
    Draining,
    Evicted,
    HeadgateError,
    NeverFits,
    NoTokenOfOurOwn,
    PatienceOver,
    QueueFull,
    SpeaksForAnother,
    StatusNotRestorable,
    StrangeDoor,
    Superseded,
    TenantNotBelieved,
    TooEarly,
    TooManyCallers,
    TooManyLongHeads,
    UnknownUpstream,
    UpstreamBroke,
    UpstreamUnreachable,
)
from proxy.domain.ids import LimitName, Seconds, TicketId
from proxy.domain.problem import Problem
from proxy.pipeline.answers import kept_ticket, problem_reply
from proxy.problems import MAX_RETRY_AFTER, internal_problem, problem_of

TICKET: Final = TicketId("tkt")
SEATS: Final = LimitName("creates")


def s(number: float) -> Seconds:
    return Seconds(number)


@dataclasses.dataclass(frozen=True)
class Row:
    """An error, whether its request may be repeated, and what becomes of it."""

    error: HeadgateError
    status: int
    code: str
    retry_after: int | None = None
    final: bool = False
    close: bool = False
    repeatable: bool = False


TABLE: Final = [
    Row(BadRequest("odd"), 400, "bad_request", final=True, close=True),
    Row(BadRequest("large", 413), 413, "bad_request", final=True, close=True),
    Row(TooManyCallers(1000), 503, "too_many_callers", 1, close=True),
    Row(TooManyLongHeads(128), 503, "too_many_long_heads", 1, close=True),
    Row(UnknownUpstream("/nope"), 404, "unknown_upstream", final=True),
    Row(TenantNotBelieved("acme"), 403, "tenant_not_believed", final=True),
    Row(StatusNotRestorable("no JSON"), 409, "status_not_restorable", final=True),
    Row(SpeaksForAnother("kube", "impersonate-user"), 403, "speaks_for_another", final=True),
    Row(StrangeDoor("kube", "Host"), 403, "strange_door", final=True),
    Row(NoTokenOfOurOwn("kube", "No such file or directory"), 503, "no_token"),
    Row(PatienceOver(SEATS, s(45), 3, s(1), TICKET), 429, "queue_timeout", 1),
    Row(PatienceOver(SEATS, s(45), 3, s(6.2), None), 429, "queue_timeout", 7),
    Row(QueueFull(SEATS, 64, 64, s(4)), 429, "queue_full", 4),
    Row(QueueFull(SEATS, 64, 64, s(1), TICKET), 429, "queue_full", 1),
    Row(TooEarly(SEATS, s(90), s(90)), 429, "queue_too_long", MAX_RETRY_AFTER),
    Row(NeverFits(SEATS, 5, 4), 400, "more_than_the_limit", final=True),
    Row(Superseded(TICKET), 409, "superseded", final=True),
    Row(Evicted(TICKET), 503, "evicted", final=True),
    Row(Draining(TICKET, s(9)), 503, "draining", 2),
    Row(Draining(None, s(1)), 503, "draining", 1),
    Row(Draining(None, s(0)), 503, "draining", 1),
    Row(UpstreamUnreachable("e2b", "refused"), 503, "upstream_unreachable", 1),
    Row(UpstreamBroke("e2b", "reset"), 504, "outcome_unknown", final=True),
    Row(UpstreamBroke("e2b", "reset"), 502, "upstream_broke", repeatable=True),
    Row(DeadlinePassed(s(60), sent=True), 504, "deadline_passed", final=True),
    Row(DeadlinePassed(s(60), sent=True), 504, "deadline_passed", repeatable=True),
    Row(DeadlinePassed(s(60), sent=False), 504, "deadline_passed"),
]
IDS: Final = [f"{type(row.error).__name__}-{row.status}-{number}" for number, row in enumerate(TABLE)]


def every_error(root: type[HeadgateError] = HeadgateError) -> set[type[HeadgateError]]:
    """All that a request can be answered with, by the class tree."""
    return {kind for child in root.__subclasses__() for kind in {child} | every_error(child)}


def test_every_error_is_in_the_table() -> None:
    assert {type(row.error) for row in TABLE} == {
        kind for kind in every_error() if kind.__module__.startswith("proxy.")
    }


@pytest.mark.parametrize("row", TABLE, ids=IDS)
def test_what_an_error_means(row: Row) -> None:
    problem = problem_of(row.error, repeatable=row.repeatable)
    told = (problem.status, problem.code, problem.retry_after, problem.final, problem.close)
    assert told == (row.status, row.code, row.retry_after, row.final, row.close)


@pytest.mark.parametrize("row", TABLE, ids=IDS)
def test_coming_back_is_told_only_where_it_is_safe_and_in_the_message_too(row: Row) -> None:
    problem = problem_of(row.error, repeatable=row.repeatable)
    said = re.search(r"try again in (\d+) s$", problem.message)
    assert (int(said[1]) if said else None) == problem.retry_after
    assert not (problem.final and problem.retry_after)
    if problem.status in (502, 504):
        assert problem.retry_after is None


def test_an_error_that_nobody_put_into_the_table_is_a_bug() -> None:
    class Unheard(HeadgateError):
        pass

    with pytest.raises(AssertionError, match="Unheard"):
        problem_of(Unheard(), repeatable=False)


@pytest.mark.parametrize("row", TABLE, ids=IDS)
@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_every_problem_in_every_dialect(dialect: Dialect, row: Row) -> None:
    check_reply(dialect, problem_of(row.error, repeatable=row.repeatable))


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
@pytest.mark.parametrize("text", ['"' * 400, "ä\n\r\x00" * 200, "x" * 9000])
def test_hostile_texts_in_every_dialect(dialect: Dialect, text: str) -> None:
    for error in (
        UnknownUpstream("/" + text),
        TenantNotBelieved(text),
        BadRequest(text),
        UpstreamUnreachable("u", text),
    ):
        check_reply(dialect, problem_of(error, repeatable=False))


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_the_problem_of_a_bug_of_our_own(dialect: Dialect) -> None:
    assert internal_problem().close
    check_reply(dialect, internal_problem())


def check_reply(dialect: Dialect, problem: Problem) -> None:
    """ASCII below 500 bytes with code and message; header values that are one line."""
    reply = problem_reply(problem, dialect, None, TICKET)
    assert reply.body.isascii()
    assert len(reply.body) < 500
    document = json.loads(reply.body)
    assert document["code"]
    assert isinstance(document["message"], str)
    assert document["message"]
    fields = dict(reply.fields)
    assert fields["Headgate-Ticket"] == TICKET
    assert re.fullmatch(
        r'headgate; error=[a-z_]+; details="[\x20-\x21\x23-\x5b\x5d-\x7e]{1,200}"', fields["Proxy-Status"]
    )
    for value in fields.values():
        assert value.isascii()
        assert value.isprintable()


@pytest.mark.parametrize("jitter", [0.0, 0.3, 1.0])
def test_jitter_spreads_only_those_without_a_place(jitter: float) -> None:
    def seconds(error: HeadgateError) -> int | None:
        return problem_of(error, repeatable=False, jitter=jitter).retry_after

    assert seconds(PatienceOver(SEATS, s(45), 3, s(2), TICKET)) == 2
    without = seconds(QueueFull(SEATS, 64, 64, s(10)))
    assert without is not None
    assert 10 <= without <= 20
    assert seconds(QueueFull(SEATS, 64, 64, s(3600))) == MAX_RETRY_AFTER
    assert seconds(QueueFull(SEATS, 64, 64, s(0))) == 1


def test_which_errors_keep_a_place() -> None:
    kept = {type(row.error) for row in TABLE if kept_ticket(row.error) is not None}
    assert kept == {PatienceOver, QueueFull, Draining}
