"""All sandboxes of a fake E2B and the places they take. Time comes in as an argument; nothing here waits.

What happens by itself (a timeout, the end of an automatic pause) happens when ``settle`` is called, with the
moment at which it was due: so it is exact, however late anybody looks.
"""

from __future__ import annotations

import math
import random
import string
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from proxy.fakes.e2b_config import E2BConfig
from proxy.fakes.e2b_faults import error
from proxy.fakes.e2b_limits import Pending
from proxy.fakes.e2b_model import Sandbox, State, bare
from proxy.fakes.server import Refused, Reply

LETTERS: Final = string.ascii_lowercase + string.digits


class Fleet:
    """Sandboxes by id. ``now`` is always the fake's wall clock."""

    def __init__(self, config: E2BConfig) -> None:
        self._config = config
        self._random = random.Random(config.seed)
        self._all: dict[str, Sandbox] = {}
        self._pending: defaultdict[str, Pending] = defaultdict(Pending)
        self._due = math.inf
        self.on_gone: Callable[[Sandbox], None] = lambda _: None
        """Told of every sandbox that is gone."""
        self.created = 0

    def __iter__(self) -> Iterator[Sandbox]:
        return iter(self._all.values())

    def of(self, team: str) -> list[Sandbox]:
        """Every sandbox of a team, oldest first."""
        return [s for s in self._all.values() if s.team == team]

    def pending(self, now: float) -> int:
        """Starts under way, of all teams."""
        return sum(pending.count(now) for pending in self._pending.values())

    def reserve(self, team: str, now: float) -> int:
        """Take a place for a start; raises ``Refused`` with the exact 429 of the live limit."""
        live = sum(s.counts for s in self._all.values() if s.team == team)
        number = self._pending[team].reserve(live=live, limit=self._config.live_limit, now=now)
        if number is None:
            raise Refused(at_the_limit(self._config.live_limit))
        return number

    def release(self, team: str, number: int) -> None:
        """Give back what ``reserve`` took, once the start is registered or has failed."""
        self._pending[team].release(number)

    def register(self, team: str, body: Mapping[str, Any], *, secure: bool, timeout: float, now: float) -> Sandbox:
        """A new running sandbox; its ``endAt`` counts from now, not from the request's arrival."""
        resume = body.get("autoResume")
        sandbox = Sandbox(
            id="i" + self._word(20),
            team=team,
            template=str(body["templateID"]),
            started_at=now,
            end_at=now + timeout,
            metadata=dict(body.get("metadata") or {}),
            env=dict(body.get("envVars") or {}),
            auto_pause=bool(body.get("autoPause")),
            auto_resume=bool(isinstance(resume, dict) and resume.get("enabled")),
            access_token=self._word(32) if secure else None,
            envd_version=self._config.envd_version,
            allow_internet=body.get("allow_internet_access") is not False,
        )
        return self._adopt(sandbox)

    def copy(self, original: Sandbox, *, timeout: float, now: float) -> Sandbox:
        """A fork: same template, metadata and files; an id and a life of its own."""
        twin = Sandbox(
            id="i" + self._word(20),
            team=original.team,
            template=original.template,
            started_at=now,
            end_at=now + timeout,
            metadata=dict(original.metadata),
            env=dict(original.env),
            access_token=self._word(32) if original.access_token else None,
            envd_version=original.envd_version,
            files=dict(original.files),
            folders=set(original.folders),
        )
        return self._adopt(twin)

    def find(self, sandbox_id: str, team: str | None = None) -> Sandbox:
        """The sandbox, whatever its state; raises ``Refused`` with a 404 for none and for another team's."""
        sandbox = self._all.get(bare(sandbox_id))
        if sandbox is None or (team is not None and sandbox.team != team):
            raise Refused(error(404, f'Sandbox "{bare(sandbox_id)}" not found'))
        return sandbox

    def remove(self, sandbox: Sandbox) -> None:
        """Gone, and its place free."""
        if self._all.pop(sandbox.id, None) is not None:
            self.on_gone(sandbox)

    def move(self, sandbox: Sandbox, state: State, until: float = math.inf) -> None:
        """Put a sandbox into a state, which ends by itself at ``until``."""
        sandbox.state, sandbox.until = state, until
        self._due = min(self._due, until, sandbox.end_at)

    def end(self, sandbox: Sandbox, end_at: float) -> None:
        """Set ``endAt``."""
        sandbox.end_at = end_at
        self._due = min(self._due, end_at)

    def settle(self, now: float) -> None:
        """Let everything happen that was due by ``now``."""
        if now < self._due:
            return
        for sandbox in list(self._all.values()):
            while self._step(sandbox, now):
                pass
        self._due = min((self._next(s) for s in self._all.values()), default=math.inf)

    def next_due(self) -> float:
        """When ``settle`` will next have something to do; infinity if never."""
        return self._due

    def _adopt(self, sandbox: Sandbox) -> Sandbox:
        self._all[sandbox.id] = sandbox
        self._due = min(self._due, sandbox.end_at)
        self.created += 1
        return sandbox

    def _step(self, sandbox: Sandbox, now: float) -> bool:
        config = self._config
        if sandbox.state is State.RUNNING and now >= sandbox.end_at:
            if sandbox.auto_pause:
                self.move(sandbox, State.PAUSING, sandbox.end_at + config.pause_seconds)
            else:
                self.move(sandbox, State.KILLING, sandbox.end_at + config.linger_seconds)
            return True
        if now < sandbox.until:
            return False
        if sandbox.state is State.PAUSING:
            self.move(sandbox, State.PAUSED)
        elif sandbox.state is State.KILLING:
            self.remove(sandbox)
        return False

    @staticmethod
    def _next(sandbox: Sandbox) -> float:
        return sandbox.end_at if sandbox.state is State.RUNNING else sandbox.until

    def _word(self, length: int) -> str:
        return "".join(self._random.choices(LETTERS, k=length))


def at_the_limit(limit: int) -> Reply:
    """The 429 of the live limit. The number in it is the only way to learn the limit from the API."""
    return error(
        429,
        f"you have reached the maximum number of concurrent E2B sandboxes ({limit}). "
        "If you need more, please contact us at 'https://e2b.dev/docs/getting-help'",
    )
