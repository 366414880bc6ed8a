"""Streaming: one big body up and one down through each proxy, with its memory before, at its peak and after.

Both ends are blocking sockets in two threads of the measuring process: nothing portable moves bytes for less.
"""

import socket
import threading
import time
from collections.abc import Callable
from functools import partial

from bench.machine import BenchError, cpu_seconds, memory, peak_rss, reset_peak
from bench.options import Options
from bench.report import Report, Sample, number
from bench.subjects import Subject

MIB = 2**20
CHUNK = MIB
LEAST_OF_HAPROXY = 0.7
MOST_GROWTH_MIB = 8.0
WARM_UP_MIB = 16
MOMENTS = ("before", "peak", "after")


class StreamUpstream:
    """GET /<n> answers n bytes; a POST is read to its end and answered with the number of bytes read."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        """Accepts no more."""
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return  # stopped
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            while head := _read_head(connection):
                start, fields, body = head
                if start.startswith(b"POST"):
                    count = b"%d" % _read_body(connection, int(fields[b"content-length"]), body)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(count) + count)
                else:
                    size = int(start.split(b" ")[1].lstrip(b"/"))
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
                    _write_body(connection, size)


def run(options: Options) -> Report:
    """One transfer each way per round and proxy, all proxies up throughout."""
    report = Report("stream", f"{options.mebibytes} MiB through each, one core")
    upstream = StreamUpstream()
    with options.all_running(options.plan(upstream.port)) as subjects:
        for subject in subjects.values():
            up(subject.port, WARM_UP_MIB * MIB)
            down(subject.port, WARM_UP_MIB * MIB)
        for _, name in options.turns(options.subjects):
            size = options.mebibytes * MIB
            sample = {f"up_{key}": value for key, value in _sample(subjects[name], up, size).items()}
            sample |= {f"down_{key}": value for key, value in _sample(subjects[name], down, size).items()}
            report.add(name, sample)
    upstream.stop()
    _conclude(report)
    return report


def _sample(subject: Subject, transfer: Callable[[int, int], None], size: int) -> Sample:
    family = subject.family()
    reset_peak(family)
    before, cpu, start = memory(family).rss, cpu_seconds(family), time.monotonic()
    transfer(subject.port, size)
    seconds = time.monotonic() - start
    return {
        "rate": size / MIB / seconds,
        "cpu_rate": size / MIB / (cpu_seconds(family) - cpu) if family else 0.0,
        "before": before / 1024,
        "peak": peak_rss(family) / 1024,
        "after": memory(family).rss / 1024,
    }


def up(port: int, size: int) -> None:
    """Sends `size` bytes; the upstream must have read them all."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"POST /up HTTP/1.1\r\nHost: bench.local\r\nContent-Length: %d\r\n\r\n" % size)
        _write_body(connection, size)
        _, fields, body = _read_head(connection) or (b"", {b"content-length": b"0"}, b"")
        while len(body) < int(fields[b"content-length"]):
            body += connection.recv(CHUNK)
        if body != b"%d" % size:
            raise BenchError(f"sent {size} bytes up, the reply is {body!r}")


def down(port: int, size: int) -> None:
    """Asks for `size` bytes and reads them."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"GET /%d HTTP/1.1\r\nHost: bench.local\r\n\r\n" % size)
        _, fields, body = _read_head(connection) or (b"", {b"content-length": b"0"}, b"")
        count = _read_body(connection, int(fields[b"content-length"]), body)
        if count != size:
            raise BenchError(f"asked for {size} bytes, got {count}")


def _read_head(connection: socket.socket) -> tuple[bytes, dict[bytes, bytes], bytes] | None:
    """Start line, fields and what came of the body; None when the other side has closed."""
    data = b""
    while b"\r\n\r\n" not in data:
        if not (more := connection.recv(65536)):
            return None
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    start, *lines = head.split(b"\r\n")
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
    return start, fields, body


def _read_body(connection: socket.socket, size: int, first: bytes) -> int:
    buffer = bytearray(CHUNK)
    count = len(first)
    while count < size and (got := connection.recv_into(buffer)):
        count += got
    return count


def _write_body(connection: socket.socket, size: int) -> None:
    chunk = memoryview(bytes(CHUNK))
    while size:
        connection.sendall(chunk[: min(size, CHUNK)])
        size -= min(size, CHUNK)


def _conclude(report: Report) -> None:
    columns = ["MiB/s", "spread", "÷ HAProxy", "MiB per CPU s", "RSS MiB before", "peak", "after"]
    for way in ("up", "down"):
        report.tabulate(["way", *columns], partial(_row, report, way))
        ratio = report.ratio("headgate", "haproxy", f"{way}_rate")
        text = f"throughput {way}, Headgate ÷ HAProxy, at least 0.7"
        report.target(text, ratio, lambda measured: measured >= LEAST_OF_HAPROXY)
        if "headgate" in report.samples:
            pairs = zip(*(report.values("headgate", f"{way}_{at}") for at in ("peak", "before")), strict=True)
            growth = max(peak - before for peak, before in pairs)
            text = f"growth {way}, MiB, at most 8"
            report.target(text, growth, lambda measured: measured <= MOST_GROWTH_MIB, ".1f")


def _row(report: Report, way: str, subject: str) -> list[str]:
    proxied = subject != "direct"
    return [
        way,
        number(report.median(subject, f"{way}_rate")),
        f"±{report.spread(subject, f'{way}_rate') / 2:.0%}",
        number(report.ratio(subject, "haproxy", f"{way}_rate"), ".2f"),
        number(report.median(subject, f"{way}_cpu_rate") if proxied else None),
        *(number(report.median(subject, f"{way}_{at}") if proxied else None, ".1f") for at in MOMENTS),
    ]
