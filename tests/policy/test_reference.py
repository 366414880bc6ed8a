"""The reference is rendered from the schema, complete, and committed."""

from __future__ import annotations

from pathlib import Path

from proxy.policy.reference import render
from proxy.policy.schema import PolicyShape
from proxy.policy.schema_base import Shape
from proxy.policy.shapes import keys_of

COMMITTED = Path(__file__).parent.parent.parent / "docs" / "policy.md"


def test_the_committed_reference_is_up_to_date() -> None:
    assert COMMITTED.read_text("utf-8") == render(), "python -m proxy.cli.policy_reference > docs/policy.md"


def test_every_key_says_what_it_means() -> None:
    shapes = _shapes(Shape)
    assert len(shapes) > 15
    for shape in shapes:
        assert shape.__doc__
        for key in keys_of(shape):
            assert key.meaning, f"{shape.__name__}.{key.name}"


def test_every_shape_is_in_the_reference() -> None:
    text = render()
    for shape in _shapes(Shape):
        for key in keys_of(shape):
            assert f"| `{key.name}` |" in text
        for key_later in shape.LATER:
            assert f"`{key_later}`" in text
    assert "| `patience` | duration | `45s` |" in text
    assert "| `backoff` | duration`..`duration | `500ms..30s` |" in text


def test_the_root_is_the_whole() -> None:
    assert [key.name for key in keys_of(PolicyShape) if key.required] == ["version", "upstreams"]


def _shapes(of: type[Shape]) -> list[type[Shape]]:
    return [found for sub in of.__subclasses__() for found in (sub, *_shapes(sub))]
