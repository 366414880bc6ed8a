"""Waiting for a turn, and letting those who watch over the caller hear that it is queued."""

from __future__ import annotations

from collections.abc import Callable

from proxy.admission.view import TicketView
from proxy.domain.ids import Instant, Seconds
from proxy.domain.messages import RequestHead
from proxy.pipeline.claims import Caller
from proxy.policy.policyset import Sink
from proxy.policy.templates import Values
from proxy.ports import Clock, Couriers, RequestRecord, Visit


async def wait_for_turn(
    visit: Visit,
    sinks: tuple[Sink, ...],
    caller: Caller,
    head: RequestHead,
    couriers: Couriers,
    record: RequestRecord,
    clock: Clock,
) -> None:
    """Wait until the visit's seats are held, with progress to every sink meanwhile; none is sent afterwards.

    Raises what the store refuses with. Cancelled: no progress is sent any more; the visit is the caller's to leave.
    """
    began = clock()
    record.queued = True
    vigil = None
    if sinks:
        view = visit.look()
        before = Seconds(0.0) if view is None else view.waited
        vigil = couriers.begin(sinks, _fixed(sinks, visit, caller, head), _describing(visit, began, clock), before)
    try:
        await visit.turn()
    finally:
        record.waited += clock() - began
        if vigil is not None:
            await vigil.end()


def _fixed(sinks: tuple[Sink, ...], visit: Visit, caller: Caller, head: RequestHead) -> Values:
    """The placeholders that stay: tenant, ticket, and the headers the sinks name."""
    values: dict[str, str] = {"tenant": caller.tenant, "ticket": visit.ticket}
    for name in {name for sink in sinks for name in _names(sink)}:
        if name.startswith("header:"):
            value = head.get(name[7:].encode("latin-1"))
            if value is not None:
                values[name] = value.decode("latin-1")
    return values


def _names(sink: Sink) -> frozenset[str]:
    names = sink.to.names | sink.body.names()
    for _, template in sink.headers:
        names |= template.names
    return names


def _describing(visit: Visit, began: Instant, clock: Clock) -> Callable[[], Values]:
    """The placeholders that change, as of the moment they are asked for."""
    last: list[TicketView] = []

    def describe() -> Values:
        view = visit.look()
        if view is not None:
            last[:] = [view]
        elif last:
            view = last[0]
        if view is None:
            return {
                "waited": f"{clock() - began:.0f}",
                "position": "1",
                "eta": "unknown",
                "blocker": "",
                "attempt": "1",
            }
        return {
            "waited": str(int(view.waited)),
            "position": str(max(1, view.position)),
            "eta": "unknown" if view.eta is None else str(max(1, round(view.eta))),
            "blocker": view.blocker or "",
            "attempt": str(view.attempt),
        }

    return describe
