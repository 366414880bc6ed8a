"""The policy reference, rendered from the schema: ``python -m proxy.cli.policy_reference > docs/policy.md``.

A test compares the result with what is committed, so the reference cannot fall behind the schema.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

from proxy.domain.quantities import format_duration
from proxy.policy.schema import PolicyShape
from proxy.policy.schema_base import Shape
from proxy.policy.schema_kinds import Kind
from proxy.policy.shapes import Expected, Key, keys_of

_INTRODUCTION: Final = """\
# Policy reference

<!-- Rendered from proxy/policy/schema.py by `python -m proxy.cli.policy_reference > docs/policy.md`. -->

A policy is YAML: one file, or a folder whose `.yaml` files are one policy (maps are joined and a name twice is an
error; routes follow each other in the order of the file names). `headgate check FILE…` reports every mistake at once,
each with file, line, path and hint.

- **Durations** carry a unit: `500ms`, `45s`, `30m`, `2h`, `1d`; `0` needs none, a bare `30` is an error.
- **Rates** are `5/s`, `600/m`, `100/h`; **shares** are `20%`.
- **`${NAME}`** and **`${NAME:-default}`** in values are read from the environment; the default also stands in for an
  empty variable, and an unset one without a default is an error. What comes from there is taken literally, is never
  shown in errors, and inside `{ }` and `[ ]` needs quotes: `"${NAME}"`.
- Plain values mean what YAML 1.2 says: `true` and `false` are the only booleans (`yes` and `on` are texts), `010` and
  `1_000` are errors. Anchors, aliases, tags and merge keys are errors. A file is at most 1 MiB.
- **Names** of upstreams, limits, routes and sinks are 1 to 63 of `A–Z a–z 0–9 . _ -`, a letter or digit first.

A complete example is `policies/temper-e2b.yaml`.
"""

_NAMED: Final = {"upstreams": "NAME", "limits": "NAME", "progress": "NAME", "known": "PATTERN"}


def render() -> str:
    """The reference as Markdown."""
    parts = [_INTRODUCTION]
    for path, shape in _sections("", PolicyShape):
        title = f"`{path}`" if path else "The whole"
        parts.append(f"## {title}\n\n{_prose(shape)}\n\n{_table(shape)}\n{_later(shape)}")
    return "\n".join(parts)


def _sections(path: str, shape: type[Shape]) -> Iterator[tuple[str, type[Shape]]]:
    """Every shape with the path it stands at, in the order of the schema."""
    yield path, shape
    for key in keys_of(shape):
        at = f"{path}.{key.name}" if path else key.name
        found: Expected | None = key.expected
        while found is not None and found.shape is None:
            at += "[]" if found.is_list else f".{_NAMED.get(key.name, 'LIMIT')}"
            found = found.items
        if found is not None and found.shape is not None:
            yield from _sections(at, found.shape)


def _prose(shape: type[Shape]) -> str:
    return " ".join((shape.__doc__ or "").split())


def _table(shape: type[Shape]) -> str:
    rows = ["| key | type | default | meaning |", "|---|---|---|---|"]
    for key in keys_of(shape):
        cells = (f"`{key.name}`", _kind(key.expected), _default(key), key.meaning)
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def _kind(found: Expected) -> str:
    if found.kind is not None:
        return found.kind.label
    if found.shape is not None:
        return "map"
    if found.items is None:
        return ""
    inner = _kind(found.items)
    if found.is_list:
        return f"list of {'maps' if inner == 'map' else inner}"
    return f"map of name to {inner}"


def _default(key: Key) -> str:
    if key.required:
        return "**required**"
    value = key.default
    if value is None:
        return "–"
    if isinstance(value, Shape):
        return "as below"
    if value in ([], {}, ()):
        return "`{}`" if key.expected.items is None else "none"
    if isinstance(value, list) and isinstance(value[0], Shape):
        return "`[credential]`"
    if isinstance(value, list):
        return f"`{json.dumps(value)}`"
    return f"`{_written(value, key.expected.kind)}`"


def _written(value: object, kind: Kind | None) -> str:
    """A default as a policy would say it."""
    label = "" if kind is None else kind.label
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return format_duration(value) if label == "duration" else f"{value:.0%}" if label == "share" else f"{value:g}"
    if isinstance(value, tuple):
        return f"{format_duration(value[0])}..{format_duration(value[1])}" if ".." in label else str(value[0])
    return str(value)


def _later(shape: type[Shape]) -> str:
    if not shape.LATER:
        return ""
    keys = ", ".join(f"`{key}`" for key in shape.LATER)
    return f"\nNot available in this version: {keys}.\n"
