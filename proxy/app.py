"""The composition root: builds every object of a process once, owns their lifetimes, decides nothing.

No globals: a test builds two complete proxies in one process. The way down is the way up backwards.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import secrets
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Final

from proxy.admin.readiness import Readiness
from proxy.admin.server import AdminServer
from proxy.certificates.listeners import TlsListeners
from proxy.couriers.carrier import HttpCarrier
from proxy.couriers.looks import HttpLooker
from proxy.couriers.progress import ProgressCouriers
from proxy.dialects.registry import DIALECTS, PLAIN
from proxy.domain.errors import HeadgateError
from proxy.domain.ids import Instant, TicketId, UpstreamName
from proxy.domain.messages import Reply
from proxy.observe.access_log import AccessLog
from proxy.observe.lag import LagSampler
from proxy.observe.metrics import Metrics
from proxy.observe.observer import PodCounter, ProcessObserver
from proxy.observe.writer import LineWriter
from proxy.pipeline.answers import problem_reply
from proxy.pipeline.identity import Credentials
from proxy.pipeline.journey import Journey
from proxy.pipeline.own_token import open_doors
from proxy.pipeline.ready import StartingPods
from proxy.pipeline.snapshot import Snapshot
from proxy.pipeline.trip import World
from proxy.policy.policyset import PolicySet
from proxy.ports import CallersView, Clock
from proxy.problems import problem_of
from proxy.reload import Reloader
from proxy.settings import Settings, split_address
from proxy.state import state_folder
from proxy.stores.memory import MemoryStore
from proxy.wire.client import Client
from proxy.wire.connections import Connections
from proxy.wire.front import Front
from proxy.wire.listener import Listener
from proxy.wire.tls import client_context
from proxy.wire.watchdog import Watchdog

STILL_ARRIVING: Final = 1.0
"""Seconds that connections still get an answer after SIGTERM (design.md §2.13)."""

_log = logging.getLogger("headgate")


class CannotListen(OSError):
    """An address cannot be bound; the text is one clear line."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a running process really listens."""

    main: tuple[str, int]
    admin: tuple[str, int]
    own: dict[UpstreamName, tuple[str, int]]


