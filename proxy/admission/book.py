"""The account book: every account by limit and scope, made when first needed, forgotten when idle."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping
from typing import Final, TypeVar

from proxy.admission.accounts import Account, GateAccount, RateAccount, SeatAccount
from proxy.admission.events import LimitSpec, Need
from proxy.domain.ids import GATE, Instant, LimitName, Scope

_SWEEP_AT: Final = 1024
"""Idle accounts are forgotten when the book has doubled since the last sweep, and not below this size."""

_Value = TypeVar("_Value")


class AccountBook:
    """Accounts and the limits they follow.

    A limit that is no longer in the policy still binds those who came under it, until they are gone: a limit that was
    only renamed must not let all of them through at once.
    """

    def __init__(self, limits: Mapping[LimitName, LimitSpec]) -> None:
        self._limits = dict(limits)
        self._accounts: dict[tuple[LimitName, Scope], Account] = {}
        self.gates: dict[Scope, GateAccount] = {}
        self._sweep_at = _SWEEP_AT

    def account(self, need: Need) -> Account:
        """The account a need is about."""
        key = (need.limit, need.scope)
        found = self._accounts.get(key)
        if found is None:
            found = self._accounts[key] = self._open(need.limit, need.scope)
        return found

    def excess(self, needs: tuple[Need, ...]) -> tuple[Need, SeatAccount] | None:
        """The need that asks for more than its limit has. One seat may be waited for even where there is none."""
        for need in needs:
            if need.cost > 1:
                account = self.account(need)
                if isinstance(account, SeatAccount) and need.cost > max(account.seats, 1):
                    return need, account
        return None

    def gate(self, scope: Scope) -> GateAccount:
        """The gate of a scope."""
        found = self.gates.get(scope)
        if found is None:
            found = self.gates[scope] = GateAccount(GATE, scope)
        return found

    def accounts(self) -> Iterator[Account]:
        """Every account but the gates."""
        return iter(self._accounts.values())

    def relimit(self, limits: Mapping[LimitName, LimitSpec], now: Instant) -> tuple[list[Account], list[Account]]:
        """Follow new limits. Returns the accounts that may have room now, and those that are no more.

        A limit that turned from seats into a rate (or back) is another account: holders give back to the old.
        """
        self._limits.update(limits)  # what is gone is remembered for who asked under the policy before
        changed: list[Account] = []
        gone: list[Account] = []
        for key, account in list(self._accounts.items()):
            if key[0] not in limits:
                continue
            seats, rate, burst = self._numbers(*key)
            if isinstance(account, SeatAccount) and rate is None:
                account.set_seats(float("inf") if seats is None else seats)
                changed.append(account)
            elif isinstance(account, RateAccount) and seats is None:
                account.set_rate(float("inf") if rate is None else rate, burst, now)
                changed.append(account)
            else:
                del self._accounts[key]
                gone.append(account)
        return changed, gone

    def sweep(self, now: Instant) -> None:
        """Forget idle accounts, if there are many."""
        if len(self._accounts) + len(self.gates) < self._sweep_at:
            return
        self._accounts = {key: account for key, account in self._accounts.items() if not account.idle(now)}
        self.gates = {scope: gate for scope, gate in self.gates.items() if not gate.idle(now)}
        self._sweep_at = max(_SWEEP_AT, 2 * (len(self._accounts) + len(self.gates)))

    def _open(self, limit: LimitName, scope: Scope) -> Account:
        seats, rate, burst = self._numbers(limit, scope)
        if rate is not None:
            return RateAccount(limit, scope, rate, burst)
        return SeatAccount(limit, scope, float("inf") if seats is None else seats)

    def _numbers(self, limit: LimitName, scope: Scope) -> tuple[int | None, float | None, int]:
        spec = self._limits.get(limit, LimitSpec())
        seats = None if spec.seats is None else _own(spec.own_seats, scope, spec.seats)
        rate = None if spec.per_second is None else _own(spec.own_rates, scope, spec.per_second)
        return seats, rate, spec.burst


def _own(numbers: Mapping[str, _Value], scope: Scope, default: _Value) -> _Value:
    """A scope's own number: its exact name first, else the first pattern that fits."""
    if not numbers:
        return default
    if scope in numbers:
        return numbers[scope]
    return next((n for p, n in numbers.items() if "*" in p and fnmatch.fnmatchcase(scope, p)), default)
