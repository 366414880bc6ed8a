"""A pytest hook for folders whose tests run on uvloop, as production does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Every async test of the folder gets a uvloop."""
    return {"uvloop": uvloop.new_event_loop}
