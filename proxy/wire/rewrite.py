"""The few bytes of heads that change on the way: hop-by-hop fields, Host, Headgate's own, a dialect's edits. Pure.

Everything else of a head passes as it came: each line is copied, not printed anew, so case, order, repeats and
spacing are the caller's (design.md §2.2).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from proxy.domain.messages import Head, RequestHead, ResponseHead
from proxy.ports import Destination, Edits
from proxy.wire.guard import wants_upgrade

_HOP_BY_HOP: Final = frozenset({b"connection", b"keep-alive", b"proxy-connection", b"te", b"upgrade"})
"""RFC 9110 §7.6.1, less what frames a body: that is relayed as it is."""
_FRAMING: Final = frozenset({b"content-length", b"transfer-encoding"})
"""What tells where a body ends stays, whatever a reply's Connection field says of it."""
_ABOUT_THE_BODY: Final = _FRAMING | {b"trailer"}
"""What no longer holds of a body that was put in another's place; its length is said anew."""
_MANNERS: Final = frozenset({b"keep-alive", b"close"})
"""What a Connection field says that names no other field."""
_NOTES: Final = 8
"""Destinations for which a field block's form is remembered; a reload makes new ones."""
_OWN_PREFIX: Final = b"headgate-"
"""Headgate's own request fields, known or not, stop here (design.md §2.4)."""


def forwarded_request(head: RequestHead, destination: Destination, target: bytes) -> bytes:
    """The head as the upstream gets it."""
    block = head.notes.get(destination)
    if block is None:
        if len(head.notes) >= _NOTES:
            head.notes.clear()
        block = head.notes[destination] = _forwarded_fields(head, destination)
    return b"%s %s HTTP/1.1\r\n%s" % (head.method.encode("ascii"), target, block)


def _forwarded_fields(head: RequestHead, destination: Destination) -> bytes:
    """The fields as the upstream gets them, and the empty line."""
    special = head.has_any(_HOP_BY_HOP) or head.has_any(destination.dropped) or b"_" in head.raw
    if special or _OWN_PREFIX in head.raw.lower() or b"host" not in head:
        return _sifted(head, destination) + destination.added + b"\r\n"
    authority = destination.authority
    if authority is None:
        return head.raw + destination.added + b"\r\n"
    if head.keys[0] == b"host":  # by far the most clients: one cut instead of a walk over the lines
        own = head.lines[0]
        return b"%s: %s\r\n%s%s\r\n" % (own[:4], authority, head.raw[len(own) + 2 :], destination.added)
    return _sifted(head, destination) + destination.added + b"\r\n"


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


def edited(head: RequestHead, edits: Edits) -> RequestHead:
    """The head with a dialect's changes, still to be forwarded like any other."""
    lines = _lines_with(head, edits.fields, None if edits.body is None else len(edits.body))
    return RequestHead(head.method, head.target, head.minor, lines)


def with_length(head: ResponseHead, length: int) -> ResponseHead:
    """The head of a reply whose body has another length, or had none that was told."""
    return ResponseHead(head.status, head.line, head.minor, _lines_with(head, {}, length))


def _lines_with(head: Head, fields: Mapping[bytes, bytes | None], length: int | None) -> bytes:
    """The field block with other values, each in the place and case of the first line of its name.

    With a ``length`` that is what frames the body, where the first framing line stood.
    """
    values = dict(fields)
    if length is not None:
        values |= dict.fromkeys(_ABOUT_THE_BODY)
    out = []
    for key, line in zip(head.keys, head.lines, strict=True):
        if key in _FRAMING and length is not None:
            name = line[: len(key)] if key == b"content-length" else b"Content-Length"
            out.append(b"%b: %d\r\n" % (name, length))
            length = None
        elif key not in values:
            out.append(line + b"\r\n")
        elif (value := values[key]) is not None:
            out.append(b"%b: %b\r\n" % (line[: len(key)], value))
            values[key] = None  # further lines of the name fall out
    if length is not None:
        out.append(b"Content-Length: %d\r\n" % length)
    return b"".join(out)


def _named_by_connection(head: Head) -> frozenset[bytes]:
    return head.tokens(b"connection") if b"connection" in head else frozenset()
