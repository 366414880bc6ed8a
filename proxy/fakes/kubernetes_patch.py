"""The patches that clients send: JSON Patch, merge patch, strategic merge patch, and apply as a strategic one.

A strategic merge knows which lists of a pod are merged by which key; the others are replaced whole. Of its directives
it knows ``$patch`` (``delete``, ``replace``); orders of elements are ignored. Nothing that is given is changed.
"""

from __future__ import annotations

import copy
from typing import Any, Final

from proxy.fakes.kubernetes_status import refuse

MERGE: Final = "application/merge-patch+json"
STRATEGIC: Final = "application/strategic-merge-patch+json"
JSON_PATCH: Final = "application/json-patch+json"
APPLY: Final = "application/apply-patch+yaml"
KINDS: Final = (JSON_PATCH, MERGE, STRATEGIC, APPLY)

_MERGED_BY: Final = {
    "containers": "name",
    "initContainers": "name",
    "ephemeralContainers": "name",
    "volumes": "name",
    "env": "name",
    "imagePullSecrets": "name",
    "volumeMounts": "mountPath",
    "ports": "containerPort",
    "conditions": "type",
    "podIPs": "ip",
    "hostAliases": "ip",
    "ownerReferences": "uid",
}
"""Lists of a pod and the key of their elements (``patchMergeKey`` of the API's types)."""


def apply(kind: str, document: Any, patch: Any) -> Any:
    """The patched document; ``Refused`` with 400 or 422 where the patch does not fit."""
    if kind == JSON_PATCH:
        return _json_patch(document, patch)
    if not isinstance(patch, dict):
        refuse(400, "BadRequest", "the patch is no object")
    return merge(document, patch) if kind == MERGE else strategic(document, patch)


def merge(document: Any, patch: Any) -> Any:
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    result = dict(document) if isinstance(document, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge(result.get(name), value)
    return result


def strategic(document: Any, patch: Any, name: str = "") -> Any:
    """A strategic merge of what stands under ``name``."""
    if isinstance(patch, dict):
        return _strategic_object(document if isinstance(document, dict) else {}, patch)
    if isinstance(patch, list) and name in _MERGED_BY:
        return _strategic_list(document if isinstance(document, list) else [], patch, _MERGED_BY[name])
    return patch


def _strategic_object(document: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    replaces = patch.get("$patch") == "replace"
    result = {} if replaces else dict(document)
    for name, value in patch.items():
        if name.startswith("$"):
            continue
        if value is None:
            result.pop(name, None)
        else:
            result[name] = strategic(result.get(name), value, name)
    return result


def _strategic_list(document: list[Any], patch: list[Any], key: str) -> list[Any]:
    result = [] if {"$patch": "replace"} in patch else list(document)
    for element in patch:
        if key not in element:
            continue
        at = next((n for n, one in enumerate(result) if one.get(key) == element[key]), None)
        if element.get("$patch") == "delete":
            result = [one for one in result if one.get(key) != element[key]]
        elif at is None:
            result.append(strategic({}, element))
        else:
            result[at] = strategic(result[at], element)
    return result


def _json_patch(document: Any, patch: Any) -> Any:
    """RFC 6902; a ``test`` that fails is a 422, and so is a path that leads nowhere."""
    root = {"": copy.deepcopy(document)}
    for step in patch if isinstance(patch, list) else [patch]:
        try:
            _step(root, step["op"], step)
        except (KeyError, IndexError, ValueError, TypeError):
            refuse(422, "Invalid", "the server rejected our request due to an error in our request", {})
    return root[""]


def _step(root: Any, name: str, step: dict[str, Any]) -> None:
    path = step["path"]
    if name == "test":
        if _value(root, path) != step["value"]:
            raise ValueError(f"testing value {path} failed")
    elif name in ("add", "replace"):
        _put(root, path, copy.deepcopy(step["value"]), adds=name == "add")
    elif name == "remove":
        _take(root, path)
    elif name in ("copy", "move"):
        value = copy.deepcopy(_value(root, step["from"]))
        if name == "move":
            _take(root, step["from"])
        _put(root, path, value, adds=True)
    else:
        raise ValueError(f"unknown operation {name}")


def _parent(root: Any, path: str) -> tuple[Any, Any]:
    """The object or list a pointer leads into, and the key or index there."""
    keys = [key.replace("~1", "/").replace("~0", "~") for key in path.split("/")]
    for key in keys[:-1]:
        root = root[int(key)] if isinstance(root, list) else root[key]
    last = keys[-1]
    return root, (len(root) if last == "-" else int(last)) if isinstance(root, list) else last


def _value(root: Any, path: str) -> Any:
    parent, key = _parent(root, path)
    return parent[key]


def _put(root: Any, path: str, value: Any, *, adds: bool) -> None:
    parent, key = _parent(root, path)
    if isinstance(parent, list) and adds:
        parent.insert(key, value)
    elif adds or parent[key] is not None:  # to replace what is not there is an error
        parent[key] = value


def _take(root: Any, path: str) -> None:
    parent, key = _parent(root, path)
    del parent[key]
