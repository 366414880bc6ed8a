"""What outlives the process: whole files or none, for their owner only, one of them whoever comes first."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from proxy.state import StateError, load_salt, made_once, put, state_folder


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_where_it_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/u")
    assert state_folder(tmp_path, {"XDG_STATE_HOME": "/x"}) == tmp_path
    assert state_folder(None, {"XDG_STATE_HOME": "/x"}) == Path("/x/headgate")
    assert state_folder(None, {"XDG_STATE_HOME": ""}) == Path("/home/u/.local/state/headgate")


def test_the_salt_is_made_once(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    salt = load_salt(folder)
    assert len(salt) == 32 and load_salt(folder) == salt
    assert mode(folder) == 0o700 and mode(folder / "salt") == 0o600
    assert [path.name for path in folder.iterdir()] == ["salt"]


def test_a_salt_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "salt").write_bytes(b"short")
    with pytest.raises(StateError, match="too short to be a salt; delete it"):
        load_salt(tmp_path)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StateError, match="Not a directory; set HEADGATE_STATE_DIR to a folder that can be written"):
        load_salt(tmp_path / "file" / "x")


def together(path: Path, count: int) -> set[bytes]:
    """What threads get who all found nothing there."""
    ready, got = threading.Barrier(count), list[bytes]()

    def one(number: int) -> None:
        def make() -> bytes:
            ready.wait(10)
            return b"%d" % number * 1000

        got.append(made_once(path, make))

    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == count
    return set(got)


def test_all_who_make_it_at_once_get_the_same(tmp_path: Path) -> None:
    assert len(together(tmp_path / "x", 8)) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["x"] and mode(tmp_path / "x") == 0o600


def test_a_file_system_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    assert made_once(tmp_path / "x", lambda: b"one") == made_once(tmp_path / "x", lambda: b"two") == b"one"
    assert [path.name for path in tmp_path.iterdir()] == ["x"] and mode(tmp_path / "x") == 0o600


def test_what_is_put_takes_the_place_of_the_older(tmp_path: Path) -> None:
    path = tmp_path / "new" / "x"
    put(path, b"one")
    path.chmod(0o644)
    put(path, b"two")
    assert path.read_bytes() == b"two"
    assert mode(path) == 0o600 and [p.name for p in path.parent.iterdir()] == ["x"]
