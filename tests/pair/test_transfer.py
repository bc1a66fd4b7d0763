# SPDX-License-Identifier: Apache-2.0
"""What was agreed is used: transfers, their sessions and tokens (node.md c, d; dsp.md 5)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.pair.pair import Pair, play
from tests.pair.puppet import BASE, Puppet, said, stage
from tests.pair.using import USE, acts, entries, problem, reading

from corridor.engine.decide import Speak
from corridor.errors import Changed

CONSUMER = "localhost:7102"


def test_pull(tmp_path: Path) -> None:
    async def story(p: Pair) -> None:
        it = await reading(p, await p.agree(USE))
        answer = await it.get()
        assert (answer.status, len(answer.body)) == (200, 14000)
        assert answer.headers["content-length"] == "14000"
        bare = await it.get(token=None, authorization=it.token)
        assert bare.status == 200
        for wrong in ("x", it.token[:-1], it.token.replace(".1.", ".2."), it.token[3:]):
            assert problem(await it.get(token=wrong)) == (401, "unauthenticated", "")
        assert problem(await it.get(token=None)) == (401, "unauthenticated", "")
        await it.say("consumer", "COMPLETE")
        await it.both("COMPLETED")
        assert problem(await it.get())[0] == 401

    play(tmp_path, story)


@pytest.mark.parametrize("pauses", ["provider", "consumer"])
@pytest.mark.parametrize("resumes", ["provider", "consumer"])
def test_suspension_and_resumption(tmp_path: Path, pauses: str, resumes: str) -> None:
    async def story(p: Pair) -> None:
        it = await reading(p, await p.agree(USE))
        await it.say(pauses, "SUSPEND", code="pause", reasons=("repairs",))
        await it.both("SUSPENDED")
        assert problem(await it.get()) == (403, "refused", "agreement")
        for name in ("provider", "consumer"):
            record = getattr(p, name).store.of(name).transfers.get(it.pid_of(name))
            assert record.reason == "pause: repairs"
        await it.say(resumes, "START")
        await it.both("STARTED")
        fresh = await _changed(p, it)
        assert fresh.token.split(".")[2] == "2"
        assert (await fresh.get()).status == 200
        assert (await it.get()).status == 200  # the token before it, for a minute
        p.pass_time(61)
        assert problem(await it.get())[0] == 401
        assert (await fresh.get()).status == 200
        told = [entry["type"] for entry in entries(p) if entry["type"].startswith("session.")]
        assert told == ["session.opened", "session.suspended", "session.resumed"]

    play(tmp_path, story)


async def _changed(p: Pair, it: Any) -> Any:
    """The consumer's address once it is a new one."""
    transfers = p.consumer.store.of("consumer").transfers
    bells = p.consumer.engine.ground.bells
    found = await bells.until(
        it.pid, lambda: fresh if (fresh := it.again()).token != it.token else None, 5.0
    )
    assert found is not None, transfers.get(it.pid)
    return found


def test_a_resumed_session_answers_as_soon_as_its_token_is_said(tmp_path: Path) -> None:
    """The consumer may use the address before its acknowledgement is heard."""

    async def story(p: Pair, puppet: Puppet) -> None:
        it = await puppet.started(await puppet.finalize(await p.offer(USE)))
        await p.provider.engine.voice.wish(
            puppet.to, p.provider.engine.transfers, it.theirs, Speak(step="SUSPEND")
        )
        await puppet.hears("TransferSuspensionMessage")
        await p.until("provider", "transfers", it.theirs, ("SUSPENDED",))
        puppet.answers["TransferStartMessage"] = (503, b"")
        await p.provider.engine.voice.wish(
            puppet.to, p.provider.engine.transfers, it.theirs, Speak(step="START")
        )
        again = it.told((await puppet.hears("TransferStartMessage")).message)
        assert (await again.get()).status == 200
        assert (await it.get()).status == 200

    stage(tmp_path, story)


