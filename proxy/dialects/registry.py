"""Every dialect by name. Those described in YAML take their places here when they come."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from proxy.dialects.base import Dialect
from proxy.dialects.e2b import E2bDialect
from proxy.dialects.e2b_sandbox import E2bSandboxDialect
from proxy.dialects.http import HttpDialect
from proxy.dialects.kubernetes.dialect import KubernetesDialect

_ALL: Final[tuple[Dialect, ...]] = (E2bDialect(), E2bSandboxDialect(), KubernetesDialect(), HttpDialect())

DIALECTS: Final[Mapping[str, Dialect]] = MappingProxyType({dialect.name: dialect for dialect in _ALL})
PLAIN: Final[Dialect] = DIALECTS["http"]
"""For replies to requests that belong to no upstream."""

OPERATIONS: Final[Mapping[str, frozenset[str]]] = MappingProxyType({d.name: d.operations for d in _ALL})
