"""A stream of JSON values, such as a watch's events: each is changed as soon as it is whole. Sans I/O.

The API server ends each event with a newline, and most clients split there (kubernetes.md §1.3). So whole lines are
the usual case, and lines in which nothing can need a change pass as the same bytes, unsplit. What makes that safe:
JSON has no newline inside a string and no ``}`` before ``{`` without a comma, so ``}``, newline, ``{`` is always the
border of two values. Values over several lines, or several on one, are told apart by walking over them.

A value that is changed leaves on exactly one line; what is not changed keeps its bytes. Bytes that are no JSON pass as
they come, and so does a value that is too big to be held, up to the next border: a watch goes on for an hour. Where
values are chosen, what is too big or cannot be framed is left out instead: it may be a pod that was not asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from io import BytesIO
from typing import Final

from proxy.dialects.kubernetes.ends import BROKEN, TRUNCATED, Held, end_of, is_value
from proxy.dialects.translation import LONGEST_WHOLE, Witness

Each = Callable[[bytes], bytes]
"""A value as it goes on: the same object where nothing changes, nothing at all where it is left out.

ValueError or RecursionError where it can make nothing of it: then it goes on as it is."""
NothingIn = Callable[[bytes], bool]
"""Whether no value in these bytes needs a look."""

_SPACES: Final = re.compile(rb"[ \t\r\n]*")
_BORDER: Final = re.compile(rb"\}[ \t\r]*\n[ \t\r\n]*(?=\{)")
_OPEN: Final = ord("{")
_CLOSED: Final = ord("}")
_SEAM: Final = re.compile(rb"\}[ \t\r\n]*\Z")
"""What may be the first part of a border."""


class _TooBig(ValueError):
    """A value that nobody changes because of its size."""


class Values:
    """Changes a stream's values one by one (see :class:`proxy.dialects.translation.Transform`)."""

    __slots__ = ("_chooses", "_each", "_eats", "_fresh", "_held", "_lost", "_nothing_in", "_seam", "_witness")

    def __init__(self, each: Each, nothing_in: NothingIn, witness: Witness, *, chooses: bool = False) -> None:
        self._each = each
        self._chooses = chooses
        self._nothing_in = nothing_in
        self._witness = witness
        self._held = Held()
        self._eats = False
        """Whether space that follows belongs to a value that was left out, or left with a newline of its own."""
        self._fresh = True
        """Whether what went on ends with a newline."""
        self._lost = False
        """Whether all passes until the next border."""
        self._seam = b""
        """The end of what passed that way, where a border may have begun in it."""

    def feed(self, data: bytes) -> bytes:
        if self._lost:
            return self._until_border(data)
        ready = self._held.with_more(data)
        return self._change(ready) if ready else b""

    def end(self) -> bytes:
        data = self._held.all()
        if not data:
            return b""
        out = BytesIO()
        self._one_by_one(data, 0, out)
        rest = self._held.all()
        if rest:
            self._witness.passed("broken")
            if not self._chooses:
                out.write(rest)
        return out.getvalue()

    def _until_border(self, data: bytes) -> bytes:
        joint = self._seam + data
        border = _BORDER.search(joint)
        if border is None:
            self._seam = _seam_of(joint)
            return b"" if self._chooses else data
        at = border.end() - len(self._seam)
        self._lost, self._fresh = False, True
        return self._change(data[at:]) if self._chooses else data[:at] + self._change(data[at:])

    def _change(self, data: bytes) -> bytes:
        """Bytes that begin where a value does, or space before it."""
        end = data.rfind(b"\n") + 1
        ends = _line_ends(data, end)
        out = BytesIO()
        at = 0
        if ends:
            self._eats = False
            if self._nothing_in(data):  # what is behind the lines counts too, but only for speed
                self._fresh = True
                if end == len(data):
                    return data
                at = out.write(memoryview(data)[:end])
            else:
                at = self._line_by_line(data, ends, out)
        self._one_by_one(data, at, out)
        return out.getvalue()

    def _line_by_line(self, data: bytes, ends: list[int], out: BytesIO) -> int:
        """Returns where these lines end, or where one begins that needs a closer look."""
        at = 0
        for end in ends:
            line = data[at:end]
            try:
                told = self._told(line)
            except (ValueError, RecursionError):
                break
            self._eats = told is not line
            if told:
                if not self._fresh and told is not line:
                    out.write(b"\n")
                out.write(told)
                out.write(b"\n")
                self._fresh = True
            at = end + 1
        return at

    def _one_by_one(self, data: bytes, at: int, out: BytesIO) -> None:
        while True:
            start = _end_of_space(data, at)
            if not self._eats:
                self._put(out, data[at:start])
            if start == len(data):
                return
            end = end_of(data, start) if data.startswith(b"{", start) else BROKEN
            if end == TRUNCATED and self._held.keep(data[start:]):
                return
            if end >= 0:
                self._one(data[start:end], out)
                at = end
                continue
            self._witness.passed("too-big" if end == TRUNCATED else "broken")
            border = _BORDER.search(data, start)
            at = len(data) if border is None else border.end()
            if not self._chooses:
                self._put(out, data[start:at])
            if border is None:
                self._lost, self._seam = True, _seam_of(data)
                return

    def _one(self, value: bytes, out: BytesIO) -> None:
        try:
            told = self._told(value)
        except (ValueError, RecursionError) as error:
            self._witness.passed("too-big" if isinstance(error, _TooBig) else "broken")
            told = b"" if self._chooses and isinstance(error, _TooBig) else value
        self._eats = told is not value
        if told is value:
            self._put(out, value)
        elif told:
            self._put(out, told + b"\n" if self._fresh else b"\n" + told + b"\n")

    def _told(self, value: bytes) -> bytes:
        if self._nothing_in(value):
            return value
        if len(value) > LONGEST_WHOLE:
            raise _TooBig
        return self._each(value)

    def _put(self, out: BytesIO, piece: bytes) -> None:
        if piece:
            out.write(piece)
            self._fresh = piece.endswith(b"\n")


def _line_ends(data: bytes, end: int) -> list[int]:
    """The newlines before ``end`` if each ends a line of whole values; none where that is not sure.

    Only the last line may have to be walked over: the others are between borders.
    """
    ends: list[int] = []
    at = last = 0
    while at < end:
        found = data.find(b"\n", at)
        if data[at] != _OPEN or data[found - 1] != _CLOSED:
            return []
        ends.append(found)
        at, last = found + 1, at
    return ends if data.startswith(b"{", end) or is_value(data[last:end]) else []


def _end_of_space(data: bytes, at: int) -> int:
    found = _SPACES.match(data, at)
    return at if found is None else found.end()


def _seam_of(data: bytes) -> bytes:
    found = _SEAM.search(data, max(0, len(data) - 256))
    return b"" if found is None else found[0]
