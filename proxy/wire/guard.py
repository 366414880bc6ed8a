"""The guard in front of the parser: what a head must look like before anybody interprets it. Pure.

llhttp is lenient where proxies must not be (distributed.md §10.8, §11): two readers of one message must never
disagree about where it ends or whom it names. So a head is first held against the grammar of RFC 9112, byte by
byte, and only then parsed. Whatever fails here is answered 4xx, the connection is closed, and nothing reaches
an upstream.
"""

from __future__ import annotations

import re
from typing import Final

from proxy.domain.errors import BadRequest
from proxy.domain.messages import USUAL_HEAD, Head, RequestHead, ResponseHead

MAX_FIELDS: Final = 100
MAX_LENGTH: Final = 2**63 - 1
"""Content-Length and chunk sizes beyond are refused: other parsers wrap around there."""

TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_REQUEST_LINE: Final = re.compile(rb"(" + TOKEN + rb") ([\x21\x22\x24-\x7e]+) HTTP/1\.([01])")
_OTHER_VERSION: Final = re.compile(TOKEN + rb" [\x21-\x7e]+ HTTP/\d\.\d")
_VALUE_BYTES: Final = bytes(b for b in range(256) if b == 9 or (b >= 32 and b != 127))
_TOKEN_BYTES: Final = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_HOST: Final = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9\-._~%]+)(?::\d{1,5})?")
_SUSPECT_TWINS: Final = frozenset({b"content_length", b"transfer_encoding"})
_FRAMING: Final = frozenset({b"content-length", b"transfer-encoding"})
_SPECIAL: Final = _SUSPECT_TWINS | _FRAMING | {b"connection", b"expect", b"upgrade"}
"""Fields by which requests differ in more than their words; most requests have few of them."""
_PROTECTED: Final = frozenset({b"content-length", b"host", b"transfer-encoding", b"authorization"})
"""Fields that a Connection header may not name (CVE-2025-48865); the policy's tenant headers are added."""
FORBIDDEN_TRAILERS: Final[frozenset[bytes]] = frozenset(
    {b"content-length", b"transfer-encoding", b"host", b"authorization", b"x-api-key", b"connection", b"trailer"}
)


def check_fields(block: bytes, longest: int = USUAL_HEAD.line) -> None:
    """Hold a field block (lines ended by CRLF) against the grammar and the limits; BadRequest otherwise.

    ``longest``: bytes of one line.
    """
    ends = block.translate(None, _VALUE_BYTES)
    lines = block.count(b"\r\n")
    if lines > MAX_FIELDS:
        raise BadRequest(f"more than {MAX_FIELDS} header fields", 431)
    if ends != b"\r\n" * lines or not block.endswith(b"\r\n"[: 2 * lines]):
        raise BadRequest(_what_is_wrong(block))
    if len(block) > longest and any(len(line) > longest for line in block.split(b"\r\n")):
        raise BadRequest(f"a header line is longer than {longest} bytes", 431)


def check_names(keys: list[bytes], block: bytes) -> None:
    """Names are tokens, and not empty; BadRequest otherwise. ``block`` is only looked at for a word on it."""
    if b"" in keys or b"".join(keys).translate(None, _TOKEN_BYTES):
        raise BadRequest(_what_is_wrong(block))


def check_request_line(line: bytes, longest: int = USUAL_HEAD.line) -> tuple[str, bytes, int]:
    """Method, target and minor version of a request line; BadRequest with 400, 431, 501 or 505 where it is none."""
    if len(line) > longest:
        raise BadRequest(f"the request line is longer than {longest} bytes", 431)
    found = _REQUEST_LINE.fullmatch(line)
    if found is None:
        if not _OTHER_VERSION.fullmatch(line):
            raise BadRequest("the request line is malformed")
        if not line.endswith((b" HTTP/1.1", b" HTTP/1.0")):
            raise BadRequest("only HTTP/1.1 and HTTP/1.0 are spoken here", 505)
        raise BadRequest("the request target holds a fragment")
    method, target, minor = found.groups()
    if method == b"CONNECT":
        raise BadRequest("CONNECT is not offered", 501)
    return method.decode("ascii"), target, 1 if minor == b"1" else 0


