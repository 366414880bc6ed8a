"""From bytes to heads: guard first, then llhttp (httptools). Sans I/O; raises BadRequest.

The parser is a second opinion: what it and the guard do not both accept is refused. Only heads are given to it;
bodies are framed by :mod:`proxy.wire.bodies`, so nothing is ever parsed ahead of the request in hand, and bodies are
not copied through callbacks.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

import httptools

from proxy.domain.errors import BadRequest
from proxy.domain.messages import USUAL_HEAD, HeadBounds, RequestHead, ResponseHead
from proxy.wire import guard

_KNOWN: Final = 512
"""Heads of each kind that are known again: callers send the same fields again and again, and what is to be said of them
does not change. With the two bounds below that is at most some 5 MB for each kind, whatever is sent."""
_LONGEST: Final = 2048
"""Bytes of a head that is remembered."""
_MOST_FIELDS: Final = 32
"""Fields of one."""
END: Final = b"\r\n\r\n"
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.([01]) ([1-9]\d\d)(?: [\t\x20-\x7e\x80-\xff]*)?")


class _Silent:
    """What the parser calls back: nothing. It is asked for its verdict only."""

    __slots__ = ()


_SILENT: Final = _Silent()


def find_end(data: bytes | bytearray, most: int = USUAL_HEAD.whole, searched: int = 0) -> int:
    """Where a head ends (after its empty line), 0 while it is incomplete.

    ``searched``: how many bytes of it are known to hold no end, so that a head in many pieces is read once, and not
    once for each. BadRequest at once where it can no longer become valid: longer than ``most`` bytes, or ended by bare
    line feeds.
    """
    start = max(0, searched - 3)
    at = data.find(END, start)
    if (len(data) if at < 0 else at) > most:
        raise BadRequest(f"the head is longer than {most} bytes", 431)
    if at >= 0:
        return at + 4
    if data.find(b"\n\n", start) >= 0 or data.find(b"\n\r\n", start) >= 0:
        raise BadRequest("a bare LF ends a line")
    return 0


def parse_request(data: bytes, bounds: HeadBounds = USUAL_HEAD) -> RequestHead:
    """The head in ``data``, which ends with its empty line. BadRequest where it is malformed or hostile."""
    line_end = data.index(b"\r\n")
    line = data[:line_end]
    longest = bounds.line if len(line) <= bounds.line else bounds.request_line(line)
    method, target, minor = guard.check_request_line(line, longest)
    block = data[line_end + 2 : -2]
    if minor and target[:1] == b"/" and _worth_knowing(block):
        return _known_request(method, block).with_line(method, target)
    if len(block) > bounds.whole:  # the line may be longer than usual, its fields may not
        raise BadRequest(f"the header fields are longer than {bounds.whole} bytes", 431)
    guard.check_fields(block, bounds.line)
    return _request(method, target, minor, block, data)


def _worth_knowing(data: bytes) -> bool:
    return len(data) <= _LONGEST and data.count(b"\r\n") <= _MOST_FIELDS


@lru_cache(_KNOWN)
def _known_request(method: str, block: bytes) -> RequestHead:
    """An HTTP/1.1 request with these fields; which path it asks for changes nothing in what is wrong with them."""
    guard.check_fields(block)
    return _request(method, b"/", 1, block, b"%s / HTTP/1.1\r\n%s\r\n" % (method.encode("ascii"), block))


def _request(method: str, target: bytes, minor: int, block: bytes, data: bytes) -> RequestHead:
    try:
        httptools.HttpRequestParser(_SILENT).feed_data(data)
    except httptools.HttpParserUpgrade:
        pass
    except httptools.HttpParserInvalidMethodError:
        raise BadRequest("the method is not known", 501) from None
    except httptools.HttpParserError as error:
        raise BadRequest(f"malformed: {error}") from None
    head = RequestHead(method, target, minor, block)
    guard.check_names(head.keys, block)
    guard.check_request(head)
    return head


def parse_response(data: bytes) -> ResponseHead:
    """The head of a reply. BadRequest where it is malformed: the upstream is not to be believed."""
    return _known_response(data) if _worth_knowing(data) else _response(data)


@lru_cache(_KNOWN)
def _known_response(data: bytes) -> ResponseHead:
    return _response(data)


def _response(data: bytes) -> ResponseHead:
    line_end = data.index(b"\r\n")
    line = data[:line_end]
    found = _STATUS_LINE.fullmatch(line)
    if found is None:
        raise BadRequest("the status line is malformed")
    block = data[line_end + 2 : -2]
    guard.check_fields(block)
    try:
        httptools.HttpResponseParser(_SILENT).feed_data(data)
    except httptools.HttpParserUpgrade:
        pass
    except httptools.HttpParserError as error:
        raise BadRequest(f"malformed: {error}") from None
    head = ResponseHead(int(found[2]), line, found[1][0] - 48, block)
    guard.check_names(head.keys, block)
    if head.status < 200:
        guard.check_interim(head)
    return head
