"""One line per request: what was asked, for whom, how it ended and where the time went.

No query, no header, no body, no credential ever gets here. Control characters and whatever is not ASCII are
escaped, so that no caller can forge a line or steer a terminal.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final, Literal

import msgspec

from proxy.observe.writer import LineWriter
from proxy.ports import RequestRecord

Format = Literal["json", "text"]
BATCH: Final = 64
"""Lines made at once: a fifth of a millisecond."""

_log: Final = logging.getLogger(__name__)


class Line(msgspec.Struct, gc=False):
    """A line's fields. ``time`` is UTC, when the request was over; times spent are in seconds."""

    time: str
    method: str
    path: str
    status: int
    outcome: str
    upstream: str
    route: str
    tenant: str
    ticket: str
    waited: float
    upstream_seconds: float
    tries: int
    error: str


class AccessLog:
    """Formats lines and gives them to a writer."""

    def __init__(self, writer: LineWriter, form: Format = "json", clock: Callable[[], float] = time.time) -> None:
        self._writer = writer
        self._due: list[tuple[float, RequestRecord]] = []
        writer.owed = self._write_due
        self._form = _json if form == "json" else _text
        self._clock = clock
        self._millisecond = -1
        self._stamp = ""

    def finished(self, record: RequestRecord) -> None:
        """Note that a line is due. Lines are made many at a time: ten at once cost what one does in between requests.

        Runs for every request. The record must not change afterwards.
        """
        self._due.append((self._clock(), record))
        if len(self._due) >= BATCH:
            self._write_due()
        elif len(self._due) == 1:
            self._writer.expect()

    def _write_due(self) -> None:
        due, self._due = self._due, []
        for moment, record in due:
            try:
                line = self._line(moment, record)
            except Exception:  # noqa: BLE001 - one odd record must not take the lines of others with it
                _log.exception("a finished request could not be logged")
            else:
                self._writer.write(line)

    def _line(self, moment: float, record: RequestRecord) -> bytes:
        now = int(moment * 1000)
        if now != self._millisecond:
            self._millisecond = now
            self._stamp = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(now // 1000))}.{now % 1000:03d}Z"
        line = Line(
            self._stamp,
            record.method,
            record.path,
            record.status,
            record.outcome,
            record.upstream,
            record.route,
            record.tenant,
            record.ticket,
            record.waited * 1e6 // 1 / 1e6,  # microseconds will do; round() takes three times as long
            record.upstream_seconds * 1e6 // 1 / 1e6,
            record.tries,
            record.error,
        )
        return self._form(line)


_encode: Final = msgspec.json.Encoder().encode


def _json(line: Line) -> bytes:
    try:
        text = _encode(line)
        if text.isascii() and b"\x7f" not in text:
            return text + b"\n"
    except UnicodeEncodeError:  # a lone surrogate: bytes of a caller that were no UTF-8
        pass
    return _encode(_plain(line)) + b"\n"


def _text(line: Line) -> bytes:
    text = _words(line)
    if not (text.isascii() and text.isprintable()):
        text = _words(_plain(line))
    return f"{text}\n".encode("ascii")


def _words(line: Line) -> str:
    error = f" error={_encode(_escape(line.error)).decode()}" if line.error else ""
    return (
        f"{line.time} {line.method or '-'} {line.path or '-'} {line.status} {line.outcome}"
        f" upstream={line.upstream or '-'} route={line.route or '-'} tenant={line.tenant or '-'}"
        f" ticket={line.ticket or '-'} waited={line.waited:.3f} upstream_seconds={line.upstream_seconds:.3f}"
        f" tries={line.tries}{error}"
    )


def _plain(line: Line) -> Line:
    """The line with everything escaped that is not printable ASCII (``\\x1b``, ``\\u2028``)."""
    values = msgspec.structs.asdict(line)
    return msgspec.structs.replace(line, **{name: _escape(text) for name, text in values.items() if type(text) is str})


def _escape(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if " " <= c <= "~" else c.encode("unicode_escape").decode("ascii") for c in text)
