"""``headgate serve``: runs the proxy until SIGTERM or Ctrl-C.

Exit codes: 0 after a drain; 1 where an address is taken or the state folder cannot be used; 2 for a bad policy
or setting.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import resource
import signal
import sys

import uvloop

from proxy.app import Addresses, App, CannotListen
from proxy.cli.heap import keep_freed_memory
from proxy.cli.policy_files import read_policy
from proxy.dialects.registry import OPERATIONS
from proxy.policy.compile import load_policy
from proxy.policy.mistakes import PolicyErrors
from proxy.policy.policyset import PolicySet
from proxy.reload import Reloader
from proxy.settings import Settings, SettingsError, load_settings
from proxy.state import StateError, load_salt, state_folder

Files = list[tuple[str, bytes]]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's flags; each also is HEADGATE_<NAME> in the environment."""
    parser.add_argument("--policy", metavar="FILE|DIR|NAME", help="policy file, folder, or a shipped policy (e2b, …)")
    parser.add_argument("--listen", metavar="HOST:PORT", help="where callers connect (127.0.0.1:8080)")
    parser.add_argument("--admin", metavar="HOST:PORT", help="health, metrics, state (127.0.0.1:9090)")
    parser.add_argument("--store", metavar="URL", help="where pools live (memory://)")
    parser.add_argument("--drain", metavar="TIME", help="how long running requests may finish after SIGTERM (30s)")
    parser.add_argument("--workers", metavar="N", help="processes (1)")
    parser.add_argument("--log-format", choices=["json", "text"], help="of the access log on stdout (json)")


def run(arguments: argparse.Namespace) -> int:
    """Serve; returns the exit code."""
    names = ("policy", "listen", "admin", "store", "drain", "workers", "log_format")
    try:
        settings = load_settings({name: getattr(arguments, name) for name in names})
        if not settings.policy:
            raise SettingsError("no policy: give --policy FILE|DIR|NAME, for example --policy e2b")
        files = read_policy(settings.policy)
        policies = _load(files)
        salt = _salt(settings)
    except PolicyErrors as errors:
        print(errors, file=sys.stderr)
        return 2
    except SettingsError as error:
        print(f"headgate serve: {error}", file=sys.stderr)
        return 2
    except StateError as error:
        print(f"headgate serve: {error}", file=sys.stderr)
        return 1
    _prepare(settings)
    try:
        uvloop.run(_serve(settings, policies, files, salt))
    except (CannotListen, StateError) as error:
        print(f"headgate serve: {error}", file=sys.stderr)
        return 1
    return 0


async def _serve(settings: Settings, policies: PolicySet, files: Files, salt: bytes) -> None:
    app = App(settings, policies, salt)
    addresses = await app.start()
    reloader = Reloader(
        lambda: read_policy(settings.policy),
        _load,
        app.take_over,
        lambda result, stale: app.metrics.policy_read(result == "ok"),
    )
    reloader.first(files)
    app.watch(reloader)
    _announce(app, addresses)
    stop, hurry = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def stopping() -> None:
        (hurry if stop.is_set() else stop).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping)
    loop.add_signal_handler(signal.SIGHUP, reloader.ask)
    try:
        await stop.wait()
        await app.drain(settings.drain, hurry)
    finally:
        await app.close()


def _load(files: Files) -> PolicySet:
    return load_policy(files, os.environ, OPERATIONS)


def _salt(settings: Settings) -> bytes:
    if settings.salt is not None:
        return settings.salt.get_secret_value().encode()
    return load_salt(state_folder(settings.state_dir, os.environ))


def _announce(app: App, addresses: Addresses) -> None:
    """One line: what is mounted where."""
    upstreams = app.policies.upstreams
    base = f"http://{_shown(addresses.main)}"
    places = [f"{base}{u.prefix or ''} -> {name}" for name, u in upstreams.items() if u.listen is None] or [base]
    for name, address in addresses.own.items():
        listen = upstreams[name].listen
        scheme = "https" if listen is not None and listen.tls else "http"
        places.append(f"{scheme}://{_shown(address)} -> {name}")
    print(f"headgate: {', '.join(places)}; admin http://{_shown(addresses.admin)}", file=sys.stderr, flush=True)


def _shown(address: tuple[str, int]) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _prepare(settings: Settings) -> None:
    """Log to stderr, calm allocator and collector, and allow as many sockets as we may: every waiting caller is one."""
    logging.basicConfig(
        level=settings.log_level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    keep_freed_memory()
    # What lives now lives long; what a request makes dies with it. So the collector need not look at the one, and
    # seldom at the other (the default of 700 new objects is reached every few requests).
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
