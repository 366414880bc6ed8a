"""A burst: N creates at once, C seats, service time S. Ideal: ceil(N/C)·S, and C at most at the upstream."""

import math
import time
from functools import partial

import uvloop

from bench.callers import Callers
from bench.options import Options
from bench.report import Report, Sample, number
from bench.subjects import SUBJECTS
from bench.upstreams import CountingUpstream

MOST_OVER_IDEAL = 1.02
DEADLINE_SECONDS = 300.0


def run(options: Options) -> Report:
    """One burst per round and proxy, each against a proxy just started."""
    count, seats, service = options.requests, options.seats, options.service
    ideal = math.ceil(count / seats) * service
    title = f"{count} creates at once, {seats} seats, {service:g} s each: {ideal:g} s at best"
    report = Report("burst", title)
    for _, name in options.turns(options.queueing()):
        report.add(name, uvloop.run(_sample(name, options, ideal)))
    _conclude(report, options)
    return report


async def _sample(name: str, options: Options, ideal: float) -> Sample:
    upstream = CountingUpstream()
    plan = options.plan(await upstream.start(), seats=options.seats)
    with SUBJECTS[name](plan) as subject:
        await _burst(subject.port, options.seats)  # connections to the upstream are open, code is loaded
        upstream.service, upstream.peak = options.service, 0
        seconds, served = await _burst(subject.port, options.requests)
    upstream.stop()
    return {"seconds": seconds, "ratio": seconds / ideal, "peak": upstream.peak, "served": served}


async def _burst(port: int, count: int) -> tuple[float, int]:
    callers = Callers(port)
    await callers.connect(count)
    start = time.monotonic()
    callers.send()
    await callers.replies(DEADLINE_SECONDS)
    seconds = time.monotonic() - start
    callers.close()
    return seconds, callers.statuses.get(200, 0)


def _conclude(report: Report, options: Options) -> None:
    def row(subject: str) -> list[str]:
        served = f"{min(report.values(subject, 'served')):.0f} of {options.requests}"
        peak = max(report.values(subject, "peak"))
        ratio = report.median(subject, "ratio")
        spread = f"±{report.spread(subject, 'seconds') / 2:.1%}"
        return [
            number(report.median(subject, "seconds"), ".3f"),
            number(ratio, ".3f"),
            spread,
            f"{peak:.0f}",
            served,
        ]

    report.tabulate(["s", "÷ ideal", "spread", "upstream peak", "served 200"], row)
    if "headgate" in report.samples:
        fits = partial(_at_most, MOST_OVER_IDEAL)
        report.target("burst ÷ ideal, at most 1.02", report.median("headgate", "ratio"), fits, ".3f")
        peak = max(report.values("headgate", "peak"))
        report.target(f"upstream concurrency, at most {options.seats}", peak, partial(_at_most, options.seats), ".0f")


def _at_most(bound: float, measured: float) -> bool:
    return measured <= bound
