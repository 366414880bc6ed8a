"""Several files, one policy: maps are joined (a name twice is an error that names both places), routes follow
each other in the order of the files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from proxy.policy.mistakes import Mistakes, Path, Place, PolicyError, printable
from proxy.policy.source import Source

_JOINED: Final = frozenset(
    {("upstreams",), ("limits",), ("progress",), ("timeouts",), ("tenants",), ("tenants", "known")}
)
"""Maps whose keys may come from several files. Everything else comes from one."""


def join(sources: Sequence[Source], mistakes: Mistakes) -> dict[str, object]:
    """The data of all files as one. Afterwards ``mistakes`` knows the place of every path."""
    whole: dict[str, object] = {}
    places: dict[Path, Place] = {}
    mistakes.places = places
    for source in sources:
        if not isinstance(source.data, dict):
            continue
        routes = whole.get("routes")
        offset = len(routes) if isinstance(routes, list) else 0
        _Join(source, places, offset, mistakes).run(whole)
    return whole


class _Join:
    """One file on its way into the whole. ``offset`` is where its routes begin there."""

    def __init__(self, source: Source, places: dict[Path, Place], offset: int, mistakes: Mistakes) -> None:
        self._source = source
        self._places = places
        self._offset = offset
        self._mistakes = mistakes

    def run(self, whole: dict[str, object]) -> None:
        for path in self._source.spoiled:
            self._mistakes.mark(self._translated(path))
        data = self._source.data
        assert isinstance(data, dict)
        self._merge(whole, data, ())
        for path, place in self._source.places.items():
            self._places.setdefault(self._translated(path), place)

    def _translated(self, path: Path) -> Path:
        if len(path) > 1 and path[0] == "routes" and isinstance(path[1], int):
            return ("routes", path[1] + self._offset, *path[2:])
        return path

    def _merge(self, into: dict[str, object], more: dict[str, object], path: Path) -> None:
        for key, value in more.items():
            child = (*path, key)
            if key not in into:
                into[key] = value
                continue
            there = into[key]
            if child in _JOINED and isinstance(there, dict) and isinstance(value, dict):
                self._merge(there, value, child)
            elif child == ("routes",) and isinstance(there, list) and isinstance(value, list):
                into[key] = there + value
            elif child != ("version",) or value != there:
                self._twice(key, child)

    def _twice(self, key: str, path: Path) -> None:
        here, first = self._source.places[path], self._places[path]
        problem = f'"{printable(key, 64)}" stands twice; the first is in {first.file}:{first.line}'
        hint = "the files of a folder are one policy: leave one of them out, or give it another name"
        self._mistakes.put(PolicyError(here.file, here.line, here.path, problem, hint))
