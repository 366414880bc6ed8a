"""What an independent client makes of the bytes of a reply: h11, which shares nothing with Headgate or llhttp."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import h11

Fields = tuple[tuple[bytes, bytes], ...]
Head = tuple[int, bytes, Fields]
"""Status, reason, and fields: names in lower case, values without the white space around them."""
Ending = Literal["whole", "open", "short", "broken", "switched"]
"""Complete · more could come · an end of file where more must come · bytes that fit no reply · left HTTP by a 101."""


@dataclass(slots=True)
class Read:
    """One reply. ``final`` is None where none came, ``rest`` are the bytes behind it."""

    interim: list[Head] = field(default_factory=list)
    final: Head | None = None
    body: bytes = b""
    trailers: Fields = ()
    ending: Ending = "open"
    rest: bytes = b""

    @property
    def own(self) -> bool:
        """Whether Headgate made the reply itself."""
        return self.final is not None and any(name == b"proxy-status" for name, _ in self.final[2])

    @property
    def closing(self) -> bool:
        """Whether it says that its connection ends."""
        return self.final is not None and (b"connection", b"close") in self.final[2]


def read(data: bytes, method: str, *, upgrade: bool = False, ended: bool = False) -> Read:
    """The reply to one request in ``data``. ``ended``: an end of file (no reset) stands behind the bytes."""
    client = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
    fields = [("Host", "a"), *([("Connection", "upgrade"), ("Upgrade", "x")] if upgrade else [])]
    client.send(h11.Request(method=method, target="/", headers=fields))
    client.send(h11.EndOfMessage())
    got = Read()
    if data:  # no bytes would mean the end of file
        _feed(client, data, got, "broken")
    if ended and got.ending == "open":
        _feed(client, b"", got, "short")
    got.rest = b"" if got.ending == "open" else client.trailing_data[0]
    return got


def _feed(client: h11.Connection, data: bytes, got: Read, otherwise: Ending) -> None:
    client.receive_data(data)
    try:
        while got.ending == "open" and (event := client.next_event()) is not h11.NEED_DATA:
            _take(got, event, otherwise)
    except h11.RemoteProtocolError:
        got.ending = otherwise


def _take(got: Read, event: object, otherwise: Ending) -> None:
    match event:
        case h11.InformationalResponse(status_code=101):
            got.final = _head(event)
            got.ending = "switched"
        case h11.InformationalResponse():
            got.interim.append(_head(event))
        case h11.Response():
            got.final = _head(event)
        case h11.Data():
            got.body += event.data
        case h11.EndOfMessage():
            got.trailers = tuple(event.headers)
            got.ending = "whole"
        case _:
            got.ending = otherwise


def _head(event: h11.InformationalResponse | h11.Response) -> Head:
    return event.status_code, bytes(event.reason), tuple(event.headers)


HOP_BY_HOP = frozenset({b"connection", b"keep-alive", b"proxy-connection", b"te", b"upgrade"})
"""RFC 9110 §7.6.1: they concern one connection only, and Headgate has others."""
FRAMING = frozenset({b"content-length", b"transfer-encoding"})


def carried(head: Head, *, unwrapped: bool = False) -> Head:
    """A head without what stops at a proxy; ``unwrapped`` where its chunks do too."""
    status, reason, fields = head
    if status == 101:
        return head
    named = {part.strip().lower() for name, value in fields if name == b"connection" for part in value.split(b",")}
    without = (HOP_BY_HOP | named) - FRAMING | ({b"transfer-encoding"} if unwrapped else set())
    return status, reason, tuple((name, value) for name, value in fields if name not in without)


def untimed(head: Head) -> Head:
    """A head without the Server-Timing that Headgate adds, which is the last of them; ValueError without one."""
    status, reason, fields = head
    at = len(fields) - 1 - [name for name, _ in reversed(fields)].index(b"server-timing")
    return status, reason, fields[:at] + fields[at + 1 :]
