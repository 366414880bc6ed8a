"""``headgate kubeconfig``: what it prints is what clients can use, and what it cannot print it says plainly."""

from __future__ import annotations

import base64
import ssl
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.cli import kubeconfig_user, main

KUBE = 'kube: {url: "https://10.0.0.1", dialect: kubernetes, %s}'
TLS = 'listen: {address: "%s", tls: auto}'

Command = Callable[..., tuple[int, str, str]]
"""Runs it with these arguments on a policy with these upstreams: exit code, output, errors."""


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    monkeypatch.setenv("HEADGATE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.delenv("HEADGATE_POLICY", raising=False)

    def run(*arguments: str, upstreams: str = KUBE % TLS % "127.0.0.1:6443") -> tuple[int, str, str]:
        policy = tmp_path / "policy.yaml"
        policy.write_text(f"version: 1\nupstreams:\n  {upstreams}\n")
        code = main(["kubeconfig", "--policy", str(policy), *arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def written(folder: Path, **parts: Any) -> str:
    """A kubeconfig of somebody else's."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "work",
        "clusters": [{"name": "c", "cluster": {"server": "https://10.0.0.1:443"}}],
        "contexts": [
            {"name": "work", "context": {"cluster": "c", "user": "u", "namespace": "agents"}},
            {"name": "other", "context": {"cluster": "c", "user": "v"}},
            {"name": "nobody", "context": {"cluster": "c", "user": ""}},
            {"name": "broken", "context": {"cluster": "c", "user": "gone"}},
        ],
        "users": [{"name": "u", "user": {"token": "t-1"}}, {"name": "v", "user": {"token": "t-2"}}],
        **parts,
    }
    path = folder / "theirs.yaml"
    path.write_text(yaml.safe_dump(document))
    return str(path)


def user_of(text: str) -> tuple[Any, Any]:
    """User and namespace of a kubeconfig's current context, as clients find them."""
    document = yaml.safe_load(text)
    context = next(c["context"] for c in document["contexts"] if c["name"] == document["current-context"])
    user = next(u["user"] for u in document["users"] if u["name"] == context["user"])
    return user, context.get("namespace")


def cluster_of(text: str) -> dict[str, Any]:
    document = yaml.safe_load(text)
    context = next(c["context"] for c in document["contexts"] if c["name"] == document["current-context"])
    found: dict[str, Any] = next(c["cluster"] for c in document["clusters"] if c["name"] == context["cluster"])
    return found


def test_before_the_first_serve(command: Command, tmp_path: Path) -> None:
    code, out, err = command()
    assert code == 0
    cluster = cluster_of(out)
    assert cluster["server"] == "https://127.0.0.1:6443"
    authority = base64.b64decode(cluster["certificate-authority-data"])
    assert authority == (tmp_path / "state" / "tls" / "ca.crt").read_bytes()
    ssl.create_default_context(cadata=authority.decode())
    assert user_of(out) == ({}, None)
    assert "it has no user: --from KUBECONFIG copies one" in err
    assert command()[1] == out, "the authority is made once"
    assert "PRIVATE" not in out


@pytest.mark.parametrize(
    ("address", "server"),
    [
        ("0.0.0.0:6443", "https://127.0.0.1:6443"),
        ("[::]:6443", "https://[::1]:6443"),
        ("[fd00::1]:8443", "https://[fd00::1]:8443"),
        ("gateway.internal:443", "https://gateway.internal:443"),
    ],
)
def test_where_clients_reach_it(command: Command, address: str, server: str) -> None:
    code, out, _ = command(upstreams=KUBE % TLS % address)
    assert (code, cluster_of(out)["server"]) == (0, server)


MISTAKES = {
    "other dialects": (
        'e2b: {url: "https://a.example"}',
        [],
        "no upstream with dialect: kubernetes; it has e2b (http)",
    ),
    "no listener": (KUBE % "prefix: /kube", [], 'upstream "kube" has no listener of its own, and over http:// kubectl'),
    "no tls": (KUBE % "listen: {address: '127.0.0.1:6443'}", [], 'upstream "kube" listens without TLS, and over http'),
    "no port": (KUBE % TLS % "127.0.0.1:0", [], 'upstream "kube" listens on port 0, which is another port at each'),
    "several": (
        KUBE % TLS % "127.0.0.1:1" + "\n  two: " + (KUBE % TLS % "127.0.0.1:2")[6:],
        [],
        "several upstreams for Kubernetes: choose with --upstream one of kube, two",
    ),
    "unknown": (KUBE % TLS % "127.0.0.1:1", ["--upstream", "cube"], 'no upstream "cube" with dialect: kubernetes; it'),
    "context alone": (KUBE % TLS % "127.0.0.1:1", ["--context", "a"], "give --from too"),
    "context in cluster": (
        KUBE % TLS % "127.0.0.1:1",
        ["--from", "in-cluster", "--context", "a"],
        "--context does not",
    ),
}


@pytest.mark.parametrize(("upstreams", "arguments", "says"), MISTAKES.values(), ids=MISTAKES)
def test_what_cannot_be_made(command: Command, tmp_path: Path, upstreams: str, arguments: list[str], says: str) -> None:
    code, out, err = command(*arguments, upstreams=upstreams)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1 and err.startswith("headgate kubeconfig: ") and says in err
    assert not (tmp_path / "state").exists(), "nothing was made"


def test_a_bad_policy_and_none(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = command(upstreams="kube: {dialect: kubernetes}")
    assert (code, out) == (2, "") and "policy.yaml:3" in err
    assert main(["kubeconfig"]) == 2
    assert "no policy: give --policy" in capsys.readouterr().err


def test_one_of_several(command: Command) -> None:
    upstreams = KUBE % TLS % "127.0.0.1:1" + "\n  two: " + (KUBE % TLS % "127.0.0.1:2")[6:]
    code, out, _ = command("--upstream", "two", upstreams=upstreams)
    assert (code, cluster_of(out)["server"]) == (0, "https://127.0.0.1:2")
    assert yaml.safe_load(out)["current-context"] == "headgate-two"


def test_who_needs_no_user(command: Command) -> None:
    code, out, err = command(upstreams=KUBE % (TLS % "127.0.0.1:1" + ", auth: own"))
    assert (code, err) == (0, "") and user_of(out) == ({}, None)


# -- whom it speaks for --------------------------------------------------------------------------------
def test_user_and_namespace_are_copied(command: Command, tmp_path: Path) -> None:
    theirs = written(tmp_path)
    code, out, err = command("--from", theirs)
    assert (code, err) == (0, "") and user_of(out) == ({"token": "t-1"}, "agents")
    code, out, err = command("--from", theirs, "--context", "other")
    assert (code, err) == (0, "") and user_of(out) == ({"token": "t-2"}, None)


def test_paths_are_those_of_the_other_kubeconfig(command: Command, tmp_path: Path) -> None:
    user = {"tokenFile": "keys/token", "client-key": "/abs/key", "exec": {"command": "./bin/login", "args": ["x"]}}
    code, out, _ = command("--from", written(tmp_path, users=[{"name": "u", "user": user}]))
    assert code == 0
    assert user_of(out)[0] == {
        "tokenFile": str(tmp_path / "keys/token"),
        "client-key": "/abs/key",
        "exec": {"command": str(tmp_path / "bin/login"), "args": ["x"]},
    }


NOTES = {
    "a certificate": ({"client-certificate-data": "QQ==", "client-key-data": "QQ=="}, "client certificates end at the"),
    "a plugin": ({"exec": {"command": "aws"}}, "it works where it gives a token"),
    "nothing": ({}, 'context "work" has no user with a credential'),
}


@pytest.mark.parametrize(("user", "says"), NOTES.values(), ids=NOTES)
def test_what_its_reader_should_know(command: Command, tmp_path: Path, user: dict[str, Any], says: str) -> None:
    code, out, err = command("--from", written(tmp_path, users=[{"name": "u", "user": user}]))
    assert code == 0 and user_of(out)[0] == user
    assert err.count("\n") == 1 and says in err


def test_a_credential_for_another_server(command: Command, tmp_path: Path) -> None:
    other = [{"name": "c", "cluster": {"server": "https://elsewhere.example:6443"}}]
    code, _, err = command("--from", written(tmp_path, clusters=other))
    assert code == 0
    assert 'for https://elsewhere.example:6443, and upstream "kube" is https://10.0.0.1: is that the same' in err


WRONG = {
    "unknown context": ({}, ["--context", "x"], 'has no context "x"; it has work, other, nobody, broken'),
    "no user of that name": ({}, ["--context", "broken"], 'has no user "gone"; it has u, v'),
    "no current context": ({"current-context": ""}, [], "has no current context: choose one with --context"),
    "no contexts": ({"contexts": 7}, [], 'has no context "work"; it has none'),
    "another document": ({"kind": "Pod"}, [], "is no kubeconfig"),
}


@pytest.mark.parametrize(("parts", "arguments", "says"), WRONG.values(), ids=WRONG)
def test_kubeconfigs_that_do_not_do(
    command: Command, tmp_path: Path, parts: dict[str, Any], arguments: list[str], says: str
) -> None:
    code, out, err = command("--from", written(tmp_path, **parts), *arguments)
    assert (code, out) == (2, "") and says in err and err.count("\n") == 1


def test_files_that_do_not_do(command: Command, tmp_path: Path) -> None:
    (tmp_path / "bad").write_text("a: [")
    code, _, err = command("--from", str(tmp_path / "bad"))
    assert code == 2 and "is no kubeconfig" in err
    code, _, err = command("--from", str(tmp_path / "none"))
    assert code == 1 and err == f"headgate kubeconfig: {tmp_path / 'none'}: No such file or directory\n"


def test_in_a_pod(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kubeconfig_user, "SERVICE_ACCOUNT", tmp_path)
    code, out, err = command("--from", "in-cluster")
    assert (code, out) == (2, "") and "this is no pod" in err
    (tmp_path / "token").write_text("secret")
    (tmp_path / "namespace").write_text("agents\n")
    code, out, err = command("--from", "in-cluster")
    assert (code, err) == (0, "") and user_of(out) == ({"tokenFile": str(tmp_path / "token")}, "agents")
    assert "secret" not in out


# -- where it goes -------------------------------------------------------------------------------------
def test_a_file_for_its_owner_only(command: Command, tmp_path: Path) -> None:
    target = tmp_path / "out"
    for token in ("one", "two"):
        theirs = written(tmp_path, users=[{"name": "u", "user": {"token": token}}])
        assert command("--from", theirs, "--output", str(target)) == (0, "", "")
        assert user_of(target.read_text())[0] == {"token": token}
        assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_nobody_elses_kubeconfig_is_written_over(command: Command, tmp_path: Path) -> None:
    theirs = written(tmp_path)
    before = Path(theirs).read_bytes()
    code, out, err = command("--output", theirs)
    assert (code, out) == (2, "") and "was not written by headgate kubeconfig; choose another FILE" in err
    assert Path(theirs).read_bytes() == before


def test_a_state_folder_that_cannot_be_written(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HEADGATE_STATE_DIR", str(tmp_path / "file" / "state"))
    code, out, err = command()
    assert (code, out) == (1, "") and "set HEADGATE_STATE_DIR to a folder that can be written" in err
