"""What must outlive the process: the salt that names credentials, the local authority. One folder, owner only.

``HEADGATE_STATE_DIR``, else ``$XDG_STATE_HOME/headgate``, else ``~/.local/state/headgate`` (design.md §2.1). Files are
there whole or not at all, also for processes that start at the same moment.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

_SALT_BYTES: Final = 32


class StateError(OSError):
    """The state folder cannot be used; the text says why and what to do."""


def state_folder(configured: Path | None, environment: Mapping[str, str]) -> Path:
    """Where the state is kept; the folder need not exist yet."""
    if configured is not None:
        return configured
    base = environment.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "headgate"


def load_salt(folder: Path) -> bytes:
    """The salt kept in the folder, made on first use. StateError where it can be neither read nor written."""
    path = folder / "salt"
    try:
        salt = made_once(path, lambda: secrets.token_bytes(_SALT_BYTES))
    except OSError as error:
        text = f"{path}: {error.strerror}; set HEADGATE_STATE_DIR to a folder that can be written, or HEADGATE_SALT"
        raise StateError(text) from None
    if len(salt) < 16:
        raise StateError(f"{path} is too short to be a salt; delete it to have a new one made")
    return salt


def make_folder(folder: Path) -> None:
    """Make a folder that only its owner may enter, unless it is there. OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def made_once(path: Path, make: Callable[[], bytes]) -> bytes:
    """The content of a file that is made on first use, readable by its owner only. OSError.

    Processes that make it at the same moment agree on one of theirs (where the file system has hard links; else the
    last one stays).
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        make_folder(path.parent)
    fresh = _written(path, make())
    try:
        os.link(fresh, path)
    except FileExistsError:
        pass
    except OSError:
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
    return path.read_bytes()


def put(path: Path, content: bytes) -> None:
    """Write a file as a whole, in the place of an older one, readable by its owner only. OSError."""
    make_folder(path.parent)
    fresh = _written(path, content)
    try:
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def _written(path: Path, content: bytes) -> Path:
    """A new file beside the path, which is on the disk."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return Path(name)
