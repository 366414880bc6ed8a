"""A list as it streams: its items are changed or left out one by one, and it is never held whole. Sans I/O.

A list of 5,000 pods has 25 MB, and parsing it would stop the loop for half a second. So only the list's own frame is
read here: the members of the object around the items, in whatever order they come. An item that does not change keeps
its bytes, and so does all space between items; one that is left out takes the comma before it along.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Final

from proxy.dialects.kubernetes.ends import BROKEN, SPACE, TRUNCATED, Held, end_of
from proxy.dialects.translation import LONGEST_WHOLE, PassedAsItWas, Witness

EachItem = Callable[[bytes], bytes | None]
"""An item as it goes on: the same object where nothing changes, None where it is left out.

ValueError or RecursionError where it can make nothing of it: then it goes on as it is."""
Member = Callable[[bytes], bytes]
"""The value of a member of the list itself as it goes on: the same object where nothing changes."""

_NAME: Final = rb'[ \t\r\n]*"((?:[^"\\]|\\.){0,256})"[ \t\r\n]*:[ \t\r\n]*(?=[^ \t\r\n])'
_FIRST: Final = re.compile(rb"[ \t\r\n]*\{" + _NAME, re.DOTALL)
_NEXT: Final = re.compile(rb"[ \t\r\n]*," + _NAME, re.DOTALL)
_EMPTY: Final = re.compile(rb"[ \t\r\n]*\{[ \t\r\n]*\}")
_LAST: Final = re.compile(rb"[ \t\r\n]*\}")
_GAP: Final = re.compile(rb"[ \t\r\n]*(,?)[ \t\r\n]*")
_LONGEST_FRAME: Final = 4096
"""Bytes between two members' values, with the name of the second and all space."""
_ARRAY_ENDS: Final = b"]"


class Items:
    """Changes the items of a list (see :class:`proxy.dialects.translation.Transform`).

    ``arrays`` says by the name of a member what happens to each item in it; None: nothing changes from there on.
    What is no pod passes as it came, and so does what is too big to look at or cannot be read, but not where it
    ``chooses``: who asks for failed pods may delete all that is listed (kubernetes.md §0.10). Then an item that is too
    big is left out, and a list that cannot be read on ends incomplete.
    """

    __slots__ = (
        "_array",
        "_arrays",
        "_chooses",
        "_cut",
        "_done",
        "_held",
        "_kept",
        "_members",
        "_out",
        "_seen",
        "_step",
        "_witness",
    )

    def __init__(
        self,
        arrays: Mapping[bytes, EachItem | None],
        members: Mapping[bytes, Member],
        witness: Witness,
        *,
        chooses: bool = False,
    ) -> None:
        self._arrays = arrays
        self._chooses = chooses
        self._cut = False
        """Whether nothing goes on any more."""
        self._members = members
        self._witness = witness
        self._held = Held()
        self._step: Callable[[bytes, int], int] | None = self._first_member
        """Reads on from an index and returns how far it came; the same index where it wants more. None: all passes."""
        self._array: EachItem = _as_it_is
        self._seen = False
        """Whether the array has had an item."""
        self._kept = False
        """Whether one of them went on."""
        self._out = BytesIO()
        self._done = 0
        """How much of the bytes at hand is in ``_out`` or left out."""

    def feed(self, data: bytes) -> bytes:
        if self._step is None:
            return b"" if self._cut else data
        ready = self._held.with_more(data)
        return self._read(ready) if ready else b""

    def end(self) -> bytes:
        data = self._held.all()
        out = self._read(data) if data else b""
        rest = self._held.all()
        if self._step is not None and (data or self._step != self._first_member):
            self._witness.passed("broken")
            self._cut = self._chooses
        return out if self._cut else out + rest

    def _read(self, data: bytes) -> bytes:
        self._out, self._done = BytesIO(), 0
        at = 0
        while self._step is not None:
            after = self._step(data, at)
            if after == at:
                break
            at = after
        if self._step is not None and not self._held.keep(data[at:]):
            self._give_up("too-big")
        if self._step is None and not self._cut:
            at = len(data)
        if self._done == 0:
            return data if at == len(data) else data[:at]  # compiled, a slice of all is a copy
        self._out.write(memoryview(data)[self._done : at])
        return self._out.getvalue()

    def _give_up(self, why: PassedAsItWas) -> None:
        """All that follows passes as it comes, or nothing does."""
        self._witness.passed(why)
        self._step = None
        self._cut = self._chooses

    def _instead(self, start: int, end: int, new: bytes, data: bytes) -> None:
        """``new`` goes on in place of these bytes."""
        self._out.write(memoryview(data)[self._done : start])
        self._out.write(new)
        self._done = end

    # -- the list's own members ---------------------------------------------------------------------
    def _first_member(self, data: bytes, at: int) -> int:
        return self._member(data, at, _EMPTY, _FIRST, b"{")

    def _next_member(self, data: bytes, at: int) -> int:
        return self._member(data, at, _LAST, _NEXT, b",")

    def _member(self, data: bytes, at: int, last: re.Pattern[bytes], frame: re.Pattern[bytes], sign: bytes) -> int:
        if last.match(data, at):
            self._step = None
            return at
        found = frame.match(data, at)
        if found is None:
            if len(data) - at > _LONGEST_FRAME or data[at : at + _LONGEST_FRAME].lstrip(SPACE)[:1] not in (b"", sign):
                self._give_up("broken")
            return at
        name, start = found[1], found.end()
        if name in self._arrays and data.startswith(b"[", start):
            return self._enter(self._arrays[name], start)
        end = end_of(data, start)
        if end < 0:
            if end != TRUNCATED:
                self._give_up("broken")
            return at
        change = self._members.get(name)
        if change is not None:
            value = data[start:end]
            told = change(value)
            if told is not value:
                self._instead(start, end, told, data)
        self._step = self._next_member
        return end

    def _enter(self, each: EachItem | None, start: int) -> int:
        if each is None:
            self._step = None
        else:
            self._array, self._step = each, self._next_item
            self._seen = self._kept = False
        return start + 1

    # -- the items ----------------------------------------------------------------------------------
    def _next_item(self, data: bytes, at: int) -> int:
        gap = _GAP.match(data, at)
        start = at if gap is None else gap.end()
        if start == len(data):
            return at
        comma = gap is not None and gap[1] == b","
        if data.startswith(_ARRAY_ENDS, start) and not comma:
            self._step = self._next_member
            return start + 1
        end = end_of(data, start) if comma is self._seen else BROKEN
        if end < 0:
            if end != TRUNCATED:
                self._give_up("broken")
            return at
        self._item(data, at, start, end)
        return end

    def _item(self, data: bytes, at: int, start: int, end: int) -> None:
        """One item, with ``at`` where the space or comma before it begins."""
        first_kept = self._seen and not self._kept
        self._seen = True
        item = data[start:end]
        told: bytes | None = item
        if len(item) > LONGEST_WHOLE:
            self._witness.passed("too-big")
            told = None if self._chooses else item
        else:
            try:
                told = self._array(item)
            except (ValueError, RecursionError):
                self._witness.passed("broken")
        if told is None:
            self._instead(at, end, b"", data)
            return
        self._kept = True
        if first_kept:  # all before it were left out, and it needs no comma
            self._instead(at, start, data[at:start].replace(b",", b"", 1), data)
        if told is not item:
            self._instead(start, end, told, data)


def _as_it_is(item: bytes) -> bytes:
    return item
