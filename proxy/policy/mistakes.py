"""What is wrong with a policy, as values: file, line, path, problem, hint; and the list that collects them.

Nothing here is raised one by one: an operator who mends a policy wants every mistake at once (style.md §7,
guideline 27). Texts never hold what came from the environment; :func:`shown` sees to that.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from proxy.policy.environment import FromEnvironment

_COMPARED: Final = 200
"""Names that a misspelt one is compared with: a monstrous policy must not take minutes to refuse."""

Path = tuple[str | int, ...]
"""Keys and list positions from the root of a policy."""

WHOLE_FILE = "(file)"
"""Stands for the path where a mistake concerns the file as such."""


@dataclass(frozen=True, slots=True)
class PolicyError:
    """One mistake. ``line`` counts from 1; ``hint`` may be empty."""

    file: str
    line: int
    path: str
    problem: str
    hint: str = ""

    def __str__(self) -> str:
        text = f"{self.file}:{self.line}  {self.path}  {self.problem}"
        if self.hint:
            text += f"\n    hint: {self.hint}"
        return text


class PolicyErrors(Exception):
    """A policy that cannot be used, with every mistake in it, by file and line."""

    def __init__(self, errors: Iterable[PolicyError]) -> None:
        self.errors = tuple(errors)
        super().__init__(self.errors)

    def __iter__(self) -> Iterator[PolicyError]:
        return iter(self.errors)

    def __len__(self) -> int:
        return len(self.errors)

    def __str__(self) -> str:
        return "\n".join(str(error) for error in self.errors)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands. ``path`` is its spelling for people; ``leaf`` is True for a value without parts."""

    file: str
    line: int
    path: str
    leaf: bool


class Mistakes:
    """Collects mistakes by path and finds their places. One mistake per path: the first is the cause."""

    def __init__(self) -> None:
        self.places: Mapping[Path, Place] = {}
        self._errors: list[PolicyError] = []
        self._known: set[Path] = set()
        self._above: set[Path] = set()
        self._settled: frozenset[Path] = frozenset()
        self.unreadable = False
        """True where a file could not be read at all, so that what it defines is not known."""

    def __len__(self) -> int:
        return len(self._errors)

    def put(self, error: PolicyError) -> None:
        """Add a mistake whose place is known already."""
        self._errors.append(error)

    def mark(self, path: Path) -> None:
        """A mistake was said of this path: say no other."""
        self._known.add(path)
        self._above.update(path[:length] for length in range(1, len(path) + 1))

    def add(self, path: Path, problem: str, hint: str = "") -> None:
        """Add a mistake at a path, unless the path, what holds it, or (after :meth:`settle`) a part of it has one."""
        if path in self._settled or any(path[:length] in self._known for length in range(1, len(path) + 1)):
            return
        place = self.place(path)
        self.put(PolicyError(place.file, place.line, place.path, printable(problem), printable(hint)))
        self.mark(path)

    def settle(self) -> None:
        """From here on nothing is said of a whole whose part is wrong: it was judged without that part."""
        self._settled = frozenset(self._above)

    def marked(self, path: Path) -> bool:
        """Whether a mistake was said of exactly this path."""
        return path in self._known

    def touched(self, path: Path) -> bool:
        """Whether a mistake was said of the path or of a part of it, up to now."""
        return path in self._above

    def spoiled(self, path: Path) -> bool:
        """Whether the path or a part of it had a mistake when :meth:`settle` was called."""
        return path in self._settled

    def place(self, path: Path) -> Place:
        """The place of a path; for one that is not written, that of what should hold it."""
        for length in range(len(path), -1, -1):
            found = self.places.get(path[:length])
            if found is not None:
                rest = () if found.leaf else path[length:]
                return Place(found.file, found.line, spell(rest, found.path), found.leaf)
        return Place("(policy)", 1, spell(path), leaf=True)

    def raise_any(self, order: Iterable[str]) -> None:
        """Raise PolicyErrors where there is a mistake, in the order of these files and of their lines."""
        if self._errors:
            rank = {file: number for number, file in enumerate(order)}
            raise PolicyErrors(sorted(self._errors, key=lambda e: (rank.get(e.file, len(rank)), e.line)))


def spell(path: Path, start: str = "") -> str:
    """A path for people: ``routes[0].limits[1]``; :data:`WHOLE_FILE` for the root."""
    text = "" if start == WHOLE_FILE else start
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += ("." if text else "") + printable(part, most=64)
    return text or WHOLE_FILE


def printable(text: str, most: int = 1000) -> str:
    """The text on one line: control characters escaped, and cut where it is too long to read."""
    clean = text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    return clean if len(clean) <= most else clean[: most - 1] + "…"


def shown(value: object) -> str:
    """A value as an error may show it: quoted, short, and ``${NAME}`` for what came from the environment."""
    if isinstance(value, FromEnvironment):
        return f'"{value.written}"'
    if isinstance(value, str):
        return f'"{printable(value, most=80)}"'
    if isinstance(value, dict):
        return "a map"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, bool):
        return "true" if value else "false"
    return "nothing" if value is None else str(value)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint for a name that nothing defines: the nearest one, else all of them."""
    if isinstance(name, FromEnvironment):
        name = ""
    names = sorted(known)
    near = difflib.get_close_matches(name[:80], names[:_COMPARED], n=1, cutoff=0.6)
    if near:
        return f'did you mean "{near[0]}"?'
    return "there is none to choose from" if not names else "there are: " + ", ".join(names[:20])
