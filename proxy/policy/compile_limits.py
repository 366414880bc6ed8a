"""Limits and timeouts: each limit is seats or a rate, never both and never neither."""

from __future__ import annotations

from proxy.domain.ids import LimitName
from proxy.policy.mistakes import Mistakes, Path
from proxy.policy.names import check_field, check_name
from proxy.policy.policyset import READY_WITHIN, Hold, Limit, Per, Timeouts
from proxy.policy.schema import LimitShape, PolicyShape


def compile_limits(policy: PolicyShape, mistakes: Mistakes) -> dict[LimitName, Limit]:
    """Every limit of the policy. What is wrong goes to ``mistakes``."""
    return {LimitName(name): _limit(name, shape, mistakes) for name, shape in policy.limits.items()}


def _limit(name: str, shape: LimitShape, mistakes: Mistakes) -> Limit:
    path: Path = ("limits", name)
    check_name(path, "a limit", name, mistakes)
    if shape.seats is not None and shape.rate is not None:
        hint = "make two limits of it and name both in the route: a request takes all or none"
        mistakes.add(path, "has seats and a rate; a limit is one of them", hint)
    elif shape.seats is None and shape.rate is None:
        mistakes.add(path, "has neither seats nor a rate", "write for example seats: 4 or rate: 5/s")
    elif shape.rate is None and shape.burst is not None:
        mistakes.add((*path, "burst"), "burst is for a rate", "leave it out: seats have no burst")
    elif shape.seats is None and shape.hold is not None:
        mistakes.add((*path, "hold"), "hold is for seats", "leave it out: a rate is not held")
    if shape.ready_within is not None and shape.hold != "ready":
        mistakes.add((*path, "ready_within"), "ready_within is for hold: ready", "write hold: ready, or leave it out")
    kind, header = shape.per
    if kind == "header":
        check_field((*path, "per"), header, mistakes)
    return Limit(
        name=LimitName(name),
        seats=shape.seats,
        rate=shape.rate,
        burst=shape.burst or 1,
        per=Per(kind),
        header=header.lower().encode("ascii", "replace"),
        hold=Hold(shape.hold or "request"),
        ready_within=shape.ready_within or READY_WITHIN,
    )


def compile_timeouts(policy: PolicyShape) -> Timeouts:
    """The policy's timeouts; the schema has checked them."""
    return Timeouts(**policy.timeouts.model_dump())
