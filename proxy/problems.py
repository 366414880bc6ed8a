"""The one table from errors to problems: code, reason, and whether to try again. How it looks is the dialect's.

429: a limit, contention, or patience over. 503: no capacity, upstream down, draining. 504: the deadline passed after
sending, or a create broke after sending. 502: the upstream broke otherwise. 4xx: the caller's own (design.md §2.10).
"""

from __future__ import annotations

import math
import re
from typing import Final

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
from proxy.domain.problem import Problem

_UNSAFE: Final = re.compile(r"[^\x20-\x7e]")
MAX_RETRY_AFTER: Final = 30
"""Seconds."""


def problem_of(error: HeadgateError, *, repeatable: bool, jitter: float = 0.0) -> Problem:
    """What an error means. ``repeatable``: the request may be sent twice (idempotent). ``jitter``: 0 to 1.

    Jitter spreads those who come back without a place; a kept place comes back exactly when told.
    """
    match error:
        case BadRequest(detail, status):
            return _problem(status, "bad_request", detail, "http_request_error", final=True, close=True)
        case TooManyCallers(bound):
            return _no_room("too_many_callers", f"{bound} callers are connected")
        case TooManyLongHeads(bound):
            return _no_room("too_many_long_heads", f"{bound} requests with long heads are on their way")
        case UnknownUpstream(path):
            text = f"no upstream is mounted at {path}"
            return _problem(404, "unknown_upstream", text, "destination_not_found", final=True)
        case TenantNotBelieved(tenant):
            text = f"this address may not speak for tenant {tenant}"
            return _problem(403, "tenant_not_believed", text, "http_request_denied", final=True)
        case SpeaksForAnother(upstream, claim):
            text = f"{upstream} is spoken to with this proxy's own credential: leave {claim} out"
            return _problem(403, "speaks_for_another", text, "http_request_denied", final=True)
        case StrangeDoor(upstream, sign):
            text = f"{upstream} is spoken to with this proxy's own credential: this {sign} may be a web page's; "
            text += "come by a loopback address, or by a name among the upstream's hosts"
            return _problem(403, "strange_door", text, "http_request_denied", final=True)
        case NoTokenOfOurOwn(upstream, detail):
            text = f"this proxy has no token for {upstream}: {detail}; nothing was sent"
            return _problem(503, "no_token", text, "proxy_configuration_error")
        case StatusNotRestorable(why):
            text = f"this status is partly derived and must not be stored: {why}; read it with Headgate-Raw: 1"
            return _problem(409, "status_not_restorable", text, "http_request_denied", final=True)
        case PatienceOver(blocker, waited, position, retry_after, ticket):
            text = f"waited {waited:.0f} s for {blocker}, position {position}"
            return _refusal("queue_timeout", text, retry_after, kept=ticket is not None, jitter=jitter)
        case QueueFull(blocker, waiting, bound, retry_after, ticket):
            text = f"the queue for {blocker} is full ({waiting} of {bound} wait)"
            return _refusal("queue_full", text, retry_after, kept=ticket is not None, jitter=jitter)
        case TooEarly(blocker, eta, retry_after):
            text = f"the wait for {blocker} would be about {eta:.0f} s, longer than allowed"
            return _refusal("queue_too_long", text, retry_after, kept=False, jitter=jitter)
        case NeverFits(blocker, asked, seats):
            text = f"asks for {asked} seats of {blocker}, which has {seats}"
            return _problem(400, "more_than_the_limit", text, "http_request_denied", final=True)
        case Superseded():
            text = "another connection presented this ticket and took its place"
            return _problem(409, "superseded", text, "superseded", final=True)
        case Evicted():
            return _problem(503, "evicted", "an operator ended this request's wait", "http_request_denied", final=True)
        case Draining(_, retry_after):
            seconds = max(1, min(2, math.ceil(retry_after)))
            text = f"this proxy is shutting down, {_come_back(seconds)}"
            return _problem(503, "draining", text, "proxy_shutting_down", retry_after=seconds)
        case UpstreamUnreachable(upstream, detail):
            text = f"{upstream} cannot be reached: {detail}; nothing was sent, {_come_back(1)}"
            return _problem(503, "upstream_unreachable", text, "destination_unavailable", retry_after=1)
        case UpstreamBroke(upstream, detail) if repeatable:
            return _problem(502, "upstream_broke", f"{upstream} broke off: {detail}", "connection_terminated")
        case UpstreamBroke(upstream, detail):
            text = f"{upstream} broke off after the request was sent: {detail}; it may have been processed"
            return _problem(504, "outcome_unknown", text, "connection_terminated", final=True)
        case DeadlinePassed(total, sent):
            text = f"not done within {total:g} s" + ("; it may have been processed" if sent else "; nothing was sent")
            return _problem(504, "deadline_passed", text, "http_response_timeout", final=sent and not repeatable)
    raise AssertionError(f"no problem for {type(error).__name__}: add it to the table")


def internal_problem() -> Problem:
    """For what nobody expected; the log has the rest."""
    return _problem(
        500, "internal_error", "an error inside the proxy; its log says more", "proxy_internal_error", close=True
    )


def _no_room(code: str, what: str) -> Problem:
    text = f"{what}, as many as this proxy takes; {_come_back(1)}"
    return _problem(503, code, text, "connection_limit_reached", retry_after=1, close=True)


def _refusal(code: str, text: str, retry_after: float, *, kept: bool, jitter: float) -> Problem:
    seconds = math.ceil(retry_after) if kept else min(MAX_RETRY_AFTER, math.ceil(retry_after * (1 + jitter)))
    again = f"{text}; the place is kept, {_come_back(seconds)}" if kept else f"{text}; {_come_back(seconds)}"
    return _problem(429, code, again, "connection_limit_reached", retry_after=max(1, seconds))


def _come_back(seconds: int) -> str:
    return f"try again in {seconds} s"


def _problem(
    status: int,
    code: str,
    message: str,
    proxy_error: str,
    *,
    retry_after: int | None = None,
    final: bool = False,
    close: bool = False,
) -> Problem:
    return Problem(status, code, _UNSAFE.sub("?", message), proxy_error, retry_after, final, close)
