"""YAML text -> plain data with a place for every path. Pure: bytes in, data and mistakes out.

Works on the parser's events, so nothing is built that a policy may not hold: aliases, anchors, tags and
merge keys are refused (an alias bomb never expands), nesting and size are bounded, duplicate keys are
seen. What cannot be used is :data:`BROKEN` in the data, so that everything else is still checked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, NoReturn

import yaml

from proxy.policy.environment import substitute
from proxy.policy.mistakes import WHOLE_FILE, Mistakes, Path, Place, PolicyError, printable, spell
from proxy.policy.scalars import ScalarError, resolve_plain

MOST_BYTES: Final = 1 << 20
"""A policy file is at most 1 MiB (design.md §2.3)."""

_DEEPEST: Final = 32
"""Levels of nesting; the deepest key of the schema is at 7, a sink's JSON body gets the rest."""

_UNPRINTABLE: Final = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_UNUSABLE: Final = re.compile("[\x00\ud800-\udfff]")
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Broken(Enum):
    """Stands where a value cannot be used; its mistake has been said."""

    BROKEN = "broken"


BROKEN: Final = Broken.BROKEN


@dataclass(slots=True)
class Source:
    """A file's data. ``data`` is BROKEN where the file could not be read."""

    file: str
    data: object = BROKEN
    places: dict[Path, Place] = field(default_factory=dict)
    spoiled: list[Path] = field(default_factory=list)
    """Paths whose values cannot be judged any more, because a mistake was said of them."""


class _Stop(Exception):
    """Nothing after this can be read."""


def read_source(file: str, content: bytes, environment: Mapping[str, str], mistakes: Mistakes) -> Source:
    """Read one file. Never raises: what is wrong goes to ``mistakes``, with its line."""
    reader = _Reader(file, environment, mistakes)
    source = Source(file, places=reader.places, spoiled=reader.spoiled)
    try:
        source.data = reader.read(content)
    except _Stop:
        mistakes.unreadable = True
    except yaml.YAMLError as error:
        mistakes.unreadable = True
        reader.syntax(error)
    return source


