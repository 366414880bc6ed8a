"""The scenarios run on the loop that production runs on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

import pytest
import uvloop

from tests.support.callers import RawCaller


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """One factory, so every async test here runs once, on uvloop."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(autouse=True)
async def _callers_go_home() -> AsyncIterator[None]:
    """No test leaves a connection open for the next."""
    yield
    await RawCaller.all_leave()
