"""The Connect protocol as far as the fake E2B's data plane speaks it: JSON, unary and streaming.

A stream is a row of envelopes: one flag byte, a length of four bytes (big-endian), JSON. The last one has the
flag ``0x02`` and holds ``{}`` or ``{"error": {"code", "message"}}``; the HTTP status of a stream is always
200.
"""

from __future__ import annotations

import json
import struct
from typing import Any, Final

from proxy.fakes.server import Reply

STREAM: Final = "application/connect+json"
UNARY: Final = "application/json"
END: Final = 0x02
STATUS: Final = {
    "invalid_argument": 400,
    "unauthenticated": 401,
    "not_found": 404,
    "already_exists": 409,
    "resource_exhausted": 429,
    "internal": 500,
    "unimplemented": 501,
    "unavailable": 503,
}


class ConnectError(Exception):
    """An error with one of Connect's codes."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message = code, message

    def document(self) -> dict[str, str]:
        """The error as JSON."""
        return {"code": self.code, "message": self.message}

    def unary(self) -> Reply:
        """The error as the answer to a unary call; its type has no charset, as the protocol wants."""
        return Reply(STATUS.get(self.code, 500), self.document(), content_type=UNARY)

    def end(self) -> bytes:
        """The error as the last envelope of a stream."""
        return envelope({"error": self.document()}, flags=END)


def envelope(message: dict[str, Any], *, flags: int = 0) -> bytes:
    """One message of a stream."""
    payload = json.dumps(message).encode()
    return struct.pack(">BI", flags, len(payload)) + payload


def messages(raw: bytes) -> list[dict[str, Any]]:
    """Every message of a stream's body, without the one that ends it. Raises ``ConnectError``."""
    found: list[dict[str, Any]] = []
    while raw:
        if len(raw) < 5:
            raise ConnectError("invalid_argument", "protocol error: incomplete envelope")
        flags, length = struct.unpack(">BI", raw[:5])
        if len(raw) < 5 + length or flags & 1:
            raise ConnectError("invalid_argument", "protocol error: incomplete or compressed envelope")
        if not flags & END:
            found.append(document(raw[5 : 5 + length]))
        raw = raw[5 + length :]
    return found


def document(raw: bytes) -> dict[str, Any]:
    """A JSON object; nothing at all is an empty one. Raises ``ConnectError``."""
    try:
        said = json.loads(raw or b"{}")
    except ValueError as why:
        raise ConnectError("invalid_argument", f"unmarshal message: {why}") from why
    if not isinstance(said, dict):
        raise ConnectError("invalid_argument", "unmarshal message: not an object")
    return said