@pytest.mark.parametrize("says", ["provider", "consumer"])
@pytest.mark.parametrize(("step", "end"), [("COMPLETE", "COMPLETED"), ("TERMINATE", "TERMINATED")])
@pytest.mark.parametrize("paused", [False, True])
def test_ends(tmp_path: Path, says: str, step: str, end: str, paused: bool) -> None:
    async def story(p: Pair) -> None:
        it = await reading(p, await p.agree(USE))
        if paused:
            await it.say("provider", "SUSPEND")
            await it.both("SUSPENDED")
            if step == "COMPLETE":
                with pytest.raises(Changed):
                    await it.say(says, step)
                return
        await it.say(says, step, code="enough" if step == "TERMINATE" else "")
        await it.both(end)
        assert problem(await it.get())[0] == 401
        session = p.provider.store.of("provider").sessions.by_transfer(it.theirs)
        await p.provider.engine.ground.bells.until(it.theirs, lambda: True, 0.1)
        assert session.state in ("closing", "closed")
        with pytest.raises(Changed):
            await it.say(says, "TERMINATE")
        again = await reading(p, p.consumer.store.of("consumer").agreements.page()[0])
        assert (await again.get()).status == 200

    play(tmp_path, story)


@pytest.mark.parametrize(
    ("step", "refusal"), [("SUSPEND", 403), ("COMPLETE", 401), ("TERMINATE", 401)]
)
def test_an_end_bites_at_home_before_the_partner_knows(
    tmp_path: Path, step: str, refusal: int
) -> None:
    async def story(p: Pair) -> None:
        it = await reading(p, await p.agree(USE))
        await it.both("STARTED")
        p.net.down.add(CONSUMER)
        await it.say("provider", step, code="now")
        assert problem(await it.get())[0] == refusal
        record = p.provider.store.of("provider").transfers.get(it.theirs)
        assert (record.state, record.pending) == ("STARTED", step)
        p.net.down.clear()
        p.pass_time(2)
        ends = {"SUSPEND": "SUSPENDED", "COMPLETE": "COMPLETED", "TERMINATE": "TERMINATED"}
        await it.both(ends[step])
        assert problem(await it.get())[0] == refusal

    play(tmp_path, story)


def test_a_wish_behind_a_word_under_way_bites_too(tmp_path: Path) -> None:
    """START is on its way to a partner that does not answer; the provider changes its mind."""

    async def story(p: Pair, puppet: Puppet) -> None:
        puppet.answers["TransferStartMessage"] = (503, b"")
        it = await puppet.started(await puppet.finalize(await p.offer(USE)))
        assert (await it.get()).status == 200
        await p.provider.engine.voice.wish(
            puppet.to,
            p.provider.engine.transfers,
            it.theirs,
            Speak(step="TERMINATE", code="changed-mind", reasons=("no more",)),
        )
        assert problem(await it.get())[0] == 401
        del puppet.answers["TransferStartMessage"]
        p.pass_time(2)
        while True:
            heard = await puppet.hears_any()
            if heard.message["@type"] == "TransferTerminationMessage":
                break
        assert (heard.message["code"], heard.message["reason"]) == ("changed-mind", ["no more"])

    stage(tmp_path, story)


def asked(agreement: str, pid: str = "pc-9", **more: Any) -> dict[str, Any]:
    told = {"agreementId": agreement, "format": "HttpData-PULL", "callbackAddress": BASE}
    return said("TransferRequestMessage", **{"consumerPid": pid, **told, **more})


