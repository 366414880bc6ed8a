"""Policies for tests: text in, a policy or its mistakes out."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import dedent

from proxy.dialects.registry import OPERATIONS
from proxy.policy.compile import PolicyError, PolicyErrors, load_policy
from proxy.policy.policyset import PolicySet

BASE = """\
version: 1
upstreams:
  e2b: {url: https://api.e2b.app, dialect: e2b}
"""


def policy(text: str, environment: Mapping[str, str] | None = None) -> PolicySet:
    """The policy of one file."""
    return load_policy([("p.yaml", dedent(text).encode())], environment or {}, OPERATIONS)


def mistakes(text: str | bytes, environment: Mapping[str, str] | None = None) -> list[PolicyError]:
    """What is wrong with one file; empty where nothing is."""
    content = dedent(text).encode() if isinstance(text, str) else text
    return mistakes_of({"p.yaml": content}, environment)


def mistakes_of(files: Mapping[str, bytes], environment: Mapping[str, str] | None = None) -> list[PolicyError]:
    """What is wrong with several files."""
    try:
        load_policy(list(files.items()), environment or {}, OPERATIONS)
    except PolicyErrors as errors:
        return list(errors)
    return []
