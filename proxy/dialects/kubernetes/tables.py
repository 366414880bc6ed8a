"""Tables and bare metadata where a phase selector chooses: they have no phase, so more is asked for and cut down again.

Upstream a Table is asked for with ``includeObject=Object``, and metadata as plain pods. What the caller gets is what
the API server would have given it (kubernetes.md §5; ``asTable`` and ``asPartialObjectMetadata`` in k8s.io/apiserver
v0.34.2). Nothing else of a Table ever changes: its STATUS is the server's own word (kubernetes.md §3.1).
"""

from __future__ import annotations

from enum import Enum
from typing import Final

import msgspec

from proxy.dialects.kubernetes.brief import Fields, brief_of, fields_of
from proxy.dialects.kubernetes.query import text, with_value
from proxy.dialects.kubernetes.selectors import PhaseTest
from proxy.dialects.kubernetes.watch import Tells

_ROWS: Final = msgspec.json.Decoder(list[msgspec.Raw] | None)
_ENCODER: Final = msgspec.json.Encoder()
_NO_COLUMNS: Final = (b"null", b"[]")
_NULL: Final = b"null"


class Include(Enum):
    """What of its object a row of a Table carries (``includeObject=``)."""

    METADATA = "Metadata"
    OBJECT = "Object"
    NONE = "None"


def asked_include(query: bytes) -> Include | None:
    """What a query asks for; None where the API server refuses it."""
    try:
        return Include(text(query, "includeObject") or "Metadata")
    except ValueError:
        return None


def with_objects(query: bytes) -> bytes:
    """The query that asks for whole objects in the rows."""
    return with_value(query, "includeObject", Include.OBJECT.value.encode("ascii"))


def metadata_of(pod: bytes, version: str) -> bytes:
    """The object as a PartialObjectMetadata; ValueError or RecursionError where it has none."""
    metadata = fields_of(pod).get("metadata")
    if metadata is None:
        raise ValueError("no metadata")
    head = f'{{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/{version}","metadata":'
    return head.encode("ascii") + bytes(metadata) + b"}"


class Rows:
    """Rows of a Table with whole objects, as one asked for another form of them."""

    __slots__ = ("_include", "_version")

    def __init__(self, include: Include, version: str) -> None:
        self._include = include
        self._version = version

    def cut(self, row: bytes) -> bytes:
        """The row with as much of its object as was asked for; the same object where that is all of it."""
        if self._include is Include.OBJECT:
            return row
        shown = _NULL if self._include is Include.NONE else metadata_of(pod_of_row(row), self._version)
        return _ENCODER.encode({**fields_of(row), "object": msgspec.Raw(shown)})


def pod_of_row(row: bytes) -> bytes:
    """The pod of a row; ValueError or RecursionError where it has none."""
    shown = fields_of(row).get("object")
    if shown is None or bytes(shown) == _NULL:
        raise ValueError("no object in the row")
    return bytes(shown)


class ChosenRows:
    """What happens to each row of a list as a Table."""

    __slots__ = ("_rows", "_teller", "_test")

    def __init__(self, teller: Tells, rows: Rows, test: PhaseTest) -> None:
        self._teller = teller
        self._rows = rows
        self._test = test

    def __call__(self, row: bytes) -> bytes | None:
        """The row as it goes on; None: it does not (see ``items.EachItem``)."""
        told = self._teller.tell(pod_of_row(row))
        return self._rows.cut(row) if self._test.holds(brief_of(told).phase) else None


class ChosenPods:
    """What happens to each pod of a list: whole, or as its metadata where ``version`` says which."""

    __slots__ = ("_teller", "_test", "_version")

    def __init__(self, teller: Tells, test: PhaseTest, version: str | None) -> None:
        self._teller = teller
        self._test = test
        self._version = version

    def __call__(self, pod: bytes) -> bytes | None:
        """The pod as it goes on; None: it does not (see ``items.EachItem``)."""
        told = self._teller.tell(pod)
        if not self._test.holds(brief_of(told).phase):
            return None
        return told if self._version is None else metadata_of(told, self._version)


class MetadataView:
    """The view of a watch that was asked for metadata (see :class:`proxy.dialects.kubernetes.watch.View`)."""

    __slots__ = ("_version",)

    def __init__(self, version: str) -> None:
        self._version = version

    def pod(self, shown: bytes) -> bytes:
        return shown

    def showing(self, shown: bytes, told: bytes) -> bytes:
        return metadata_of(told, self._version)

    def bookmark(self, shown: bytes) -> bytes:
        return metadata_of(shown, self._version)

    def missed(self, shown: bytes) -> None:
        pass


class TableView:
    """The view of a watch that was asked for Tables, each with one row.

    Only the stream's first event names the columns. Where it does not go on, the next one that does names them.
    """

    __slots__ = ("_columns", "_rows")

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._columns: msgspec.Raw | None = None
        """The columns of an event that did not go on, until one does."""

    def pod(self, shown: bytes) -> bytes:
        rows = _rows_of(fields_of(shown))
        if len(rows) != 1:
            raise ValueError("not one row in the event")
        return pod_of_row(rows[0])

    def showing(self, shown: bytes, told: bytes) -> bytes:
        return self.bookmark(shown)

    def bookmark(self, shown: bytes) -> bytes:
        table = fields_of(shown)
        changed: dict[str, object] = {**table, "rows": [msgspec.Raw(self._rows.cut(row)) for row in _rows_of(table)]}
        if self._columns is not None and not _has_columns(table):
            changed["columnDefinitions"] = self._columns
        self._columns = None
        return _ENCODER.encode(changed)

    def missed(self, shown: bytes) -> None:
        table = fields_of(shown)
        if _has_columns(table):
            self._columns = table["columnDefinitions"].copy()


def _rows_of(table: Fields) -> list[bytes]:
    return [bytes(row) for row in _ROWS.decode(table.get("rows", b"[]")) or ()]


def _has_columns(table: Fields) -> bool:
    return bytes(table.get("columnDefinitions", _NULL)) not in _NO_COLUMNS
