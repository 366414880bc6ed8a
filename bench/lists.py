"""Long lists of pods: how long Headgate's loop does not come back while one passes.

Measured within the proxy's own process (bench.inside): everybody else waits so long, whatever they want.
"""

import socket
import time
from functools import partial

from bench.machine import BenchError, cpu_seconds
from bench.options import Options
from bench.pod_api import END, PodUpstream, WatchedHeadgate
from bench.report import Report, Sample, number
from bench.watch import READ

LISTS = {
    "live": "agents-live/pods",
    "one in ten dead": "agents-some/pods",
    "all dead": "agents-dead/pods",
    "all dead, by phase": "agents-dead/pods?fieldSelector=status.phase%3DFailed",
}
"""What is asked for, by name; with a phase selector every pod is read and chosen by Headgate."""
MOST_MS = 20.0


def run(options: Options) -> Report:
    """Each list once per round."""
    report = Report("list", f"Lists of {options.pods:,} pods")
    upstream = PodUpstream()
    with WatchedHeadgate(options.plan(upstream.port)) as headgate:
        for target in LISTS.values():
            read(headgate.port, target, options.pods)
        for _, _ in options.turns([headgate.name]):
            sample: Sample = {}
            for name, target in LISTS.items():
                sample |= {f"{name} {key}": value for key, value in _sample(headgate, target, options).items()}
            report.add(headgate.name, sample)
    upstream.stop()
    _conclude(report)
    return report


def _sample(headgate: WatchedHeadgate, target: str, options: Options) -> Sample:
    headgate.longest_blocks()
    cpu, start = cpu_seconds(headgate.family()), time.monotonic()
    size = read(headgate.port, target, options.pods)
    seconds, spent = time.monotonic() - start, cpu_seconds(headgate.family()) - cpu
    longest = headgate.longest_blocks()
    return {
        "seconds": seconds,
        "cpu": spent,
        "mb": size / 1e6,
        "blocked": longest["cpu"] * 1000,
        "late": longest["wall"] * 1000,
    }


def read(port: int, target: str, count: int) -> int:
    """Reads a list; its bytes with their frames. BenchError where it does not end or another number came."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        mark = "&" if "?" in target else "?"
        line = f"GET /api/v1/namespaces/{target}{mark}count={count} HTTP/1.1\r\n"
        connection.sendall(line.encode() + b"Host: bench.local\r\nAccept: application/json\r\n\r\n")
        pieces: list[bytes] = []
        while not (pieces and b"".join(pieces[-2:]).endswith(END)):
            pieces.append(connection.recv(READ))
            if not pieces[-1]:
                raise BenchError(f"the list of {target} breaks off")
    whole = b"".join(pieces)
    found = whole.count(b'"qosClass"')
    if found != count:
        raise BenchError(f"asked for {count} pods of {target}, {found} came: {whole[:200]!r}")
    return len(whole)


def _conclude(report: Report) -> None:
    columns = ["list", "MB", "s", "CPU s", "longest block, ms of CPU", "spread", "of wall"]
    for name in LISTS:
        report.tabulate(columns, partial(_row, report, name))
    worst = max(max(report.values("headgate", f"{name} blocked")) for name in LISTS)
    text = "longest time the loop does not come back, ms, at most 20"
    report.target(text, worst, lambda measured: measured <= MOST_MS, ".1f")
    report.notes.append("blocks: the longest in any round, in the thread's CPU time; wall time counts other work, too")


def _row(report: Report, name: str, subject: str) -> list[str]:
    return [
        name,
        number(report.median(subject, f"{name} mb"), ".1f"),
        number(report.median(subject, f"{name} seconds"), ".2f"),
        number(report.median(subject, f"{name} cpu"), ".2f"),
        number(max(report.values(subject, f"{name} blocked")), ".1f"),
        f"±{report.spread(subject, f'{name} blocked') / 2:.0%}",
        number(max(report.values(subject, f"{name} late")), ".1f"),
    ]
