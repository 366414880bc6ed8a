"""Image and chart agree with the program: versions, ports, flags, the user, the policy.

``make chart`` has helm lint and render the chart; here is what helm cannot know.
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import proxy

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm" / "headgate"
VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
SIDECAR: dict[str, Any] = yaml.safe_load((ROOT / "helm" / "sidecar.yaml").read_text())["spec"]
HEADGATE = Path(sys.executable).with_name("headgate")


def test_the_chart_installs_this_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["appVersion"] == proxy.__version__
    assert SIDECAR["initContainers"][0]["image"] == f"headgate:{proxy.__version__}"


def test_the_schema_knows_every_value() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    assert schema["additionalProperties"] is False
    assert VALUES.keys() == schema["properties"].keys() - {"global"}


def test_the_charts_policy_is_valid(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(yaml.safe_dump(VALUES["policy"]))
    checked = subprocess.run([HEADGATE, "check", file], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("file", ["helm/headgate/templates/deployment.yaml", "helm/sidecar.yaml", "Dockerfile"])
def test_the_flags_are_those_of_serve(file: str) -> None:
    text = re.sub(r"^\s*(#|RUN|COPY|HEALTHCHECK).*", "", (ROOT / file).read_text(), flags=re.MULTILINE)
    flags = set(re.findall(r'--([a-z]+)(?==|",)', text))
    shown = subprocess.run([HEADGATE, "serve", "--help"], capture_output=True, text=True, check=True).stdout
    assert flags >= {"policy", "listen"}
    assert {flag for flag in flags if f"--{flag}" not in shown} == set()


def test_nobody_runs_as_root() -> None:
    assert "\nUSER 65532:65532\n" in (ROOT / "Dockerfile").read_text()
    assert SIDECAR["initContainers"][0]["securityContext"]["runAsUser"] == 65532
    assert "runAsUser: 65532" in (CHART / "templates" / "deployment.yaml").read_text()
