"""Paths for matching: one normal form, so that no spelling walks around a limit (design.md §2.3).

Unreserved percent-encodings are decoded once, dot-segments and doubled slashes resolved. The upstream
always gets the caller's own bytes; the normal form is only looked at. Never decode twice
(Envoy GHSA-xcx5-93pw-jw2w).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

_ESCAPE: Final = re.compile(rb"%([0-9A-Fa-f]{2})")
_UNRESERVED: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_PLAIN: Final = re.compile(rb"(?:/(?!\.{1,2}(?:/|$))[^%/\\;?#\x00]+)*/?")


class PathError(ValueError):
    """A path that is refused whatever the policy says: ``%00``, or dot-segments that leave the root."""


def _decode(found: re.Match[bytes]) -> bytes:
    value = int(found[1], 16)
    if value == 0:
        raise PathError("the path holds %00")
    return bytes((value,)) if value in _UNRESERVED else found[0].upper()


def decode_unreserved(path: bytes) -> bytes:
    """Decode what never needed encoding; leave the rest encoded, in upper case."""
    return _ESCAPE.sub(_decode, path) if b"%" in path else path


def normalise(path: bytes) -> bytes:
    """The normal form of an absolute path (without query).

    PathError where it holds ``%00`` or a dot-segment would leave the root it starts at. An encoded
    slash stays encoded; a trailing slash is kept.
    """
    if _PLAIN.fullmatch(path):
        return path or b"/"
    segments: list[bytes] = []
    parts = decode_unreserved(path).split(b"/")
    for part in parts[1:]:
        if part == b"..":
            if not segments:
                raise PathError("the path leaves its root")
            segments.pop()
        elif part not in (b"", b"."):
            segments.append(part)
    closed = parts[-1] in (b"", b".", b"..") and segments
    return b"/" + b"/".join(segments) + (b"/" if closed else b"")


class PathTemplate:
    """A path with holes: ``{name}`` matches within a segment (also inside quotes and brackets), ``**`` the rest.

    ``/tdata/CurationJobs('{id}')/**`` matches ``/tdata/CurationJobs('7')/x/y``. A template that ends in
    ``/**`` also matches the path before it.
    """

    __slots__ = ("_pattern", "names", "text")

    def __init__(self, text: str) -> None:
        if not text.startswith("/"):
            raise ValueError("a path template starts with /")
        self.text = text
        self.names: tuple[str, ...] = tuple(re.findall(r"\{([^{}]*)\}", text))
        for name in self.names:
            if not re.fullmatch(r"[a-z_][a-z0-9_]*", name):
                raise ValueError(f'"{{{name}}}" is not a name for a hole: use letters, digits and _')
        if len(set(self.names)) != len(self.names):
            raise ValueError("a name stands twice in the path template")
        body, rest = (text[:-3], "(?:/.*)?") if text.endswith("/**") else (text, "")
        if "*" in body:
            raise ValueError("** stands only at the end, after a slash")
        pieces = re.split(r"\{([^{}]*)\}", body)
        if re.search(r"[{}]", "".join(pieces[::2])):
            raise ValueError("a brace is not closed in the path template")
        parts = [re.escape(p) if i % 2 == 0 else f"(?P<{p}>[^/]+?)" for i, p in enumerate(pieces)]
        self._pattern = re.compile("".join(parts) + rest + r"/?" if not rest else "".join(parts) + rest, re.DOTALL)

    def match(self, path: str) -> dict[str, str] | None:
        """The holes' values, or None where the (normalised) path does not fit."""
        found = self._pattern.fullmatch(path)
        return None if found is None else found.groupdict()

    def __repr__(self) -> str:
        return f"PathTemplate({self.text!r})"


@lru_cache(maxsize=512)
def path_template(text: str) -> PathTemplate:
    """The compiled template of a text; ValueError with the reason where it is none."""
    return PathTemplate(text)
