"""The few bytes that change on the way: hop-by-hop fields, Host, and Headgate's own. Pure.

Everything else of a head passes as it came: each line is copied, not printed anew, so case, order, repeats and
spacing are the caller's (design.md §2.2).
"""

from __future__ import annotations

from typing import Final

from proxy.domain.messages import Head, RequestHead, ResponseHead
from proxy.ports import Destination
from proxy.wire.guard import wants_upgrade

_HOP_BY_HOP: Final = frozenset({b"connection", b"keep-alive", b"proxy-connection", b"te", b"upgrade"})
"""RFC 9110 §7.6.1, less what frames a body: that is relayed as it is."""
_FRAMING: Final = frozenset({b"content-length", b"transfer-encoding"})
"""What tells where a body ends stays, whatever a reply's Connection field says of it."""
_MANNERS: Final = frozenset({b"keep-alive", b"close"})
"""What a Connection field says that names no other field."""
_OWN_PREFIX: Final = b"headgate-"
"""Headgate's own request fields, known or not, stop here (design.md §2.4)."""


def forwarded_request(head: RequestHead, destination: Destination, target: bytes) -> bytes:
    """The head as the upstream gets it."""
    line = b"%s %s HTTP/1.1\r\n" % (head.method.encode("ascii"), target)
    special = head.has_any(_HOP_BY_HOP) or head.has_any(destination.dropped) or b"_" in head.raw
    if special or _OWN_PREFIX in head.raw.lower() or b"host" not in head:
        return line + _sifted(head, destination) + destination.added + b"\r\n"
    authority = destination.authority
    if authority is None:
        return line + head.raw + destination.added + b"\r\n"
    if head.keys[0] == b"host":  # by far the most clients: one cut instead of a walk over the lines
        own = head.lines[0]
        return b"%s%s: %s\r\n%s%s\r\n" % (line, own[:4], authority, head.raw[len(own) + 2 :], destination.added)
    return line + _sifted(head, destination) + destination.added + b"\r\n"


def _sifted(head: RequestHead, destination: Destination) -> bytes:
    """The lines that go on, each ended by CRLF."""
    upgrade = wants_upgrade(head)
    authority = destination.authority
    if authority is None and b"host" not in head:
        authority = destination.origin.authority.encode("ascii")  # HTTP/1.0 may come without, HTTP/1.1 may not go so
    drop = _HOP_BY_HOP | destination.dropped | _named_by_connection(head)
    if upgrade:
        drop -= {b"upgrade"}
    out = []
    for key, line in zip(head.keys, head.lines, strict=True):
        if key == b"host":
            out.append(line if authority is None else line[:4] + b": " + authority)
        elif key not in drop and not key.startswith(_OWN_PREFIX) and key.replace(b"_", b"-") not in destination.dropped:
            out.append(line)
        elif key == b"te" and b"trailers" in head.tokens(b"te"):
            out.append(b"TE: trailers")
    if b"host" not in head and authority is not None:
        out.insert(0, b"Host: " + authority)
    if upgrade:
        out.append(b"Connection: Upgrade")
    out.append(b"")
    return b"\r\n".join(out)


def forwarded_reply(head: ResponseHead, added: bytes, *, without: frozenset[bytes] = frozenset()) -> bytes:
    """The head as the caller gets it; ``added`` are whole lines, each ended by CRLF.

    The version is ours, as RFC 9112 §2.3 asks: an old upstream does not end the caller's connection.
    """
    first = head.line if head.minor else b"HTTP/1.1" + head.line[8:]
    if head.status == 101 or not (head.has_any(_HOP_BY_HOP) or head.has_any(without)):
        return b"%s\r\n%s%s\r\n" % (first, head.raw, added)
    named = _named_by_connection(head)
    alone = len(head.any_of(_HOP_BY_HOP)) == 1 and head.keys.count(b"connection") == 1
    if alone and named <= _MANNERS and not without:
        at = head.keys.index(b"connection")  # by far the most servers: one line falls out
        return b"\r\n".join([first, *head.lines[:at], *head.lines[at + 1 :], added + b"\r\n"])
    drop = ((_HOP_BY_HOP | named) - _FRAMING) | without
    if head.status == 426 and b"upgrade" in head:  # it tells what would be accepted (RFC 9110 §15.5.22)
        drop -= {b"upgrade"}
        added = b"Connection: Upgrade\r\n" + added
    kept = [line for key, line in zip(head.keys, head.lines, strict=True) if key not in drop]
    return b"\r\n".join([first, *kept, added + b"\r\n"])


def _named_by_connection(head: Head) -> frozenset[bytes]:
    return head.tokens(b"connection") if b"connection" in head else frozenset()
