"""Queries as the API server reads them, which is as Go does. Pure.

Go's ``url.ParseQuery`` splits at ``&``, leaves out pairs that hold ``;`` or a bad escape, and for most parameters
only the first of a name counts. Booleans are apimachinery's: absent, ``0`` and any-case ``false`` are false, and
everything else is true, even the empty value (kubernetes.md §1.2).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes

_BAD_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One pair of a query: what it says, and where its bytes stand."""

    name: str
    value: bytes
    """Decoded."""
    start: int
    """Where the pair begins in the query."""
    at: int
    """Where its undecoded value begins; ``end`` where there is no ``=``."""
    end: int
    """Where the pair ends."""


def parameters(query: bytes) -> Iterator[Parameter]:
    """The pairs of a query that the API server sees, in order."""
    start = 0
    for pair in query.split(b"&"):
        end = start + len(pair)
        if pair and b";" not in pair and not _BAD_ESCAPE.search(pair):
            name, sign, value = pair.partition(b"=")
            at = end - len(value) if sign else end
            yield Parameter(_decoded(name).decode("utf-8", "replace"), _decoded(value), start, at, end)
        start = end + 1


def first(query: bytes, name: str) -> Parameter | None:
    """The first of a name: the one that counts. None where there is none."""
    if not query:
        return None
    return next((found for found in parameters(query) if found.name == name), None)


def text(query: bytes, name: str) -> str:
    """The value of a parameter; empty where it is absent."""
    found = first(query, name)
    return "" if found is None else found.value.decode("utf-8", "replace")


def flag(query: bytes, name: str) -> bool:
    """A boolean parameter."""
    found = first(query, name)
    return found is not None and found.value != b"0" and found.value.lower() != b"false"


def with_value(query: bytes, name: str, value: bytes) -> bytes:
    """The query with this parameter, its first of the name replaced in place; every other byte stays.

    ``value`` is as it stands in a query, already encoded.
    """
    found = first(query, name)
    if found is None:
        return b"&".join(part for part in (query, name.encode("ascii") + b"=" + value) if part)
    sign = b"" if found.at < found.end or query[found.start : found.end].endswith(b"=") else b"="
    return query[: found.at] + sign + value + query[found.end :]


def _decoded(raw: bytes) -> bytes:
    return unquote_to_bytes(raw.replace(b"+", b" "))
