"""Plain data -> the schema's shapes, with every mistake said and the rest still usable.

One pass of pydantic finds what is wrong value by value. What is wrong is then taken out (or replaced by a
stand-in where the schema wants a value), so that the second look, across values, sees everything else: a policy
with a bad duration in one place and an unknown limit in another is told of both.
"""

from __future__ import annotations

import copy
from typing import Any, Final

from pydantic import ValidationError

from proxy.policy.mistakes import Mistakes, Path, did_you_mean, shown
from proxy.policy.schema import PolicyShape
from proxy.policy.schema_kinds import LATER
from proxy.policy.shapes import expected_at
from proxy.policy.source import BROKEN

_PASSES: Final = 8
"""More than enough: each pass takes out everything it finds, and what is left is of less depth."""


def validate(data: dict[str, object], mistakes: Mistakes) -> PolicyShape | None:
    """The policy's shape, made of what is right in ``data``; None where nothing can be made of it."""
    data = copy.deepcopy(data)
    _refuse_nothing(data, (), mistakes)
    replaced: set[Path] = set()
    for _ in range(_PASSES):
        try:
            return PolicyShape.model_validate(data)
        except ValidationError as error:
            found = error.errors(include_url=False)
        for item in found:
            path: Path = tuple(item["loc"])
            problem, hint = _explain(item, path)
            mistakes.add(path, problem, hint)
        for item in found:
            _take_out(data, tuple(item["loc"]), replaced)
    return None


def _refuse_nothing(node: Any, path: Path, mistakes: Mistakes) -> None:
    """A key without a value is a mistake everywhere but in a sink's body, where null is JSON."""
    if len(path) == 3 and path[0] == "progress" and path[2] == "body":
        return
    parts = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in list(parts):
        if value is None:
            mistakes.add((*path, key), "has no value", "give it one, or leave it out")
            node[key] = BROKEN
        else:
            _refuse_nothing(value, (*path, key), mistakes)


def _explain(item: Any, path: Path) -> tuple[str, str]:
    """Problem and hint of one of pydantic's findings."""
    kind, value = item["type"], item.get("input")
    if kind == "policy":
        return item["ctx"]["problem"], item["ctx"]["hint"]
    if kind == "extra_forbidden":
        return _unknown(path)
    if kind == "missing":
        return "is missing", _describe(path)
    if kind in ("model_type", "dict_type"):
        wanted = expected_at(path)
        shape = None if wanted is None else wanted.shape
        hint = "write a line for each name" if shape is None else "its keys are: " + ", ".join(shape.model_fields)
        return f"wants a map of keys and values, got {shown(value)}", hint
    if kind == "list_type":
        return f"wants a list, got {shown(value)}", "write [ ] around it, or a line with - for each item"
    return f"cannot be used: {kind}", _describe(path)


def _unknown(path: Path) -> tuple[str, str]:
    parent = expected_at(path[:-1])
    shape = None if parent is None else parent.shape
    key = str(path[-1])
    if shape is None:
        return "is not a known key", ""
    if key in shape.LATER:
        return LATER.format(f'"{key}"'), shape.LATER[key]
    return f"{shown(key)} is not a known key", did_you_mean(key, shape.model_fields)


def _describe(path: Path) -> str:
    """The schema's own words on what stands at a path."""
    parent = expected_at(path[:-1]) if path else None
    field = parent.shape.model_fields.get(str(path[-1])) if parent is not None and parent.shape is not None else None
    return "" if field is None or field.description is None else field.description.replace("`", "")


def _take_out(data: Any, path: Path, replaced: set[Path]) -> None:
    """Remove what is wrong at a path: a stand-in, then an empty map, then nothing takes its place."""
    holder = data
    for part in path[:-1]:
        try:
            holder = holder[part]
        except (KeyError, IndexError, TypeError):
            return
    wanted = expected_at(path)
    key = path[-1]
    first_time = path not in replaced
    replaced.add(path)
    if wanted is not None and wanted.stand_in is not None and isinstance(holder, dict) and first_time:
        holder[key] = copy.deepcopy(wanted.stand_in.value)
    elif wanted is not None and wanted.shape is not None and first_time:
        holder[key] = {}
    elif isinstance(holder, dict):
        holder.pop(key, None)
    else:
        _take_out(data, path[:-1], replaced)
