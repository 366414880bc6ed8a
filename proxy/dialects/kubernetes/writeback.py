"""What a caller read here never gets stored: a write of ``…/status`` loses what we told (kubernetes.md §6.1).

A stored terminal phase makes the kubelet tear down all containers, so a body that carries our condition gets back what
its message says was there before. What the caller did not send stays away, so the same holds for PUT, merge patch,
strategic merge patch and server-side apply. Where it cannot be done the write is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from proxy.dialects.kubernetes.brief import Fields, fields_of
from proxy.dialects.kubernetes.mark import CONDITION, IN_BYTES, REASONS, Before, Was, read
from proxy.domain.errors import StatusNotRestorable

_JSON_PATCH: Final = b"application/json-patch+json"
_ORDER: Final = "$setElementOrder/conditions"

_Shown = Mapping[str, Any]


class _Condition(msgspec.Struct):
    """A condition, or an element of a patch that stands for one."""

    type: str | None = None
    reason: str | None = None
    message: str | None = None
    directive: str | None = msgspec.field(default=None, name="$patch")


class _Operation(msgspec.Struct):
    """One operation of a JSON Patch (RFC 6902)."""

    op: str
    path: str
    value: msgspec.Raw = msgspec.Raw(b"null")


_LIST: Final = msgspec.json.Decoder(list[Fields] | None)
_CONDITIONS: Final = msgspec.json.Decoder(list[_Condition] | None)
_OPERATIONS: Final = msgspec.json.Decoder(list[_Operation])
_ENCODER: Final = msgspec.json.Encoder()


def restored(body: bytes, content_type: bytes) -> bytes:
    """The body of a PUT or PATCH of ``…/status`` as it may be stored; the same object where it has nothing of ours.

    StatusNotRestorable where our condition is in a body that is no JSON (YAML, protobuf, CBOR), in an operation of a
    JSON Patch, or has another message than ours. A ``test`` of the phase is left to fail.
    """
    if IN_BYTES not in body:
        return body
    try:
        if content_type.partition(b";")[0].strip().lower() == _JSON_PATCH:
            return _checked(body)
        fields = fields_of(body)
        status = _status(fields_of(fields["status"])) if "status" in fields else None
        return body if status is None else _ENCODER.encode({**fields, "status": status})
    except (ValueError, RecursionError):
        raise StatusNotRestorable("it is not the JSON of a pod") from None


def _checked(body: bytes) -> bytes:
    """Places in a list mean another thing once ours has left it, so that no operation is changed."""
    for operation in _OPERATIONS.decode(body):
        ours = operation.op in ("add", "replace") and IN_BYTES in bytes(operation.value)
        if ours and (operation.path == "" or f"{operation.path}/".startswith("/status/")):
            raise StatusNotRestorable("a JSON Patch brings its condition")
    return body


def _status(status: Fields) -> dict[str, Any] | None:
    """The status without what is ours; None where nothing is."""
    listed, shown = _paired(status, "conditions")
    ordered, order = _paired(status, _ORDER)
    if not any(condition.type == CONDITION for condition in (*shown, *order)):
        return None
    changed: dict[str, Any] = dict(status)
    before = _before(shown)
    if before is not None:
        if "phase" in changed:
            changed["phase"] = before.phase
        if before.unsaid:
            changed.pop("reason", None)
            changed.pop("message", None)
    was = {} if before is None else before.conditions
    if "conditions" in status:
        changed["conditions"] = [
            _condition(fields, was.get(condition.type or ""), condition)
            for fields, condition in zip(listed, shown, strict=True)
            if condition.type != CONDITION
        ]
    if _ORDER in status:
        changed[_ORDER] = [
            fields for fields, condition in zip(ordered, order, strict=True) if condition.type != CONDITION
        ]
    return changed


def _paired(status: Fields, key: str) -> tuple[list[Fields], list[_Condition]]:
    """A list of conditions with their bytes, and as they decide."""
    if key not in status:
        return [], []
    return _LIST.decode(status[key]) or [], _CONDITIONS.decode(status[key]) or []


def _before(shown: list[_Condition]) -> Before | None:
    """What was there before our condition; None where the body only takes it away or puts it in its place."""
    ours = [condition for condition in shown if condition.type == CONDITION and condition.directive != "delete"]
    if not ours:
        return None
    before = read(ours[0].message or "")
    if before is None:
        raise StatusNotRestorable(f"the message of {CONDITION} is not the one that was told")
    return before


def _condition(fields: Fields, was: Was | None, shown: _Condition) -> _Shown:
    """A condition as it was, where it still has the reason that we gave it."""
    if was is None or shown.reason not in REASONS.values():
        return fields
    changed: dict[str, Any] = {key: value for key, value in fields.items() if key not in ("reason", "message")}
    if was.reason is not None:
        changed["reason"] = was.reason
    if was.message is not None:
        changed["message"] = was.message
    return changed
