"""How a fake Temper is set up: its machines' liveness timers, its speed, its faults. One frozen value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from proxy.fakes.server import Reply


@dataclass(frozen=True, slots=True)
class StateTimeout:
    """A ``[[state_timeout]]``: entering ``state`` arms it, ``reset_on`` re-arms it, leaving cancels it.

    ``max_occurrences`` bounds how often it fires for one entity; 0 is without bound.
    """

    entity_set: str
    state: str
    after_seconds: float
    on_timeout: str = "Fail"
    reset_on: tuple[str, ...] = ()
    max_occurrences: int = 0


TIMEOUTS: Final = (
    StateTimeout("CurationJobs", "Queued", 900),
    StateTimeout("CurationJobs", "Ready", 900),
    StateTimeout("CurationJobs", "Running", 1800, reset_on=("RecordProgress",)),
    StateTimeout("CurationJobs", "Finalizing", 900),
    StateTimeout("Sessions", "Provisioning", 180, reset_on=("ProvisionPending", "ProgressMade")),
)
"""The timers of the incident: 30 minutes for a running job, 3 for a session that waits for its sandbox."""


def problem(status: int, code: str, message: str, **headers: str) -> Reply:
    """An error in Temper's own shape."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, {"error": {"code": code, "message": message}}, named)


ANSWERS: Final = {
    "transient": problem(
        503,
        "DispatchTransient",
        "actor dispatch exhausted after 3 attempt(s): ask timeout after 5s",
        Retry_After="1",
    ),
    "deferred": problem(503, "DispatchDeferred", "admission queue is full", Retry_After="2"),
    "conflict": problem(409, "Conflict", "SequenceConflict"),
    "denied": problem(403, "AuthorizationDenied", "no policy permits this action"),
    "limited": problem(429, "TooManyRequests", "too many requests"),
    "broken": problem(500, "InternalError", "internal error"),
    "exhausted": problem(409, "ActionRejected", "actor dispatch exhausted after 3 attempt(s): ask timeout after 5s"),
}
"""What a fault can answer; ``exhausted`` is the misleading 409 of ``$value``."""


@dataclass(frozen=True, slots=True)
class ActionFault:
    """Calls ``first`` to ``last`` of an action (counted from 1) are not carried out but answered so."""

    action: str
    first: int
    last: int
    what: str

    def __post_init__(self) -> None:
        if self.what not in ANSWERS or not 1 <= self.first <= self.last:
            raise ValueError(f"a fault needs a range from 1 and one of {', '.join(ANSWERS)}")

    @staticmethod
    def parse(text: str) -> ActionFault:
        """Read ``Action:nth[-last]:what``, e.g. ``RecordProgress:2-3:transient``. Raises ValueError."""
        action, nth, what = text.split(":")
        first, _, last = nth.partition("-")
        return ActionFault(action, int(first), int(last or first), what)


@dataclass(frozen=True, slots=True, kw_only=True)
class TemperConfig:
    """The server. Seconds everywhere."""

    timeouts: tuple[StateTimeout, ...] = TIMEOUTS
    timer_scale: float = 1.0
    """Every timer is this much of its length: 0.01 makes 30 minutes 18 seconds."""
    api_key: str | None = None
    """The bearer key wanted of every call; ``None`` wants none."""
    action_seconds: float = 0.0
    write_seconds: float = 0.0
    """How long an action, and a write of a file, take."""
    exhausted_contacts: tuple[int, int] = (0, 1)
    """``(k, n)``: of every n files written for the first time, k are refused once with the dispatch 409."""
    faults: tuple[ActionFault, ...] = field(default=())
    denied: frozenset[str] = frozenset()
    """Actions that the policy refuses with 403."""