class App:
    """One proxy. ``start``, then ``drain`` or ``close``."""

    def __init__(self, settings: Settings, policies: PolicySet, salt: bytes, *, access_log: bool = True) -> None:
        loop = asyncio.get_running_loop()
        self._settings = settings
        self.policies = policies
        self.store = MemoryStore(policies, loop)
        self._writer = LineWriter(sys.stdout.fileno()) if access_log else None
        self.metrics = Metrics(self.store.view, self._dropped_lines, self._callers)
        log = AccessLog(self._writer, settings.log_format) if self._writer is not None else None
        self.observer = ProcessObserver(self.metrics, log)
        self._watchdog = Watchdog(loop)
        self.connections = Connections(loop, self._watchdog)
        self._carrier = HttpCarrier()
        self.couriers = ProgressCouriers(self._carrier.carry, self.observer)
        self._looker = HttpLooker(client_context)
        clock: Clock = lambda: Instant(loop.time())  # noqa: E731
        self._starts = StartingPods(
            PodCounter(self.metrics), self._looker, self.metrics, clock, random.random, time.time, _crashed
        )
        world = World(
            store=self.store,
            client=Client(self.connections, lambda: self.policies.timeouts),
            couriers=self.couriers,
            observer=self.observer,
            witness=self._starts,
            starts=self._starts,
            credentials=Credentials(salt),
            clock=clock,
            epoch=time.time,
            chance=random.random,
            new_ticket=_tickets(),
            crashed=_crashed,
        )
        self.journey = Journey(world, Snapshot(policies))
        self.front = Front(loop, self.journey.handle, self.observer, self._watchdog, settings.connections)
        self.certificates = TlsListeners(state_folder(settings.state_dir, os.environ))
        self.readiness = Readiness()
        self.reloader: Reloader | None = None
        self._admin: AdminServer | None = None
        self._lag = LagSampler(self.metrics.lag)
        self._tasks: list[asyncio.Task[None]] = []
        self._follow(policies)

    async def start(self) -> Addresses:
        """Bind everything and take traffic. CannotListen where an address is taken; then nothing stays bound.

        StateError where a listener is to speak TLS and no certificate can be had, likewise.
        """
        try:
            main = await self._listen(split_address(self._settings.listen), None)
            own = {
                name: await self._listen((upstream.listen.host, upstream.listen.port), name, tls=upstream.listen.tls)
                for name, upstream in self.policies.upstreams.items()
                if upstream.listen is not None
            }
            admin = await self._start_admin()
        except BaseException:
            await self.close()
            raise
        self._lag.start()
        self._tasks.append(asyncio.create_task(self.certificates.keep_fresh(), name="certificates"))
        self.readiness.ready()
        return Addresses(main, admin, own)

    def watch(self, reloader: Reloader) -> None:
        """Follow the policy's files from now on."""
        self.reloader = reloader
        self._tasks.append(asyncio.create_task(reloader.watch(), name="policy-reload"))

    def take_over(self, policies: PolicySet) -> None:
        """Swap the policy: new requests go by it, those under way keep theirs, waiters feel raised limits now."""
        moved = {name: u.listen for name, u in policies.upstreams.items()} != {
            name: u.listen for name, u in self.policies.upstreams.items()
        }
        if moved:
            _log.warning("policy: listeners of upstreams change only with a restart")
        self.policies = policies
        self.journey.snapshot = Snapshot(policies)
        self.store.reconfigure(policies)
        self._follow(policies)

    async def drain(self, patience: float, hurry: asyncio.Event) -> None:
        """Leave in good order: waiters are refused at once, running work finishes within ``patience`` seconds.

        Setting ``hurry`` cuts what still runs.
        """
        self.readiness.draining()
        self.metrics.mode = "draining"
        self.store.drain()
        self._starts.stop()
        self.front.drain()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(STILL_ARRIVING, patience)):
                await hurry.wait()
        self.front.stop_listening()
        self.front.drain()
        waiting = {asyncio.ensure_future(self.front.emptied()), asyncio.ensure_future(hurry.wait())}
        _, pending = await asyncio.wait(waiting, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)

    async def close(self) -> None:
        """Stop everything, finished or not."""
        self.front.stop_listening()
        self.front.abort()
        await asyncio.sleep(0)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._starts.close()
        await self._looker.close()
        await self.couriers.close()
        await self._carrier.close()
        self._lag.stop()
        if self._admin is not None:
            await self._admin.close()
        self.connections.close()
        self.store.close()
        self._watchdog.close()
        if self._writer is not None:
            await asyncio.to_thread(self._writer.close)

    # -- parts ----------------------------------------------------------------------------------------
    def _follow(self, policies: PolicySet) -> None:
        self.front.timeouts = policies.timeouts
        self.front.protected = self.journey.snapshot.protected
        self.metrics.policy_in_force(policies)
        self.journey.snapshot.find_tokens()
        for warning in open_doors(policies, split_address(self._settings.listen)[0]):
            _log.warning("%s", warning)

    async def _listen(
        self, address: tuple[str, int], name: UpstreamName | None, *, tls: bool = False
    ) -> tuple[str, int]:
        context = await self.certificates.context(address[0]) if tls else None
        try:
            return await self.front.listen(*address, self._listener(name), context, shared=False)
        except OSError as error:
            raise _cannot_listen(address, error) from None

    def _listener(self, name: UpstreamName | None) -> Listener:
        """On an upstream's own listener nothing but its API is spoken, in errors too."""
        dialect = PLAIN if name is None else DIALECTS[self.policies.upstreams[name].dialect]

        def render(error: HeadgateError) -> Reply:
            return problem_reply(problem_of(error, repeatable=False), dialect, None)

        return Listener(render, name, dialect.heads)

    async def _start_admin(self) -> tuple[str, int]:
        address = split_address(self._settings.admin)
        token = self._settings.admin_token
        self._admin = AdminServer(
            store=self.store,
            metrics=self.metrics.text,
            readiness=self.readiness,
            policy=self._policy_facts,
            token=None if token is None else token.get_secret_value(),
        )
        try:
            return await self._admin.start(*address)
        except OSError as error:
            raise _cannot_listen(address, error) from None

    def _policy_facts(self) -> dict[str, object]:
        return {"digest": self.policies.digest, "stale": self.reloader is not None and self.reloader.stale}

    def _callers(self) -> CallersView:
        crowd = self.front.crowd
        return CallersView(self.front.connected, crowd.bound, crowd.gave_way, crowd.turned_away)

    def _dropped_lines(self) -> int:
        return 0 if self._writer is None else self._writer.dropped


def _crashed(error: BaseException) -> None:
    _log.error("a request's journey crashed", exc_info=error)


def _tickets() -> Callable[[], TicketId]:
    """Names for tickets: nobody else's can be guessed from outside, and none is used twice."""
    prefix = secrets.token_urlsafe(9)
    numbers = count(1)
    return lambda: TicketId(f"{prefix}-{next(numbers):x}")


def _cannot_listen(address: tuple[str, int], error: OSError) -> CannotListen:
    host, port = address
    why = os.strerror(error.errno).lower() if error.errno else str(error)
    return CannotListen(f"cannot listen on {host}:{port}: {why}")
