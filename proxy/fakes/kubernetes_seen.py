"""What a fake API server has seen: the record that tests read. Plain fields, appended in order, never edited."""

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
    namespace: str
    name: str
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
            "namespace": self.namespace,
            "name": self.name,
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
    """By kind: busy, quota, unauthorized, fault."""
    in_flight: Counter[str] = field(default_factory=Counter)
    """Requests that had arrived and were not answered, by operation."""
    most_in_flight: Counter[str] = field(default_factory=Counter)
    created: list[str] = field(default_factory=list)
    """``namespace/name`` of every pod that a create has made, in order."""
    left: int = 0
    """Requests whose caller hung up before the answer was complete, watches and streams too."""

    def of(self, operation: str) -> list[Call]:
        """The requests of one operation, in order of arrival."""
        return [call for call in self.calls if call.operation == operation]

    def enter(self, operation: str) -> None:
        """A request has arrived."""
        self.in_flight[operation] += 1
        self.most_in_flight[operation] = max(self.most_in_flight[operation], self.in_flight[operation])

    def document(self) -> dict[str, Any]:
        """All of it as JSON; of the calls only how many there were of each operation, and the creates whole."""
        return {
            "creates": [call.document() for call in self.of("create")],
            "calls": dict(Counter(call.operation for call in self.calls)),
            "answers": [list(answer) for answer in self.answers],
            "refused": dict(self.refused),
            "in_flight": dict(+self.in_flight),
            "most_in_flight": dict(self.most_in_flight),
            "created": self.created,
            "left": self.left,
        }
