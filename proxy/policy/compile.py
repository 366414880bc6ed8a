"""Policy files -> an immutable PolicySet, or every mistake in them at once. Pure: the files were read elsewhere.

The way: each file is read (``source``), all are joined (``join``), each value is checked (``schema_validate``), then
what concerns several values (``compile_*``). Every step goes on with what the one before left usable.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from proxy.policy.compile_limits import compile_limits, compile_timeouts
from proxy.policy.compile_routes import compile_routes
from proxy.policy.compile_sinks import compile_sinks
from proxy.policy.compile_tenants import compile_tenants
from proxy.policy.compile_upstreams import compile_upstreams
from proxy.policy.digest import digest_of
from proxy.policy.join import join
from proxy.policy.mistakes import Mistakes, PolicyError, PolicyErrors
from proxy.policy.policyset import PolicySet
from proxy.policy.schema import PolicyShape
from proxy.policy.schema_validate import validate
from proxy.policy.source import read_source

__all__ = ["PolicyError", "PolicyErrors", "load_policy"]


def load_policy(
    files: Sequence[tuple[str, bytes]],
    environment: Mapping[str, str],
    operations: Mapping[str, frozenset[str]],
) -> PolicySet:
    """The policy that these files (name, content) are together.

    ``operations`` are the dialects there are, each with what its requests can do. Raises PolicyErrors with every
    mistake of every file, in the order of the files and lines.
    """
    order = [name for name, _ in files]
    mistakes = Mistakes()
    if not files:
        mistakes.add((), "there is no policy file", "name a file, or a folder with .yaml files in it")
    sources = [read_source(name, content, environment, mistakes) for name, content in files]
    shape = _shape(join(sources, mistakes), mistakes)
    mistakes.settle()
    if shape is None:
        mistakes.raise_any(order)
        raise AssertionError("a policy without a shape has a mistake")
    policy = _compile(shape, operations, mistakes)
    mistakes.raise_any(order)
    return replace(policy, digest=digest_of(policy))


def _shape(data: dict[str, object], mistakes: Mistakes) -> PolicyShape | None:
    if mistakes.unreadable:  # what is missing may stand in the file that could not be read
        for key in ("version", "upstreams"):
            if key not in data:
                mistakes.mark((key,))
    return validate(data, mistakes)


def _compile(shape: PolicyShape, operations: Mapping[str, frozenset[str]], mistakes: Mistakes) -> PolicySet:
    routes = compile_routes(shape, operations, mistakes)
    return PolicySet(
        upstreams=compile_upstreams(shape, operations, mistakes),
        tenants=compile_tenants(shape, mistakes),
        limits=compile_limits(shape, mistakes),
        routes=routes,
        sinks=compile_sinks(shape, mistakes),
        timeouts=compile_timeouts(shape),
        digest="",
    )
