"""Heads for tests, from header lines. Not a test."""

from __future__ import annotations

from proxy.domain.messages import RequestHead, ResponseHead


def request(*lines: str, method: str = "POST", target: str = "/sandboxes") -> RequestHead:
    """A request with these header lines."""
    return RequestHead(method, target.encode(), 1, block(lines))


def reply(status: int, *lines: str) -> ResponseHead:
    """A reply's head with these header lines."""
    return ResponseHead(status, f"HTTP/1.1 {status} X".encode(), 1, block(lines))


def block(lines: tuple[str, ...]) -> bytes:
    """Header lines as on the wire."""
    return "".join(f"{line}\r\n" for line in lines).encode("latin-1")
