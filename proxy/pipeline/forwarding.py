"""Sending a request upstream, as often as is safe, and presenting what comes back.

A retry gives its seats back, keeps its ticket's age, and waits its turn again; an upstream's ``Retry-After``
closes the gate for everyone who shares the credential.
"""

from __future__ import annotations

import asyncio

from proxy.dialects.translation import Passage
from proxy.domain.errors import BadRequest, HeadgateError, UpstreamBroke
from proxy.domain.ids import Scope, Seconds
from proxy.domain.problem import Problem
from proxy.pipeline.retrying import (
    Again,
    Budget,
    after_error,
    after_reply,
    asked_to_wait,
    uncompressed,
    wants_body,
)
from proxy.pipeline.timing import server_timing
from proxy.pipeline.trip import Trip, World
from proxy.pipeline.waiting import wait_for_turn
from proxy.ports import Edits, UpstreamReply, Visit

SMALL_BODY = 64 * 1024
"""Bytes read of an error reply to judge it, and of a request before it waits (e2b.md §1.6: create bodies are small)."""

_WHOLE_BODIES = 16
"""Bodies gathered at once to be changed; each takes up to twice what a passage takes at most (chunk frames)."""
_WHOLE_BODY_WITHIN = 30.0
"""Seconds for one of them, waiting for its turn too."""


def gate_of(trip: Trip) -> Scope:
    """Who shares an upstream's ``Retry-After``: everyone with the same credential there."""
    return Scope(f"{trip.serving.upstream.name}|{trip.caller.credential}")


