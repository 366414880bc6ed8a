"""The real SDKs as fixtures. Where they cannot be built, their tests are skipped, but never in CI."""

from __future__ import annotations

import os
from functools import cache

import pytest

from tests.sdk.environments import JS_VERSION, PYTHON_VERSIONS, NotBuildable, Sdk, javascript, python

LABELS = [*(f"python-{version}" for version in PYTHON_VERSIONS), f"js-{JS_VERSION}"]


@cache
def _built(label: str) -> Sdk | NotBuildable:
    name, _, version = label.partition("-")
    try:
        return python(version) if name == "python" else javascript()
    except NotBuildable as why:
        return why


def installed(label: str) -> Sdk:
    """That SDK, built if need be."""
    sdk = _built(label)
    if isinstance(sdk, Sdk):
        return sdk
    if os.environ.get("CI"):
        raise sdk
    pytest.skip(f"{label} cannot be built here: {sdk}")


@pytest.fixture(params=LABELS)
def sdk(request: pytest.FixtureRequest) -> Sdk:
    """Each SDK in turn."""
    return installed(request.param)


@pytest.fixture
def newest() -> Sdk:
    """The newest Python SDK, which retries by itself."""
    return installed(LABELS[0])
