"""The fake Temper: states, tenants, keys, timers, the two kinds of 409, writes counted."""

from __future__ import annotations

import asyncio

import pytest

from proxy.fakes import FakeTemper, ManualClock, TemperConfig
from proxy.fakes.temper_config import ActionFault, StateTimeout
from tests.fakes.client import Client, client

PROGRESS = "/tdata/CurationJobs('{}')/Katagami.Curation.RecordProgress"
SPAWNED = "/tdata/CurationJobs('{}')/Katagami.Curation.SessionSpawned"


async def put(call: Client, name: str, content: bytes = b"x") -> int:
    return (await call("PUT", f"/tdata/Files('{name}')/$value", content)).status


async def test_progress_is_legal_while_running_only() -> None:
    async with FakeTemper() as fake, client(fake.url, X_Tenant_Id="acme") as call:
        waiting, running = fake.job("acme"), fake.job("acme", running=True)
        refused = await call("POST", PROGRESS.format(waiting.id), {"progress_log": "queued"})
        assert refused.status == 409
        assert refused.json == {
            "error": {"code": "ActionFailed", "message": "Action 'RecordProgress' not valid from state 'Queued'"}
        }
        accepted = await call("POST", PROGRESS.format(running.id), {"progress_log": "queued"})
        assert (accepted.status, accepted.json["status"]) == (200, "Running")
        assert accepted.json["fields"]["progress_log"] == "queued"
        assert [c.status for c in fake.calls()] == [409, 200]
        assert fake.calls(id=running.id)[0].tenant == "acme"


async def test_a_job_walks_its_states() -> None:
    async with FakeTemper() as fake, client(fake.url, X_Tenant_Id="acme") as call:
        made = await call("POST", "/tdata/CurationJobs", {"fields": {"job_type": "t"}})
        assert made.status == 201
        path = f"/tdata/CurationJobs('{made.json['entity_id']}')"
        for action, state in [
            ("Submit", "Ready"),
            ("SessionSpawned", "Running"),
            ("Complete", "Finalizing"),
            ("Fail", "Failed"),
            ("Retry", "Queued"),
        ]:
            answer = await call("POST", f"{path}/Katagami.Curation.{action}", {"session_id": "ss-1"})
            assert (answer.status, answer.json["status"]) == (200, state)
        assert (await call("GET", path)).json["fields"]["job_type"] == "t"
        assert (await call("POST", f"{path}/Temper.Submit", {})).status == 200
        assert (await call("POST", f"{path}/Wrong.Submit", {})).status == 404
        assert len((await call("GET", "/tdata/CurationJobs")).json["value"]) == 1


async def test_agents_must_name_their_tenant_and_see_only_theirs() -> None:
    async with FakeTemper() as fake, client(fake.url, Accept="*/*") as call:
        job = fake.job("acme", running=True)
        path = PROGRESS.format(job.id)
        agent = {"x-temper-principal-kind": "agent"}
        assert (await call("POST", path, {}, agent)).status == 400
        assert (await call("POST", path, {}, agent | {"X-Tenant-Id": "acme"})).status == 200
        assert (await call("POST", path, {}, agent | {"X-Tenant-Id": "other"})).status == 404
        assert (await call("POST", path, {})).status == 404
        mine = fake.job(running=True)
        assert (await call("POST", PROGRESS.format(mine.id), {})).status == 200


async def test_the_key_is_wanted_when_there_is_one() -> None:
    config = TemperConfig(api_key="secret", denied=frozenset({"Fail"}))
    async with FakeTemper(config) as fake, client(fake.url, Authorization="Bearer secret") as call:
        job = fake.job(running=True)
        assert (await call("POST", PROGRESS.format(job.id), {}, {"Authorization": "Bearer no"})).status == 401
        assert (await call("POST", PROGRESS.format(job.id), {})).status == 200
        denied = await call("POST", f"/tdata/CurationJobs('{job.id}')/Temper.Fail", {})
        assert (denied.status, denied.json["error"]["code"]) == (403, "AuthorizationDenied")


async def test_progress_re_arms_the_timer_and_silence_kills() -> None:
    clock = ManualClock(start=0)
    config = TemperConfig(timer_scale=0.01)
    async with FakeTemper(config, clock=clock) as fake, client(fake.url, X_Tenant_Id="a") as call:
        kept, starved = fake.job("a", running=True), fake.job("a", running=True)
        for _ in range(3):
            await clock.advance(10)
            assert (await call("POST", PROGRESS.format(kept.id), {})).status == 200
        assert [(f.id, f.at, f.state) for f in fake.timers_fired()] == [(starved.id, 18.0, "Running")]
        assert (starved.status, kept.status) == ("Failed", "Running")
        late = await call("POST", PROGRESS.format(starved.id), {})
        assert (late.status, late.json["error"]["code"]) == (409, "ActionFailed")
        await clock.advance(17.9)
        assert len(fake.timers_fired()) == 1
        await clock.advance(0.1)
        assert [f.at for f in fake.timers_fired()] == [18.0, 48.0]


async def test_a_timer_fires_by_itself_while_a_test_waits_for_it() -> None:
    config = TemperConfig(timer_scale=0.0001)
    async with FakeTemper(config) as fake:
        job = fake.job(running=True)
        await fake.until(lambda: bool(fake.timers_fired()))
        assert job.status == "Failed"


