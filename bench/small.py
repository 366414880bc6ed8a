"""Small requests per second through one worker on one core, as fast as wrk can ask for them.

The rate is the figure to read when the proxy's core was full. Where the load's core was full first, the
requests per second of the proxy's CPU time say what it would have done.
"""

import re
import subprocess
import time

from bench.machine import BenchError, core_time, cpu_seconds, tool
from bench.options import Options
from bench.processes import free_port
from bench.report import Report, Sample, number
from bench.subjects import Subject
from bench.upstreams import fast

WARM_UP_SECONDS = 1.0
LEAST_OF_ENVOY = 1.0
LEAST_OF_HAPROXY = 0.4
MOST_DISTURBED = 0.05


def run(options: Options) -> Report:
    """One run of wrk per round and proxy, all proxies up throughout."""
    report = Report("small", f"Small requests, {options.connections} connections, one core")
    tool("wrk")
    port = free_port()
    plan = options.plan(port)
    with fast(options.folder, port, options.load_core), options.all_running(plan) as subjects:
        for subject in subjects.values():
            _sample(subject, options, WARM_UP_SECONDS)
        for _, name in options.turns(options.subjects):
            report.add(name, _sample(subjects[name], options, options.seconds))
    _conclude(report)
    return report


def _sample(subject: Subject, options: Options, seconds: float) -> Sample:
    family = subject.family()
    cpu, wall = cpu_seconds(family), time.monotonic()
    load, proxy = core_time(options.load_core), core_time(options.proxy_core)
    requests, rate = wrk(subject.port, options.connections, seconds, options.load_core)
    spent, wall = cpu_seconds(family) - cpu, time.monotonic() - wall
    return {
        "rate": rate,
        "proxy_core": spent / wall,
        "others": core_time(options.proxy_core).busy_since(proxy) - spent / wall,
        "load_core": core_time(options.load_core).busy_since(load),
        "per_cpu_second": requests / spent if spent else 0.0,
    }


def wrk(port: int, connections: int, seconds: float, core: int) -> tuple[int, float]:
    """Requests made, and per second. Raises BenchError if one failed: a refusal is faster than an answer."""
    argv = [tool("taskset"), "-c", str(core), tool("wrk"), "-t1", f"-c{connections}", f"-d{seconds:.0f}s"]
    argv += ["-H", "X-API-Key: e2b_bench", f"http://127.0.0.1:{port}/sandboxes/i5xzu3r7dbw9k1m4"]
    said = subprocess.run(argv, capture_output=True, text=True, check=False)
    made = re.search(r"(\d+) requests in", said.stdout)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said.stdout)
    wrong = re.search(r"Non-2xx.*|Socket errors.*", said.stdout)
    if said.returncode or wrong or not made or not rate or not int(made[1]):
        raise BenchError(f"wrk: {wrong[0] if wrong else said.stdout + said.stderr}")
    return int(made[1]), float(rate[1])


def _conclude(report: Report) -> None:
    def row(subject: str) -> list[str]:
        per_cpu = subject != "direct"
        return [
            number(report.median(subject, "rate")),
            f"±{report.spread(subject, 'rate') / 2:.0%}",
            number(report.ratio(subject, "envoy", "rate"), ".2f"),
            number(report.ratio(subject, "haproxy", "rate"), ".2f"),
            number(report.median(subject, "per_cpu_second") if per_cpu else None),
            number(report.ratio(subject, "envoy", "per_cpu_second") if per_cpu else None, ".2f"),
            number(report.ratio(subject, "haproxy", "per_cpu_second") if per_cpu else None, ".2f"),
            number(report.median(subject, "proxy_core") if per_cpu else None, ".0%"),
            number(report.median(subject, "load_core"), ".0%"),
        ]

    columns = ["requests/s", "spread", "÷ Envoy", "÷ HAProxy"]
    columns += ["per CPU s", "÷ Envoy", "÷ HAProxy", "proxy core", "load core"]
    report.tabulate(columns, row)
    for key, unit in (("rate", "requests/s"), ("per_cpu_second", "requests per CPU second")):
        envoy, haproxy = (report.ratio("headgate", other, key) for other in ("envoy", "haproxy"))
        report.target(f"{unit}, Headgate ÷ Envoy, at least 1", envoy, lambda measured: measured >= LEAST_OF_ENVOY)
        report.target(
            f"{unit}, Headgate ÷ HAProxy, at least 0.4",
            haproxy,
            lambda measured: measured >= LEAST_OF_HAPROXY,
        )
    report.notes.append("a load core near 100% means that the load was the limit: read per CPU s")
    others = max(max(report.values(subject, "others")) for subject in report.samples if subject != "direct")
    if others > MOST_DISTURBED:
        report.notes.append(f"DISTURBED: others took up to {others:.0%} of the proxy's core in a turn")
