"""HTTP heads as values: what was on the wire, and quick look-ups in it.

Names and values keep the caller's bytes, case and order; look-ups are by lower-case name. Nothing here
parses: :mod:`proxy.wire.heads` makes these values, and only from heads that passed its guard.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

Fields = tuple[tuple[bytes, bytes], ...]

IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})
"""RFC 9110 §9.2.2: sending these twice means what sending them once means."""


class Head:
    """The fields of a message. ``raw`` is the field block as received, each line ended by CRLF."""

    __slots__ = ("_index", "fields", "raw")

    def __init__(self, fields: Fields, raw: bytes) -> None:
        self.fields = fields
        self.raw = raw
        index: dict[bytes, list[bytes]] = {}
        for name, value in fields:
            key = name.lower()
            if key in index:
                index[key].append(value)
            else:
                index[key] = [value]
        self._index = index

    def get(self, name: bytes) -> bytes | None:
        """The first value of a field, by lower-case name."""
        values = self._index.get(name)
        return values[0] if values else None

    def get_all(self, name: bytes) -> list[bytes]:
        """Every value of a field, in order; empty when there is none."""
        return self._index.get(name, [])

    def __contains__(self, name: bytes) -> bool:
        return name in self._index

    def names(self) -> frozenset[bytes]:
        """The lower-case names present."""
        return frozenset(self._index)

    def tokens(self, name: bytes) -> frozenset[bytes]:
        """The comma-separated members of a list field, lower-case."""
        values = self._index.get(name)
        if not values:
            return frozenset()
        return frozenset(part.strip().lower() for value in values for part in value.split(b",") if part.strip())


class RequestHead(Head):
    """A request's head. ``target`` is the caller's bytes; ``minor`` is the HTTP/1 minor version."""

    __slots__ = ("method", "minor", "target")

    def __init__(self, method: str, target: bytes, minor: int, fields: Fields, raw: bytes) -> None:
        super().__init__(fields, raw)
        self.method = method
        self.target = target
        self.minor = minor

    @property
    def idempotent(self) -> bool:
        return self.method in IDEMPOTENT


class ResponseHead(Head):
    """A reply's head. ``line`` is the status line as received, without CRLF."""

    __slots__ = ("line", "minor", "status")

    def __init__(self, status: int, line: bytes, minor: int, fields: Fields, raw: bytes) -> None:
        super().__init__(fields, raw)
        self.status = status
        self.line = line
        self.minor = minor


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole small reply of our own making, or one that was read in full."""

    status: int
    fields: tuple[tuple[str, str], ...]
    body: bytes

    def having(self, *fields: tuple[str, str]) -> Reply:
        """The same reply with more fields at the end."""
        return Reply(self.status, self.fields + fields, self.body)
