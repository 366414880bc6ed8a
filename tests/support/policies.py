"""The shipped policies as tests use them: their own text, with a few numbers made small."""

from __future__ import annotations

from proxy.cli.policy_files import shipped_policies


def shipped(name: str, **instead: str) -> str:
    """A shipped policy's text. ``every="10s:1s"`` replaces ``every: 10s`` by ``every: 1s`` wherever it stands.

    What is to be replaced must be there, so that no test quietly runs with other numbers than it says.
    """
    text = shipped_policies()[name].read_text()
    for key, change in instead.items():
        old, _, new = change.partition(":")
        assert f"{key}: {old}" in text, f"{name} has no {key}: {old}"
        text = text.replace(f"{key}: {old}", f"{key}: {new}")
    return text