def test_what_a_request_for_a_transfer_must_be(tmp_path: Path) -> None:
    async def story(p: Pair, puppet: Puppet) -> None:
        agreement = await puppet.finalize(await p.offer(USE))
        other = (await p.agree(USE)).agreement_id
        address = {"@type": "DataAddress", "endpointType": "x"}
        for number, (message, code) in enumerate(
            (
                ({"agreementId": "urn:uuid:nothing"}, "unknown-agreement"),
                ({"agreementId": other}, "unknown-agreement"),
                ({"format": "HttpData-FLOAT"}, "format"),
                ({"format": "CorridorTables-PULL"}, "format"),
                ({"format": "HttpData-PUSH"}, "callback"),
                ({"format": "HttpData-PUSH", "dataAddress": address}, "callback"),
                (
                    {
                        "format": "HttpData-PUSH",
                        "dataAddress": {**address, "endpoint": "http://10.0.0.1/x"},
                    },
                    "callback",
                ),
                ({"callbackAddress": "http://127.0.0.1:1/x"}, "callback"),
            )
        ):
            told = asked(agreement, f"pc-x{number}", **message)
            answer = await puppet.post("/transfers/request", told)
            assert (answer.status, answer.code) == (400, code), message
            assert answer.value["@type"] == "TransferError"
        assert not p.provider.store.of("provider").transfers.page()

    stage(tmp_path, story)


def test_a_limit_on_sessions_of_one_agreement(tmp_path: Path) -> None:
    async def story(p: Pair, puppet: Puppet) -> None:
        agreement = await puppet.finalize(await p.offer(USE))
        for number in range(2):
            await puppet.started(agreement, f"pc-{number}x")
        answer = await puppet.post("/transfers/request", asked(agreement, "pc-3x"))
        assert (answer.status, answer.code) == (503, "try-again")

    stage(tmp_path, story, **{"limits.sessions_per_agreement_max": 2})


def test_a_finalized_that_is_under_way_counts_as_heard(tmp_path: Path) -> None:
    """The consumer asks for the data before our FINALIZED has its acknowledgement."""

    async def story(p: Pair, puppet: Puppet) -> None:
        puppet.answers["ContractNegotiationEventMessage"] = (503, b"")
        agreement = await puppet.finalize(await p.offer(USE))
        record = p.provider.store.of("provider").agreements.get(agreement)
        assert record.state == "draft"
        it = await puppet.started(agreement)
        assert (await it.get()).status == 200
        assert p.provider.store.of("provider").agreements.get(agreement).state == "live"

    stage(tmp_path, story)


def test_a_push(tmp_path: Path) -> None:
    async def story(p: Pair, puppet: Puppet) -> None:
        agreement = await puppet.finalize(await p.offer(USE))
        address = {
            "@type": "DataAddress",
            "endpointType": "https://w3id.org/idsa/v4.1/HTTP",
            "endpoint": "http://localhost:7103/sink/a",
            "endpointProperties": [
                {"@type": "EndpointProperty", "name": "authorization", "value": "Bearer sink"}
            ],
        }
        told = asked(agreement, format="HttpData-PUSH", dataAddress=address)
        theirs = (await puppet.post("/transfers/request", told)).value["providerPid"]
        started = (await puppet.hears("TransferStartMessage")).message
        assert "dataAddress" not in started
        await puppet.hears("TransferCompletionMessage")
        await p.until("provider", "transfers", theirs, ("COMPLETED",))
        ((path, headers, body),) = puppet.pushed
        assert (path, len(body)) == ("/sink/a", 14000)
        assert headers["authorization"] == "Bearer sink"
        assert headers["content-length"] == "14000"
        assert acts(p) == [("act.started", ""), ("receipt", "answered")]

        puppet.push_status = 403
        told = asked(agreement, "pc-10", format="HttpData-PUSH", dataAddress=address)
        theirs = (await puppet.post("/transfers/request", told)).value["providerPid"]
        await puppet.hears("TransferStartMessage")
        ended = (await puppet.hears("TransferTerminationMessage")).message
        assert ended["code"] == "receiver"
        await p.until("provider", "transfers", theirs, ("TERMINATED",))
        assert acts(p)[2:] == [("act.started", ""), ("receipt", "refused")]

    stage(tmp_path, story)
