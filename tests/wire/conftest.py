"""The wire runs on uvloop, so its tests do."""

from __future__ import annotations

import pytest

from tests.support.certificates import Authority, server_context
from tests.support.loops import pytest_asyncio_loop_factories
from tests.support.tls_chain import Place

__all__ = ["pytest_asyncio_loop_factories"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Where certificates are kept, made once for all tests of a module."""
    folder = tmp_path_factory.mktemp("tls")
    authority = Authority(folder)
    return Place(folder, authority, server_context(authority.certificate("upstream", "127.0.0.1")))
