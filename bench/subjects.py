"""The proxies that are measured, one class each: a configuration, a command, a way to ask how many wait.

Rules: the features are comparable (docs/benchmarks.md lists them): one worker, kept connections to the
upstream, an access log line per request into a file, metrics on, and a bound on requests in flight.
"""

import importlib.metadata
import json
import subprocess
import sys
import urllib.request
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from bench.machine import BenchError, tool
from bench.processes import Child, free_port
from proxy import __version__


@dataclass(frozen=True, slots=True)
class Plan:
    """A setting: `seats` requests at once go to the port `upstream`, `queue` more may wait."""

    folder: Path
    upstream: int
    core: int
    seats: int = 10_000
    queue: int = 20_000


class Subject(ABC):
    """A running proxy. Entering the context starts it and waits until it listens; leaving stops it."""

    name: ClassVar[str]
    queues: ClassVar[bool] = True  # whether requests above the seats wait instead of failing
    version_flag: ClassVar[str] = "--version"
    signature: ClassVar[str] = "version "

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.folder = plan.folder / self.name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.admin = free_port()
        self._child: Child | None = None

    @abstractmethod
    def _command(self) -> list[str]:
        """Writes the configuration into the folder and returns the command that runs it in the foreground."""

    def _environment(self) -> dict[str, str]:
        return {}

    def waiting(self) -> int:
        """How many requests it says are waiting now."""
        raise NotImplementedError(f"{self.name} has no queue")

    def family(self) -> list[int]:
        """Its processes; none when there is no proxy."""
        return self._child.family() if self._child else []

    @classmethod
    def version(cls) -> str:
        """What its command says it is. Raises BenchError when there is no such command."""
        argv = [tool(cls.name), cls.version_flag]
        shown = subprocess.run(argv, capture_output=True, text=True, check=False)
        _, found, rest = (shown.stdout + shown.stderr).partition(cls.signature)
        if not found:
            raise BenchError(f"{argv[0]} does not run: {shown.stdout}{shown.stderr}")
        return rest.split()[0]

    def __enter__(self) -> Self:
        log = self.folder / "output.log"
        self._child = Child(self._command(), core=self.plan.core, log=log, env=self._environment())
        self._child.listening(self.port, self.admin)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._child:
            self._child.stop()

    def _ask(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}{path}", timeout=30) as reply:
            return str(reply.read().decode())

    def _write(self, file: str, text: str) -> str:
        (self.folder / file).write_text(text)
        return str(self.folder / file)


class Direct(Subject):
    """No proxy: the load goes straight to the upstream, the floor under every figure."""

    name = "direct"
    queues = False

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self.port = plan.upstream

    def _command(self) -> list[str]:
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    @classmethod
    def version(cls) -> str:
        """There is nothing that could have one."""
        return "-"


class Haproxy(Subject):
    """Logs to standard output, which is a file here; it writes each line at once and has no buffer for it."""

    name = "haproxy"
    version_flag = "-v"

    def _command(self) -> list[str]:
        text = f"""
global
  nbthread 1
  maxconn {self.plan.queue + 1000}
  no strict-limits            # a queued request needs one descriptor, not the two that maxconn reckons with
  log stdout format raw local0
defaults
  mode http
  log global
  option httplog
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  timeout queue 1h
frontend data
  bind 127.0.0.1:{self.port} backlog 4096
  default_backend upstream
backend upstream
  http-reuse always
  server one 127.0.0.1:{self.plan.upstream} maxconn {self.plan.seats}
frontend admin
  option dontlog-normal
  bind 127.0.0.1:{self.admin}
  http-request use-service prometheus-exporter if {{ path /metrics }}
  stats enable
  stats uri /stats
"""
        return [tool("haproxy"), "-db", "-f", self._write("haproxy.cfg", text)]

    def waiting(self) -> int:
        """In the queue of the backend and in the server's own."""
        rows = [line.split(",") for line in self._ask("/stats;csv").splitlines()]
        return sum(int(row[2]) for row in rows if row[0] == "upstream")


class Nginx(Subject):
    """Buffers its log as it is mostly run. Its open-source build has no queue."""

    name = "nginx"
    queues = False
    version_flag = "-v"
    signature = "nginx/"

    def _command(self) -> list[str]:
        text = f"""
daemon off;
user root;
worker_processes 1;
pid {self.folder}/nginx.pid;
error_log {self.folder}/error.log;
events {{ worker_connections 16384; }}
http {{
  access_log {self.folder}/access.log combined buffer=64k flush=1s;
  keepalive_requests 1000000000;
  client_max_body_size 0;
  client_body_temp_path {self.folder}/body;
  proxy_temp_path {self.folder}/proxy;
  proxy_request_buffering off;
  proxy_max_temp_file_size 0;
  proxy_read_timeout 1h;
  upstream one {{
    server 127.0.0.1:{self.plan.upstream} max_conns={self.plan.seats};
    keepalive 512;
    keepalive_requests 1000000000;
  }}
  server {{
    listen 127.0.0.1:{self.port} backlog=4096;
    location / {{ proxy_pass http://one; proxy_http_version 1.1; proxy_set_header Connection ""; }}
  }}
  server {{ listen 127.0.0.1:{self.admin}; access_log off; location / {{ stub_status; }} }}
}}
"""
        return [tool("nginx"), "-c", self._write("nginx.conf", text)]


