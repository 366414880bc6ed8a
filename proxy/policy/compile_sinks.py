"""Sinks of progress: their templates, checked as far as they can be before a request is there."""

from __future__ import annotations

import re
from typing import Any, Final

from proxy.domain.ids import SinkName
from proxy.policy.environment import pieces_of
from proxy.policy.mistakes import Mistakes, Path, printable, shown
from proxy.policy.names import check_field, check_name
from proxy.policy.origins import OriginError, parse_origin
from proxy.policy.policyset import Sink
from proxy.policy.schema import PolicyShape, SinkShape
from proxy.policy.templates import JsonTemplate, TextTemplate

_LIKE_A_HOLE: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_.-]*)(?::[^{}]*)?\}")
_CONTROL: Final = re.compile("[\x00-\x08\x0a-\x1f\x7f]")
_NOWHERE: Final = TextTemplate("http://stand-in.invalid")


def compile_sinks(policy: PolicyShape, mistakes: Mistakes) -> dict[SinkName, Sink]:
    """Every sink of the policy. What is wrong goes to ``mistakes``."""
    return {SinkName(name): _sink(name, shape, mistakes) for name, shape in policy.progress.items()}


def _sink(name: str, shape: SinkShape, mistakes: Mistakes) -> Sink:
    path: Path = ("progress", name)
    check_name(path, "a sink", name, mistakes)
    return Sink(
        name=SinkName(name),
        to=_url((*path, "to"), shape.to, mistakes),
        headers=tuple(_header((*path, "headers", key), key, text, mistakes) for key, text in shape.headers.items()),
        body=JsonTemplate(_json((*path, "body"), shape.body, mistakes)),
        first=shape.first,
        every=shape.every,
        for_at_most=shape.for_at_most,
        stop_on=frozenset(shape.stop_on),
        method=shape.method,
    )


def _template(path: Path, text: str, mistakes: Mistakes) -> TextTemplate | None:
    """The template of a text; None, with the mistake said, where it names what nothing defines."""
    for piece, literal in pieces_of(text):
        for hole in () if literal else _LIKE_A_HOLE.finditer(piece):
            try:
                TextTemplate(hole[0])
                known = re.fullmatch("[a-z_]+", hole[1]) is not None
                problem = "" if known else f"{{{hole[1]}}} is no placeholder"
            except ValueError as error:
                problem = str(error)
            if problem:
                what, _, hint = problem.partition("; ")
                mistakes.add(path, what, hint or "there are {waited}, {position}, {header:Name} …, in lower case")
                return None
    return TextTemplate(text)


def _url(path: Path, text: str, mistakes: Mistakes) -> TextTemplate:
    template = _template(path, text, mistakes)
    if template is None:
        return _NOWHERE
    plain = "".join(
        "".join(_LIKE_A_HOLE.sub("\x00", piece) if not literal else piece) for piece, literal in pieces_of(text)
    )
    authority = re.match(r"[A-Za-z]+://[^/?#]*", plain)
    if authority is not None and "\x00" in authority[0]:
        hint = "only the path and the query may hold placeholders: a caller must not choose the host"
        mistakes.add(path, "the URL's host holds a placeholder", hint)
        return template
    rest = plain.replace("\x00", "x")
    if "#" in rest:
        mistakes.add(path, "the URL holds a fragment", "end it before the #")
        return template
    try:
        parse_origin(rest.split("?")[0].replace("{", "x").replace("}", "x"))
    except OriginError as error:
        mistakes.add(path, error.problem, error.hint)
        return template
    if re.search(r"[^!-~]", rest) or any("{" in p or "}" in p for p, lit in _outside_holes(text) if not lit):
        mistakes.add(path, "holds what no URL holds", "percent-encode it, or close the brace")
    return template


def _outside_holes(text: str) -> list[tuple[str, bool]]:
    return [(_LIKE_A_HOLE.sub("", piece), literal) for piece, literal in pieces_of(text)]


def _header(path: Path, name: str, text: str, mistakes: Mistakes) -> tuple[str, TextTemplate]:
    check_field(path, name, mistakes)
    if name.lower().startswith("headgate-"):
        mistakes.add(path, f"{shown(name)} is one of Headgate's own headers", "choose another name")
    if _CONTROL.search(text) or not _latin(text):
        mistakes.add(path, "the value holds characters that no header holds", "one line of printable text")
    template = _template(path, text, mistakes)
    return name, TextTemplate("") if template is None else template


def _latin(text: str) -> bool:
    return all(ord(character) < 256 for character in text)


def _json(path: Path, node: Any, mistakes: Mistakes) -> Any:
    """The document with a template for every text in it."""
    if isinstance(node, str):
        return _template(path, node, mistakes) or ""
    if isinstance(node, list):
        return [_json((*path, number), item, mistakes) for number, item in enumerate(node)]
    if isinstance(node, dict):
        return {printable(key, 10**6): _json((*path, key), item, mistakes) for key, item in node.items()}
    return node
