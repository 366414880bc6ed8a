"""What can go wrong with a request, as values with fields and no prose.

What each means to a caller (code, reason, whether to try again) is decided in one table,
:mod:`proxy.problems`; how it looks is decided by the caller's dialect.
"""

from __future__ import annotations

from dataclasses import dataclass

from proxy.domain.ids import LimitName, Seconds, TicketId


class HeadgateError(Exception):
    """The root: a request that Headgate answers by itself."""


@dataclass
class BadRequest(HeadgateError):
    """The caller's message is malformed or hostile: refused, closed, nothing forwarded."""

    detail: str
    status: int = 400
    """400, 408, 413, 431, 501 or 505 (distributed.md §11)."""


@dataclass
class TooManyCallers(HeadgateError):
    """As many callers are connected as may be, and all of them are busy: nothing was read of the request."""

    bound: int


@dataclass
class TooManyLongHeads(HeadgateError):
    """As many requests with a long head are on their way as may be, and this one has been for longest."""

    bound: int


@dataclass
class UnknownUpstream(HeadgateError):
    """No upstream is mounted where the request points."""

    path: str


@dataclass
class TenantNotBelieved(HeadgateError):
    """``/t/<tenant>`` from an address that no ``trusted`` covers."""

    tenant: str


@dataclass
class SpeaksForAnother(HeadgateError):
    """The request claims to be somebody, and would be believed on Headgate's own credential."""

    upstream: str
    claim: str


@dataclass
class StrangeDoor(HeadgateError):
    """A request that may come from a web page asks for an upstream that believes whatever comes from Headgate."""

    upstream: str
    sign: str
    """What gives it away: its ``Host`` or its ``Origin``."""


@dataclass
class NoTokenOfOurOwn(HeadgateError):
    """``auth: own``, and the file with the token cannot be used: nothing was sent."""

    upstream: str
    detail: str


@dataclass
class StatusNotRestorable(HeadgateError):
    """A write of a pod's status carries what was told in place of the true one, which cannot be put back."""

    why: str


@dataclass
class QueueFull(HeadgateError):
    """As many callers wait as the policy allows."""

    blocker: LimitName
    waiting: int
    bound: int
    retry_after: Seconds
    ticket: TicketId | None = None
    """Set where the caller came back to a place that is kept still."""


@dataclass
class TooEarly(HeadgateError):
    """``refuse_early``: the wait would outlast patience and linger."""

    blocker: LimitName
    eta: Seconds
    retry_after: Seconds


@dataclass
class PatienceOver(HeadgateError):
    """The ticket waited as long as it may. ``ticket`` is set where the place is kept."""

    blocker: LimitName
    waited: Seconds
    position: int
    retry_after: Seconds
    ticket: TicketId | None


@dataclass
class NeverFits(HeadgateError):
    """The request asks for more seats than the limit has."""

    blocker: LimitName
    asked: int
    seats: int


@dataclass
class Superseded(HeadgateError):
    """Another connection presented the same ticket and took the place over."""

    ticket: TicketId


@dataclass
class Evicted(HeadgateError):
    """An operator ended the ticket through the admin API."""

    ticket: TicketId


@dataclass
class Draining(HeadgateError):
    """This process is leaving; the place may be taken back elsewhere."""

    ticket: TicketId | None
    retry_after: Seconds


@dataclass
class UpstreamUnreachable(HeadgateError):
    """No connection could be made (refused, DNS, TLS, connect timeout): provably not processed."""

    upstream: str
    detail: str


@dataclass
class UpstreamBroke(HeadgateError):
    """The connection ended or spoke nonsense after the request was sent."""

    upstream: str
    detail: str
    stale: bool = False
    """True where a kept connection ended before a byte of reply: the upstream had most likely closed it."""


@dataclass
class DeadlinePassed(HeadgateError):
    """``timeouts: total`` ran out. ``sent`` tells whether the upstream had the request."""

    total: Seconds
    sent: bool
