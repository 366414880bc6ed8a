"""One request's journey: classify, identify, claim, admit, forward, present, respond.

Read :meth:`Journey.handle` first. One snapshot of the policy serves the whole journey. A seat is held to the last
byte of the reply, and beyond it where its limit says so (:mod:`proxy.pipeline.ready`). Whatever ends the journey, also
its cancellation at any ``await``, gives back what it holds.
"""

from __future__ import annotations

import asyncio
from itertools import count

from proxy.dialects.base import Dialect
from proxy.dialects.translation import Translator
from proxy.domain.errors import DeadlinePassed, HeadgateError
from proxy.domain.ids import Seconds, VisitId
from proxy.pipeline.answers import answer_error, answer_problem
from proxy.pipeline.claims import arrival_of, needs_of
from proxy.pipeline.forwarding import SMALL_BODY, Forwarder, gate_of
from proxy.pipeline.recognise import Target, find_caller, find_target
from proxy.pipeline.snapshot import Snapshot
from proxy.pipeline.trip import Trip, World
from proxy.ports import Exchange, RequestRecord, Visit
from proxy.problems import internal_problem


class Journey:
    """Takes requests from their callers to the upstreams and back."""

    def __init__(self, world: World, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        """Replaced on reload; requests under way keep the one they began with."""
        self._world = world
        self._forwarder = Forwarder(world)
        self._visits = count(1)

    async def handle(self, exchange: Exchange) -> None:
        """Bring one request to its end and tell the observer. Cancelled when the caller leaves."""
        record = RequestRecord(exchange.head.method, "")
        snapshot = self.snapshot  # one policy from here to the end
        dialect: Dialect | None = None
        try:
            target = find_target(snapshot, exchange.head, exchange.listener)
            dialect = target.serving.dialect
            trip = self._identify(exchange, record, snapshot, target)
            total = snapshot.policies.timeouts.total
            if total is None:
                await self._go(trip)
            else:
                await self._go_within(total, trip)
        except HeadgateError as error:
            record.path = record.path or _asked_path(exchange.head.target)
            answer_error(exchange, record, error, dialect, self._world.chance)
        except asyncio.CancelledError:
            record.outcome = "left"
            raise
        except Exception as error:  # noqa: BLE001 - whatever happened, the caller gets an answer and the log a trace
            self._world.crashed(error)
            record.outcome = "failed"
            answer_problem(exchange, record, internal_problem(), dialect)
        finally:
            self._world.observer.finished(record)

    def _identify(self, exchange: Exchange, record: RequestRecord, snapshot: Snapshot, target: Target) -> Trip:
        """Who is charged, once it is known what the request means."""
        resolution = target.resolution
        record.path = resolution.path
        record.upstream = resolution.upstream.name
        if resolution.route is not None:
            record.route = resolution.route.name
        caller = find_caller(snapshot, target, exchange.head, exchange.peer, self._world.credentials)
        record.tenant = caller.tenant
        return Trip(exchange, record, snapshot, resolution, target.serving, caller)

    async def _go(self, trip: Trip) -> None:
        """Claim, be admitted, forward, present; the seats are held until the last byte is on its way, or longer."""
        body: bytes | None = b""
        if trip.route is not None and trip.route.limits and not trip.exchange.bodyless:
            body = await trip.exchange.small_body(SMALL_BODY)
        visit = self._claim(trip, body)
        try:
            if trip.serving.translator is not None:
                self._translate(trip, trip.serving.translator, visit)
            await self._forwarder.forward(trip, visit)
        finally:
            if visit is not None and trip.start is not None:
                trip.start.settle(visit)
            elif visit is not None:
                visit.leave()

    def _translate(self, trip: Trip, translator: Translator, visit: Visit | None) -> None:
        """What the dialect changes on the way, and whether a seat is to be held beyond the reply."""
        asked = trip.resolution
        trip.start = None if visit is None else self._world.starts.begin(trip)
        witness = trip.start or self._world.witness
        trip.passage = translator.passage(asked.operation, asked.path, trip.exchange.head, asked.forward, witness)

    async def _go_within(self, total: Seconds, trip: Trip) -> None:
        """The same, but all of it within ``total`` seconds; DeadlinePassed otherwise."""
        try:
            async with asyncio.timeout(total):
                await self._go(trip)
        except TimeoutError:
            raise DeadlinePassed(total, trip.sent) from None

    def _claim(self, trip: Trip, body: bytes | None) -> Visit | None:
        """Arrive in the pool with everything the route asks for; None where it asks for nothing.

        In shadow mode the decision is made and counted, but never waited for.
        """
        route, head = trip.route, trip.exchange.head
        if route is None or not route.limits:
            return None
        policies, dialect = trip.snapshot.policies, trip.serving.dialect
        width = dialect.width(trip.resolution.operation, body)
        needs = needs_of(policies, route, trip.serving.upstream, trip.caller, head, width)
        arrival = arrival_of(
            route,
            needs,
            trip.caller,
            policies.tenants.weight(trip.caller.tenant),
            head,
            body,
            bounds=trip.snapshot.bounds[route.name],
            ticket=self._world.new_ticket(),
            visit=VisitId(next(self._visits)),
            gate=gate_of(trip),
        )
        trip.patience = arrival.patience
        visit = self._world.store.arrive(arrival)
        trip.record.ticket = visit.ticket
        if trip.shadow and not visit.granted:
            trip.record.queued = True
            visit.leave()
            return None
        return visit


def _asked_path(target: bytes) -> str:
    """The path as asked for, of a request that goes nowhere: no query, and no authority (it may hold a password)."""
    path = target.partition(b"?")[0]
    if not path.startswith(b"/"):
        path = b"/".join([b"", *path.partition(b"://")[2].split(b"/")[1:]])
    return path.decode("latin-1")
