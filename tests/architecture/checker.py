"""Reads source trees and says what in them breaks the rules of :mod:`tests.architecture.rings`.

It reads syntax trees and never imports what it checks: so planted trees do as well.
Imports count wherever they stand: in functions, under ``TYPE_CHECKING``, relative or absolute.
"""

import ast
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from tests.architecture.rings import (
    ENVIRONMENT,
    FORBIDDEN_CALLS,
    FORBIDDEN_METHODS,
    IMPURE,
    ONLY_IN,
    PURE_LIBRARIES,
    RING,
    Contract,
)

PACKAGE = "proxy"


@dataclass(frozen=True, slots=True)
class Source:
    """One parsed file of a package folder; ``path`` is relative to that folder."""

    path: Path
    tree: ast.Module

    @property
    def part(self) -> str:
        """The folder or file directly under the package; the empty string for its ``__init__``."""
        first = self.path.parts[0]
        if len(self.path.parts) > 1:
            return first
        return "" if first == "__init__.py" else first.removesuffix(".py")

    def at(self, node: ast.AST, what: str) -> str:
        """``what`` with its place in front."""
        return f"{PACKAGE}/{self.path.as_posix()}:{getattr(node, 'lineno', 1)}  {what}"

    def imports(self) -> Iterator[tuple[ast.stmt, str]]:
        """Every import as an absolute dotted name; ``from a import b`` yields ``a.b``: b may be a module."""
        package = (PACKAGE, *self.path.parts[:-1])
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield node, alias.name
            elif isinstance(node, ast.ImportFrom):
                base = package[: len(package) - node.level + 1] if node.level else ()
                stem = [*base, *([node.module] if node.module else [])]
                for alias in node.names:
                    yield node, ".".join([*stem, alias.name])


def sources(package: Path) -> list[Source]:
    """Every Python file under ``package``, parsed; none where the folder does not exist."""
    return [
        Source(path.relative_to(package), ast.parse(path.read_text(), filename=str(path)))
        for path in sorted(package.rglob("*.py"))
    ]


def _own_part(name: str) -> str | None:
    """The part an import reaches into, or None where it is not ours or is ``proxy`` itself."""
    first, _, rest = name.partition(".")
    part = rest.partition(".")[0]
    return None if first != PACKAGE or part in {"", "__version__"} else part


def upward_imports(files: Collection[Source], contract: Contract) -> list[str]:
    """Imports by which the contract's parts reach what they may not know."""
    found = []
    for source in files:
        if source.part not in contract.parts:
            continue
        for node, name in source.imports():
            part = _own_part(name)
            if part is not None and part != source.part and part not in contract.may:
                found.append(source.at(node, f"imports {PACKAGE}.{part}"))
    return found


def homeless_parts(files: Collection[Source], contracts: Collection[Contract]) -> list[str]:
    """Parts that no contract speaks of. The package's own ``__init__`` may import nothing of ours."""
    known = {part for contract in contracts for part in contract.parts}
    found = [
        source.at(source.tree, f"{source.part} has no place in tests/architecture/rings.py")
        for source in files
        if source.part and source.part not in known
    ]
    for source in files:
        if not source.part:
            found += [source.at(n, f"the package imports {name}") for n, name in source.imports() if _own_part(name)]
    return found


def impurities(files: Collection[Source]) -> list[str]:
    """What in the pure ring could touch a clock, chance, a file, a log or the event loop."""
    found = []
    for source in files:
        if source.part not in RING:
            continue
        for node, name in source.imports():
            library = name.partition(".")[0]
            if _is_impure(name) or not (_is_pure(library) or _has_place(library, source.path)):
                found.append(source.at(node, f"the pure ring imports {name}"))
        found += [source.at(node, what) for node in ast.walk(source.tree) if (what := _deed(node))]
    return found


def _is_impure(name: str) -> bool:
    return any(name == impure or name.startswith(impure + ".") for impure in IMPURE)


def _is_pure(library: str) -> bool:
    return library == PACKAGE or library in sys.stdlib_module_names or library in PURE_LIBRARIES


def _has_place(library: str, path: Path) -> bool:
    return any(fnmatch(path.as_posix(), pattern) for pattern in ONLY_IN.get(library, ()))


