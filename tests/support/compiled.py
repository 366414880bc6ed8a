"""Tests that a compiled Headgate cannot take part in (docs/decisions/0004-compiled-wheel.md)."""

from __future__ import annotations

import pytest

import proxy.stores.memory

python_only = pytest.mark.skipif(
    not proxy.stores.memory.__file__.endswith(".py"), reason="changes what cannot be changed once it is compiled"
)
