"""What is said where a machine cannot have a cluster, and what becomes of its tests there."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.cluster.fixtures import left_out
from tests.cluster.programs import ROOT, SETUP, Level, NoCluster, Programs, find

Ran = subprocess.CompletedProcess[str]


def run(command: Sequence[str | Path], more: Mapping[str, str], without: str = "") -> Ran:
    environment = {name: value for name, value in os.environ.items() if name != without}
    return subprocess.run(command, cwd=ROOT, env={**environment, **more}, capture_output=True, text=True, check=False)


@pytest.fixture
def built() -> Programs:
    """The programs, where this machine has them."""
    try:
        return find()
    except NoCluster as why:
        left_out(str(why))


def pretend(folder: Path, **programs: str) -> str:
    """A PATH on which these programs say something else."""
    for name, line in programs.items():
        (folder / name).write_text(f"#!/bin/sh\n{line}\n")
        (folder / name).chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


def test_where_nothing_is_built_it_says_so(tmp_path: Path) -> None:
    said = run([SETUP, "--check"], {"XDG_CACHE_HOME": str(tmp_path)})
    assert (said.returncode, said.stdout) == (4, "")
    assert said.stderr == "no Kubernetes cluster: it is not built; run scripts/setup-cluster\n"
    assert list(tmp_path.iterdir()) == []


def test_elsewhere_than_on_linux_there_is_nothing(tmp_path: Path) -> None:
    said = run([SETUP], {"PATH": pretend(tmp_path, uname="echo Darwin")})
    assert (said.returncode, said.stderr) == (4, "no Kubernetes cluster: this is not Linux\n")


def test_without_go_there_is_nothing(tmp_path: Path) -> None:
    bare = "/usr/bin:/bin"
    if any(Path(folder, "go").exists() for folder in bare.split(":")):
        pytest.skip("go is where every program is")
    quiet = pretend(tmp_path, id="echo 1000").replace(os.environ["PATH"], bare)
    said = run([SETUP], {"PATH": quiet, "XDG_CACHE_HOME": str(tmp_path / "cache")})
    assert said.returncode == 4
    assert said.stderr == "no Kubernetes cluster: there is no go to build it with; install Go 1.24 or newer\n"


@pytest.mark.parametrize(
    ("programs", "why"),
    [
        ({"id": "echo 1000"}, "only root can run containers"),
        ({"unshare": "exit 1"}, "namespaces cannot be made"),
        ({"mkdir": "exit 1"}, "cgroups cannot be made"),
    ],
)
def test_what_a_node_needs(built: Programs, tmp_path: Path, programs: dict[str, str], why: str) -> None:
    if built.level is not Level.NODE:
        left_out(built.why)
    said = run([SETUP, "--check"], {"PATH": pretend(tmp_path, **programs)})
    assert (said.returncode, said.stdout) == (3, f"{built.folder}\n")
    assert said.stderr.startswith(f"no cluster node, only an API server: {why}")
    assert said.stderr.count("\n") == 1


@pytest.mark.parametrize(("ci", "outcome"), [({}, "1 skipped"), ({"CI": "true"}, "1 error")])
def test_tests_that_want_a_cluster_are_skipped_but_in_ci_they_fail(
    tmp_path: Path, ci: dict[str, str], outcome: str
) -> None:
    wants = "tests/cluster/test_cluster.py::test_an_account_may_do_what_it_was_given_and_no_more"
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", wants]
    said = run(command, {"XDG_CACHE_HOME": str(tmp_path), **ci}, without="CI")
    assert outcome in said.stdout
    assert "it is not built; run scripts/setup-cluster" in said.stdout
