"""``headgate check``, and finding policies by FILE, DIR or NAME."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from proxy.cli import policy_files
from proxy.cli.check import run
from proxy.cli.policy_files import find_policy, read_policy, shipped_policies
from proxy.policy.compile import PolicyErrors
from proxy.policy.source import MOST_BYTES
from tests.policy.builders import BASE


def check(*paths: object) -> tuple[int, list[str]]:
    out = io.StringIO()
    code = run([str(path) for path in paths], {"TEMPER_API_KEY": "k"}, out)
    return code, out.getvalue().splitlines()


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_good_policies_are_ok(tmp_path: Path) -> None:
    good = write(tmp_path / "p.yaml", BASE)
    code, lines = check(good, "e2b")
    assert code == 0
    assert lines[0].startswith(f"{good}: OK  1 upstream, 0 limits, 0 routes, 0 sinks, digest ")
    assert lines[1].startswith("e2b: OK  2 upstreams, 2 limits, 3 routes")


def test_every_mistake_of_every_file_is_printed(tmp_path: Path) -> None:
    good = write(tmp_path / "good.yaml", BASE)
    bad = write(tmp_path / "bad.yaml", BASE + "limitz: 1\nroutes: 5\n")
    code, lines = check(bad, good, tmp_path / "none.yaml")
    assert code == 2
    assert lines[:4] == [
        f'{bad}:4  limitz  "limitz" is not a known key',
        '    hint: did you mean "limits"?',
        f"{bad}:5  routes  wants a list, got 5",
        "    hint: write [ ] around it, or a line with - for each item",
    ]
    assert lines[4].startswith(f"{good}: OK")
    assert lines[5] == f"{tmp_path / 'none.yaml'}:1  (file)  there is no such policy"


def test_standard_output_is_where_it_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([str(write(tmp_path / "p.yaml", ""))], {}) == 2
    assert "p.yaml:1  (file)  the file is empty" in capsys.readouterr().out


def test_nothing_to_check_is_not_good() -> None:
    assert check()[0] == 2


def test_a_folder_is_one_policy(tmp_path: Path) -> None:
    write(tmp_path / "2.yml", "routes: [{name: b, match: {upstream: e2b}}]\n")
    write(tmp_path / "1.yaml", BASE + "routes: [{name: a, match: {upstream: e2b, methods: [GET]}}]\n")
    write(tmp_path / "notes.txt", "not yaml: [")
    write(tmp_path / ".hidden.yaml", "not yaml: [")
    (tmp_path / "sub.yaml").mkdir()
    assert [path.name for path in find_policy(str(tmp_path))] == ["1.yaml", "2.yml"]
    code, lines = check(tmp_path)
    assert code == 0
    assert "2 routes" in lines[0]


def test_a_mounted_config_map_is_a_folder_like_others(tmp_path: Path) -> None:
    """Kubernetes puts the files into ``..data``, a link that is swapped, and links to them beside it."""
    (tmp_path / "..2024").mkdir()
    write(tmp_path / "..2024" / "p.yaml", BASE)
    (tmp_path / "..data").symlink_to("..2024")
    (tmp_path / "p.yaml").symlink_to("..data/p.yaml")
    assert [path.name for path in find_policy(str(tmp_path))] == ["p.yaml"]
    assert check(tmp_path)[0] == 0


@pytest.mark.parametrize("argument", ["", "no/such/file.yaml", "nonesuch", "a\x00b", "x" * 5000])
def test_what_is_not_there_is_a_mistake_like_others(argument: str) -> None:
    code, lines = check(argument)
    assert code == 2
    assert ":1  (file)  " in lines[0]


def test_an_empty_folder_is_a_mistake(tmp_path: Path) -> None:
    code, lines = check(tmp_path)
    assert (code, lines[0]) == (2, f"{tmp_path}:1  (file)  the folder holds no policy")


def test_every_unreadable_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").symlink_to("nowhere")
    (tmp_path / "b.yaml").symlink_to("nowhere")
    with pytest.raises(PolicyErrors) as raised:
        read_policy(str(tmp_path))
    assert [Path(error.file).name for error in raised.value] == ["a.yaml", "b.yaml"]
    assert all(error.problem == "cannot be read: No such file or directory" for error in raised.value)


def test_of_a_huge_file_no_more_is_read_than_shows_it(tmp_path: Path) -> None:
    huge = tmp_path / "huge.yaml"
    huge.touch()
    os.truncate(huge, 8 * MOST_BYTES)
    ((_, content),) = read_policy(str(huge))
    assert len(content) == MOST_BYTES + 1
    assert "larger than 1 MiB" in check(huge)[1][0]


def test_a_bare_name_is_a_shipped_policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "e2b").mkdir()
    write(tmp_path / "e2b" / "mine.yaml", BASE)
    assert find_policy("e2b") == [shipped_policies()["e2b"]]
    assert [path.name for path in find_policy("./e2b")] == ["mine.yaml"]


def test_a_wheel_has_them_inside_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = tmp_path / "shipped_policies"
    inside.mkdir()
    write(inside / "e2b.yaml", BASE)
    monkeypatch.setattr(policy_files, "_SHIPPED", (tmp_path / "policies", inside))
    assert shipped_policies() == {"e2b": inside / "e2b.yaml"}
    monkeypatch.setattr(policy_files, "_SHIPPED", ())
    assert shipped_policies() == {}
