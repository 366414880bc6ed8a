"""Callers, each with one connection, one create and one try; and how it ended for each of them.

A caller's number stands in its create's body, so that the far side knows whose it is. How it ended is known the moment
its bytes are here, in the protocol itself: whoever counts may rely on the order.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import urlsplit

CUT = "cut"
"""How it ended for a caller whose connection ended before the whole reply was here."""


class Caller(asyncio.Protocol):
    """Asks when connected. ``outcome`` is a status or ``CUT``; None while it waits."""

    def __init__(self, number: int, request: bytes) -> None:
        self.number = number
        self.outcome: str | None = None
        self.body = b""
        self._request = request
        self._data = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, ended, body = self._data.partition(b"\r\n\r\n")
        if ended and self.outcome is None and len(body) >= _length(head):
            self.body = body
            self.outcome = head.split(b" ", 2)[1].decode("ascii")

    def connection_lost(self, exc: Exception | None) -> None:
        self.outcome = self.outcome or CUT

    def leave(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.abort()

    @property
    def sandbox(self) -> str | None:
        """The id of the sandbox it was given."""
        if self.outcome != "201":
            return None
        said: Any = json.loads(self.body)
        return str(said["sandboxID"])


Make = Callable[[str, int], bytes]
"""The request of a caller, by the path of the base URL and the caller's number."""


class Crowd:
    """Everybody who asked, by number. Without ``make`` they want sandboxes of E2B."""

    def __init__(self, make: Make | None = None) -> None:
        self.callers: dict[int, Caller] = {}
        self._make = make or _create

    async def ask(self, url: str, numbers: range) -> None:
        """These callers come at once; returns when all are connected and have sent their create."""
        loop, (host, port), base = asyncio.get_running_loop(), address(url), urlsplit(url).path

        async def come(number: int) -> None:
            caller = Caller(number, self._make(base, number))
            self.callers[number] = caller
            await loop.create_connection(lambda: caller, host, port)

        await asyncio.gather(*map(come, numbers))

    def ended(self, number: int) -> bool:
        """Whether this caller knows how it ended."""
        caller = self.callers.get(number)
        return caller is not None and caller.outcome is not None

    def outcomes(self, numbers: range) -> Counter[str]:
        """How it ended, counted; who still waits is not in it."""
        found = (self.callers[number].outcome for number in numbers if number in self.callers)
        return Counter(outcome for outcome in found if outcome is not None)

    def leave(self) -> None:
        """Everybody who is still there hangs up."""
        for caller in self.callers.values():
            caller.leave()


def address(url: str) -> tuple[str, int]:
    """Host and port of a base URL."""
    parts = urlsplit(url)
    assert parts.hostname is not None and parts.port is not None
    return parts.hostname, parts.port


def number_of(body: bytes) -> int:
    """Whose create this is."""
    said: Any = json.loads(body)
    return int(said["metadata"]["caller"])


def _create(base: str, number: int) -> bytes:
    body = json.dumps({"templateID": "base", "timeout": 600, "metadata": {"caller": str(number)}}).encode()
    head = (
        f"POST {base}/sandboxes HTTP/1.1\r\nHost: headgate\r\nX-API-Key: e2b_00ff00ff\r\nX-Job-Id: job-{number}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode("ascii") + body


def _length(head: bytes) -> int:
    """Both the fakes and Headgate say how long a reply to a create is."""
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line[15:])
    raise AssertionError(f"a reply without a length: {head!r}")
