"""The admin listener over real sockets (design.md §2.11)."""

from __future__ import annotations

import asyncio
import json

import pytest

from proxy import __version__
from proxy.admin.guard import is_loopback
from proxy.admin.readiness import Readiness
from proxy.admin.server import AdminServer
from proxy.domain.errors import Evicted
from tests.admin.running import admin
from tests.observe.policies import arrival

TOKEN = "s3cret-für-alle"


async def test_health_readiness_and_metrics() -> None:
    async with admin() as running:
        assert await running.ask("/healthz") == (200, "ok\n")
        assert await running.ask("/readyz") == (503, "starting\n")
        running.readiness.ready()
        assert await running.ask("/readyz") == (200, "ready\n")
        status, text = await running.ask("/metrics")
        assert status == 200
        assert 'headgate_seats_limit{limit="creates",tenant="acme"} 8.0' in text
        running.readiness.draining()
        running.readiness.ready()
        assert await running.ask("/readyz") == (503, "draining\n")
        assert await running.ask("/") == (404, "404: Not Found")


def test_hindrances_come_and_go_but_draining_stays() -> None:
    readiness = Readiness()
    readiness.ready()
    readiness.hinder("store refused")
    assert readiness.reasons == ("store refused",)
    assert not readiness.is_ready
    readiness.clear("store refused")
    assert readiness.is_ready
    readiness.draining()
    readiness.clear("draining")
    assert readiness.mode == "draining"
    assert not readiness.is_ready


async def test_the_state() -> None:
    async with admin() as running:
        for number in range(4):
            running.store.arrive(arrival("batch-1", f"t{number}"))
        running.policy["stale"] = True
        status, text = await running.ask("/api/v1/state")
        assert status == 200
        state = json.loads(text)
        assert {"name": "creates", "scope": "batch-1", "held": 2.0, "limit": 2.0} in state["limits"]
        assert state["queues"] == [{"route": "create", "tenant": "batch-1", "waiting": 2, "lingering": 0}]
        waiting = [ticket for ticket in state["tickets"] if ticket["state"] == "waiting"]
        assert [(t["ticket"], t["position"], t["blocker"]) for t in waiting] == [
            ("t2", 1, "creates"),
            ("t3", 2, "creates"),
        ]
        assert set(waiting[0]) >= {"ticket", "tenant", "route", "state", "position", "eta", "blocker", "waited"}
        assert state["policy"] == {"digest": running.policy["digest"], "stale": True}
        assert (state["version"], state["mode"]) == (__version__, "normal")
        assert len(json.loads((await running.ask("/api/v1/state?tickets=1"))[1])["tickets"]) == 1
        for bad in ("x", "-1", "10001", "9" * 5000, "١"):
            assert (await running.ask(f"/api/v1/state?tickets={bad}"))[0] == 400


async def test_ending_a_ticket() -> None:
    async with admin() as running:
        visits = [running.store.arrive(arrival("batch-1", f"t{number}")) for number in range(3)]
        waiting = asyncio.create_task(visits[2].turn())
        assert (await running.ask("/api/v1/tickets/t2", "DELETE"))[0] == 204
        with pytest.raises(Evicted):
            await waiting
        assert (await running.ask("/api/v1/tickets/t2", "DELETE"))[0] == 404
        assert (await running.ask("/api/v1/tickets/t0", "DELETE"))[0] == 404  # holds: nobody takes that away


async def test_on_loopback_only_loopback_names_are_answered() -> None:
    async with admin(token=TOKEN) as running:
        for host in ("localhost", "localhost:9090", "127.0.0.1:1", "127.9.9.9", "[::1]:9090", "LOCALHOST"):
            assert (await running.ask("/api/v1/state", Host=host))[0] == 200, host
        for host in (
            "evil.example",
            "127.0.0.1.evil.example",
            "10.0.0.1",
            "localhost.evil",
            "",
            "[::1",
            "a@localhost@b",
        ):
            for path in ("/api/v1/state", "/metrics", "/healthz"):
                assert (await running.ask(path, Host=host))[0] == 403, host


async def test_a_foreign_page_changes_nothing() -> None:
    async with admin() as running:
        for number in range(3):
            running.store.arrive(arrival("batch-1", f"t{number}"))
        for origin in ("https://evil.example", "null", "http://localhost:1"):
            assert (await running.ask("/api/v1/tickets/t2", "DELETE", Origin=origin))[0] == 403
        assert (await running.ask("/api/v1/tickets/t2", "DELETE", Origin=running.url))[0] == 204


async def test_elsewhere_a_token_is_needed_but_for_probes_and_metrics() -> None:
    async with admin("0.0.0.0", TOKEN) as running:
        running.readiness.ready()
        for path in ("/healthz", "/readyz", "/metrics"):
            assert (await running.ask(path, Host="pod-7.example"))[0] == 200
        bad = (
            "",
            "Bearer",
            "Bearer ",
            "Bearer wrong",
            f"Basic {TOKEN}",
            TOKEN,
            f"Bearer {TOKEN}x",
            f"Bearer {TOKEN[:-1]}",
        )
        for path, method in (
            ("/api/v1/state", "GET"),
            ("/api/v1/tickets/x", "DELETE"),
            ("/", "GET"),
            ("/healthz/", "GET"),
        ):
            for header in bad:
                async with running.client.request(
                    method, running.url + path, headers={"Authorization": header}
                ) as reply:
                    assert reply.status == 401, header
                    assert reply.headers["WWW-Authenticate"].startswith("Bearer")
                    assert TOKEN not in await reply.text()
            assert (await running.ask(path, method))[0] == 401
            assert (await running.ask(path, method, Authorization=f"bearer {TOKEN}"))[0] in (200, 404)
        assert (await running.ask("/api/v1/state", Authorization=f"Bearer {TOKEN}"))[0] == 200


@pytest.mark.parametrize("token", [None, "", "  "])
async def test_elsewhere_without_a_token_only_probes_and_metrics_answer(token: str | None) -> None:
    async with admin("0.0.0.0", token) as running:
        running.readiness.ready()
        for path in ("/healthz", "/readyz", "/metrics"):
            assert (await running.ask(path))[0] == 200
        for path, method in (("/api/v1/state", "GET"), ("/api/v1/tickets/x", "DELETE"), ("/", "GET")):
            status, text = await running.ask(path, method, Authorization="Bearer ")
            assert status == 403
            assert "HEADGATE_ADMIN_TOKEN" in text


async def test_a_port_that_is_taken_is_an_os_error_and_closing_is_harmless() -> None:
    async with admin() as running:
        port = int(running.url.rsplit(":", 1)[1])
        second = AdminServer(
            store=running.store,
            metrics=running.metrics.text,
            readiness=running.readiness,
            policy=lambda: running.policy,
        )
        with pytest.raises(OSError, match="in use"):
            await second.start("127.0.0.1", port)
        await second.close()


async def test_answers_are_not_kept_or_guessed_at() -> None:
    async with admin() as running, running.client.get(running.url + "/api/v1/state") as reply:
        assert reply.headers["Cache-Control"] == "no-store"
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert reply.content_type == "application/json"


def test_what_is_loopback() -> None:
    assert all(
        map(is_loopback, ("127.0.0.1", "127.255.0.1", "::1", "[::1]", "localhost", "LocalHost.", "::ffff:127.0.0.1"))
    )
    assert not any(map(is_loopback, ("0.0.0.0", "::", "", "10.0.0.1", "localhost.example", "::ffff:10.0.0.1")))