class Forwarder:
    """The tries of all requests, and the budgets they spend."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._budgets: dict[tuple[str, str], Budget] = {}
        self._whole_bodies = asyncio.Semaphore(_WHOLE_BODIES)

    async def forward(self, trip: Trip, visit: Visit | None) -> None:
        """Try until a reply is to be passed on, and pass it on to the last byte.

        With a visit, each try waits until its seats are held. Raises the last error where no reply came.
        """
        stale = False
        while True:
            if visit is not None and not visit.granted:
                await self._wait(trip, visit)
            trip.record.tries += 1
            if trip.record.tries == 1 and trip.retry.attempts > 1:
                self._budget(trip).first_try(trip.retry.budget, self._world.clock())
            again: Again | None
            try:
                if visit is not None and trip.paced:
                    trip.exchange.departing = visit.departs
                reply = await self._send(trip, fresh=stale)
            except HeadgateError as error:
                if self._was_stale(trip, error) and not stale:
                    stale = True
                    continue
                again = after_error(trip.retry, trip.exchange.head, error, trip.record.tries, self._world.chance)
                if again is None or not self._may_retry(trip, again, sent=isinstance(error, UpstreamBroke)):
                    raise
            else:
                body = again = None
                if reply.head.status >= 400:
                    body = await self._look_inside(trip, reply)
                    again = self._judge(trip, reply, body)
                if again is None or not self._may_retry(trip, again, sent=True):
                    await self._present(trip, reply, body)
                    return
                reply.discard()
            visit = await self._rest(trip, visit, again)

    # -- one try --------------------------------------------------------------------------------------
    async def _send(self, trip: Trip, *, fresh: bool) -> UpstreamReply:
        serving, exchange, record = trip.serving, trip.exchange, trip.record
        destination = serving.towards(exchange.head)
        target, edits = trip.resolution.forward, None
        if trip.passage is not None:
            target, edits = trip.passage.target, await self._edits(trip, trip.passage)
        exchange.shielded = serving.dialect.shielded(trip.resolution.operation)
        trip.sent = True
        clock = self._world.clock
        began = clock()
        try:
            reply = await self._world.client.send(exchange, destination, target, fresh=fresh, edits=edits)
        finally:
            record.upstream_seconds += clock() - began
            exchange.shielded = False
        record.connect += reply.connect_seconds
        told = None if trip.passage is None else trip.passage.told(reply.head.status)
        if told is not None:
            self._world.starts.told(serving.upstream.name, told, began)
        return reply

    async def _edits(self, trip: Trip, passage: Passage) -> Edits:
        """What the dialect changes in the request; where that takes the body, it is read now, once.

        BadRequest with 413 where it is too long, and whatever the passage refuses it with.
        """
        if trip.edits is not None:
            return trip.edits
        edits = Edits(passage.fields)
        if passage.longest_body and not trip.exchange.bodyless:
            body = await self._whole_body(trip, passage.longest_body)
            changed = passage.body(body)
            fields = {**passage.fields, b"expect": None}  # who waited for a 100 has it
            edits = Edits(fields, None if changed == body else changed)
        trip.edits = edits
        return edits

    async def _whole_body(self, trip: Trip, longest: int) -> bytes:
        """The request's body. What is more than is kept of any request is gathered for few at once, and none for long:
        nobody has seen the caller's credential yet.

        BadRequest with 413 or 408.
        """
        try:
            async with asyncio.timeout(_WHOLE_BODY_WITHIN):
                small = await trip.exchange.small_body(SMALL_BODY)
                if small is not None:
                    return small
                async with self._whole_bodies:
                    body = await trip.exchange.whole_body(longest)
        except TimeoutError:
            raise BadRequest("the request's body did not come in time", 408) from None
        if body is None:
            raise BadRequest(f"the body is longer than {longest} bytes", 413)
        return body

    def _was_stale(self, trip: Trip, error: HeadgateError) -> bool:
        """A kept connection that its upstream had closed: sent once more, whatever the policy, if idempotent."""
        exchange = trip.exchange
        return isinstance(error, UpstreamBroke) and error.stale and exchange.head.idempotent and exchange.repeatable

    async def _wait(self, trip: Trip, visit: Visit) -> None:
        route = trip.route
        sinks = () if route is None else trip.snapshot.sinks[route.name]
        world = self._world
        await wait_for_turn(visit, sinks, trip.caller, trip.exchange.head, world.couriers, trip.record, world.clock)

    # -- judging --------------------------------------------------------------------------------------
    async def _look_inside(self, trip: Trip, reply: UpstreamReply) -> bytes | None:
        """An error's body, where judging or mending it takes the body and it can be read."""
        if trip.exchange.head.method == "HEAD":
            return None
        if not wants_body(trip.retry, trip.serving.dialect, trip.resolution.operation, reply.head):
            return None
        body = await reply.small_body(SMALL_BODY)
        return None if body is None else uncompressed(reply.head, body, SMALL_BODY)

    def _judge(self, trip: Trip, reply: UpstreamReply, body: bytes | None) -> Again | None:
        head, world = trip.exchange.head, self._world
        again = after_reply(
            trip.retry, trip.serving.dialect, head, reply.head, body, trip.record.tries, world.chance, world.epoch
        )
        hint = asked_to_wait(trip.serving.dialect, reply.head, body, world.epoch)
        if hint is not None:  # also where this request is not sent again: everybody who shares the credential waits
            world.store.close_gate(gate_of(trip), hint)
        return again

    def _may_retry(self, trip: Trip, again: Again, *, sent: bool) -> bool:
        """Whether the caller is there, the body too, patience lasts, and the budget allows it."""
        exchange = trip.exchange
        if exchange.gone or (sent and not exchange.repeatable) or again.rest > trip.patience - trip.record.waited:
            return False
        if not self._budget(trip).spend(self._world.clock()):
            return False
        self._world.observer.retried(trip.record.upstream, trip.record.route)
        return True

    async def _rest(self, trip: Trip, visit: Visit | None, again: Again) -> Visit | None:
        """Rest before the next try. Returns the visit whose turn is to be waited for then, if any."""
        if visit is not None and not trip.shadow:
            visit.retry_later(Seconds(again.rest))
            return visit
        if visit is not None:
            visit.leave()  # in shadow mode nobody waits for a seat, between two tries neither
        began = self._world.clock()
        await asyncio.sleep(again.rest)
        trip.record.waited += self._world.clock() - began
        return None

    def _budget(self, trip: Trip) -> Budget:
        key = (trip.caller.tenant, trip.record.upstream)
        budget = self._budgets.get(key)
        if budget is None:
            if len(self._budgets) >= 4096:
                self._budgets.clear()
            budget = self._budgets[key] = Budget(self._world.clock())
        return budget

    # -- presenting -----------------------------------------------------------------------------------
    async def _present(self, trip: Trip, reply: UpstreamReply, body: bytes | None) -> None:
        """Pass the reply on: as it is, or an edge's error in the words of the dialect."""
        record, dialect = trip.record, trip.serving.dialect
        status = record.status = reply.head.status
        record.outcome = "upstream-error" if status >= 500 or status == 429 else "ok"
        unsure = status >= 500 and dialect.ambiguous(trip.resolution.operation, status, body)
        mended = dialect.mend(reply.head, body) if body is not None else None
        if mended is not None:
            reply.discard()
            self._present_mended(trip, mended, unsure=unsure)
            return
        added = server_timing(record)
        if unsure and b"should-retry" not in reply.head:
            added += dialect.warning
        passage = trip.passage
        began = self._world.clock()
        try:
            if passage is not None and (transform := passage.reply(reply.head)) is not None:
                await reply.relay_changed(added, transform, streams=passage.streams)
            elif not reply.relay_whole(added):
                await reply.relay(added)
        finally:
            record.relay = self._world.clock() - began

    def _present_mended(self, trip: Trip, problem: Problem, *, unsure: bool) -> None:
        again = None if unsure else problem.retry_after
        final = Problem(problem.status, problem.code, problem.message, "", again, final=unsure)
        reply = trip.serving.dialect.render(final, trip.exchange.head)
        timing = server_timing(trip.record).decode("ascii").strip().partition(": ")[2]
        trip.exchange.respond(reply.having(("Server-Timing", timing)), close=False)
