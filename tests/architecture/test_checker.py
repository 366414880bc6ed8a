"""The checker finds what is planted for it, and nothing in a tree that keeps the rules."""

from pathlib import Path

import pytest

from tests.architecture import checker
from tests.architecture.rings import CONTRACTS, RING, SHELL

CLEAN = {
    "__init__.py": '__version__ = "1"\n',
    "domain/ids.py": "from typing import NewType\n",
    "policy/schema.py": "import pydantic, yaml\nfrom proxy.domain import ids\n",
    "dialects/e2b.py": "import msgspec\nfrom http import HTTPStatus\nfrom proxy import __version__\n",
    "admission/pool.py": "from datetime import timedelta\nimport proxy.domain.ids\n",
    "problems.py": "from proxy.domain import errors\n",
    "ports.py": "from proxy.admission.pool import Pool\nfrom proxy import problems\n",
    "pipeline/journey.py": "import asyncio\nfrom proxy.ports import Store\nfrom proxy.dialects import e2b\n",
    "wire/server.py": "import httptools, asyncio\nfrom proxy.pipeline.journey import f\n",
    "stores/redis_store.py": "import redis.asyncio\nfrom proxy.ports import Store\n",
    "settings.py": "import os\nfrom pydantic_settings import BaseSettings\nhome = os.environ['HOME']\n",
    "app.py": "from proxy.settings import s\nfrom proxy import wire, stores\n",
    "cli/main.py": "import rich\nfrom proxy import app, fakes\nprint(1)\n",
}


def plant(folder: Path, files: dict[str, str]) -> list[checker.Source]:
    for name, text in files.items():
        path = folder / "proxy" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return checker.sources(folder / "proxy")


def everything(files: list[checker.Source]) -> list[str]:
    return [
        *(line for contract in CONTRACTS for line in checker.upward_imports(files, contract)),
        *checker.homeless_parts(files, CONTRACTS),
        *checker.impurities(files),
        *checker.misplaced_libraries(files),
        *checker.environment_reads(files),
    ]


def test_a_tree_that_keeps_the_rules_passes(tmp_path: Path) -> None:
    files = plant(tmp_path, CLEAN)
    assert len(files) == len(CLEAN)
    assert everything(files) == []


def test_a_package_that_does_not_exist_passes(tmp_path: Path) -> None:
    assert everything(checker.sources(tmp_path / "proxy")) == []


