"""What every chaos test shares: one real toxiproxy server for the session."""

from collections.abc import Iterator

import pytest

from chaos import toxics


@pytest.fixture(scope="session")
def server() -> Iterator[toxics.Toxiproxy]:
    """A running toxiproxy server; a test makes its own links and toxics."""
    with toxics.toxiproxy(toxics.binary()) as running:
        yield running
