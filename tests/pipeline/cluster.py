"""A proxy's journeys before a cluster that is nothing but a dictionary: no sockets, so all of it runs in virtual time.

The pool, the journey, the dialect and the book of starts are the real ones. What is acted is the API server, the
callers' connections, and the looks (:class:`Api` answers those too).
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from proxy.dialects.translation import PassedAsItWas, PodSeen, Transform
from proxy.domain.errors import UpstreamBroke
from proxy.domain.ids import Instant, TicketId, UpstreamName
from proxy.domain.messages import Reply, RequestHead
from proxy.pipeline.identity import Credentials
from proxy.pipeline.journey import Journey
from proxy.pipeline.ready import StartingPods
from proxy.pipeline.snapshot import Snapshot
from proxy.pipeline.trip import World
from proxy.ports import BeatResult, Couriers, Destination, Edits, HoldEnd, LookResult, RequestRecord, Sight
from proxy.stores.memory import MemoryStore
from tests.pipeline.acted_api import PODS, Answer, Api
from tests.stores.test_memory_store import assert_nothing_left
from tests.support.proxies import policy_of

POLICY = """
version: 1
upstreams:
  kube: {url: http://api.example, dialect: kubernetes, hosts: [api.example], pods: {main_containers: [sandbox]}}
  other: {url: http://other.example, dialect: kubernetes, hosts: [other.example]}
limits:
  starting: {seats: 2, per: upstream, hold: ready, ready_within: 100s}
routes:
  - {name: create, match: {upstream: kube, operation: create}, limits: [starting], queue: {patience: 1000s}}
  - {name: create-other, match: {upstream: other, operation: create}, limits: [starting]}
  - {name: rest, match: {upstream: kube}}
"""


class Caller:
    """A caller's connection, with one request (see :class:`proxy.ports.Exchange`)."""

    listener: UpstreamName | None = None
    peer = "127.0.0.1"
    gone = started = False
    repeatable = bodyless = True

    def __init__(self, head: RequestHead) -> None:
        self.head = head
        self.shielded = False
        self.departing: Callable[[], None] | None = None
        self.status = 0
        self.got = b""

    async def small_body(self, limit: int) -> bytes | None:
        return b""

    async def whole_body(self, limit: int) -> bytes | None:
        return b""

    def respond(self, reply: Reply, *, close: bool) -> None:
        self.status = reply.status


class ActedReply:
    """A reply on its way to a caller: seconds until the second half of its body comes, and until it is delivered."""

    connect_seconds = 0.0

    def __init__(self, answer: Answer, caller: Caller, arriving: float, leaving: float) -> None:
        self.head = answer.head
        self._body = answer.body
        self._caller = caller
        self._arriving = arriving
        self._leaving = leaving

    async def small_body(self, limit: int) -> bytes | None:
        return self._body

    def relay_whole(self, added: bytes) -> bool:
        return False

    async def relay(self, added: bytes) -> None:
        self._caller.status, self._caller.got = self.head.status, self._body

    async def relay_changed(self, added: bytes, transform: Transform, *, streams: bool) -> None:
        self._caller.status = self.head.status
        half = len(self._body) // 2
        self._caller.got += transform.feed(self._body[:half])
        await asyncio.sleep(self._arriving)
        self._caller.got += transform.feed(self._body[half:]) + transform.end()
        await asyncio.sleep(self._leaving)

    def discard(self) -> None:
        pass


@dataclass
class Counted:
    """Every observer at once."""

    ended: Counter[str] = field(default_factory=Counter)
    looks: Counter[str] = field(default_factory=Counter)
    passes: Counter[str] = field(default_factory=Counter)
    records: list[RequestRecord] = field(default_factory=list)
    expecting: bool = False

    def finished(self, record: RequestRecord) -> None:
        self.records.append(record)

    def retried(self, upstream: str, route: str) -> None:
        pass

    def beat(self, sink: str, result: BeatResult) -> None:
        raise AssertionError("nobody has a sink")

    def bad_head(self) -> None:
        raise AssertionError("all heads are good")

    def saw(self, pod: PodSeen) -> None:
        raise AssertionError("nobody asked")

    def rewritten(self) -> None:
        self.passes["rewritten"] += 1

    def passed(self, why: PassedAsItWas) -> None:
        self.passes[why] += 1

    def looked(self, upstream: UpstreamName, result: LookResult) -> None:
        self.looks[result] += 1

    def hold_ended(self, route: str, why: HoldEnd) -> None:
        self.ended[why] += 1


class Cluster:
    """The API server, the proxy before it, and its callers."""

    def __init__(self, policy: str) -> None:
        loop = asyncio.get_running_loop()
        policies = policy_of(policy)
        self.api = Api()
        self.counted = Counted()
        self.arriving = self.leaving = 0.0
        self.crashes: list[BaseException] = []
        self.chance = 0.0
        self.store = MemoryStore(policies, loop)
        clock = lambda: Instant(loop.time())  # noqa: E731
        self.starts = StartingPods(
            self.counted, self, self.counted, clock, lambda: self.chance, lambda: 1_700_000_000.0, self.crashes.append
        )
        names = count(1)
        world = World(
            store=self.store,
            client=self,  # type: ignore[arg-type]  # its exchanges are ours
            couriers=_NoCouriers(),
            observer=self.counted,
            witness=self.starts,
            starts=self.starts,
            credentials=Credentials(b"salt"),
            clock=clock,
            epoch=lambda: 1_700_000_000.0,
            chance=lambda: self.chance,
            new_ticket=lambda: TicketId(f"t{next(names)}"),
            crashed=self.crashes.append,
        )
        self.journey = Journey(world, Snapshot(policies))

    # -- the proxy's way to the API server -----------------------------------------------------------------
    async def send(
        self, exchange: Caller, destination: Destination, target: bytes, *, fresh: bool, edits: Edits | None = None
    ) -> ActedReply:
        answer = await self.api.answer(exchange.head, target, look=False)
        if answer.status == 0:
            raise UpstreamBroke(destination.upstream.name, "reset")
        return ActedReply(answer, exchange, self.arriving, self.leaving)

    async def look(self, destination: Destination, head: RequestHead) -> Sight | None:
        answer = await self.api.answer(head, head.target, look=True)
        return None if answer.status == 0 else Sight(answer.head, answer.body)

    # -- callers ---------------------------------------------------------------------------------------------
    async def ask(self, method: str, target: str, *lines: str, host: str = "api.example") -> Caller:
        """One request, to its end."""
        raw = "".join(f"{line}\r\n" for line in (f"Host: {host}", *lines)).encode()
        caller = Caller(RequestHead(method, target.encode(), 1, raw))
        await self.journey.handle(caller)
        return caller

    async def create(self, name: str = "", *lines: str, host: str = "api.example") -> str:
        """Make a pod; its name."""
        caller = await self.ask("POST", f"{PODS}?name={name}" if name else PODS, *lines, host=host)
        assert caller.status == 201, caller.status
        return str(json.loads(caller.got)["metadata"]["name"])

    async def full(self) -> tuple[str, str, asyncio.Task[str]]:
        """Two pods are starting on two seats, and a third create waits."""
        first, second = await self.create("first"), await self.create("second")
        waiting = asyncio.ensure_future(self.create("third"))
        await settled()
        assert self.held() == 2
        assert not waiting.done()
        await asyncio.sleep(0.1)
        return first, second, waiting

    def held(self) -> float:
        """Seats held over all limits."""
        return sum(limit.held for limit in self.store.view().limits)


class _NoCouriers(Couriers):
    def begin(self, *rest: Any) -> Any:
        raise AssertionError("no route has a sink")


@asynccontextmanager
async def cluster(policy: str = POLICY, **changes: str) -> AsyncIterator[Cluster]:
    """A cluster; at the end everything is ended, and nothing may be left."""
    for old, new in changes.items():
        assert old in policy, f"the policy does not say {old}"
        policy = policy.replace(old, new)
    one = Cluster(policy)
    try:
        yield one
    finally:
        await one.starts.close()
        one.store.close()
    assert not one.crashes, one.crashes
    assert not one.starts.expecting
    assert not one.starts.looking._under_way
    assert one.held() == 0
    assert_nothing_left(one.store)


async def settled() -> None:
    """Let everything happen that needs no time."""
    for _ in range(20):
        await asyncio.sleep(0)


async def went(waiting: asyncio.Task[str]) -> None:
    """The create that waited is let in without any time passing: news did it, not a look."""
    await settled()
    assert waiting.done()
    assert await waiting == "third"