@pytest.mark.parametrize(
    ("path", "text", "found"),
    [
        ("domain/a.py", "import proxy.policy", "imports proxy.policy"),
        ("domain/a.py", "from proxy import admission", "imports proxy.admission"),
        ("policy/a.py", "from proxy.dialects.e2b import E2b", "imports proxy.dialects"),
        ("policy/a.py", "from ..admission import pool", "imports proxy.admission"),
        ("policy/deep/a.py", "from ...admission import pool", "imports proxy.admission"),
        ("policy/a.py", "from .. import admission", "imports proxy.admission"),
        ("dialects/a.py", "def f():\n    from proxy.policy import x", "imports proxy.policy"),
        ("admission/a.py", "if TYPE_CHECKING:\n    from proxy.policy import x", "imports proxy.policy"),
        ("problems.py", "from proxy.dialects import base", "imports proxy.dialects"),
        ("ports.py", "import proxy.pipeline.journey", "imports proxy.pipeline"),
        ("pipeline/a.py", "from proxy.wire import x", "imports proxy.wire"),
        ("wire/a.py", "from proxy.stores.memory import x", "imports proxy.stores"),
        ("stores/a.py", "from proxy.wire import x", "imports proxy.wire"),
        ("admin/a.py", "from proxy.app import x", "imports proxy.app"),
        ("couriers/a.py", "from proxy.observe import x", "imports proxy.observe"),
        ("observe/a.py", "from proxy.admin import x", "imports proxy.admin"),
        ("fakes/a.py", "from proxy.domain.ids import x", "imports proxy.domain"),
        ("settings.py", "from proxy.policy import x", "imports proxy.policy"),
        ("app.py", "from proxy.cli import x", "imports proxy.cli"),
        ("app.py", "from proxy.fakes import x", "imports proxy.fakes"),
        ("utils.py", "x = 1", "utils has no place"),
        ("__init__.py", "from proxy.app import run", "the package imports proxy.app.run"),
        ("domain/a.py", "import asyncio", "imports asyncio"),
        ("domain/a.py", "import os.path", "imports os"),
        ("policy/a.py", "from os import environ", "reads os.environ"),
        ("admission/a.py", "from time import monotonic", "imports time"),
        ("admission/a.py", "import random", "imports random"),
        ("dialects/a.py", "import uuid", "imports uuid"),
        ("dialects/a.py", "import logging", "imports logging"),
        ("dialects/a.py", "from http import client", "imports http.client"),
        ("dialects/a.py", "import socket", "imports socket"),
        ("problems.py", "import threading", "imports threading"),
        ("policy/a.py", "import aiohttp", "imports aiohttp"),
        ("policy/a.py", "import redis", "imports redis"),
        ("policy/compile.py", "import pydantic", "imports pydantic"),
        ("dialects/a.py", "import yaml", "imports yaml"),
        ("policy/a.py", "now = datetime.now(UTC)", "calls .now()"),
        ("policy/a.py", "text = Path('x').read_text()", "calls .read_text()"),
        ("policy/a.py", "text = open('x')", "calls open()"),
        ("admission/a.py", "print(1)", "calls print()"),
        ("admission/a.py", "async def f(): ...", "is async"),
        ("admission/a.py", "def f():\n    global x", "a global"),
        ("wire/a.py", "import pydantic", "pydantic belongs in policy/schema*.py"),
        ("app.py", "import yaml", "yaml belongs in policy/*.py"),
        ("pipeline/a.py", "import redis", "redis belongs in stores"),
        ("wire/a.py", "import os\nx = os.environ.get('X')", "reads os.environ"),
        ("stores/a.py", "import os\nx = os.getenv('X')", "reads os.getenv"),
    ],
)
def test_a_planted_violation_is_found(tmp_path: Path, path: str, text: str, found: str) -> None:
    lines = everything(plant(tmp_path, CLEAN | {path: text + "\n"}))
    assert any(line.startswith(f"proxy/{path}:") and found in line for line in lines), lines


def test_the_line_is_named(tmp_path: Path) -> None:
    files = plant(tmp_path, {"domain/a.py": "x = 1\n\nimport time\n"})
    assert checker.impurities(files) == ["proxy/domain/a.py:3  the pure ring imports time"]


def test_every_part_has_exactly_one_contract() -> None:
    parts = [part for contract in CONTRACTS for part in contract.parts]
    assert len(parts) == len(set(parts))
    assert set(parts) >= RING | SHELL


def test_a_wait_while_cleaning_up_is_found_where_it_is_compiled(tmp_path: Path) -> None:
    text = "async def f():\n try:\n  await a\n except E:\n  async with b: pass\n finally:\n  if c:\n   await d\n"
    files = plant(tmp_path, {"wire/a.py": text, "wire/b.py": text, "stores/c.py": text})
    words = "waits while it cleans up, and is compiled"
    found = [f"proxy/wire/a.py:{line}  {words}" for line in (8, 5)]
    assert checker.awaits_in_clean_up(files, ["proxy/wire/a.py", "proxy/nothing/*.py"]) == found


def test_lengths_are_counted(tmp_path: Path) -> None:
    plant(tmp_path, {"a.py": "x = 1\n" * 5, "b.py": "x = 1\n" * 4})
    assert checker.long_files(tmp_path, ["proxy", "nowhere"], 4) == {"proxy/a.py": 5}


def test_functions_are_counted_without_their_docstring(tmp_path: Path) -> None:
    lines = ["class A:", " def f(self):", "  'One\\", "  two.'", "  x = 1", "  async def g():", "   pass"]
    plant(tmp_path, {"a.py": "\n".join(lines)})
    assert checker.long_functions(tmp_path, ["proxy"], 3) == {"proxy/a.py::A.f": 4}
    assert checker.long_functions(tmp_path, ["proxy"], 1) == {"proxy/a.py::A.f": 4, "proxy/a.py::A.f.g": 2}


def test_a_list_of_exceptions_cannot_grow_stale() -> None:
    assert checker.over_budget({"a": 500, "b": 500}, {"a": "a table", "c": "was long"}) == [
        "b has 500 lines: divide it, or list it with a reason",
        "c is listed as long and is not: take it off the list",
    ]
