"""Deliberate one-line bugs. Each must be caught by the proofs; one that survives is a missing test."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final


@dataclass(frozen=True, slots=True)
class Mutant:
    """In ``module`` the text ``right``, which stands there ``times`` times, becomes ``wrong``."""

    name: str
    module: str
    right: str
    wrong: str
    times: int = 1

    def infect(self, package: Path) -> None:
        """Write the bug into a copy of the package."""
        path = package / self.module
        source = path.read_text()
        assert source.count(self.right) == self.times, f"{self.name}: {self.module} no longer reads so"
        path.write_text(source.replace(self.right, self.wrong))


_POOL, _ROOM, _QUEUE = "admission/pool.py", "admission/room.py", "admission/queue.py"
_ACCOUNTS, _SHARES, _TIMERS = "admission/accounts.py", "admission/shares.py", "admission/timers.py"
_TURNS: Final = "admission/turns.py"
_STORE: Final = "stores/memory.py"

MUTANTS: Final = (
    # seats and needs
    Mutant("a seat is not given back", _ACCOUNTS, "        self.held -= cost\n", ""),
    Mutant("one seat too many", _ACCOUNTS, "self.held + cost <= self.seats", "self.held + cost <= self.seats + 1"),
    Mutant("costs count as one", _ACCOUNTS, "        self.held += cost\n", "        self.held += 1\n"),
    Mutant(
        "only the first need is looked at",
        _TURNS,
        "for need in ticket.needs:\n            account = self._book.account(need)\n            if not",
        "for need in ticket.needs[:1]:\n            account = self._book.account(need)\n            if not",
    ),
    Mutant(
        "not all or none: a seat of the first need is taken while the second blocks",
        _TURNS,
        "            if not account.fits(need.cost, now):\n                return account\n",
        "            if not account.fits(need.cost, now):\n                return account\n"
        "            if len(ticket.needs) > 1 and need is ticket.needs[0] and ticket.state is _WAITING:\n"
        "                account.take(ticket.queue.tenant, ticket.weight, need.cost, now)\n",
    ),
    Mutant("a lowered limit is ignored", _ACCOUNTS, "self.seats = seats\n        self._r", "self._r"),
    Mutant("a raised limit wakes nobody", _TURNS, "for account in changed:", "for account in changed[:0]:"),
    Mutant("a scope's own number is ignored", "admission/book.py", "    if not numbers:", "    if numbers:"),
    # order
    Mutant("the most served goes first", _SHARES, "(share.start, queue.head.seq,", "(-share.start, queue.head.seq,"),
    Mutant("the largest share goes first", _ACCOUNTS, "(ratio, share.start,", "(-ratio, share.start,"),
    Mutant("weights are ignored in debts", _SHARES, "amount / share.weight", "amount"),
    Mutant("nothing is corrected at the return", _ACCOUNTS, "        if charged:\n", "        if charged < 0:\n"),
    Mutant(
        "idling earns",
        _SHARES,
        "self.virtual = start = max(self.virtual, share.finish)",
        "start = share.finish",
    ),
    Mutant("a wide head keeps no room", _TURNS, "account.reserve(queue)", "pass"),
    Mutant("who comes first is not asked", _TURNS, "not account.prefers(ticket)", "False"),
    Mutant("parked and not woken", _TURNS, "        queue.parked_at = None\n        self.stir(account)\n", ""),
    Mutant("who tries again loses its age", _POOL, "ticket.attempt += 1", "ticket.attempt, ticket.seq = 2, 10**9"),
    Mutant("the oldest place is not the first", "admission/places.py", "places[0][1]", "places[-1][1]"),
    # what is sent
    Mutant(
        "what is sent late counts from its grant",
        _ACCOUNTS,
        "self._sent = Instant(max(self._sent, now) +",
        "self._sent = Instant(self._sent +",
    ),
    Mutant(
        "grants that are not sent yet are forgotten",
        _ACCOUNTS,
        "self._sent + self._pending * self._interval",
        "self._sent",
    ),
    Mutant(
        "who leaves unsent stays counted",
        _ACCOUNTS,
        "    def forgone(self) -> None:\n        self._pending -= 1\n",
        "    def forgone(self) -> None:\n        pass\n",
    ),
    Mutant("sending twice counts twice", _TURNS, "or ticket.departed:", "or False:"),
    # courtesy
    Mutant("a wave is refused one by one", _POOL, "refused_at > now", "refused_at > now + 9"),
    Mutant("nobody lets an older place go first", _TURNS, "if queue.away else None", "if False else None"),
    Mutant(
        "an older place is waited for too long",
        "admission/courtesy.py",
        "other.due - GRACE < now < until",
        "now < until",
    ),
    Mutant("the wait for an older place outlasts it", _TURNS, " or parked is queue.courtesy)", ")"),
    # waiting
    Mutant(
        "an absent head is not passed",
        _QUEUE,
        "away = ticket.resting or ticket.state is TicketState.LINGERING",
        "away = ticket.resting",
        times=2,
    ),
    Mutant("patience does not start anew", _POOL, "Instant(now + event.p", "Instant(ticket.since + event.p"),
    Mutant("a refused visit can end the place", _POOL, "        ticket.visit = _NOBODY\n", ""),
    Mutant("kept places are not bounded", _ROOM, "return ticket.linger > 0 and", "return ticket.linger > 0 or"),
    Mutant("a route's callers are not bounded", _ROOM, "if total >= bounds.total", "if total > bounds.total"),
    Mutant("kept places do not count as before", _QUEUE, " + bisect_left(self.away, ticket.seq)", ""),
    Mutant("who takes over is not told apart", _POOL, "ticket.renew(event)", "ticket.needs = event.needs"),
    Mutant("the old needs are kept", _POOL, "ticket.renew(event)", "ticket.visit = event.visit"),
    Mutant("a rest is not kept", _POOL, "ticket.resting = ticket.rests_until > now", "ticket.resting = False"),
    Mutant(
        "a drain grants on the way",
        _POOL,
        "            self._turns.remove(ticket)\n            del self",
        "            self._turns.remove(ticket)\n            self._turns.calm(now)\n            del self",
    ),
    # holding on
    Mutant("what is kept is given back", _TURNS, "given = [holding", "given = list(ticket.holdings) or [holding"),
    Mutant("what is not kept is held on", _TURNS, "self._return(ticket, given, now)", "self._book.sweep(now)"),
    Mutant(
        "what was given back is given back again",
        _TURNS,
        "        ticket.holdings = [holding",
        "        _ = [holding",
    ),
    Mutant("who had its reply waits again", _POOL, " or ticket.answered:", ":"),
    # time
    Mutant("a gate is ignored", _TURNS, "if gate is not None and not", "if gate is not None and False and not"),
    Mutant("a shorter time opens a gate", _POOL, "max(gate.open_at, now + event.seconds)", "now + event.seconds"),
    Mutant("a rate saves up without bound", _ACCOUNTS, "max(self.due, now) + self", "max(self.due, now - 60) + self"),
    Mutant("a rate is a little too fast", _ACCOUNTS, "RATE_GUARD: Final = 1.02", "RATE_GUARD: Final = 0.99"),
    Mutant(
        "nobody is woken when a rate opens",
        _TURNS,
        "parked:\n            self._timers.alarm(account)",
        "parked:\n            pass",
    ),
    Mutant("outdated timers are kept", _TIMERS, "if len(self._heap) > _SLACK", "if len(self._heap) > 10**9"),
    # the store
    Mutant(
        "who left is said to hold on",
        _STORE,
        "            return False\n        self.post(Keep",
        "            return True\n        self.post(Keep",
    ),
    Mutant(
        "who waits is said to hold on",
        _STORE,
        "return self.granted and self._store.keep",
        "return self._store.keep",
    ),
    Mutant("nothing is called something", _STORE, "return bool(limits)", "return True"),
    Mutant("who left keeps its seat", _STORE, "self.post(Leave(visit.ticket, visit.id))", "pass"),
    Mutant(
        "a closed store sets timers",
        _STORE,
        'self._timer, self._timer_at = None, Instant(float("-inf"))',
        "self._timer = None",
    ),
)  # fmt: skip