def _deed(node: ast.AST) -> str | None:
    """What a node of the pure ring does that it must not."""
    match node:
        case ast.AsyncFunctionDef() | ast.Await() | ast.AsyncFor() | ast.AsyncWith():
            return "the pure ring is async"
        case ast.Global():
            return "the pure ring has a global that changes"
        case ast.Call(func=ast.Name(id=name)) if name in FORBIDDEN_CALLS:
            return f"the pure ring calls {name}()"
        case ast.Call(func=ast.Attribute(attr=name)) if name in FORBIDDEN_METHODS:
            return f"the pure ring calls .{name}()"
    return None


def misplaced_libraries(files: Collection[Source]) -> list[str]:
    """Libraries imported outside the one place they have."""
    return [
        source.at(node, f"{library} belongs in {', '.join(ONLY_IN[library])}")
        for source in files
        for node, name in source.imports()
        if (library := name.partition(".")[0]) in ONLY_IN and not _has_place(library, source.path)
    ]


def environment_reads(files: Collection[Source]) -> list[str]:
    """``os.environ`` and ``os.getenv`` in parts that should be told instead."""
    found = []
    for source in files:
        if source.part in ENVIRONMENT:
            continue
        names = [(node, name) for node, name in source.imports() if name in {"os.environ", "os.getenv"}]
        for node in ast.walk(source.tree):
            match node:
                case ast.Attribute(value=ast.Name(id="os"), attr="environ" | "environb" | "getenv" as attribute):
                    names.append((node, f"os.{attribute}"))  # type: ignore[arg-type]  # only its line is used
        found += [source.at(node, f"reads {name}") for node, name in names]
    return found


def awaits_in_clean_up(files: Collection[Source], compiled: Collection[str]) -> list[str]:
    """Where a coroutine of a compiled module waits while it cleans up: cancelled there, it never ends.

    ``compiled`` are patterns of paths from the root. Source: docs/decisions/0004-compiled-wheel.md.
    """
    return [
        file.at(node, "waits while it cleans up, and is compiled")
        for file in files
        if any(fnmatch(f"{PACKAGE}/{file.path.as_posix()}", pattern) for pattern in compiled)
        for attempt in ast.walk(file.tree)
        if isinstance(attempt, ast.Try)
        for step in (*attempt.finalbody, *attempt.handlers)
        for node in ast.walk(step)
        if isinstance(node, ast.Await | ast.AsyncFor | ast.AsyncWith)
    ]


def long_files(root: Path, folders: Collection[str], most: int) -> dict[str, int]:
    """Files of more than ``most`` lines, by path under ``root``."""
    lengths = {
        path.relative_to(root).as_posix(): len(path.read_text().splitlines())
        for folder in folders
        for path in (root / folder).rglob("*.py")
    }
    return {path: lines for path, lines in lengths.items() if lines > most}


def long_functions(root: Path, folders: Collection[str], most: int) -> dict[str, int]:
    """Functions of more than ``most`` lines without their docstring, as ``path::Class.function``."""
    found = {}
    for folder in folders:
        for path in (root / folder).rglob("*.py"):
            where = path.relative_to(root).as_posix()
            for name, lines in _functions(ast.parse(path.read_text()), ()):
                if lines > most:
                    found[f"{where}::{name}"] = lines
    return found


def _functions(tree: ast.AST, outer: tuple[str, ...]) -> Iterator[tuple[str, int]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            name = (*outer, node.name)
            yield ".".join(name), _length(node)
            yield from _functions(node, name)
        elif isinstance(node, ast.ClassDef):
            yield from _functions(node, (*outer, node.name))
        else:
            yield from _functions(node, outer)


def _length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    if ast.get_docstring(function, clean=False) is not None:
        docstring = function.body[0]
        lines -= (docstring.end_lineno or docstring.lineno) - docstring.lineno + 1
    return lines


def over_budget(found: Mapping[str, int], listed: Mapping[str, str]) -> list[str]:
    """What is too long and not listed, and what is listed and no longer too long."""
    return [
        *(
            f"{what} has {lines} lines: divide it, or list it with a reason"
            for what, lines in found.items()
            if what not in listed
        ),
        *(f"{what} is listed as long and is not: take it off the list" for what in listed if what not in found),
    ]
