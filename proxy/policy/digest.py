"""The digest of a policy: of what it means, not of how it is written. Comments, order of keys and spellings of a
duration do not change it; what the environment gave does."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from proxy.domain.paths import PathTemplate
from proxy.policy.policyset import PolicySet
from proxy.policy.templates import JsonTemplate, TextTemplate


def digest_of(policy: PolicySet) -> str:
    """64 hex digits, the same on every replica. The policy's own ``digest`` is left out."""
    meaning = {f.name: _canonical(getattr(policy, f.name)) for f in fields(policy) if f.name != "digest"}
    return hashlib.sha256(json.dumps(meaning, sort_keys=True, allow_nan=False).encode()).hexdigest()


def _canonical(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, TextTemplate):
        return ["template", *[list(part) for part in value.parts]]
    if isinstance(value, JsonTemplate):
        return _canonical(value.source)
    if isinstance(value, PathTemplate):
        return value.text
    if isinstance(value, re.Pattern):
        return _canonical(value.pattern)
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _canonical(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _canonical(item) for key, item in value.items()}
    if isinstance(value, frozenset):
        return sorted(_canonical(item) for item in value)
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)
