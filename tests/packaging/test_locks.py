"""The lock files pin everything, by hash, and say nothing about where it comes from."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-bench.lock", "requirements-compile.lock")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def pins(lock: str) -> dict[str, str]:
    """Name to version of every requirement of a lock; a requirement without one fails."""
    found = {}
    for block in re.split(r"\n(?=\S)", (ROOT / lock).read_text()):
        if block.startswith("#") or not block.strip():
            continue
        head = re.match(r"([a-z0-9-]+)==(\S+)", block)
        assert head, f"{lock}: not pinned: {block.splitlines()[0]}"
        assert "--hash=sha256:" in block, f"{lock}: without a hash: {head[1]}"
        found[head[1]] = head[2]
    return found


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[^A-Za-z0-9-]", requirement)[0].lower() for requirement in requirements}


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_index(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert re.findall(r"\w+://|^-\S+.*|--(?!hash=).*", text, re.MULTILINE) == []


@pytest.mark.parametrize(
    ("lock", "wanted"),
    [
        ("requirements.lock", names(PROJECT["dependencies"])),
        ("requirements-dev.lock", names(PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"])),
        ("requirements-bench.lock", names(PROJECT["dependencies"] + PROJECT["optional-dependencies"]["bench"])),
        ("requirements-compile.lock", names(PROJECT["dependencies"] + PROJECT["optional-dependencies"]["compile"])),
    ],
)
def test_a_lock_has_what_the_project_asks_for(lock: str, wanted: set[str]) -> None:
    assert len(wanted) > 10
    assert wanted - set(pins(lock)) == set()


@pytest.mark.parametrize("lock", LOCKS[1:])
def test_tests_and_benchmarks_run_what_users_run(lock: str) -> None:
    assert pins("requirements.lock").items() <= pins(lock).items()


def test_the_image_installs_the_lock() -> None:
    assert "--require-hashes -r requirements.lock" in (ROOT / "Dockerfile").read_text()
