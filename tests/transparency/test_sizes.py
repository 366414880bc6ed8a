"""Long bodies and many tunnels through a process of its own, in flat memory. More: ``python -m tests.heavy sizes``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.streams import MIB, Framing, reply, request, tunnels


@pytest.mark.parametrize(("framing", "size"), [("length", 1024 * MIB), ("chunked", 128 * MIB)])
async def test_a_long_reply(framing: Framing, size: int, tmp_path: Path) -> None:
    streamed = await reply(size, framing, tmp_path)
    assert streamed.flat, streamed


@pytest.mark.parametrize(("framing", "size"), [("length", 128 * MIB), ("chunked", 1024 * MIB)])
async def test_a_long_request(framing: Framing, size: int, tmp_path: Path) -> None:
    streamed = await request(size, framing, tmp_path)
    assert streamed.flat, streamed


async def test_two_hundred_tunnels_of_which_some_are_stalled(tmp_path: Path) -> None:
    streamed = await tunnels(200, MIB // 2, 10, tmp_path)
    assert streamed.flat, streamed
