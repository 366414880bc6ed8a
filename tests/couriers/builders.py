"""Sinks, observers and carriers for the couriers' tests."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field

from proxy.couriers.recipe import Letter
from proxy.domain.ids import Seconds, SinkName
from proxy.policy.policyset import Sink
from proxy.policy.templates import JsonSource, JsonTemplate, TextTemplate, Values
from proxy.ports import BeatResult, RequestRecord

FIXED: Values = {"tenant": "acme", "ticket": "t1", "header:x-job-id": "7"}


def sink(
    to: str = "http://receiver/jobs('{header:x-job-id}')",
    name: str = "job",
    headers: dict[str, str] | None = None,
    body: JsonSource = None,
    first: float = 1,
    every: float = 10,
    for_at_most: float = 1800,
) -> Sink:
    """A sink; ``body`` None is a small default."""
    return Sink(
        SinkName(name),
        TextTemplate(to),
        tuple((key, TextTemplate(value)) for key, value in (headers or {}).items()),
        JsonTemplate({"log": "queued {waited}s"} if body is None else body),
        Seconds(first),
        Seconds(every),
        Seconds(for_at_most),
    )


def describe() -> Values:
    """The placeholders that change, always the same here."""
    return {"waited": "3", "position": "2", "eta": "unknown", "blocker": "creates", "attempt": "1"}


@dataclass
class Watcher:
    """An observer that keeps the beats; ``ended`` wakes whoever waits for one."""

    beats: Counter[tuple[str, str]] = field(default_factory=Counter)
    more: asyncio.Event = field(default_factory=asyncio.Event)

    def finished(self, record: RequestRecord) -> None:
        raise AssertionError("couriers finish no requests")

    def retried(self, upstream: str, route: str) -> None:
        raise AssertionError("couriers retry nothing")

    def bad_head(self) -> None:
        raise AssertionError("couriers read no heads")

    def beat(self, sink: SinkName, result: BeatResult) -> None:
        self.beats[sink, result] += 1
        self.more.set()

    async def until(self, sink: str, result: BeatResult, number: int = 1) -> None:
        """Wait until so many beats have ended so."""
        async with asyncio.timeout(60):  # only so that a beat that never comes is a failure and not a hang
            while self.beats[sink, result] < number:
                self.more.clear()
                await self.more.wait()


@dataclass
class SlowPost:
    """Carries letters in virtual time: each takes ``takes`` seconds and is answered with ``status``."""

    takes: float = 0.0
    status: int = 200
    started: list[tuple[float, str]] = field(default_factory=list)
    under_way: int = 0
    peak: int = 0
    begun: asyncio.Event = field(default_factory=asyncio.Event)

    async def carry(self, letter: Letter, timeout: Seconds) -> int:
        self.started.append((asyncio.get_running_loop().time(), letter.url))
        self.begun.set()
        self.under_way += 1
        self.peak = max(self.peak, self.under_way)
        try:
            await asyncio.sleep(self.takes)
        finally:
            self.under_way -= 1
        return self.status

    def times(self, since: float) -> list[float]:
        """When each delivery began, in seconds after ``since``."""
        return [round(when - since, 2) for when, _ in self.started]
