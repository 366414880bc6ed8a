"""The little of a pod that choosing it by phase needs: which it is, and its phase. Pure."""

from __future__ import annotations

from typing import Final

import msgspec


class _Metadata(msgspec.Struct, gc=False):
    name: str = ""
    namespace: str = ""


class _Status(msgspec.Struct, gc=False):
    phase: str = ""


class Brief(msgspec.Struct):
    """A pod in short."""

    metadata: _Metadata
    status: _Status = msgspec.field(default_factory=_Status)

    @property
    def key(self) -> tuple[str, str]:
        """Its namespace and name."""
        return self.metadata.namespace, self.metadata.name

    @property
    def phase(self) -> str:
        """Its phase; empty where it has none, as the API server's selectors have it."""
        return self.status.phase


Fields = dict[str, msgspec.Raw]
"""The members of an object in their order, each as it came."""

_BRIEF: Final = msgspec.json.Decoder(Brief)
_FIELDS: Final = msgspec.json.Decoder(Fields)


def brief_of(pod: bytes) -> Brief:
    """The pod in short; ValueError or RecursionError where these bytes are no pod."""
    return _BRIEF.decode(pod)


def fields_of(raw: bytes | msgspec.Raw) -> Fields:
    """The members of an object; ValueError or RecursionError where these bytes are none."""
    return _FIELDS.decode(raw)
