"""Run a fake as a process of its own: ``python -m proxy.fakes e2b|temper|kubernetes [options]``.

Prints one line of JSON with its URLs when it takes requests, and ends with exit code 0 on SIGTERM or SIGINT.
``GET /_fake/state`` tells what it has seen, ``POST /_fake/reset`` makes it forget.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from proxy.fakes import e2b_faults, kubernetes_faults
from proxy.fakes.e2b import FakeE2B
from proxy.fakes.e2b_config import E2BConfig, Throttle
from proxy.fakes.e2b_limits import Rate
from proxy.fakes.kubernetes import FakeKubernetes
from proxy.fakes.kubernetes_config import KubernetesConfig
from proxy.fakes.server import FakeServer
from proxy.fakes.temper import FakeTemper
from proxy.fakes.temper_config import ActionFault, TemperConfig

E2B_SECONDS = ("create", "start", "destroy", "pause", "snapshot", "linger")
FAULT = "create:2:done:reset"
KUBERNETES_SECONDS = ("bookmark", "watch", "schedule", "start", "ready", "restart", "stop")


def _route_rate(text: str) -> tuple[str, Rate]:
    """``create=5`` or ``create=5/20``: per second, and the burst."""
    operation, _, numbers = text.partition("=")
    per_second, _, burst = numbers.partition("/")
    return operation, Rate(float(per_second), int(burst or 1))


def _throttle(text: str) -> Throttle:
    """``1800/10``: requests per seconds, for one key, on ``POST /sandboxes``."""
    requests, _, seconds = text.partition("/")
    return Throttle(int(requests), float(seconds))


def _seconds(text: str) -> tuple[str, float]:
    """``create=0.5``: an operation and how long it takes."""
    operation, _, seconds = text.partition("=")
    return operation, float(seconds)


def _count(text: str) -> tuple[str, int]:
    """``agents=5``: a namespace and how many pods it may have."""
    namespace, _, count = text.partition("=")
    return namespace, int(count)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="python -m proxy.fakes", description=__doc__)
    kinds = top.add_subparsers(dest="kind", required=True)
    e2b, temper, kubernetes = (kinds.add_parser(name) for name in ("e2b", "temper", "kubernetes"))
    for kind in (e2b, temper, kubernetes):
        kind.add_argument("--host", default="127.0.0.1")
        kind.add_argument("--port", type=int, default=0)
    e2b.add_argument("--sandbox-port", type=int, default=0)
    for name in E2B_SECONDS:
        e2b.add_argument(f"--{name}-seconds", type=float, default=0.0)
    e2b.add_argument("--live-limit", type=int, default=100)
    for name in ("--max-creating", "--max-starting", "--drop-above"):
        e2b.add_argument(name, type=int)
    e2b.add_argument("--route-rate", type=_route_rate, action="append", default=[], metavar="create=5/1")
    e2b.add_argument("--throttle", type=_throttle, action="append", default=[], metavar="1800/10")
    e2b.add_argument("--fault", type=e2b_faults.parse, action="append", default=[], metavar="create:3:done:503")
    e2b.add_argument("--caller-leaves", choices=["cancels", "finishes"], default="cancels")
    e2b.add_argument("--idempotency", action="store_true")
    temper.add_argument("--timer-scale", type=float, default=1.0)
    temper.add_argument("--api-key")
    temper.add_argument("--action-seconds", type=float, default=0.0)
    temper.add_argument("--write-seconds", type=float, default=0.0)
    temper.add_argument("--exhausted-contacts", type=int, nargs=2, default=(0, 1), metavar=("K", "N"))
    temper.add_argument("--fault", type=ActionFault.parse, action="append", default=[], metavar="Action:1-2:transient")
    kubernetes.add_argument("--certificate", type=Path, help="PEM with certificate and key: speak TLS")
    kubernetes.add_argument("--latency", type=_seconds, action="append", default=[], metavar="create=0.5")
    kubernetes.add_argument("--quota", type=_count, action="append", default=[], metavar="agents=5")
    for name in ("--max-reading", "--max-writing"):
        kubernetes.add_argument(name, type=int)
    for name in KUBERNETES_SECONDS:
        default = getattr(KubernetesConfig(), f"{name}_seconds")
        kubernetes.add_argument(f"--{name}-seconds", type=float, default=default)
    kubernetes.add_argument("--kubelet", action=argparse.BooleanOptionalAction, default=True)
    kubernetes.add_argument("--fault", type=kubernetes_faults.parse, action="append", default=[], metavar=FAULT)
    return top


def _kubernetes(options: argparse.Namespace) -> FakeKubernetes:
    seconds = {f"{name}_seconds": getattr(options, f"{name}_seconds") for name in KUBERNETES_SECONDS}
    config = KubernetesConfig(
        certificate=options.certificate,
        latency=dict(options.latency),
        quota=dict(options.quota),
        max_reading=options.max_reading,
        max_writing=options.max_writing,
        kubelet=options.kubelet,
        faults=tuple(options.fault),
        **seconds,
    )
    return FakeKubernetes(config, host=options.host, port=options.port)


def build(options: argparse.Namespace) -> FakeE2B | FakeTemper | FakeKubernetes:
    """The fake that the options describe."""
    if options.kind == "kubernetes":
        return _kubernetes(options)
    if options.kind == "temper":
        return FakeTemper(
            TemperConfig(
                timer_scale=options.timer_scale,
                api_key=options.api_key,
                action_seconds=options.action_seconds,
                write_seconds=options.write_seconds,
                exhausted_contacts=tuple(options.exhausted_contacts),
                faults=tuple(options.fault),
            ),
            host=options.host,
            port=options.port,
        )
    seconds = {f"{name}_seconds": getattr(options, f"{name}_seconds") for name in E2B_SECONDS}
    config = E2BConfig(
        live_limit=options.live_limit,
        max_creating=options.max_creating,
        max_starting=options.max_starting,
        drop_above=options.drop_above,
        route_rates=dict(options.route_rate),
        throttles=tuple(options.throttle),
        faults=tuple(options.fault),
        caller_leaves=options.caller_leaves,
        idempotency=options.idempotency,
        **seconds,
    )
    return FakeE2B(config, host=options.host, port=options.port, sandbox_port=options.sandbox_port)


def announce(urls: dict[str, str]) -> None:
    """One line of JSON on standard output: the caller's sign that requests are taken."""
    sys.stdout.write(json.dumps(urls) + "\n")
    sys.stdout.flush()


async def run(server: FakeServer) -> None:
    """Serve until told to stop."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    if isinstance(server, FakeE2B):
        async with server as e2b:
            announce({"url": e2b.url, "sandbox_url": e2b.sandbox_url})
            await stop.wait()
    elif isinstance(server, FakeTemper):
        async with server as temper:
            announce({"url": temper.url})
            await stop.wait()
    elif isinstance(server, FakeKubernetes):
        async with server as kubernetes:
            announce({"url": kubernetes.url})
            await stop.wait()


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point."""
    asyncio.run(run(build(parser().parse_args(arguments))))


if __name__ == "__main__":
    main()