class Envoy(Subject):
    """Its pending requests are its queue: they wait for one of `seats` connections."""

    name = "envoy"
    signature = "version: "

    def _command(self) -> list[str]:
        return [
            *(tool("envoy"), "-c", self._write("envoy.json", json.dumps(self._config()))),
            *("--concurrency", "1", "--disable-hot-restart", "--log-level", "error"),
        ]

    def _config(self) -> dict[str, object]:
        types = "type.googleapis.com/envoy.extensions"
        router = f"{types}.filters.http.router.v3.Router"
        manager = f"{types}.filters.network.http_connection_manager.v3.HttpConnectionManager"
        file_log = f"{types}.access_loggers.file.v3.FileAccessLog"
        route = {"match": {"prefix": "/"}, "route": {"cluster": "upstream", "timeout": "0s"}}
        http = {
            "@type": manager,
            "stat_prefix": "data",
            "stream_idle_timeout": "0s",
            "access_log": [{"name": "file", "typed_config": {"@type": file_log, "path": f"{self.folder}/access.log"}}],
            "http_filters": [{"name": "router", "typed_config": {"@type": router}}],
            "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        }
        listener = {
            "name": "data",
            "address": _address(self.port),
            "filter_chains": [{"filters": [{"name": "http", "typed_config": http}]}],
        }
        bounds = {
            "max_connections": self.plan.seats,
            "max_pending_requests": self.plan.queue,
            "max_requests": self.plan.seats + self.plan.queue,
        }
        endpoint = {"lb_endpoints": [{"endpoint": {"address": _address(self.plan.upstream)}}]}
        cluster = {
            "name": "upstream",
            "type": "STATIC",
            "connect_timeout": "5s",
            "circuit_breakers": {"thresholds": [bounds]},
            "load_assignment": {"cluster_name": "upstream", "endpoints": [endpoint]},
        }
        return {
            "admin": {"address": _address(self.admin)},
            "static_resources": {"listeners": [listener], "clusters": [cluster]},
        }

    def waiting(self) -> int:
        """Requests pending for a connection."""
        return int(self._ask("/stats?filter=upstream.upstream_rq_pending_active").rpartition(":")[2])

    @classmethod
    def version(cls) -> str:
        """Without the commit before it and the build flags after it."""
        return super().version().split("/")[1]


class Headgate(Subject):
    """One worker, the memory store, a policy with seats on the route; a log line per request."""

    name = "headgate"

    def _policy(self) -> str:
        queue = self.plan.queue
        return f"""
version: 1
upstreams:
  bench: {{url: "http://127.0.0.1:{self.plan.upstream}", dialect: http}}
limits:
  calls: {{seats: {self.plan.seats}, per: tenant, hold: request}}
routes:
  - name: bench
    match: {{upstream: bench}}
    limits: [calls]
    queue: {{patience: 60m, linger: 30s, waiting: {{per_tenant: {queue}, total: {queue}}}}}
"""

    def _program(self) -> list[str]:
        return [tool("headgate")]

    def _command(self) -> list[str]:
        addresses = ["--listen", f"127.0.0.1:{self.port}", "--admin", f"127.0.0.1:{self.admin}"]
        return [*self._program(), "serve", "--policy", self._write("policy.yaml", self._policy()), *addresses]

    def _environment(self) -> dict[str, str]:
        # Usually half of the open files allowed: on a machine with few, less than the crowd that is to wait.
        return {"HEADGATE_STATE_DIR": str(self.folder), "HEADGATE_CONNECTIONS": str(2 * self.plan.queue + 1000)}

    def waiting(self) -> int:
        """Callers connected and waiting, over all routes."""
        lines = self._ask("/metrics").splitlines()
        return sum(int(float(line.split()[-1])) for line in lines if line.startswith("headgate_queue_waiting"))

    @classmethod
    def version(cls) -> str:
        """That of the distribution installed here, which is the one that runs."""
        tool(cls.name)
        return importlib.metadata.version("headgate")


class Plain(Headgate):
    """The same from the checkout, as Python: what ``headgate`` is where it was not compiled."""

    name = "plain"

    def _program(self) -> list[str]:
        return [sys.executable, "-m", "proxy"]

    @classmethod
    def version(cls) -> str:
        """The checkout's."""
        return __version__


def _address(port: int) -> dict[str, object]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


PROXIES: dict[str, type[Subject]] = {proxy.name: proxy for proxy in (Haproxy, Nginx, Envoy, Headgate, Plain)}
SUBJECTS: dict[str, type[Subject]] = {Direct.name: Direct, **PROXIES}
