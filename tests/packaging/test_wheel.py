"""The wheel carries all that `headgate serve` needs and nothing of the tests.

``make package`` goes further: it installs the wheel in an environment of its own and uses it there.
"""

import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

import proxy

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    [path] = folder.glob("*.whl")
    return zipfile.ZipFile(path)


def test_every_file_of_the_package_is_in_it(wheel: zipfile.ZipFile) -> None:
    ours = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "proxy").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert len(ours) > 10
    assert ours - set(wheel.namelist()) == set()


def test_the_shipped_policies_are_in_it(wheel: zipfile.ZipFile) -> None:
    policies = sorted((ROOT / "policies").glob("*.yaml"))
    assert policies
    for path in policies:
        assert wheel.read(f"proxy/shipped_policies/{path.name}") == path.read_bytes()


def test_nothing_else_is_in_it(wheel: zipfile.ZipFile) -> None:
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert tops == {"proxy", f"headgate-{proxy.__version__}.dist-info"}


def test_it_says_what_it_is(wheel: zipfile.ZipFile) -> None:
    info = f"headgate-{proxy.__version__}.dist-info"
    metadata = Parser().parsestr(wheel.read(f"{info}/METADATA").decode())
    assert metadata["Name"] == "headgate"
    assert metadata["Version"] == proxy.__version__
    assert metadata["Requires-Python"] == ">=3.11"
    assert "headgate = proxy.cli:main" in wheel.read(f"{info}/entry_points.txt").decode()
