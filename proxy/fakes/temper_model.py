"""The state machines of the fake Temper and the entities that run on them. Pure; time is an argument.

The machines are cut down from the public specifications to what a caller on the network can see: which action
is legal from which state, where it leads, and which timers run meanwhile.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from proxy.fakes.temper_config import StateTimeout

Step = tuple[tuple[str, ...], str | None]
"""The states an action is legal from, and where it leads; ``None`` stays."""


@dataclass(frozen=True, slots=True)
class Machine:
    """One entity type."""

    name: str
    namespace: str
    prefix: str
    initial: str
    final: tuple[str, ...]
    steps: Mapping[str, Step]


JOB_OPEN: Final = ("Queued", "Ready", "Running", "Finalizing")
SESSION_OPEN: Final = ("Created", "Provisioning", "PreparingContext")
MACHINES: Final[Mapping[str, Machine]] = {
    "CurationJobs": Machine(
        "CurationJob",
        "Katagami.Curation",
        "job-",
        "Queued",
        ("Completed", "Failed", "Cancelled"),
        {
            "Configure": (("Queued",), None),
            "Submit": (("Queued",), "Ready"),
            "Start": (("Queued",), "Running"),
            "SessionSpawned": (("Ready",), "Running"),
            "RecordProgress": (("Running",), None),
            "Complete": (("Running",), "Finalizing"),
            "FinalizeCompletion": (("Finalizing",), "Completed"),
            "Fail": (JOB_OPEN, "Failed"),
            "Cancel": (JOB_OPEN, "Cancelled"),
            "Retry": (("Failed",), "Queued"),
        },
    ),
    "Sessions": Machine(
        "Session",
        "OpenPaw",
        "ss-",
        "Created",
        ("Completed", "Failed", "Cancelled"),
        {
            "Configure": (("Created",), "Provisioning"),
            "Provision": (("Created",), "Provisioning"),
            "ProvisionPending": (("Provisioning",), None),
            "SandboxReady": (("Provisioning",), "PreparingContext"),
            "Heartbeat": (SESSION_OPEN, None),
            "ProgressMade": (SESSION_OPEN, None),
            "RecordResult": (("PreparingContext",), "Completed"),
            "Fail": (SESSION_OPEN, "Failed"),
            "Cancel": (SESSION_OPEN, "Cancelled"),
        },
    ),
    "Files": Machine(
        "File",
        "OpenPaw.Fs",
        "file-",
        "Created",
        ("Archived",),
        {
            "StreamUpdated": (("Created", "Ready"), "Ready"),
            "Lock": (("Created", "Ready"), "Locked"),
            "Unlock": (("Locked",), "Ready"),
            "Archive": (("Created", "Ready", "Locked"), "Archived"),
        },
    ),
}


class Illegal(Exception):
    """The action is not legal from the entity's state."""


@dataclass(slots=True)
class Entity:
    """One entity of one tenant. Moments are seconds of the fake's clock."""

    tenant: str
    entity_set: str
    id: str
    status: str = ""
    fields: dict[str, Any] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    timeout: StateTimeout | None = None
    due: float = math.inf
    fired: int = 0

    @property
    def machine(self) -> Machine:
        """Its type."""
        return MACHINES[self.entity_set]

    def legal(self, action: str) -> bool:
        """Whether the action may be dispatched now."""
        return self.status in self.machine.steps[action][0]

    def apply(self, action: str, params: Mapping[str, Any]) -> str:
        """Carry an action out; the state it came from. Parameters replace fields. Raises ``Illegal``."""
        if not self.legal(action):
            raise Illegal(f"Action '{action}' not valid from state '{self.status}'")
        before = self.status
        self.status = self.machine.steps[action][1] or before
        self.fields.update(params)
        self.events.append({"action": action, "from_status": before, "to_status": self.status, "params": dict(params)})
        return before

    def arm(self, timeouts: tuple[StateTimeout, ...], scale: float, now: float) -> None:
        """Start the timer of the state just entered, or none."""
        of_state = (t for t in timeouts if (t.entity_set, t.state) == (self.entity_set, self.status))
        self.timeout = next(of_state, None)
        self.due = now + self.timeout.after_seconds * scale if self.timeout else math.inf

    def document(self) -> dict[str, Any]:
        """The entity as OData shows it: what was set is under ``fields``."""
        return {
            "@odata.context": f"$metadata#{self.entity_set}/$entity",
            "entity_type": self.machine.name,
            "entity_id": self.id,
            "status": self.status,
            "fields": {"Id": self.id, "Status": self.status, **self.fields},
            "events": self.events,
        }
