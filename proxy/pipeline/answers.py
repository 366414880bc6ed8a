"""Answering by ourselves: an error becomes a problem, the problem a reply in the caller's dialect."""

from __future__ import annotations

from collections.abc import Callable

from proxy.dialects.base import Dialect
from proxy.dialects.registry import PLAIN
from proxy.domain.errors import (
    BadRequest,
    DeadlinePassed,
    Draining,
    HeadgateError,
    NoTokenOfOurOwn,
    PatienceOver,
    QueueFull,
    UpstreamBroke,
    UpstreamUnreachable,
)
from proxy.domain.ids import TicketId
from proxy.domain.messages import Reply, RequestHead
from proxy.domain.problem import Problem
from proxy.pipeline.timing import server_timing
from proxy.ports import Exchange, Outcome, RequestRecord
from proxy.problems import problem_of


def answer_error(
    exchange: Exchange,
    record: RequestRecord,
    error: HeadgateError,
    dialect: Dialect | None,
    chance: Callable[[], float],
) -> None:
    """Answer with what an error means; the record tells how the request ended."""
    problem = problem_of(error, repeatable=exchange.head.idempotent, jitter=chance())
    record.outcome = _outcome(error)
    answer_problem(exchange, record, problem, dialect, kept_ticket(error))


def answer_problem(
    exchange: Exchange,
    record: RequestRecord,
    problem: Problem,
    dialect: Dialect | None,
    ticket: TicketId | None = None,
) -> None:
    """Answer with a problem. Where a reply has begun already, the connection is cut instead."""
    record.error = problem.code
    reply = problem_reply(problem, dialect, exchange.head, ticket)
    record.status = reply.status
    timing = server_timing(record).decode("ascii").strip().partition(": ")[2]
    exchange.respond(reply.having(("Server-Timing", timing)), close=problem.close)


def problem_reply(
    problem: Problem, dialect: Dialect | None, head: RequestHead | None, ticket: TicketId | None = None
) -> Reply:
    """The reply for a problem, in the dialect or in the plain one."""
    reply = (dialect or PLAIN).render(problem, head)
    details = problem.message.replace("\\", "'").replace('"', "'")[:200]
    reply = reply.having(("Proxy-Status", f'headgate; error={problem.proxy_error}; details="{details}"'))
    return reply if ticket is None else reply.having(("Headgate-Ticket", ticket))


def kept_ticket(error: HeadgateError) -> TicketId | None:
    """The ticket whose place waits for the caller's return."""
    if isinstance(error, PatienceOver | QueueFull | Draining):
        return error.ticket
    return None


def _outcome(error: HeadgateError) -> Outcome:
    if isinstance(error, BadRequest):
        return "bad-request"
    if isinstance(error, UpstreamUnreachable | UpstreamBroke | DeadlinePassed | NoTokenOfOurOwn):
        return "failed"
    return "refused"
