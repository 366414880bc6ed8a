"""Watch events through the pod rewrite: one watch, events as fast as they are read.

The figure to read is events per second of the proxy's CPU time, which is what a core of its own would do; the rate
beside it shares its machine with load and upstream.
"""

import json
import socket
import time
from functools import partial

from bench.machine import BenchError, core_time, cpu_seconds
from bench.options import Options
from bench.pod_api import DISTINCT, END, PodsHeadgate, PodUpstream
from bench.pods import KINDS
from bench.report import Report, Sample, number
from bench.subjects import Direct, Subject

LEAST = {"live": 50_000, "dead": 15_000}
WARM_UP_EVENTS = 2 * DISTINCT
READ = 1 << 20
_BEGINS = b'"object":{"kind":'


def run(options: Options) -> Report:
    """One watch per round, subject and kind of pod."""
    report = Report("watch", f"{options.events:,} events of a watch")
    upstream = PodUpstream()
    wanted = [Direct.name, PodsHeadgate.name] if Direct.name in options.subjects else [PodsHeadgate.name]
    plan = options.plan(upstream.port)
    with PodsHeadgate(plan) as headgate:
        subjects: dict[str, Subject] = {Direct.name: Direct(plan), headgate.name: headgate}
        for kind in KINDS:
            check(headgate.port, kind)
        for _, name in options.turns(wanted):
            sample: Sample = {}
            for kind in KINDS:
                found = _sample(subjects[name], kind, options)
                sample |= {f"{kind}_{key}": value for key, value in found.items()}
            report.add(name, sample)
    upstream.stop()
    _conclude(report)
    return report


def _sample(subject: Subject, kind: str, options: Options) -> Sample:
    family = subject.family()
    cpu, core, wall = cpu_seconds(family), core_time(options.proxy_core), time.monotonic()
    events(subject.port, kind, options.events)
    wall, spent = time.monotonic() - wall, cpu_seconds(family) - cpu
    return {
        "rate": options.events / wall,
        "per_cpu_second": options.events / spent if spent else 0.0,
        "proxy_core": spent / wall,
        "others": core_time(options.proxy_core).busy_since(core) - spent / wall,
    }


def events(port: int, kind: str, count: int) -> None:
    """Reads so many events to the end of the watch. BenchError if another number came."""
    kept = len(_BEGINS) - 1  # bytes in which an event may have begun; no fewer than END has
    with _ask(port, kind, count) as connection:
        seen, last = 0, b""
        while not last.endswith(END):
            data = connection.recv(READ)
            if not data:
                break
            seen += data.count(_BEGINS) + (last + data[:kept]).count(_BEGINS)
            last = (last + data)[-kept:] if len(data) < kept else data[-kept:]
    if seen != count:
        raise BenchError(f"asked for {count} events of {kind} pods, {seen} came")


def check(port: int, kind: str) -> None:
    """What comes is what should: every event, and the phase that is true. Warms up, too."""
    with _ask(port, kind, WARM_UP_EVENTS) as connection:
        data = b""
        while not data.endswith(END):
            data += connection.recv(READ)
    phases = [json.loads(line)["object"]["status"]["phase"] for line in _unchunked(data).splitlines()]
    wanted = "Failed" if kind == "dead" else "Running"
    if phases != [wanted] * WARM_UP_EVENTS:
        raise BenchError(f"{len(phases)} {kind} pods, phases {set(phases)}, and {wanted} is right")


def _ask(port: int, kind: str, count: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port))
    target = f"/api/v1/namespaces/agents-{kind}/pods?watch=true&count={count}"
    request = f"GET {target} HTTP/1.1\r\nHost: bench.local\r\nAccept: application/json\r\n\r\n"
    connection.sendall(request.encode())
    return connection


def _unchunked(data: bytes) -> bytes:
    head, _, rest = data.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200 "):
        raise BenchError(f"not a 200: {head[:200]!r}")
    body = bytearray()
    at = 0
    while True:
        line_end = rest.index(b"\r\n", at)
        size = int(rest[at:line_end], 16)
        if not size:
            return bytes(body)
        body += rest[line_end + 2 : line_end + 2 + size]
        at = line_end + 2 + size + 2


def _conclude(report: Report) -> None:
    columns = ["pods", "events/s", "spread", "per CPU s", "spread", "best", "proxy core"]
    for kind in KINDS:
        report.tabulate(columns, partial(_row, report, kind))
    for kind, least in LEAST.items():
        measured = report.median("headgate", f"{kind}_per_cpu_second")
        what = "rewritten" if kind == "dead" else "unchanged"
        text = f"events {what} per second of a core, at least {least:,}"
        report.target(text, measured, lambda measured, least=least: measured >= least, ",.0f")  # type: ignore[misc]
    report.notes.append("best: per CPU s of the quietest round, which other work on the machine disturbed least")
    report.notes.append("live: nothing has ended; init: an init container has, so each pod is read; dead: rewritten")


def _row(report: Report, kind: str, subject: str) -> list[str]:
    proxied = subject != Direct.name
    return [
        kind,
        number(report.median(subject, f"{kind}_rate")),
        f"±{report.spread(subject, f'{kind}_rate') / 2:.0%}",
        number(report.median(subject, f"{kind}_per_cpu_second") if proxied else None),
        f"±{report.spread(subject, f'{kind}_per_cpu_second') / 2:.0%}" if proxied else "–",
        number(max(report.values(subject, f"{kind}_per_cpu_second")) if proxied else None),
        number(report.median(subject, f"{kind}_proxy_core") if proxied else None, ".0%"),
    ]
