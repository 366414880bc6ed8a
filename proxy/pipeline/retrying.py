"""Whether a try that failed may be followed by another, and when. Pure (design.md §2.6).

Only what is provably not processed, or idempotent. A create that may have been processed is never sent again:
the look-up that could show that it was not comes with the marks of design.md §2.8.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final

from proxy.dialects.base import Dialect
from proxy.domain.errors import HeadgateError, UpstreamBroke, UpstreamUnreachable
from proxy.domain.ids import Seconds
from proxy.domain.messages import RequestHead, ResponseHead
from proxy.policy.policyset import Retry

_TRANSIENT: Final = frozenset({502, 503, 504})
"""Replies after which an idempotent request may be sent again."""
_RESERVE: Final = 10.0
"""Retries a budget starts with and holds at most beyond its share (gRPC's token count)."""
_LONGEST_GATE: Final = 300.0
"""Seconds; then the upstream is asked again, whatever it said."""
_TRICKLE: Final = 0.1
"""Retries per second a budget earns whatever the traffic (1 per 10 s: peers.md §5.4)."""


@dataclass(frozen=True, slots=True)
class Again:
    """Another try, not before ``rest`` seconds."""

    rest: Seconds


class Budget:
    """What retries cost: each first try earns a share of one, each retry spends one."""

    __slots__ = ("_balance", "_since")

    def __init__(self, now: float) -> None:
        self._balance = _RESERVE
        self._since = now

    def first_try(self, share: float, now: float) -> None:
        """A request is sent for the first time."""
        self._earn(share + (now - self._since) * _TRICKLE, now)

    def spend(self, now: float) -> bool:
        """Take one retry, if there is one."""
        self._earn((now - self._since) * _TRICKLE, now)
        if self._balance < 1:
            return False
        self._balance -= 1
        return True

    def _earn(self, amount: float, now: float) -> None:
        self._balance = min(_RESERVE * 10, self._balance + amount)
        self._since = now


def after_reply(
    retry: Retry,
    dialect: Dialect,
    request: RequestHead,
    reply: ResponseHead,
    body: bytes | None,
    tries: int,
    chance: Callable[[], float],
    epoch: Callable[[], float],
) -> Again | None:
    """What to do about a reply; None passes it on.

    ``tries`` have been made; ``chance`` gives 0 to 1 (full jitter); ``epoch`` is the time of day, for a date in
    ``Retry-After``. ``body`` is None where it is big or was not wanted.
    """
    if tries >= retry.attempts or not _transient(retry, dialect, request, reply, body):
        return None
    hint = retry_after(reply, epoch) or 0.0
    return Again(Seconds(max(_backoff(retry, tries, chance), hint)))


def asked_to_wait(
    dialect: Dialect, reply: ResponseHead, body: bytes | None, epoch: Callable[[], float]
) -> Seconds | None:
    """How long an upstream that did not admit a request asks everybody with its credential to stay away."""
    if not dialect.not_admitted(reply.status, body):
        return None
    hint = retry_after(reply, epoch)
    return None if not hint else Seconds(min(_LONGEST_GATE, hint))


def after_error(
    retry: Retry, request: RequestHead, error: HeadgateError, tries: int, chance: Callable[[], float]
) -> Again | None:
    """What to do when there was no reply; None lets the error reach the caller."""
    if isinstance(error, UpstreamBroke) and not request.idempotent:
        return None
    if not isinstance(error, UpstreamBroke | UpstreamUnreachable):
        return None
    if tries >= retry.attempts:
        return None
    return Again(_backoff(retry, tries, chance))


def wants_body(retry: Retry, dialect: Dialect, operation: str, reply: ResponseHead) -> bool:
    """Whether judging or mending a reply takes its body."""
    return dialect.needs_body(operation, reply) or any(
        rule.status == reply.status and rule.body is not None for rule in retry.also
    )


def uncompressed(reply: ResponseHead, body: bytes, most: int) -> bytes | None:
    """A body without its content coding; None where it is unknown or broken, or hides more than ``most`` bytes."""
    codings = reply.tokens(b"content-encoding") - {b"identity"}
    if not codings:
        return body
    if len(codings) > 1 or not codings <= {b"gzip", b"x-gzip", b"deflate"}:
        return None
    inflater = zlib.decompressobj(wbits=47)  # 32 + 15: a gzip or a zlib header, whichever is there
    try:
        plain = inflater.decompress(body, most)
    except zlib.error:
        return None
    return plain if inflater.eof else None


def retry_after(reply: ResponseHead, epoch: Callable[[], float]) -> Seconds | None:
    """The seconds a ``Retry-After`` asks for; None without one that can be read."""
    value = reply.get(b"retry-after")
    if value is None:
        return None
    if value.isdigit():
        return Seconds(float(min(int(value), 86400)))
    try:
        when = parsedate_to_datetime(value.decode("latin-1")).timestamp()
    except (ValueError, TypeError):
        return None
    return Seconds(min(86400.0, max(0.0, when - epoch())))


def _transient(retry: Retry, dialect: Dialect, request: RequestHead, reply: ResponseHead, body: bytes | None) -> bool:
    if dialect.not_admitted(reply.status, body):
        return True
    if not request.idempotent and b"idempotency-key" not in request:
        return False
    for rule in retry.also:
        if rule.status == reply.status and (rule.body is None or (body is not None and rule.body.search(body))):
            return True
    return request.idempotent and reply.status in _TRANSIENT


def _backoff(retry: Retry, tries: int, chance: Callable[[], float]) -> Seconds:
    """Full jitter: anything up to the doubled step (AWS's "full jitter"; peers.md §5.4)."""
    return Seconds(chance() * min(retry.backoff_cap, retry.backoff_first * 2 ** (tries - 1)))
