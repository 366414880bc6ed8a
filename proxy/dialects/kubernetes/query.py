"""Queries as the API server reads them, which is as Go does. Pure.

Go's ``url.ParseQuery`` splits at ``&``, leaves out pairs that hold ``;`` or a bad escape, and for most parameters
only the first of a name counts. Booleans are apimachinery's: absent, ``0`` and any-case ``false`` are false, and
everything else is true, even the empty value (kubernetes.md §1.2).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final
from urllib.parse import unquote_to_bytes

_VALUE: Final = "[^&;%]*+(?:%[0-9A-Fa-f]{2}[^&;%]*+)*+"
"""Up to the pair's end, where its escapes are whole and no ``;`` is in it."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One pair of a query: what it says, and where its bytes stand."""

    raw: bytes
    """The value as it stands in the query."""
    at: int
    """Where it begins; ``end`` where there is no ``=``."""
    end: int
    """Where the pair ends."""
    assigned: bool
    """Whether there is a ``=``."""

    @property
    def value(self) -> bytes:
        """Decoded."""
        return unquote_to_bytes(self.raw.replace(b"+", b" "))


def named(query: bytes, name: str) -> Iterator[Parameter]:
    """The pairs with this name (in ASCII) that the API server sees, in order.

    A query may hold thousands of pairs, and requests are asked for several names: so one is found by a single search.
    """
    for found in _pairs_named(name).finditer(b"&" + query):  # so each place is one further than in the query
        raw, end = found[1], found.end() - 1
        yield Parameter(raw or b"", end - len(raw or b""), end, raw is not None)


def first(query: bytes, name: str) -> Parameter | None:
    """The first of a name: the one that counts. None where there is none."""
    return next(named(query, name), None) if query else None


@cache
def _pairs_named(name: str) -> re.Pattern[bytes]:
    """A pair with this name behind its ``&``, whichever of its characters are escaped; its value, if it has a ``=``."""
    characters = "".join(f"(?:{re.escape(char)}|%{_either_case(f'{ord(char):02x}')})" for char in name)
    return re.compile(f"&{characters}(?:=({_VALUE}))?(?=&|\\Z)".encode("ascii"))


def _either_case(text: str) -> str:
    return "".join(f"[{char}{char.upper()}]" for char in text)


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
    sign = b"" if found.assigned else b"="
    return query[: found.at] + sign + value + query[found.end :]
