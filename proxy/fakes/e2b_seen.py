"""What a fake E2B has seen: the record that tests read. Plain fields, appended in order, never edited."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Call:
    """One request as it arrived. ``at`` is the fake's clock (s); headers keep their order and case."""

    at: float
    operation: str
    method: str
    target: str
    api_key: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """The first header of that name, in any case."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def document(self) -> dict[str, Any]:
        """The call as JSON; the body as text."""
        return {
            "at": self.at,
            "operation": self.operation,
            "method": self.method,
            "target": self.target,
            "api_key": self.api_key,
            "headers": [list(pair) for pair in self.headers],
            "body": self.body.decode(errors="replace"),
        }


@dataclass(slots=True)
class Seen:
    """Everything observed since the start or the last reset."""

    calls: list[Call] = field(default_factory=list)
    answers: list[tuple[str, int]] = field(default_factory=list)
    """Operation and status of every answer; 0 for a connection broken instead."""
    refused: Counter[str] = field(default_factory=Counter)
    """By kind: concurrency, creating, starting, route_rate, edge, dropped, unauthorized, fault."""
    deletes: list[str] = field(default_factory=list)
    """Ids of the sandboxes that were killed by a caller, in order."""
    in_flight: int = 0
    max_in_flight: int = 0
    """Create requests that had arrived and were not answered, refused ones included."""
    creating: int = 0
    max_creating: int = 0
    """Starts let in and under way: creates, resumes and forks."""
    left: int = 0
    """Create requests whose caller hung up before the answer."""

    @property
    def creates(self) -> list[Call]:
        """The create requests, in order of arrival."""
        return [call for call in self.calls if call.operation == "create"]

    def enter(self) -> None:
        """A create request has arrived."""
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)

    def begin(self, count: int = 1) -> None:
        """Starts were let in."""
        self.creating += count
        self.max_creating = max(self.max_creating, self.creating)

    def document(self) -> dict[str, Any]:
        """All of it as JSON."""
        return {
            "creates": [call.document() for call in self.creates],
            "calls": dict(Counter(call.operation for call in self.calls)),
            "answers": [list(answer) for answer in self.answers],
            "refused": dict(self.refused),
            "deletes": self.deletes,
            "in_flight": self.in_flight,
            "max_in_flight": self.max_in_flight,
            "creating": self.creating,
            "max_creating": self.max_creating,
            "left": self.left,
        }
