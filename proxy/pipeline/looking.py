"""Looking at starting pods by ourselves, where nobody else does: seats must not wait for news that never comes.

A pod that nothing was heard of for a while is read as the caller who created it would read it: with that request's
own credential, which is in memory only. What the look shows goes the same way as everybody's replies. Looks never
take a seat and never wait behind requests; a slow API server gets no more than :data:`AT_ONCE` of them at a time.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

from proxy.dialects.translation import PassedAsItWas, PodSeen, Translator
from proxy.domain.errors import HeadgateError
from proxy.domain.ids import Instant, UpstreamName
from proxy.domain.messages import RequestHead
from proxy.pipeline.retrying import retry_after
from proxy.ports import Clock, Destination, HoldObserver, Looker, LookResult, Sight

if TYPE_CHECKING:
    from proxy.pipeline.ready import Start
    from proxy.pipeline.trip import Trip

FIRST: Final = 2.0
"""Seconds without news before the first look; each further one waits twice as long as the one before."""
LONGEST: Final = 15.0
"""Seconds between two looks at most, but where the upstream asks for more."""
AT_ONCE: Final = 4
"""Looks under way at one upstream."""
_EARLIER: Final = 0.25
"""A look comes up to this part of its wait sooner, by chance: pods made together are not looked at together."""
_MOST_ASKED: Final = 60.0
"""Seconds that an upstream's ``Retry-After`` keeps us away at most."""


class Errand:
    """How one pod is read. It holds a credential and is never shown."""

    def __init__(self, trip: Trip, translator: Translator, pod: PodSeen) -> None:
        created = trip.exchange.head
        self.translator = translator
        self._serving = trip.serving
        self._host = created.get(b"host")
        self._asked = translator.look(pod, created)

    def request(self) -> tuple[Destination, RequestHead]:
        """Where to ask and what, as the upstream gets it: with Headgate's own credential where that is its way.

        NoTokenOfOurOwn where there is none.
        """
        asked = self._asked
        destination = self._serving.towards(asked)
        origin = destination.origin
        host = destination.authority or self._host or origin.authority.encode("ascii")
        kept = [line for key, line in zip(asked.keys, asked.lines, strict=True) if key not in destination.dropped]
        fields = b"\r\n".join([b"Host: " + host, *kept, destination.added])
        return destination, RequestHead(asked.method, origin.base.encode("ascii") + asked.target, 1, fields)

    def read(self, sight: Sight) -> PodSeen | None:
        """The pod that a reply shows, read as everybody's replies are."""
        glance, asked = _Glance(), self._asked
        path = asked.target.decode("ascii")
        passage = self.translator.passage("observe", path, asked, asked.target, glance)
        transform = None if passage is None else passage.reply(sight.head)
        if transform is not None:
            transform.feed(sight.body)
            transform.end()
        return glance.pod


class Hearing(Protocol):
    """Who is told what looks show: the book of starts."""

    def saw(self, pod: PodSeen) -> None:
        """A reply showed this pod."""

    def told(self, upstream: UpstreamName, pod: PodSeen, asked: Instant) -> None:
        """A reply's status alone told this of a pod; its request was sent at ``asked``."""


class _Glance:
    """The witness of one look: keeps the pod it shows, and counts nothing, for nothing passes to anybody."""

    expecting: Final = True

    def __init__(self) -> None:
        self.pod: PodSeen | None = None

    def saw(self, pod: PodSeen) -> None:
        self.pod = pod

    def rewritten(self) -> None:
        """Nobody gets this reply."""

    def passed(self, why: PassedAsItWas) -> None:
        """Nobody gets this reply."""


class Looking:
    """The looks at every pod that is starting."""

    def __init__(
        self,
        hearing: Hearing,
        looker: Looker,
        observer: HoldObserver,
        clock: Clock,
        chance: Callable[[], float],
        epoch: Callable[[], float],
        crashed: Callable[[BaseException], None],
    ) -> None:
        self._hearing = hearing
        self._looker = looker
        self._observer = observer
        self._clock = clock
        self._chance = chance
        self._epoch = epoch
        self._crashed = crashed
        self._room: defaultdict[UpstreamName, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(AT_ONCE))
        self._under_way: set[asyncio.Task[None]] = set()

    def follow(self, start: Start, errand: Errand) -> asyncio.Task[None]:
        """Look at the start's pod whenever nothing was heard of it for long; until cancelled, or refused."""
        task = asyncio.get_running_loop().create_task(self._follow(start, errand))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return task

    async def close(self) -> None:
        """Stop every look, and wait until all have stopped."""
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _follow(self, start: Start, errand: Errand) -> None:
        wait = FIRST
        while True:
            pause = wait * (1 - _EARLIER * self._chance())
            await self._silence(start, pause)
            async with self._room[start.upstream]:
                if self._clock() < start.heard + pause:
                    continue  # somebody told of it while this look waited for room
                result, asked_away = await self._look(start, errand)
                self._observer.looked(start.upstream, result)
            if result == "refused":
                return
            wait = max(min(LONGEST, 2 * wait), asked_away)

    async def _silence(self, start: Start, seconds: float) -> None:
        """Wait so long, and until nothing was heard for so long."""
        left = seconds
        while left > 0:
            await asyncio.sleep(left)
            left = start.heard + seconds - self._clock()

    async def _look(self, start: Start, errand: Errand) -> tuple[LookResult, float]:
        """What a look came to, and the seconds that the upstream asks us to stay away."""
        asked = self._clock()
        try:
            sight = await self._looker.look(*errand.request())
            if sight is None:
                return "failed", 0.0
            away = min(_MOST_ASKED, retry_after(sight.head, self._epoch) or 0.0)
            return self._judge(start, errand, sight, asked), away
        except HeadgateError:
            return "failed", 0.0
        except Exception as error:  # noqa: BLE001 - one look must not end all further ones at its pod
            self._crashed(error)
            return "failed", 0.0

    def _judge(self, start: Start, errand: Errand, sight: Sight, asked: Instant) -> LookResult:
        if sight.head.status in (401, 403):
            return "refused"
        if sight.head.status == 404:
            return self._gone(start, asked)
        shown = errand.read(sight) if sight.head.status == 200 else None
        if shown is None:
            return "failed"
        if start.pod is not None and shown.uid != start.pod.uid:
            return self._gone(start, asked)  # another has its name
        self._hearing.saw(shown)
        return shown.state

    def _gone(self, start: Start, asked: Instant) -> LookResult:
        if start.pod is not None:
            pod = PodSeen(start.pod.namespace, start.pod.name, "", "gone")
            self._hearing.told(start.upstream, pod, asked)
        return "gone"
