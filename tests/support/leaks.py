"""Whether a proxy has given everything back: seats, tickets, tasks, connections, vigils."""

from __future__ import annotations

import asyncio

from tests.support.proxies import Proxy
from tests.support.waiting import until


def leftovers(proxy: Proxy, tasks: int) -> dict[str, object]:
    """Whatever is still held, by name; empty where nothing is. ``tasks`` is how many ran before."""
    app = proxy.app
    view = app.store.view()
    rates = {name for name, limit in app.policies.limits.items() if limit.seats is None}
    found: dict[str, object] = {
        "seats": sum(limit.held for limit in view.limits if limit.name not in rates),
        "tickets": view.tickets,
        "waiting": sum(queue.waiting + queue.lingering for queue in view.queues),
        "visits": len(app.store._visits),
        "callers": app.front.connected,
        "busy upstream connections": app.connections.open - app.connections.idle,
        "vigils": len(app.couriers.timetable),
        "tasks": max(0, len(asyncio.all_tasks()) - tasks),
    }
    return {name: value for name, value in found.items() if value}


async def nothing_left(proxy: Proxy, tasks: int) -> None:
    """Wait until nothing is held any more."""
    try:
        await until(lambda: not leftovers(proxy, tasks), within=10)
    except AssertionError:
        raise AssertionError(f"left over: {leftovers(proxy, tasks)}") from None
