"""How a pod is shown: whole, as a Table, or as metadata only, as ``Accept`` asks (kubernetes.md §1.4, §1.5, §2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from proxy.fakes import kubernetes_table as table
from proxy.fakes.kubernetes_model import Pod
from proxy.fakes.kubernetes_status import refuse

Kind = Literal["object", "table", "metadata"]

_META = "meta.k8s.io/v1"


def negotiate(accept: str | None) -> Kind:
    """What the first range says that can be served, by weight and then in order; 406 where none can.

    The fake speaks JSON only: ranges of protobuf, CBOR and YAML are passed over.
    """
    weighed = []
    for text in (accept or "*/*").split(","):
        name, *parameters = (part.strip() for part in text.split(";"))
        values = dict(parameter.partition("=")[::2] for parameter in parameters)
        weighed.append((float(values.get("q", "1")), name.lower(), values))
    for _, name, values in sorted(weighed, key=lambda one: -one[0]):
        if name in ("application/json", "application/*", "*/*") and (kind := _kind(values)) is not None:
            return kind
    refuse(406, "NotAcceptable", "only the following media types are accepted: application/json", {})


def _kind(values: Mapping[str, str]) -> Kind | None:
    asked = values.get("as")
    if asked is None:
        return "object"
    if values.get("g") != "meta.k8s.io" or values.get("v") != "v1":
        return None
    if asked == "Table":
        return "table"
    return "metadata" if asked in ("PartialObjectMetadata", "PartialObjectMetadataList") else None


@dataclass(slots=True)
class View:
    """Shows pods to one request. ``wall`` is now, in seconds since 1970."""

    kind: Kind
    include: str
    """``includeObject`` of a Table: ``Metadata`` (and for an empty one), ``Object`` or ``None``."""
    wall: float
    _columns_told: bool = False

    def one(self, pod: Pod) -> Any:
        """A pod alone."""
        if self.kind == "table":
            return self._table([pod], {"resourceVersion": pod["metadata"]["resourceVersion"]}, columns=True)
        return _partial(pod) if self.kind == "metadata" else pod

    def many(self, pods: Sequence[Pod], metadata: Mapping[str, Any]) -> Any:
        """A list; its items carry no ``kind`` where they are whole pods."""
        if self.kind == "table":
            return self._table(pods, metadata, columns=True)
        if self.kind == "metadata":
            head = {"kind": "PartialObjectMetadataList", "apiVersion": _META}
            return head | {"metadata": dict(metadata), "items": [_partial(pod) for pod in pods]}
        items = [{name: value for name, value in pod.items() if name not in ("kind", "apiVersion")} for pod in pods]
        return {"kind": "PodList", "apiVersion": "v1", "metadata": dict(metadata), "items": items}

    def event(self, pod: Pod) -> Any:
        """The object of a watch event. Only the first Table of a stream has its columns."""
        if self.kind != "table":
            return self.one(pod)
        first, self._columns_told = not self._columns_told, True
        return self._table([pod], {"resourceVersion": pod["metadata"]["resourceVersion"]}, columns=first)

    def _table(self, pods: Sequence[Pod], metadata: Mapping[str, Any], *, columns: bool) -> Any:
        head = {"kind": "Table", "apiVersion": _META, "metadata": dict(metadata)}
        return head | {
            "columnDefinitions": table.COLUMNS if columns else None,
            "rows": [self._row(pod) for pod in pods],
        }

    def _row(self, pod: Pod) -> dict[str, Any]:
        row: dict[str, Any] = {"cells": table.cells(pod, self.wall)}
        if told := table.conditions(pod):
            row["conditions"] = told
        if self.include != "None":
            row["object"] = pod if self.include == "Object" else _partial(pod)
        return row


def _partial(pod: Pod) -> dict[str, Any]:
    return {"kind": "PartialObjectMetadata", "apiVersion": _META, "metadata": pod["metadata"]}
