"""The scenarios run on the loop that production runs on."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.callers import RawCaller
from tests.support.loops import pytest_asyncio_loop_factories

__all__ = ["pytest_asyncio_loop_factories"]


@pytest.fixture(autouse=True)
async def _callers_go_home() -> AsyncIterator[None]:
    """No test leaves a connection open for the next."""
    yield
    await RawCaller.all_leave()
