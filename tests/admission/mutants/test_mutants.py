"""The proofs bite: a quick part of them catches every mutant, and passes without one.

Each mutant lives in a copy of the package in a directory of its own; a process of its own runs the copies of the
tests there. What is under version control is never touched.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.admission.mutants.catalogue import MUTANTS, Mutant
from tests.support.compiled import python_only

pytestmark = python_only

ROOT = Path(__file__).resolve().parents[3]
PROOFS = (
    tuple(f"tests/admission/test_{what}.py" for what in ("waiting", "limits", "leaving", "keeping", "courtesy")),
    ("tests/stores/test_memory_store.py", "-k", "not thousand"),
    ("tests/simulation/test_fairness.py", "-k", "not control and (below or all_seats or share)"),
    ("tests/admission/test_pool_machine.py",),
)
"""The quick ones first; the first that fails has caught it."""
_QUICK = {"HEADGATE_EXAMPLES": "40", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONDONTWRITEBYTECODE": "1"}
"""Few histories of the state machine; none of pytest's plugins, which take longer to load than most proofs run."""
CAUGHT, SURVIVED = 1, 0
"""pytest's exit codes; any other means that the proofs did not run."""
_GUARD = """
from pathlib import Path
import proxy
assert Path(proxy.__file__).is_relative_to(Path(__file__).parent), "the copy is what is tested"
"""


def verdict(mutant: Mutant | None, home: Path) -> tuple[int, str]:
    """Run the proofs on a copy with the mutant in it; pytest's exit code and its words."""
    unwanted = shutil.ignore_patterns("__pycache__", "mutants")
    for package in ("proxy", "tests/admission", "tests/simulation", "tests/stores", "tests/support"):
        shutil.copytree(ROOT / package, home / package, ignore=unwanted)
    (home / "tests/__init__.py").touch()
    (home / "conftest.py").write_text(_GUARD)
    (home / "pytest.ini").write_text("[pytest]\npythonpath = .\nfilterwarnings = error\n")
    if mutant is not None:
        mutant.infect(home / "proxy")
    environment = {**os.environ, **_QUICK}
    code, words = SURVIVED, ""
    for proofs in PROOFS:
        command = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "-p", "no:cacheprovider", *proofs]
        done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, timeout=120)
        code, words = done.returncode, done.stdout[-3000:] + done.stderr[-1000:]
        if code != SURVIVED:
            break
    return code, words


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[tuple[int, str]]]]:
    """All of them, two at a time."""
    with ThreadPoolExecutor(2) as workers:
        running = {"": workers.submit(verdict, None, tmp_path_factory.mktemp("healthy"))}
        for number, mutant in enumerate(MUTANTS):
            running[mutant.name] = workers.submit(verdict, mutant, tmp_path_factory.mktemp(f"mutant{number}"))
        yield running


def test_without_a_mutant_the_proofs_pass(verdicts: dict[str, Future[tuple[int, str]]]) -> None:
    code, words = verdicts[""].result()
    assert code == SURVIVED, words


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_is_caught(mutant: Mutant, verdicts: dict[str, Future[tuple[int, str]]]) -> None:
    code, words = verdicts[mutant.name].result()
    assert code == CAUGHT, f"exit {code}\n{words}"
    assert " failed" in words
