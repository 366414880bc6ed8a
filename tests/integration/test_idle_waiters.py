"""Two thousand wait on one process, each for a few kilobytes; all are served. ``make heavy`` does ten thousand."""

from __future__ import annotations

from pathlib import Path

from tests.support.idle import SEATS, idle_waiters

MOST_BYTES = 24 * 1024
"""Far above what a waiter takes: the figure belongs to the heavy run, a leak or a task too many to this."""


async def test_two_thousand_idle_waiters_are_all_served(tmp_path: Path) -> None:
    idle = await idle_waiters(2000, tmp_path)
    assert (idle.served, idle.broken) == (2000, 0)
    assert idle.peak == SEATS
    assert idle.per_waiter < MOST_BYTES
