"""Walking the schema: what a path of the policy is expected to hold. Used by validation and by the reference."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Union, get_args, get_origin

from proxy.policy.mistakes import Path
from proxy.policy.schema import PolicyShape
from proxy.policy.schema_base import Shape
from proxy.policy.schema_kinds import Kind, StandIn


@dataclass(frozen=True, slots=True)
class Expected:
    """What stands at a path: a shape, a map or list of something, or a value of a kind."""

    annotation: Any
    metadata: tuple[Any, ...] = ()

    @property
    def shape(self) -> type[Shape] | None:
        """The shape of a map with known keys."""
        return self.annotation if isinstance(self.annotation, type) and issubclass(self.annotation, Shape) else None

    @property
    def items(self) -> Expected | None:
        """What a map's values or a list's items are."""
        if get_origin(self.annotation) in (dict, list, Mapping):
            return expected(get_args(self.annotation)[-1])
        return None

    @property
    def is_list(self) -> bool:
        """Whether a list stands here."""
        return get_origin(self.annotation) is list

    @property
    def kind(self) -> Kind | None:
        """The kind of a value without parts."""
        return next((m for m in self.metadata if isinstance(m, Kind)), None)

    @property
    def stand_in(self) -> StandIn | None:
        """What replaces a required value that cannot be used."""
        return next((m for m in self.metadata if isinstance(m, StandIn)), None)

    def at(self, part: str | int) -> Expected | None:
        """What stands at a key or position; None where nothing is expected."""
        if self.shape is None:
            return self.items
        field = self.shape.model_fields.get(part) if isinstance(part, str) else None
        return None if field is None else expected(field.annotation, tuple(field.metadata))


def expected(annotation: Any, metadata: tuple[Any, ...] = ()) -> Expected:
    """An annotation without its ``Annotated`` and ``| None``."""
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *more = get_args(annotation)
        return expected(inner, (*metadata, *more))
    if origin in (Union, types.UnionType):
        inner = next(arg for arg in get_args(annotation) if arg is not type(None))
        return expected(inner, metadata)
    return Expected(annotation, metadata)


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a shape, for the reference. ``default`` means nothing where the key is required."""

    name: str
    expected: Expected
    required: bool
    default: object
    meaning: str


def keys_of(shape: type[Shape]) -> tuple[Key, ...]:
    """The keys of a shape, in the order of the schema."""
    return tuple(
        Key(name, expected(f.annotation, tuple(f.metadata)), f.is_required(), f.default, f.description or "")
        for name, f in shape.model_fields.items()
    )


def expected_at(path: Path) -> Expected | None:
    """What the schema expects at a path of a policy."""
    found: Expected | None = Expected(PolicyShape)
    for part in path:
        found = None if found is None else found.at(part)
    return found