class _Reader:
    def __init__(self, file: str, environment: Mapping[str, str], mistakes: Mistakes) -> None:
        self._file = file
        self._environment = environment
        self._mistakes = mistakes
        self._events: Iterator[Any] = iter(())
        self._lines: list[str] = []
        self.places: dict[Path, Place] = {}
        self.spoiled: list[Path] = []

    def read(self, content: bytes) -> object:
        text = self._decode(content)
        self._lines = text.split("\n")
        self._events = iter(yaml.parse(text, Loader=_LOADER))
        next(self._events)  # the stream's start
        if isinstance(next(self._events), yaml.StreamEndEvent):
            self._stop(1, "the file is empty", "a policy starts with: version: 1")
        data = self._node(next(self._events), (), Place(self._file, 1, WHOLE_FILE, leaf=False))
        next(self._events)  # the document's end
        after = next(self._events)
        if not isinstance(after, yaml.StreamEndEvent):
            self._say(_line(after), WHOLE_FILE, "a second document starts here", "put everything into one document")
        if data is None:
            self._stop(1, "the file is empty", "a policy starts with: version: 1")
        if not isinstance(data, dict):
            self._stop(1, "a policy is a map of keys and values", "a policy starts with: version: 1")
        return data

    def syntax(self, error: yaml.YAMLError) -> None:
        """The mistake for what the parser refused. Its text speaks of the file, before anything is substituted."""
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        line = 1 if mark is None else mark.line + 1
        problem = getattr(error, "problem", None) or getattr(error, "context", None) or "it cannot be read"
        hint = "indent with spaces, and quote texts that start with or hold one of { } [ ] : # & * ! | > @ `"
        if any("${" in text for text in self._lines[max(0, line - 2) : line]):
            hint = 'inside { } and [ ], values with ${NAME} need quotes: "${NAME}"'
        self._say(line, WHOLE_FILE, f"not valid YAML: {problem}", hint)

    def _decode(self, content: bytes) -> str:
        if len(content) > MOST_BYTES:
            self._stop(1, "the file is larger than 1 MiB", "split the policy, or look whether this is the right file")
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            self._stop(line, "the file is not UTF-8", "save it as UTF-8 text")
        found = _UNPRINTABLE.search(text)
        if found is not None:
            line = text.count("\n", 0, found.start()) + 1
            self._stop(
                line,
                f"the file holds the character U+{ord(found[0]):04X}",
                "remove it; YAML is printable text",
            )
        return text

    def _node(self, event: Any, path: Path, place: Place) -> object:
        """The value that starts with this event; every event of it is consumed."""
        if isinstance(event, yaml.AliasEvent):
            self._at(
                path,
                _line(event),
                f"*{event.anchor} is an alias",
                "aliases are not allowed: write the value out",
            )
            return BROKEN
        self.places.setdefault(path, Place(place.file, place.line, place.path, isinstance(event, yaml.ScalarEvent)))
        if event.anchor:
            hint = "anchors and aliases are not allowed: write the value out where it is needed"
            self._report(path, _line(event), f"&{event.anchor} is an anchor", hint)
        if event.tag is not None:
            tell = self._at if isinstance(event, yaml.ScalarEvent) else self._report
            tell(path, _line(event), f"{event.tag[:80]} is a tag", "tags are not allowed: leave it out")
        if isinstance(event, yaml.ScalarEvent):
            value = self._scalar(event, path)
            return BROKEN if event.tag is not None else value
        if len(path) >= _DEEPEST:
            self._stop(_line(event), f"nested deeper than {_DEEPEST} levels", "no policy needs that")
        return self._list(path) if isinstance(event, yaml.SequenceStartEvent) else self._map(path)

    def _list(self, path: Path) -> list[object]:
        items: list[object] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            child = (*path, len(items))
            items.append(self._node(event, child, Place(self._file, _line(event), spell(child), leaf=True)))
        return items

    def _map(self, path: Path) -> dict[str, object]:
        entries: dict[str, object] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._key(event, path)
            value_event = next(self._events)
            if key is None:
                self._node(value_event, (*path, "?"), Place(self._file, _line(event), spell((*path, "?")), leaf=True))
                continue
            child = (*path, key)
            twice = key in entries
            if twice:
                first = self.places[child].line if child in self.places else "?"
                problem = f'"{printable(key, 64)}" stands twice; the first is in line {first}'
                self._report(child, _line(event), problem, "leave one of them out")
            line = _line(value_event if isinstance(value_event, yaml.ScalarEvent) and value_event.value else event)
            value = self._node(value_event, child, Place(self._file, line, spell(child), leaf=True))
            if not twice:
                entries[key] = value
        return entries

    def _key(self, event: Any, path: Path) -> str | None:
        """The text of a key; None, with the mistake said, where it is none."""
        if not isinstance(event, yaml.ScalarEvent):
            anchored = isinstance(event, yaml.AliasEvent)
            self._node(event, (*path, "?"), Place(self._file, _line(event), spell((*path, "?")), leaf=True))
            if not anchored:
                self._at((*path, "?"), _line(event), "a map or a list is no key", "keys are texts")
            return None
        if event.anchor or event.tag is not None:
            self._at((*path, event.value), _line(event), "a key with an anchor or a tag", "leave that out")
        if event.value == "<<" and event.implicit[0]:
            self._at((*path, "<<"), _line(event), "<< is a merge key", "merge keys are not allowed: write it out")
            return None
        if _UNUSABLE.search(event.value):
            self._at(path, _line(event), "a key holds a character that is no text", "keys are texts")
            return None
        return str(event.value)

    def _scalar(self, event: Any, path: Path) -> object:
        line = _line(event)
        if _UNUSABLE.search(event.value):
            self._at(path, line, "holds a character that is no text", "NUL and half characters are not allowed")
            return BROKEN
        if "${" in event.value:
            text, faults = substitute(event.value, self._environment)
            for problem, hint in faults:
                self._at(path, line, problem, hint)
            return BROKEN if faults else self._usable(text, path, line)
        if not event.implicit[0]:
            return event.value
        try:
            return resolve_plain(event.value)
        except ScalarError as error:
            self._at(path, line, error.problem, error.hint)
            return BROKEN

    def _usable(self, text: str, path: Path, line: int) -> object:
        if _UNUSABLE.search(text):
            self._at(
                path,
                line,
                "a value of the environment holds a character that is no text",
                "look at its bytes",
            )
            return BROKEN
        return text

    def _at(self, path: Path, line: int, problem: str, hint: str) -> None:
        """A mistake after which nothing else can be said of the path."""
        self._report(path, line, problem, hint)
        self.spoiled.append(path)

    def _report(self, path: Path, line: int, problem: str, hint: str) -> None:
        """A mistake that leaves the value as good as it was."""
        self._say(line, spell(path), problem, hint)

    def _say(self, line: int, path: str, problem: str, hint: str) -> None:
        self._mistakes.put(PolicyError(self._file, line, path, printable(problem), printable(hint)))

    def _stop(self, line: int, problem: str, hint: str) -> NoReturn:
        self._say(line, WHOLE_FILE, problem, hint)
        raise _Stop


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1
