"""Templates of progress calls: ``{waited}``, ``{header:x-job-id}`` … filled in and escaped for their place.

Values are escaped for the place they stand in (design.md §2.7): percent-encoded in a URL (and a single
quote doubled first, OData's own rule for keys inside quotes), free of control characters in a header,
JSON-encoded in a body. A template that names something the request lacks yields :class:`Missing`: that sink is skipped.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from proxy.policy.environment import pieces_of, written

PLAIN_NAMES: Final = frozenset({"waited", "position", "eta", "blocker", "attempt", "ticket", "tenant"})
"""The placeholders without an argument; ``{header:Name}`` is the one with."""

_HOLE: Final = re.compile(r"\{([a-z_]+)(?::([^{}]*))?\}")

Values = Mapping[str, str]
"""Placeholder texts by name; headers under ``header:lower-case-name``."""


class Missing(LookupError):
    """The request lacks what the template names."""


class TextTemplate:
    """A text with placeholders. Construction raises ValueError for a placeholder nobody defines.

    What came from the environment is literal (a brace in a secret is a brace), and ``text`` and ``repr`` show
    it as the policy spells it: ``${NAME}``.
    """

    __slots__ = ("names", "parts", "text")

    def __init__(self, text: str) -> None:
        self.text = written(text)
        parts: list[tuple[str, str]] = []
        literal = ""
        for piece, from_environment in pieces_of(text):
            at = 0
            for hole in () if from_environment else _HOLE.finditer(piece):
                parts.append((literal + piece[at : hole.start()], _placeholder(hole[1], hole[2])))
                literal = ""
                at = hole.end()
            literal += piece[at:]
        parts.append((literal, ""))
        self.parts = tuple(parts)
        """Literal texts, each with the placeholder after it; the last has none."""
        self.names = frozenset(name for _, name in parts if name)

    def fill(self, values: Values, escape: Callable[[str], str] = str) -> str:
        """The text with every placeholder replaced by its escaped value; Missing where one is absent."""
        out: list[str] = []
        for literal, name in self.parts:
            out.append(literal)
            if name:
                if name not in values:
                    raise Missing(name)
                out.append(escape(values[name]))
        return "".join(out)

    def __repr__(self) -> str:
        return f"TextTemplate({self.text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TextTemplate) and other.parts == self.parts

    def __hash__(self) -> int:
        return hash(self.parts)


def _placeholder(name: str, argument: str | None) -> str:
    if name == "header":
        if not argument:
            raise ValueError("{header:Name} wants a header's name")
        return f"header:{argument.lower()}"
    if argument is not None or name not in PLAIN_NAMES:
        known = ", ".join(f"{{{n}}}" for n in sorted(PLAIN_NAMES))
        raise ValueError(f"{{{name}}} is no placeholder; there are {known} and {{header:Name}}")
    return name


def escape_url(value: str) -> str:
    """For a URL's path or query: nothing in the value can end a segment, a query or an OData string."""
    if value in (".", ".."):
        return value.replace(".", "%2E")  # a whole segment of dots would be resolved away
    return quote(value.replace("'", "''"), safe="")


def escape_header(value: str) -> str:
    """For a header value: printable ASCII only, so that nothing can end the line."""
    return "".join(c if " " <= c <= "~" else "?" for c in value)


Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
JsonSource = None | bool | int | float | str | TextTemplate | list["JsonSource"] | dict[str, "JsonSource"]


@dataclass(frozen=True, slots=True)
class JsonTemplate:
    """A JSON document whose texts may hold placeholders. In ``source`` a text may stand as its template already."""

    source: JsonSource

    def names(self) -> frozenset[str]:
        """Every placeholder in the document."""
        return frozenset(name for template in _templates(self.source) for name in template.names)

    def fill(self, values: Values) -> Json:
        """The document, filled; encoding it as JSON is what escapes the values. Missing as for texts."""
        return _fill(self.source, values)


def _templates(node: JsonSource) -> list[TextTemplate]:
    if isinstance(node, TextTemplate):
        return [node]
    if isinstance(node, str):
        return [TextTemplate(node)]
    if isinstance(node, list):
        return [template for item in node for template in _templates(item)]
    if isinstance(node, dict):
        return [template for item in node.values() for template in _templates(item)]
    return []


def _fill(node: JsonSource, values: Values) -> Json:
    if isinstance(node, TextTemplate):
        return node.fill(values)
    if isinstance(node, str):
        return TextTemplate(node).fill(values)
    if isinstance(node, list):
        return [_fill(item, values) for item in node]
    if isinstance(node, dict):
        return {key: _fill(item, values) for key, item in node.items()}
    return node