async def test_a_session_has_a_shorter_timer_of_its_own() -> None:
    clock = ManualClock(start=0)
    async with FakeTemper(clock=clock) as fake, client(fake.url, X_Tenant_Id="a") as call:
        session = fake.session("a", provisioning=True)
        path = f"/tdata/Sessions('{session.id}')/OpenPaw."
        await clock.advance(170)
        assert (await call("POST", path + "ProvisionPending", {})).status == 200
        assert (await call("POST", path + "Heartbeat", {})).status == 200
        await clock.advance(179)
        assert (await call("POST", path + "Heartbeat", {})).status == 200
        assert fake.timers_fired() == []
        await clock.advance(1)
        assert [f.entity_set for f in fake.timers_fired()] == ["Sessions"]


async def test_a_timer_that_leads_nowhere_fires_again_up_to_its_bound() -> None:
    clock = ManualClock(start=0)
    timeout = StateTimeout("CurationJobs", "Queued", 10, on_timeout="Complete", max_occurrences=2)
    async with FakeTemper(TemperConfig(timeouts=(timeout,)), clock=clock) as fake:
        fake.job()
        await clock.advance(100)
        assert [f.at for f in fake.timers_fired()] == [10, 20]


async def test_a_stale_completion_kills_the_running_session() -> None:
    async with FakeTemper() as fake, client(fake.url, X_Tenant_Id="a") as call:
        job, session = fake.job("a"), fake.session("a", provisioning=True, id="ss-2")
        await call("POST", f"/tdata/CurationJobs('{job.id}')/Temper.Submit", {})
        assert (await call("POST", SPAWNED.format(job.id), {"session_id": "ss-2"})).status == 200
        stale = await call("POST", SPAWNED.format(job.id), {"session_id": "ss-1"})
        assert (stale.status, stale.json["error"]["code"]) == (409, "ActionFailed")
        assert fake.world.killed == []
        assert (await call("POST", f"/tdata/CurationJobs('{job.id}')/Temper.Fail", {})).status == 200
        assert (session.status, fake.world.killed) == ("Cancelled", ["ss-2"])


async def test_k_of_n_first_contacts_are_exhausted() -> None:
    async with FakeTemper(TemperConfig(exhausted_contacts=(2, 11))) as fake, client(fake.url, X_Tenant_Id="a") as call:
        names = [fake.world.create("a", "Files", {}, 0).id for _ in range(22)]
        first = [await put(call, name) for name in names]
        assert (first[:11].count(409), first[11:].count(409)) == (2, 2)
        assert set(first) == {204, 409}
        assert fake.world.exhausted == 4
        again = [await put(call, name) for name, status in zip(names, first, strict=True) if status == 409]
        assert again == [204] * 4
        assert {len(versions) for versions in fake.world.versions.values()} == {1}


async def test_the_two_409s_of_a_write_differ_in_their_message_only() -> None:
    async with FakeTemper(TemperConfig(exhausted_contacts=(1, 1))) as fake, client(fake.url, X_Tenant_Id="a") as call:
        name = (await call("POST", "/tdata/Files", {})).json["entity_id"]
        path = f"/tdata/Files('{name}')"
        transient = await call("PUT", path + "/$value", b"one")
        assert transient.json == {
            "error": {
                "code": "ActionRejected",
                "message": "actor dispatch exhausted after 3 attempt(s): ask timeout after 5s",
            }
        }
        assert await put(call, name, b"one") == 204
        await call("POST", path + "/Temper.Lock", {})
        conflict = await call("PUT", path + "/$value", b"two")
        assert (conflict.status, conflict.json["error"]["code"]) == (409, "ActionRejected")
        assert conflict.json["error"]["message"] == "Action 'StreamUpdated' not valid from state 'Locked'"
        assert (await call("GET", path + "/$value")).raw == b"one"
        assert fake.world.versions == {name: [b"one"]}


async def test_scripted_faults_carry_retry_after() -> None:
    config = TemperConfig(faults=(ActionFault.parse("RecordProgress:2-3:transient"),))
    async with FakeTemper(config) as fake, client(fake.url, X_Tenant_Id="a") as call:
        path = PROGRESS.format(fake.job("a", running=True).id)
        answers = [await call("POST", path, {}) for _ in range(4)]
        assert [a.status for a in answers] == [200, 503, 503, 200]
        assert answers[1].headers["Retry-After"] == "1"
        assert answers[1].json["error"]["code"] == "DispatchTransient"


@pytest.mark.parametrize("text", ["RecordProgress:0:transient", "RecordProgress:1:odd"])
def test_bad_faults_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a fault needs"):
        ActionFault.parse(text)


async def test_an_idempotency_key_is_honoured() -> None:
    clock = ManualClock()
    config = TemperConfig(action_seconds=2)
    async with FakeTemper(config, clock=clock) as fake, client(fake.url, X_Tenant_Id="a") as call:
        path = PROGRESS.format(fake.job("a", running=True).id)
        key = {"Idempotency-Key": "k"}
        first = asyncio.create_task(call("POST", path, {"progress_log": "1"}, key))
        await clock.sleeping(1)
        second = await call("POST", path, {"progress_log": "1"}, key)
        assert second.json["error"]["code"] == "IdempotencyInProgress"
        await clock.advance(2)
        assert (await call("POST", path, {"progress_log": "1"}, key)).raw == (await first).raw
        other = await call("POST", path, {"progress_log": "2"}, key)
        assert other.json["error"]["code"] == "IdempotencyConflict"
