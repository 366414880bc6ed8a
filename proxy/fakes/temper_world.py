"""All entities of a fake Temper: dispatching actions, running liveness timers, storing files.

Timers are exact without a task each: whoever looks calls ``settle``, and every timer that was due by then
fires with the moment it was due. Nothing here waits or knows HTTP.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from proxy.fakes.temper_config import TemperConfig
from proxy.fakes.temper_model import MACHINES, Entity


@dataclass(frozen=True, slots=True)
class ActionCall:
    """One call of a bound action, as it came and as it was answered. ``at`` is the fake's clock."""

    at: float
    tenant: str
    entity_set: str
    id: str
    action: str
    params: Mapping[str, Any]
    headers: tuple[tuple[str, str], ...]
    status: int


@dataclass(frozen=True, slots=True)
class Fired:
    """One liveness timer that ran out. ``at`` is when it was due."""

    at: float
    tenant: str
    entity_set: str
    id: str
    state: str


@dataclass(slots=True)
class World:
    """What there is and what happened."""

    config: TemperConfig
    entities: dict[tuple[str, str, str], Entity] = field(default_factory=dict)
    calls: list[ActionCall] = field(default_factory=list)
    fired: list[Fired] = field(default_factory=list)
    killed: list[str] = field(default_factory=list)
    """Sessions that died with their job, in order."""
    versions: dict[str, list[bytes]] = field(default_factory=dict)
    """By file id: every content that was applied, in order. Twice the same write is two versions."""
    exhausted: int = 0
    """Writes refused with the dispatch 409."""
    _contacts: dict[str, int] = field(default_factory=dict)
    _number: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def create(self, tenant: str, entity_set: str, fields: Mapping[str, Any], now: float, id: str = "") -> Entity:
        """A new entity in its first state, its timer running."""
        name = id or f"{MACHINES[entity_set].prefix}{next(self._number)}"
        entity = Entity(tenant, entity_set, name, MACHINES[entity_set].initial, dict(fields))
        entity.arm(self.config.timeouts, self.config.timer_scale, now)
        self.entities[(tenant, entity_set, name)] = entity
        return entity

    def find(self, tenant: str, entity_set: str, id: str) -> Entity | None:
        """One tenant's entity, or ``None``: another tenant's is as good as none."""
        return self.entities.get((tenant, entity_set, id))

    def dispatch(self, entity: Entity, action: str, params: Mapping[str, Any], now: float) -> None:
        """Carry an action out, with what it does to timers and to the job's session. Raises ``Illegal``."""
        before = entity.apply(action, params)
        re_armed = entity.timeout is not None and action in entity.timeout.reset_on
        if entity.status != before or re_armed:
            entity.arm(self.config.timeouts, self.config.timer_scale, now)
        if entity.entity_set == "CurationJobs" and entity.status in ("Failed", "Cancelled"):
            self._end_session(entity, now)

    def _end_session(self, job: Entity, now: float) -> None:
        """A job that fails takes its running session with it: the damage of a stale completion."""
        session = self.find(job.tenant, "Sessions", str(job.fields.get("session_id", "")))
        if session is not None and session.status not in session.machine.final:
            self.killed.append(session.id)
            self.dispatch(session, "Cancel", {}, now)

    def settle(self, now: float) -> None:
        """Fire every timer that was due by ``now``, oldest first."""
        while True:
            due = min(self.entities.values(), key=lambda e: e.due, default=None)
            if due is None or due.due > now:
                return
            self._fire(due)

    def _fire(self, entity: Entity) -> None:
        timeout, moment = entity.timeout, entity.due
        assert timeout is not None  # a due moment comes from a timer
        self.fired.append(Fired(moment, entity.tenant, entity.entity_set, entity.id, entity.status))
        entity.fired += 1
        state = entity.status
        if entity.legal(timeout.on_timeout):
            params = {"error_message": f"state timeout in {state} after {timeout.after_seconds:g} s"}
            self.dispatch(entity, timeout.on_timeout, params, moment)
        if entity.status == state:
            entity.arm(self.config.timeouts, self.config.timer_scale, moment)
        if timeout.max_occurrences and entity.fired >= timeout.max_occurrences and entity.timeout == timeout:
            entity.due = math.inf

    def next_due(self) -> float:
        """When the next timer fires; infinity for none."""
        return min((e.due for e in self.entities.values()), default=math.inf)

    def refuse_contact(self, file_id: str) -> bool:
        """Whether this write meets a cold actor: the first contact of k of every n files, evenly spread."""
        if file_id in self._contacts:
            return False
        number = self._contacts[file_id] = len(self._contacts) + 1
        k, n = self.config.exhausted_contacts
        refused = (number * k) % n < k
        self.exhausted += refused
        return refused

    def write(self, entity: Entity, content: bytes, now: float) -> None:
        """Apply one version of a file. Raises ``Illegal`` for a state that takes none."""
        self.dispatch(entity, "StreamUpdated", {"size": len(content)}, now)
        self.versions.setdefault(entity.id, []).append(content)
