"""What must outlive the process: for now the salt that names credentials. One folder, owner only.

``HEADGATE_STATE_DIR``, else ``$XDG_STATE_HOME/headgate``, else ``~/.local/state/headgate`` (design.md §2.1).
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
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
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            pass
        else:
            with os.fdopen(handle, "wb") as file:
                file.write(secrets.token_bytes(_SALT_BYTES))
        salt = path.read_bytes()
    except OSError as error:
        text = f"{path}: {error.strerror}; set HEADGATE_STATE_DIR to a folder that can be written, or HEADGATE_SALT"
        raise StateError(text) from None
    if len(salt) < 16:
        raise StateError(f"{path} is too short to be a salt; delete it to have a new one made")
    return salt
