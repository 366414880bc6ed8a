"""Pipelined requests by the thousand. ``python -m tests.heavy pipelined`` sends a hundred thousand."""

from __future__ import annotations

from pathlib import Path

from tests.support.pipelined import pipelined


async def test_all_are_answered_in_order_in_bounded_memory_and_others_served(tmp_path: Path) -> None:
    count = 20_000
    run = await pipelined(count, tmp_path)
    assert run.answered == count and run.whole, run
    assert run.growth < 8 << 20, run
    assert run.ahead < count // 2, "the others were served while there was still much to do"
