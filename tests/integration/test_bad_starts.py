"""Starts that cannot work: a clear word, the right exit code, and nothing bound."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from tests.support.serving import start

GOOD = """
version: 1
upstreams: {up: {url: "http://127.0.0.1:9", dialect: http, prefix: /up}}
"""
BAD = """
version: 1
upstreams: {up: {url: "http://127.0.0.1:9", dialect: http, prefix: /up}}
limits: {creates: {seats: -1}}
routes:
  - {name: a, match: {upstream: nobody}}
  - {name: b, match: {upstream: up}, queue: {patience: 30}}
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def bound(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def failing(policy: str, folder: Path, *, listen: str = "", admin: str = "") -> tuple[int, list[str]]:
    """Exit code and words of a start that must fail."""
    address = listen or f"127.0.0.1:{free_port()}"
    served = await start(policy, folder / "state", listen=address, admin=admin or "127.0.0.1:0")
    code = await served.ended()
    if not listen:
        assert not bound(int(address.rpartition(":")[2]))
    assert not any("Traceback" in line for line in served.said)
    return code, served.said


async def test_a_missing_policy(tmp_path: Path) -> None:
    code, said = await failing(str(tmp_path / "nowhere.yaml"), tmp_path)
    assert code == 2
    assert "nowhere.yaml" in said[0] and "there is no such policy" in said[0]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
async def test_an_unreadable_policy(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(GOOD)
    policy.chmod(0)
    code, said = await failing(str(policy), tmp_path)
    assert code == 2
    assert "cannot be read: Permission denied" in said[0]


async def test_a_folder_whose_policy_is_a_dead_link(tmp_path: Path) -> None:
    folder = tmp_path / "policies"
    folder.mkdir()
    (folder / "a.yaml").symlink_to(tmp_path / "nowhere")
    code, said = await failing(str(folder), tmp_path)
    assert code == 2
    assert "a.yaml" in said[0] and "cannot be read: No such file" in said[0]


async def test_every_mistake_is_named_at_once(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(BAD)
    code, said = await failing(str(policy), tmp_path)
    assert code == 2
    text = "\n".join(said)
    for line in (4, 6, 7):
        assert f"policy.yaml:{line}" in text, text


async def test_no_policy_at_all(tmp_path: Path) -> None:
    code, said = await failing("", tmp_path)
    assert (code, len(said)) == (2, 1)


@pytest.mark.parametrize("which", ["listen", "admin"])
async def test_a_port_in_use(tmp_path: Path, which: str) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(GOOD)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, said = await failing(str(policy), tmp_path, **{which: f"127.0.0.1:{port}"})
    assert code == 1
    assert said == [f"headgate serve: cannot listen on 127.0.0.1:{port}: address already in use"]
