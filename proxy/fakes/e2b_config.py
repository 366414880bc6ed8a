"""How a fake E2B is set up: one frozen value. The defaults are a large, quick, honest account."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from proxy.fakes.e2b_faults import Fault
from proxy.fakes.e2b_limits import Rate


@dataclass(frozen=True, slots=True)
class Throttle:
    """An edge throttle: ``requests`` per ``seconds``, for one API key or for one source address.

    ``path`` is the exact path it guards (the real one guards ``/sandboxes`` and not ``/v2/sandboxes``);
    ``None`` means every path.
    """

    requests: int
    seconds: float
    path: str | None = "/sandboxes"
    by: Literal["key", "address"] = "key"


@dataclass(frozen=True, slots=True, kw_only=True)
class E2BConfig:
    """The account and its servers. Seconds everywhere."""

    live_limit: int = 100
    """Live plus pending sandboxes of one team. A hard limit."""
    create_seconds: float = 0.0
    """How long a create, a resume or a fork takes."""
    start_seconds: float = 0.0
    """How long a sandbox goes on starting after its create was answered; counts for ``max_starting`` only."""
    max_creating: int | None = None
    """Starts under way at once on the whole server; one more gets 429 "Rate limit exceeded..."."""
    max_starting: int | None = None
    """Sandboxes being created or still starting, on the whole server; one more gets 503 (no capacity)."""
    drop_above: int | None = None
    """Creates in any one second; the connection of one more is dropped without an answer."""
    route_rates: Mapping[str, Rate] = field(default_factory=dict)
    """Per team and operation (``create``, ``list``, ``destroy`` ...): the 429 that says when to come back."""
    throttles: tuple[Throttle, ...] = ()
    """What stands in front of the API; its 429 is not JSON."""

    destroy_seconds: float = 0.0
    pause_seconds: float = 0.0
    snapshot_seconds: float = 0.0
    linger_seconds: float = 0.0
    """How long a sandbox keeps its place after ``endAt`` while nobody can see it any more."""
    max_timeout_seconds: int = 86_400
    """The plan's longest run; a longer timeout is a 400."""
    caller_leaves: Literal["cancels", "finishes"] = "cancels"
    """What a caller's hanging up does to its create: cancels it, or leaves a sandbox nobody knows."""
    idempotency: bool = False
    """Whether ``Idempotency-Key`` is honoured; the real service ignores it unless a flag is on."""
    idempotency_seconds: float = 600.0
    """How long a recorded answer is replayed."""

    envd_version: str = "0.6.12"
    """Decides which features the SDKs use; below 0.1.0 they kill the sandbox and raise."""
    keys: frozenset[str] | None = None
    """API keys that are let in; ``None`` lets in every key that is not empty."""
    teams: Mapping[str, str] = field(default_factory=dict)
    """API key to team; limits are per team. A key that is not named is a team of its own."""
    faults: tuple[Fault, ...] = ()
    seed: int | None = None
    """Makes sandbox ids repeatable."""
