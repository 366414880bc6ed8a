"""The scenarios run on the loop that production runs on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """One factory, so every async test here runs once, on uvloop."""
    return {"uvloop": uvloop.new_event_loop}
