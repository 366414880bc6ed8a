"""Where a JSON value ends, in bytes that may go on behind it or stop in its midst. Pure.

Nothing is built for it: msgspec walks over a value at about a gigabyte a second, ten times as fast as the quickest
scanner in Python and without making objects. Where the value ends is told by its message about trailing characters,
which has had the same words since msgspec 0.19 (tests/dialects/kubernetes/test_ends.py holds on to them).
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from proxy.dialects.translation import LONGEST_WHOLE

TRUNCATED: Final = -1
"""The value goes on behind the bytes that are there."""
BROKEN: Final = -2
"""This is no JSON."""

SPACE: Final = b" \t\r\n"
_WALK: Final = msgspec.json.Decoder(msgspec.Raw)
_TRAILING: Final = "JSON is malformed: trailing characters (byte "
_MALFORMED: Final = re.compile(r"\(byte (\d+)\)$")
_CLOSED: Final = b'}]"'
_SMALL: Final = 64 * 1024
"""Bytes that are quickly walked over again."""


def end_of(data: bytes, start: int) -> int:
    """Where the value that begins at ``start`` ends: the index behind it; TRUNCATED or BROKEN.

    A number or a word that the bytes end with may go on, so it counts as truncated.
    """
    try:
        _WALK.decode(memoryview(data)[start:])
    except msgspec.DecodeError as error:
        words = str(error)
        if not words.startswith(_TRAILING):
            found = _MALFORMED.search(words)  # a number that stops short is called so too, but behind its last byte
            return TRUNCATED if found is None or int(found[1]) == len(data) - start else BROKEN
        end = start + int(words[len(_TRAILING) : -1]) - 1
    except RecursionError:
        return BROKEN
    else:
        end = len(data)
    while data[end - 1] in SPACE:
        end -= 1
    return TRUNCATED if end == len(data) and data[end - 1] not in _CLOSED else end


def is_value(data: bytes) -> bool:
    """Whether the bytes are exactly one value, with space around it or without."""
    try:
        _WALK.decode(data)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


class Held:
    """Bytes that wait for the end of their value, put together no more often than it pays.

    A value of which many small pieces come would otherwise be copied and walked over once for each of them.
    """

    __slots__ = ("_pieces", "_seen", "size")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._seen = 0
        self.size = 0
        """Bytes that wait; at most LONGEST_WHOLE where :meth:`keep` was obeyed."""

    def with_more(self, data: bytes) -> bytes | None:
        """All that waits with ``data`` behind it, which then waits no more. None: it waits too, for what may end it."""
        if not self._pieces:
            return data
        self._pieces.append(data)
        self.size += len(data)
        worth = self.size < _SMALL or b"\n" in data or data.endswith(b"}") or self.size - self._seen >= self._seen // 8
        return self.all() if worth or self.size > LONGEST_WHOLE else None

    def all(self) -> bytes:
        """All that waits, which then waits no more."""
        data = b"".join(self._pieces)
        self._pieces.clear()
        self.size = 0
        return data

    def keep(self, data: bytes) -> bool:
        """Let these bytes wait; False where they are too many for it."""
        if len(data) > LONGEST_WHOLE:
            return False
        if data:
            self._pieces.append(data)
        self.size = self._seen = len(data)
        return True
