"""The command ``headgate``: one module per command; here only the choice between them."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from proxy import __version__
from proxy.cli import check, demo, explain, kubeconfig, serve, status


@dataclass(frozen=True, slots=True)
class _Command:
    about: str
    configure: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


def _configure_check(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="FILE", help="policy file, folder, or the name of a shipped policy")


_COMMANDS = {
    "serve": _Command("run the proxy", serve.configure, serve.run),
    "check": _Command(
        "validate policies: exit 0, or 2 with every error",
        _configure_check,
        lambda arguments: check.run(arguments.files, os.environ),
    ),
    "explain": _Command(
        "say which tenant, route, limits, patience and progress a request would get", explain.configure, explain.run
    ),
    "demo": _Command(
        "ten jobs at once against an E2B that allows four creates: without Headgate, then with it",
        demo.configure,
        demo.run,
    ),
    "status": _Command(
        "show limits, queues and who waits for what, from a running proxy", status.configure, status.run
    ),
    "kubeconfig": _Command(
        "print a kubeconfig that points kubectl and clients at the proxy, with its CA",
        kubeconfig.configure,
        kubeconfig.run,
    ),
}


def _version() -> str:
    """With a word where the request path is compiled (docs/decisions/0004-compiled-wheel.md)."""
    compiled = not (find_spec("proxy.admission.pool").origin or "").endswith(".py")  # type: ignore[union-attr]
    return f"headgate {__version__}{' (compiled)' if compiled else ''}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Exit codes: 0 done, 1 failed, 2 wrong input."""
    parser = argparse.ArgumentParser(
        prog="headgate",
        description="A transparent HTTP proxy that lets sandbox creates in at the rate the far side can take.",
        epilog="Settings also come from the environment (HEADGATE_LISTEN, HEADGATE_ADMIN, …); a flag wins.",
    )
    parser.add_argument("--version", action="version", version=_version())
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in _COMMANDS.items():
        about = command.about
        command.configure(commands.add_parser(name, help=about, description=f"{about[0].upper()}{about[1:]}."))
    chosen = parser.parse_args(arguments)
    try:
        return _COMMANDS[chosen.command].run(chosen)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output has gone, as in `headgate status | head -1`
        sys.stderr.close()
        return 1
