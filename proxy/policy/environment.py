"""``${NAME}`` and ``${NAME:-default}`` in policy values, replaced from a mapping handed in (never ``os.environ``).

What comes from the environment may be a secret. It therefore travels as :class:`FromEnvironment`, which
remembers how it was written, and whose ``repr`` is that. It is taken literally: neither a reference
nor a placeholder in it is looked at again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_REFERENCE: Final = re.compile(r"\$\{([^{}]*)\}?")
_NAME: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?:(:-)(.*))?", re.DOTALL)

Piece = tuple[str, bool]
"""A stretch of text, and whether it is literal because it came from the environment."""


class FromEnvironment(str):
    """A text with values of the environment in it. ``written`` is how the policy spells it."""

    __slots__ = ("pieces", "written")

    pieces: tuple[Piece, ...]
    written: str

    @classmethod
    def of(cls, pieces: tuple[Piece, ...], written: str) -> FromEnvironment:
        """The text of these pieces."""
        made = cls("".join(text for text, _ in pieces))
        made.pieces = pieces
        made.written = written
        return made

    def __repr__(self) -> str:
        return f"FromEnvironment({self.written!r})"


def pieces_of(text: str) -> tuple[Piece, ...]:
    """A text's pieces: one for a plain text."""
    return text.pieces if isinstance(text, FromEnvironment) else ((text, False),)


def written(text: str) -> str:
    """A text as the policy spells it."""
    return text.written if isinstance(text, FromEnvironment) else text


def substitute(text: str, environment: Mapping[str, str]) -> tuple[str, list[tuple[str, str]]]:
    """The text with its references replaced, and what is wrong as (problem, hint); with the latter the text is void.

    As in a shell, a default stands in for a variable that is unset or empty.
    """
    if "${" not in text:
        return text, []
    pieces: list[Piece] = []
    faults: list[tuple[str, str]] = []
    at = 0
    for found in _REFERENCE.finditer(text):
        pieces.append((text[at : found.start()], False))
        at = found.end()
        name = _NAME.fullmatch(found[1]) if found[0].endswith("}") else None
        if name is None:
            faults.append((f'"{found[0]}" is not a reference', "write ${NAME} or ${NAME:-default}"))
            continue
        value = environment.get(name[1])
        if name[2] and not value:
            value = name[3]
        if value is None:
            faults.append((f"${{{name[1]}}} is not set", f"set {name[1]}, or give a default: ${{{name[1]}:-…}}"))
        else:
            pieces.append((value, True))
    pieces.append((text[at:], False))
    return FromEnvironment.of(tuple(p for p in pieces if p[0]), text), faults
