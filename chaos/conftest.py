"""What every chaos test shares: one real toxiproxy server for the session, and the loop that production runs on."""

from collections.abc import Iterator

import pytest

from chaos import toxics
from tests.support.loops import pytest_asyncio_loop_factories

__all__ = ["pytest_asyncio_loop_factories"]


@pytest.fixture(scope="session")
def server() -> Iterator[toxics.Toxiproxy]:
    """A running toxiproxy server; a test makes its own links and toxics."""
    with toxics.toxiproxy(toxics.binary()) as running:
        yield running
