"""HTTP heads as values: what was on the wire, and quick look-ups in it.

Names and values keep the caller's bytes, case and order; look-ups are by lower-case name. Nothing here
parses: :mod:`proxy.wire.heads` makes these values, and only from heads that passed its guard. Nothing changes them
once they are made, so heads with the same field block share what is known of it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})
"""RFC 9110 §9.2.2: sending these twice means what sending them once means."""


@dataclass(frozen=True, slots=True)
class HeadBounds:
    """How long a request's head may be, in bytes."""

    line: int
    whole: int
    longer: LongerLine | None = None

    def most(self, begin: bytes | bytearray) -> int:
        """Bytes of a whole head that begins so."""
        return self.whole + self._more(begin)

    def request_line(self, line: bytes) -> int:
        """Bytes that this request line may have."""
        return self.line + self._more(line)

    def _more(self, begin: bytes | bytearray) -> int:
        return self.longer.by if self.longer is not None and self.longer.begin.match(begin) else 0


@dataclass(frozen=True, slots=True)
class LongerLine:
    """Which request lines may be longer, and ``by`` how many bytes; ``begin`` matches their beginning."""

    begin: re.Pattern[bytes]
    by: int


USUAL_HEAD: Final = HeadBounds(8 * 1024, 32 * 1024)
"""distributed.md §11."""

_SPACE: Final = b" \t"
_NOTHING: Final[frozenset[bytes]] = frozenset()


class Head:
    """The fields of a message. ``raw`` is the field block as received, each line ended by CRLF.

    ``lines`` are its lines without CRLF, ``keys`` their lower-case names, in order; a line
    without a colon has an empty one. Nothing is checked here: :mod:`proxy.wire.guard` does.
    """

    __slots__ = ("_first", "_more", "_tokens", "keys", "lines", "notes", "raw")

    lines: list[bytes]
    keys: list[bytes]
    _first: dict[bytes, bytes]
    _more: dict[bytes, list[bytes]] | None
    _tokens: dict[bytes, frozenset[bytes]]
    notes: dict[object, bytes]
    """What others worked out from this field block and need again, each under a key of its own."""

    def __init__(self, raw: bytes, like: Head | None = None) -> None:
        self.raw = raw
        if like is not None:  # one with the same field block
            self.lines, self.keys = like.lines, like.keys
            self._first, self._more, self._tokens, self.notes = like._first, like._more, like._tokens, like.notes
            return
        lines = raw.split(b"\r\n")
        lines.pop()
        self.lines = lines
        self.keys = []
        self._first = {}
        self._more = None
        self._tokens = {}
        self.notes = {}
        for line in lines:
            name, colon, value = line.partition(b":")
            key = name.lower() if colon else b""
            self.keys.append(key)
            if key in self._first:
                self._repeat(key, value.strip(_SPACE))
            else:
                self._first[key] = value.strip(_SPACE)

    def _repeat(self, key: bytes, value: bytes) -> None:
        if self._more is None:
            self._more = {}
        self._more.setdefault(key, []).append(value)

    def get(self, name: bytes) -> bytes | None:
        """The first value of a field, by lower-case name."""
        return self._first.get(name)

    def get_all(self, name: bytes) -> list[bytes]:
        """Every value of a field, in order; empty when there is none."""
        if name not in self._first:
            return []
        more = () if self._more is None else self._more.get(name, ())
        return [self._first[name], *more]

    def __contains__(self, name: bytes) -> bool:
        return name in self._first

    def repeats(self, name: bytes) -> bool:
        """Whether a field is there more than once."""
        return self._more is not None and name in self._more

    def has_any(self, names: frozenset[bytes]) -> bool:
        """Whether any of these lower-case names is present."""
        return not names.isdisjoint(self._first)

    def any_of(self, names: frozenset[bytes]) -> frozenset[bytes]:
        """Which of these lower-case names are present."""
        return names.intersection(self._first)

    def tokens(self, name: bytes) -> frozenset[bytes]:
        """The comma-separated members of a list field, lower-case."""
        if name not in self._first:
            return _NOTHING
        known = self._tokens.get(name)
        if known is None:
            known = self._tokens[name] = self._split(name)
        return known

    def _split(self, name: bytes) -> frozenset[bytes]:
        return frozenset(
            part.strip(_SPACE).lower()
            for value in self.get_all(name)
            for part in value.split(b",")
            if part.strip(_SPACE)
        )


class RequestHead(Head):
    """A request's head. ``target`` is the caller's bytes; ``minor`` is the HTTP/1 minor version."""

    __slots__ = ("method", "minor", "target")

    def __init__(self, method: str, target: bytes, minor: int, raw: bytes, like: Head | None = None) -> None:
        super().__init__(raw, like)
        self.method = method
        self.target = target
        self.minor = minor

    def with_line(self, method: str, target: bytes) -> RequestHead:
        """A head with this field block and another request line of the same version."""
        return RequestHead(method, target, self.minor, self.raw, self)

    @property
    def idempotent(self) -> bool:
        return self.method in IDEMPOTENT


class ResponseHead(Head):
    """A reply's head. ``line`` is the status line as received, without CRLF."""

    __slots__ = ("line", "minor", "status")

    def __init__(self, status: int, line: bytes, minor: int, raw: bytes) -> None:
        super().__init__(raw)
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
