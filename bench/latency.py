"""Latency at a modest fixed rate: what a proxy adds when nobody is in a hurry."""

from contextlib import ExitStack

from bench.options import Options
from bench.paced import PacedLoad, percentile
from bench.processes import free_port
from bench.report import Report, number
from bench.upstreams import fast

WARM_UP_SECONDS = 1.0
MOST_ADDED_MS = 1.0  # above HAProxy's p99
SHARES = {"p50": 0.5, "p99": 0.99, "p999": 0.999}


def run(options: Options) -> Report:
    """One paced load per round and proxy, over connections opened before."""
    report = Report("latency", f"Latency in ms at {options.rate:,.0f} requests/s, {options.connections} connections")
    port = free_port()
    plan = options.plan(port)
    with (
        fast(options.folder, port, options.load_core),
        options.all_running(plan) as subjects,
        ExitStack() as stack,
    ):
        loads = {
            name: stack.enter_context(PacedLoad(subject.port, options.connections))
            for name, subject in subjects.items()
        }
        for load in loads.values():
            load.run(options.rate, WARM_UP_SECONDS, seed=-1)
        for round_, name in options.turns(options.subjects):
            latencies = sorted(loads[name].run(options.rate, options.seconds, seed=round_))
            report.add(name, {key: percentile(latencies, share) for key, share in SHARES.items()})
    _conclude(report)
    return report


def _conclude(report: Report) -> None:
    def row(subject: str) -> list[str]:
        cells = [number(report.median(subject, name), ".3f") for name in SHARES]
        cells.append(f"±{report.spread(subject, 'p99') / 2:.0%}")
        against = [report.difference(subject, other, "p99") for other in ("direct", "haproxy")]
        cells += [number(difference, "+.3f") for difference in against]
        return [*cells, number(min(report.values(subject, "p99")), ".3f")]

    columns = ["p50", "p99", "p99.9", "spread of p99", "p99 − direct", "p99 − HAProxy", "least p99"]
    report.tabulate(columns, row)
    above = report.difference("headgate", "haproxy", "p99")
    report.target("p99 above HAProxy's, ms, at most 1", above, lambda measured: measured <= MOST_ADDED_MS, "+.3f")
    report.notes.append("least p99: of the quietest round, which other work on the machine disturbed least")
