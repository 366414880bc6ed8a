"""The checkout keeps the rules of :mod:`tests.architecture.rings`."""

import tomllib
from pathlib import Path

import pytest

from tests.architecture import checker
from tests.architecture.rings import (
    CONTRACTS,
    LONG_FILES,
    LONG_FUNCTIONS,
    MOST_FUNCTION_LINES,
    MOST_LINES,
    Contract,
)

ROOT = Path(__file__).parents[2]
FILES = checker.sources(ROOT / "proxy")
MEASURED = ("proxy", "tests", "chaos", "bench", "scripts")


def holds(found: list[str]) -> None:
    """Fail with every violation on a line of its own."""
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.name)
def test_imports_point_down(contract: Contract) -> None:
    holds(checker.upward_imports(FILES, contract))


def test_every_part_has_a_place() -> None:
    holds(checker.homeless_parts(FILES, CONTRACTS))


def test_the_pure_ring_does_nothing_but_decide() -> None:
    holds(checker.impurities(FILES))


def test_each_library_has_its_place() -> None:
    holds(checker.misplaced_libraries(FILES))


def test_the_environment_is_read_at_the_edge() -> None:
    holds(checker.environment_reads(FILES))


def test_what_is_compiled_never_waits_while_it_cleans_up() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    compiled = build["targets"]["wheel"]["hooks"]["mypyc"]["include"]
    missing = [pattern for pattern in compiled if not list(ROOT.glob(pattern))]
    assert compiled and not missing
    holds(checker.awaits_in_clean_up(FILES, compiled))


def test_files_are_one_idea() -> None:
    holds(checker.over_budget(checker.long_files(ROOT, MEASURED, MOST_LINES), LONG_FILES))


def test_functions_fit_on_a_screen() -> None:
    found = checker.long_functions(ROOT, MEASURED, MOST_FUNCTION_LINES)
    holds(checker.over_budget(found, LONG_FUNCTIONS))
