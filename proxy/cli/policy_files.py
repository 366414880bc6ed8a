"""Finding and reading policy files: FILE, DIR or the NAME of a shipped policy. All the I/O of policies is here.

The rules, in this order: a bare word that is the name of a shipped policy is that policy (``./e2b`` is a file or
folder of one's own); a folder is all its ``*.yaml`` and ``*.yml``, in order of name, as one policy; anything else is a
file. What goes wrong is a :class:`PolicyError` like every other mistake in a policy.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from proxy.policy.mistakes import WHOLE_FILE, PolicyError, PolicyErrors
from proxy.policy.source import MOST_BYTES

_PACKAGE: Final = Path(__file__).resolve().parent.parent
_SHIPPED: Final = (_PACKAGE.parent / "policies", _PACKAGE / "shipped_policies")
"""A checkout keeps the shipped policies at its top, a wheel inside the package."""

_ENDINGS: Final = (".yaml", ".yml")


def shipped_policies() -> dict[str, Path]:
    """The shipped policies by name."""
    for folder in _SHIPPED:
        if (folder / "e2b.yaml").is_file():
            return {path.stem: path for path in sorted(folder.glob("*.yaml"))}
    return {}


def find_policy(argument: str) -> list[Path]:
    """The files that FILE, DIR or NAME stands for; PolicyErrors where there are none."""
    shipped = shipped_policies()
    if argument in shipped:
        return [shipped[argument]]
    path = Path(argument)
    try:
        if argument and path.is_dir():
            found = sorted(p for p in path.iterdir() if p.suffix in _ENDINGS and not p.name.startswith("."))
            files = [p for p in found if not p.is_dir()]
            if not files:
                raise _error(argument, "the folder holds no policy", "policies end in .yaml or .yml")
            return files
        if argument and path.exists():
            return [path]
    except (OSError, ValueError) as error:
        raise _unreadable(argument, error) from None
    hint = f"name a file, a folder, or a shipped policy: {', '.join(shipped)}"
    raise _error(argument or '""', "there is no such policy", hint)


def read_policy(argument: str) -> list[tuple[str, bytes]]:
    """Name and content of the files that FILE, DIR or NAME stands for.

    PolicyErrors, with an error for each, where one is missing or cannot be read. Of a file that is too large only so
    much is read as shows it.
    """
    files: list[tuple[str, bytes]] = []
    errors: list[PolicyError] = []
    for path in find_policy(argument):
        try:
            with path.open("rb") as file:
                files.append((str(path), file.read(MOST_BYTES + 1)))
        except OSError as error:
            errors.extend(_unreadable(str(path), error))
    if errors:
        raise PolicyErrors(errors)
    return files


def _unreadable(name: str, error: OSError | ValueError) -> PolicyErrors:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return _error(name, f"cannot be read: {reason}", "look at its path and its permissions")


def _error(name: str, problem: str, hint: str) -> PolicyErrors:
    return PolicyErrors([PolicyError(name, 1, WHOLE_FILE, problem, hint)])
