"""A sandbox of the fake E2B, and how the API shows it. Pure: no clock, no I/O.

``State`` has more members than callers ever see: the real API lists ``running`` and ``paused`` only, shows
``pausing`` as paused, and hides ``killing`` and ``snapshotting``, while all but ``paused`` keep their place.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final

CLIENT_ID: Final = "6532622b"  # a constant in the real API too


class State(Enum):
    """Where a sandbox is in its life."""

    RUNNING = "running"
    PAUSING = "pausing"
    PAUSED = "paused"
    KILLING = "killing"
    SNAPSHOTTING = "snapshotting"


LISTED: Final = {State.RUNNING: "running", State.PAUSING: "paused", State.PAUSED: "paused"}


@dataclass(slots=True, kw_only=True)
class Sandbox:
    """One sandbox. Moments are seconds of the fake's wall clock; ``until`` ends a passing state by itself."""

    id: str
    team: str
    template: str
    started_at: float
    end_at: float
    metadata: dict[str, str] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    auto_pause: bool = False
    auto_resume: bool = False
    access_token: str | None = None
    envd_version: str = ""
    allow_internet: bool = True
    state: State = State.RUNNING
    until: float = float("inf")
    files: dict[str, bytes] = field(default_factory=dict)
    folders: set[str] = field(default_factory=lambda: {"/", "/home", "/home/user", "/tmp"})

    @property
    def counts(self) -> bool:
        """Whether it takes a place of the account's live limit: always, unless it is paused."""
        return self.state is not State.PAUSED

    @property
    def visible(self) -> bool:
        """Whether get and list know it."""
        return self.state in LISTED

    def answer(self) -> dict[str, Any]:
        """The ``Sandbox`` model: what create, connect and resume answer. It has no times in it."""
        said: dict[str, Any] = {
            "templateID": self.template,
            "sandboxID": self.id,
            "clientID": CLIENT_ID,
            "alias": self.template,
            "envdVersion": self.envd_version,
            "domain": None,
        }
        if self.access_token is not None:
            said["envdAccessToken"] = self.access_token
        return said

    def listed(self) -> dict[str, Any]:
        """The ``ListedSandbox`` model."""
        return {
            "templateID": self.template,
            "sandboxID": self.id,
            "clientID": CLIENT_ID,
            "alias": self.template,
            "startedAt": stamp(self.started_at),
            "endAt": stamp(self.end_at),
            "cpuCount": 2,
            "memoryMB": 512,
            "diskSizeMB": 1024,
            "metadata": dict(self.metadata),
            "state": LISTED.get(self.state, "running"),
            "envdVersion": self.envd_version,
            "volumeMounts": [],
        }

    def detail(self) -> dict[str, Any]:
        """The ``SandboxDetail`` model."""
        said = self.listed() | {
            "domain": None,
            "allowInternetAccess": self.allow_internet,
            "lifecycle": {
                "autoResume": self.auto_resume,
                "onTimeout": "pause" if self.auto_pause else "kill",
            },
        }
        if self.access_token is not None:
            said["envdAccessToken"] = self.access_token
        return said


def stamp(moment: float) -> str:
    """RFC 3339 with microseconds, in UTC."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def bare(sandbox_id: str) -> str:
    """An id without the old ``-<clientID>`` suffix, which the API strips."""
    return sandbox_id.split("-", 1)[0]
