"""The shipped policies as tests use them: their own text, with a few numbers made small."""

from __future__ import annotations

from proxy.cli.policy_files import shipped_policies


def shipped(name: str, *, without: str = "", **instead: str) -> str:
    """A shipped policy's text. ``every="10s:1s"`` replaces ``every: 10s`` by ``every: 1s`` wherever it stands.

    What is to be replaced must be there, so that no test quietly runs with other numbers than it says. Lines that
    begin with ``without`` are left out.
    """
    text = shipped_policies()[name].read_text()
    if without:
        assert without in text, f"{name} has no {without}"
        text = "\n".join(line for line in text.split("\n") if not line.strip().startswith(without))
    for key, change in instead.items():
        old, _, new = change.partition(":")
        assert f"{key}: {old}" in text, f"{name} has no {key}: {old}"
        text = text.replace(f"{key}: {old}", f"{key}: {new}")
    return text


def quick_beats(**instead: str) -> str:
    """The policy for Temper with beats every 50 ms.

    Its idempotency keys change with every second of waiting, so beats that come quicker must do without them.
    """
    return shipped("temper-e2b", without="Idempotency-Key", first="1s:20ms", every="10s:50ms", **instead)