def check_request(head: RequestHead) -> None:
    """What the fields of a request must agree on: framing, Host, Connection, Expect, Upgrade."""
    _check_host(head)
    if not head.has_any(_SPECIAL):
        return
    special = head.any_of(_SPECIAL)
    _check_framing(head)
    if special & _SUSPECT_TWINS:
        raise BadRequest("a header name with _ looks like Content-Length or Transfer-Encoding")
    if b"connection" in special and head.tokens(b"connection") & _PROTECTED:
        raise BadRequest("the Connection header names a protected field")
    if b"expect" in special:
        if len(head.get_all(b"expect")) > 1:
            raise BadRequest("more than one Expect header")
        if (head.get(b"expect") or b"").lower() != b"100-continue":
            raise BadRequest("this expectation cannot be met", 417)
    if b"upgrade" in special:
        _check_upgrade(head)


def _check_host(head: RequestHead) -> None:
    host = head.get(b"host")
    if head.repeats(b"host"):
        raise BadRequest("more than one Host header")
    if host is None:
        if head.minor >= 1:
            raise BadRequest("the Host header is missing")
        return
    if host and not _HOST.fullmatch(host):
        raise BadRequest("the Host header is malformed")


def _check_framing(head: RequestHead) -> None:
    lengths = head.get_all(b"content-length")
    codings = head.get_all(b"transfer-encoding")
    if b"\t" in head.raw and _has_tab(head, _FRAMING):
        raise BadRequest("a tab around a Content-Length or Transfer-Encoding")
    if codings:
        if lengths:
            raise BadRequest("both Content-Length and Transfer-Encoding")
        if head.minor == 0:
            raise BadRequest("Transfer-Encoding in an HTTP/1.0 request")
        if len(codings) > 1 or codings[0].lower() != b"chunked":
            raise BadRequest("a Transfer-Encoding other than exactly chunked", 400)
    if lengths:
        if len(lengths) > 1 or not lengths[0].isdigit():
            raise BadRequest("the Content-Length is malformed or repeated")
        if len(lengths[0]) > 19 or int(lengths[0]) > MAX_LENGTH:
            raise BadRequest("the Content-Length is too large", 413)


def _has_tab(head: Head, names: frozenset[bytes]) -> bool:
    """RFC 9110 §5.6.3 allows tabs around a value, but not everybody reads them: nginx 1.22 refuses them here."""
    return any(b"\t" in line for key, line in zip(head.keys, head.lines, strict=True) if key in names)


def _check_upgrade(head: RequestHead) -> None:
    if b"h2c" in head.tokens(b"upgrade"):
        raise BadRequest("an upgrade to h2c is not offered")
    if wants_upgrade(head) and (head.get(b"content-length") not in (None, b"0") or b"transfer-encoding" in head):
        raise BadRequest("an upgrade with a body")


def wants_upgrade(head: RequestHead) -> bool:
    """Whether the caller asks to leave HTTP on this connection."""
    return b"upgrade" in head and b"upgrade" in head.tokens(b"connection") and head.minor >= 1


def check_trailers(block: bytes, protected: frozenset[bytes]) -> None:
    """Trailers obey the grammar of fields and never name what frames, routes or authenticates."""
    for name in parse_fields(block).keys:
        if name in protected or name.replace(b"_", b"-") in protected:
            raise BadRequest("a trailer names a protected field")


def parse_fields(block: bytes) -> Head:
    """Fields that passed the grammar; BadRequest otherwise."""
    check_fields(block)
    head = Head(block)
    check_names(head.keys, block)
    return head


def reply_length(head: Head) -> int | None:
    """The Content-Length of a reply; None without one. BadRequest (of the upstream) where it is malformed."""
    lengths = head.get_all(b"content-length")
    if not lengths:
        return None
    if len(lengths) > 1 or not lengths[0].isdigit() or len(lengths[0]) > 19 or int(lengths[0]) > MAX_LENGTH:
        raise BadRequest("the reply's Content-Length is malformed or repeated")
    return int(lengths[0])


def check_interim(head: ResponseHead) -> None:
    """A 1xx reply ends with its head: one that says otherwise has two ends. 101 leaves HTTP, whatever it says.

    Sources: RFC 9112 §6.1 and RFC 9110 §8.6, which forbid both fields there; a length of 0 says nothing wrong.
    """
    if head.status != 101 and (b"transfer-encoding" in head or head.get_all(b"content-length") not in ([], [b"0"])):
        raise BadRequest("an interim reply that claims a body")


def _what_is_wrong(block: bytes) -> str:
    """A word on a block that failed the grammar, for the message only."""
    for line in block.split(b"\r\n")[:-1]:
        if line[:1] in (b" ", b"\t"):
            return "a folded header line (obs-fold)"
        if b"\n" in line or b"\r" in line:
            return "a bare CR or LF"
        if line.translate(None, _VALUE_BYTES):
            return "a control character in a header value"
        if not re.match(TOKEN + rb":", line):
            return "a malformed header name"
    return "a malformed header"
