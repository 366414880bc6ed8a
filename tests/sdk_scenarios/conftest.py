"""The SDK environments of :mod:`tests.sdk`: the same fixtures, and the two that count most."""

from __future__ import annotations

import pytest

from tests.sdk.conftest import LABELS, installed, newest, sdk
from tests.sdk.environments import Sdk
from tests.support.loops import pytest_asyncio_loop_factories

__all__ = ["both_newest", "newest", "pytest_asyncio_loop_factories", "sdk"]


@pytest.fixture(params=[LABELS[0], LABELS[-1]])
def both_newest(request: pytest.FixtureRequest) -> Sdk:
    """The newest SDK of each language, which retry by themselves."""
    return installed(request.param)
