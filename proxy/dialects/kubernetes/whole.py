"""One object whose reply is read whole before it is told; and a reply of which nothing may go on. Sans I/O."""

from __future__ import annotations

from collections.abc import Callable

from proxy.dialects.translation import LONGEST_WHOLE, Witness


class Whole:
    """Changes a body as one object (see :class:`proxy.dialects.translation.Transform`).

    One of more than LONGEST_WHOLE bytes passes as it comes.
    """

    __slots__ = ("_change", "_passes", "_pieces", "_size", "_witness")

    def __init__(self, change: Callable[[bytes], bytes], witness: Witness) -> None:
        self._change = change
        self._witness = witness
        self._pieces: list[bytes] = []
        self._size = 0
        self._passes = False

    def feed(self, data: bytes) -> bytes:
        if self._passes:
            return data
        self._pieces.append(data)
        self._size += len(data)
        if self._size <= LONGEST_WHOLE:
            return b""
        self._passes = True
        self._witness.passed("too-big")
        return self._all()

    def end(self) -> bytes:
        body = self._all()
        return self._change(body) if body else body

    def _all(self) -> bytes:
        body = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        return body


class Nothing:
    """Lets no byte of a body pass (see :class:`proxy.dialects.translation.Transform`)."""

    __slots__ = ()

    def feed(self, data: bytes) -> bytes:
        return b""

    def end(self) -> bytes:
        return b""
