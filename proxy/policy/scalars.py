"""What a plain YAML scalar means: YAML 1.2's core schema, and an error where 1.1 would have read it otherwise.

PyYAML resolves by YAML 1.1, where ``on`` is true, ``1:30`` is 90 and ``010`` is 8. Here ``on`` and ``1:30``
are texts, and a number that the two versions read differently is refused.
"""

from __future__ import annotations

import math
import re
from typing import Final

_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE: Final = frozenset({"true", "True", "TRUE"})
_FALSE: Final = frozenset({"false", "False", "FALSE"})
_INTEGER: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE: Final = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_AMBIGUOUS: Final = re.compile(
    r"[-+]?(?:0[0-9_]+(?:\.[0-9]*)?|0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+|[0-9][0-9_]*_[0-9_]*)"
)
_MOST_DIGITS: Final = 15
"""Every integer this short is exact as a double too, which is what JSON readers make of it."""

Scalar = None | bool | int | float | str


class ScalarError(ValueError):
    """A scalar that is refused; ``hint`` says what to write."""

    def __init__(self, problem: str, hint: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.hint = hint


def resolve_plain(text: str) -> Scalar:
    """The value of an unquoted scalar; ScalarError where it is refused."""
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if text[0] not in "+-.0123456789":
        return text
    short = f'"{text[:40]}"'
    if _NOT_FINITE.fullmatch(text):
        raise ScalarError(f"{short} is not a finite number", "write a number, or quote it if it is a text")
    if _INTEGER.fullmatch(text):
        if len(text.lstrip("+-")) > _MOST_DIGITS:
            raise ScalarError(f"{short} is too large a number", "write fewer digits, or quote it if it is a text")
        return int(text)
    if _AMBIGUOUS.fullmatch(text):
        hint = "write it in plain decimal digits, or quote it if it is a text"
        raise ScalarError(f"{short} is a number that YAML readers disagree about", hint)
    if _FLOAT.fullmatch(text):
        number = float(text)
        if not math.isfinite(number):
            raise ScalarError(f"{short} is not a finite number", "write a smaller number")
        return number
    return text
