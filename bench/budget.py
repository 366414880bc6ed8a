"""Where the time of a small request goes: microseconds of the proxy's CPU by phase, sampled by py-spy under load.

The Python Headgate (``plain``) is sampled, as a compiled one shows no frames. A sample belongs to the innermost frame
of ours; one without any is the event loop's own: polling, sockets, system calls.
"""

import re
import subprocess
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Final

from bench.machine import cpu_seconds, tool
from bench.options import Options
from bench.processes import free_port
from bench.report import Report, number
from bench.small import WARM_UP_SECONDS, wrk
from bench.subjects import Plain
from bench.upstreams import fast

LOOP: Final = "event loop, sockets, system calls"
PHASES: Final = {
    "the caller's side: heads, guard, connection": (
        *("wire/caller", "wire/heads", "wire/guard", "wire/exchange", "wire/front", "wire/watchdog", "wire/sockets"),
        "domain/messages",
    ),
    "what it means, and who asks": ("pipeline/recognise", "pipeline/identity", "policy/", "dialects/", "domain/paths"),
    "claim, seat, queue": ("pipeline/claims", "pipeline/waiting", "admission/", "stores/"),
    "the upstream's side: connection, heads, bodies": ("wire/",),
    "the journey between them": ("pipeline/",),
    "metrics and access log": ("observe/",),
}
"""By the beginning of a module's path; the first that fits."""
HERTZ: Final = 200
_OURS: Final = re.compile(r"\(proxy/([a-z_/]+)\.py:\d+\)")


def run(options: Options) -> Report:
    """One load per round, sampled all through."""
    report = Report("budget", f"A small request's CPU time by phase, {options.connections} connections, one core")
    tool("wrk"), tool("py-spy")
    port = free_port()
    with fast(options.folder, port, options.load_core), Plain(options.plan(port)) as headgate:
        wrk(headgate.port, options.connections, WARM_UP_SECONDS, options.load_core)
        for _, _ in options.turns([headgate.name]):
            family = headgate.family()
            cpu = cpu_seconds(family)
            samples = options.folder / "samples.txt"
            with _sampling(family[0], options.seconds, samples, options.load_core):
                requests, _ = wrk(headgate.port, options.connections, options.seconds, options.load_core)
            total = (cpu_seconds(family) - cpu) / requests * 1e6
            shares = phases(samples.read_text())
            all_of_them = sum(shares.values())
            report.add("plain", {"total": total} | {name: total * n / all_of_them for name, n in shares.items()})
    for name in (*PHASES, LOOP, "total"):
        report.tabulate(["phase", "µs", "spread", "share"], partial(_row, report, name))
    report.notes.append(f"py-spy at {HERTZ} samples a second, which itself costs the proxy a little")
    return report


def _sampling(process: int, seconds: float, into: Path, core: int) -> "subprocess.Popen[bytes]":
    """py-spy beside the load; leaving the context waits until it has written."""
    argv = [tool("taskset"), "-c", str(core), tool("py-spy"), "record", "--pid", str(process), "--format", "raw"]
    argv += ["--rate", str(HERTZ), "--duration", f"{seconds:.0f}", "--output", str(into), "--nonblocking"]
    return subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def phases(raw: str) -> Counter[str]:
    """Samples by phase, from py-spy's raw format: ``frame;frame;… count`` on each line."""
    found: Counter[str] = Counter(dict.fromkeys((*PHASES, LOOP), 0))
    for line in raw.splitlines():
        stack, _, count = line.rpartition(" ")
        ours = _OURS.findall(stack)
        found[_phase(ours[-1]) if ours else LOOP] += int(count)
    return found


def _phase(module: str) -> str:
    return next((name for name, starts in PHASES.items() if module.startswith(starts)), LOOP)


def _row(report: Report, name: str, subject: str) -> list[str]:
    return [
        name,
        number(report.median(subject, name), ".1f"),
        f"±{report.spread(subject, name) / 2:.0%}",
        number(report.median(subject, name) / report.median(subject, "total"), ".0%"),
    ]
