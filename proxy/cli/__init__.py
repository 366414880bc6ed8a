"""The command ``headgate``: one module per command; here only the choice between them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from proxy import __version__
from proxy.cli import check, demo, explain, serve, status

_COMMANDS = {
    "serve": (serve, "run the proxy"),
    "check": (check, "validate policies: exit 0, or 2 with every error"),
    "explain": (explain, "say which tenant, route, limits, patience and progress a request would get"),
    "demo": (demo, "ten sandboxes at once from an E2B that allows four: without Headgate, then with it"),
    "status": (status, "limits, queues and who waits for what, from a running proxy"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Exit codes: 0 done, 1 failed, 2 wrong input."""
    parser = argparse.ArgumentParser(
        prog="headgate",
        description="A transparent HTTP proxy that lets sandbox creates in at the rate the far side can take.",
        epilog="Settings also come from the environment (HEADGATE_LISTEN, HEADGATE_ADMIN, …); a flag wins.",
    )
    parser.add_argument("--version", action="version", version=f"headgate {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (module, about) in _COMMANDS.items():
        module.configure(commands.add_parser(name, help=about, description=about.capitalize() + "."))
    chosen = parser.parse_args(arguments)
    try:
        return _COMMANDS[chosen.command][0].run(chosen)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output has gone, as in `headgate status | head -1`
        sys.stderr.close()
        return 1
