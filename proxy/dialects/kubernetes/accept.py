"""What an Accept field asks for, and the same field without what is not JSON (kubernetes.md §2.3). Pure.

It is read as the API server reads it (munnerz/goautoneg and ``NegotiateMediaTypeOptions`` of k8s.io/apiserver
v0.34.2): only the first line of the field, names as they are spelled, better ``q`` first, and then the first range
that the server can serve.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

JSON: Final = b"application/json"
_NOT_JSON: Final = frozenset(
    {b"application/vnd.kubernetes.protobuf", b"application/cbor", b"application/cbor-seq", b"application/yaml"}
)
_ANSWERED_IN_JSON: Final = frozenset({JSON, b"application/*", b"*/*", b"*"})
_CONVERTING: Final = (b"as", b"g", b"v")

Form = Literal["object", "table", "metadata"]
"""Objects as they are · the server's Table of them · their metadata alone."""
_FORMS: Final[Mapping[bytes, Form]] = MappingProxyType(
    {b"Table": "table", b"PartialObjectMetadata": "metadata", b"PartialObjectMetadataList": "metadata"}
)


@dataclass(frozen=True, slots=True)
class Asked:
    """How pods are asked for. ``version`` is that of ``meta.k8s.io`` for a form other than the object."""

    form: Form
    version: str = ""


AS_THEY_ARE: Final = Asked("object")


@dataclass(frozen=True, slots=True)
class _Range:
    text: bytes
    """As it stands between the commas."""
    type: bytes
    quality: float
    parameters: Mapping[bytes, bytes]


def only_json(accept: bytes) -> bytes:
    """The value without what the server could answer in anything but JSON; the same object where nothing changes.

    Where nothing is left that it could serve at all, the best of what was taken out is asked for as JSON.
    """
    ranges = [_range(text) for text in accept.split(b",")]
    kept = [found for found in ranges if found.type not in _NOT_JSON]
    if len(kept) == len(ranges):
        return accept
    if any(_served(found) for found in kept):
        return b",".join(found.text for found in kept).strip(b" ")
    best = _sorted([found for found in ranges if found.type in _NOT_JSON])[0]
    converted = [name + b"=" + best.parameters[name] for name in _CONVERTING if name in best.parameters]
    return b",".join([*(found.text.strip(b" ") for found in kept), b";".join([JSON, *converted])])


def asked(accept: bytes | None) -> Asked:
    """What the server makes of a value that is :func:`only_json`; objects where there is none."""
    for found in _sorted([_range(text) for text in (accept or b"").split(b",")]):
        served = _served(found)
        if served is not None:
            return served
    return AS_THEY_ARE


def _served(found: _Range) -> Asked | None:
    """What a range of JSON is answered with; None where the server passes over it."""
    stream = found.parameters.get(b"stream", b"")
    if found.type not in _ANSWERED_IN_JSON or stream not in (b"", b"watch") or found.parameters.get(b"sv"):
        return None
    if not any(name in found.parameters for name in _CONVERTING):
        return AS_THEY_ARE
    kind, group, version = (found.parameters.get(name, b"") for name in _CONVERTING)
    form = _FORMS.get(kind)
    if form is None or group != b"meta.k8s.io" or version not in (b"v1", b"v1beta1"):
        return None
    return Asked(form, version.decode("ascii"))


def _range(text: bytes) -> _Range:
    pieces = text.split(b";")
    main, slash, sub = pieces[0].partition(b"/")
    quality, parameters = 1.0, {}
    for piece in pieces[1:]:
        name, _, value = piece.partition(b"=")
        name = name.strip(b" ")
        if not value or b"=" in value:
            continue
        if name == b"q":
            quality = _number(value)
        else:
            parameters[name] = value.strip(b" ")
    return _Range(text, main.strip(b" ") + slash + sub.strip(b" "), quality, parameters)


def _number(value: bytes) -> float:
    try:
        return float(value)
    except ValueError:
        return 0.0


def _sorted(ranges: list[_Range]) -> list[_Range]:
    """In the server's order: Go sorts so few by insertion, and its comparison is no order, so both are followed."""
    found = list(ranges)
    for end in range(1, len(found)):
        at = end
        while at and _before(found[at], found[at - 1]):
            found[at - 1], found[at] = found[at], found[at - 1]
            at -= 1
    return found


def _before(one: _Range, other: _Range) -> bool:
    return one.quality > other.quality or (other.type.endswith(b"*") and not one.type.endswith(b"*"))
