"""The admin listener runs on uvloop, so its tests do: asyncio's own loop leaks what is accepted while it closes."""

from tests.support.loops import pytest_asyncio_loop_factories

__all__ = ["pytest_asyncio_loop_factories"]
