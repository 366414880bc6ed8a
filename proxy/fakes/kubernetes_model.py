"""What a pod looks like as the API server makes and shows it. Pods are plain JSON objects; nobody changes one that is
stored."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

Pod = dict[str, Any]

GENERATED_LETTERS: Final = "bcdfghjklmnpqrstvwxz2456789"
LONGEST_BASE: Final = 58
"""Characters that are kept of a ``generateName``; five more are added."""
TERMINAL: Final = frozenset({"Succeeded", "Failed"})

_ESCAPES: Final = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
_METADATA: Final = (
    "name",
    "generateName",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "labels",
    "annotations",
)
"""The order in which the server writes metadata; the rest follows."""


def encode(value: Any, *, pretty: bool = False) -> bytes:
    """JSON as Go writes it: no blanks, ``<``, ``>`` and ``&`` escaped, a line feed behind it."""
    text = json.dumps(
        value, ensure_ascii=False, indent=2 if pretty else None, separators=(",", ": ") if pretty else (",", ":")
    )
    for character, escape in _ESCAPES.items():
        if character in text:
            text = text.replace(character, escape)
    return text.encode() + b"\n"


def stamp(wall: float) -> str:
    """Seconds since 1970 as the API writes them, whole."""
    return datetime.fromtimestamp(int(wall), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def ordered(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata in the server's order."""
    first = {name: metadata[name] for name in _METADATA if name in metadata}
    return first | {name: value for name, value in metadata.items() if name not in first}


class Namer:
    """Uids and generated names."""

    def __init__(self, seed: int | None) -> None:
        self._random = random.Random(seed)

    def uid(self) -> str:
        """A new uid."""
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def name(self, base: str) -> str:
        """A name for a ``generateName``."""
        return base[:LONGEST_BASE] + "".join(self._random.choices(GENERATED_LETTERS, k=5))


def new_pod(body: Mapping[str, Any], namespace: str, name: str, uid: str, wall: float) -> Pod:
    """A pod as it is stored by a create: the caller's spec with the server's defaults, and nothing of its status."""
    given = dict(body.get("metadata") or {})
    for mine in ("resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds", "managedFields"):
        given.pop(mine, None)
    metadata = given | {"name": name, "namespace": namespace, "uid": uid, "generation": 1}
    metadata |= {"creationTimestamp": stamp(wall)}
    spec = dict(body.get("spec") or {})
    spec["containers"] = [_container(c) for c in spec["containers"]]
    if "initContainers" in spec:
        spec["initContainers"] = [_container(c) for c in spec["initContainers"]]
    defaults = {
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "serviceAccountName": "default",
        "schedulerName": "default-scheduler",
        "enableServiceLinks": True,
    }
    spec |= {name: value for name, value in defaults.items() if name not in spec}
    status = {"phase": "Pending", "qosClass": "BestEffort"}
    return {"kind": "Pod", "apiVersion": "v1", "metadata": ordered(metadata), "spec": spec, "status": status}


def _container(given: Mapping[str, Any]) -> dict[str, Any]:
    defaults = {
        "resources": {},
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "imagePullPolicy": "IfNotPresent",
    }
    return dict(given) | {name: value for name, value in defaults.items() if name not in given}


def marked(pod: Pod, grace: int, wall: float) -> Pod:
    """The pod on its way out, with ``grace`` seconds from ``wall`` on."""
    metadata = pod["metadata"]
    ends = {"deletionTimestamp": stamp(wall + grace), "deletionGracePeriodSeconds": grace}
    ends["generation"] = metadata["generation"] + ("deletionTimestamp" not in metadata)
    return pod | {"metadata": ordered(metadata | ends)}


def bookmark(version: int, *, initial_events_end: bool = False) -> Pod:
    """The near-empty pod of a bookmark (kubernetes.md §1.3)."""
    metadata: dict[str, Any] = {"resourceVersion": str(version)}
    if initial_events_end:
        metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
    return {"kind": "Pod", "apiVersion": "v1", "metadata": metadata, "spec": {"containers": None}, "status": {}}
