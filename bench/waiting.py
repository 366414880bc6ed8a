"""Memory per waiting request: thousands of idle creates behind one seat, which then comes free for all."""

import asyncio
import time

import uvloop

from bench.callers import Callers
from bench.machine import BenchError, memory, raise_file_limit
from bench.options import Options
from bench.report import Report, Sample, number
from bench.subjects import SUBJECTS, Subject
from bench.upstreams import CountingUpstream

WARM_UP = 200  # what a proxy allocates once, with its first requests, is nobody's waiting
BATCH = 250
SPARE_FILES = 500
DEADLINE_SECONDS = 300.0
POLL_SECONDS = 0.05


def run(options: Options) -> Report:
    """One crowd per round and proxy, each in front of a proxy just started."""
    raise_file_limit(options.requests + SPARE_FILES)
    report = Report("waiting", f"{options.requests:,} creates waiting for one seat")
    for _, name in options.turns(options.queueing()):
        report.add(name, uvloop.run(_sample(name, options)))
    _conclude(report, options.requests)
    return report


async def _sample(name: str, options: Options) -> Sample:
    upstream = CountingUpstream()
    plan = options.plan(await upstream.start(), seats=1, queue=options.requests + WARM_UP)
    with SUBJECTS[name](plan) as subject:
        await _warm_up(subject)
        upstream.close()
        before = memory(subject.family())
        crowd = await _queue_up(subject, options.requests)
        during = memory(subject.family())
        freed = time.monotonic()
        upstream.open()
        await crowd.replies(DEADLINE_SECONDS)
        seconds = time.monotonic() - freed
        crowd.close()
        after = memory(subject.family())
    upstream.stop()
    return {
        "rss": (during.rss - before.rss) / options.requests,
        "pss": (during.pss - before.pss) / options.requests,
        "before": before.rss / 1024,
        "during": during.rss / 1024,
        "after": after.rss / 1024,
        "served": crowd.statuses.get(200, 0),
        "seconds": seconds,
        "upstream_peak": upstream.peak,
    }


async def _warm_up(subject: Subject) -> None:
    callers = Callers(subject.port)
    await callers.connect(WARM_UP)
    callers.send()
    await callers.replies(DEADLINE_SECONDS)
    callers.close()


async def _queue_up(subject: Subject, count: int) -> Callers:
    """Callers whose requests all wait in the proxy, by its own word, but for the one that holds the seat."""
    crowd = Callers(subject.port)
    deadline = time.monotonic() + DEADLINE_SECONDS
    for sent in (*range(BATCH, count, BATCH), count):
        await crowd.connect(BATCH if sent % BATCH == 0 else count % BATCH)
        crowd.send()
        while (waiting := await asyncio.to_thread(subject.waiting)) < sent - 1:
            if crowd.statuses or time.monotonic() > deadline:
                raise BenchError(f"{subject.name}: {sent} sent, {waiting} wait, ended early: {crowd.statuses}")
            await asyncio.sleep(POLL_SECONDS)
    return crowd


def _conclude(report: Report, count: int) -> None:
    def row(subject: str) -> list[str]:
        memories = [number(report.median(subject, key), ".1f") for key in ("rss", "pss")]
        spread = f"±{report.spread(subject, 'rss') / 2:.0%}"
        totals = [number(report.median(subject, key), ".1f") for key in ("before", "during", "after")]
        served = f"{min(report.values(subject, 'served')):,.0f} of {count:,}"
        return [*memories, spread, *totals, served, number(report.median(subject, "seconds"), ".2f")]

    columns = ["kB each (RSS)", "kB each (PSS)", "spread"]
    columns += ["MiB before", "waiting", "after", "served 200", "in s"]
    report.tabulate(columns, row)
    ratio = report.ratio("headgate", "haproxy", "rss")
    report.target("memory per waiting request, Headgate ÷ HAProxy, at most 1", ratio, lambda measured: measured <= 1)
    if "headgate" in report.samples:
        served = min(report.values("headgate", "served"))
        report.target("all are served when the seat frees up", served, lambda measured: measured == count, ",.0f")
    report.notes.append("memory of the process only: what the kernel keeps for a socket is the same for all")
