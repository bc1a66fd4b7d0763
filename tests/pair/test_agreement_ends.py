# SPDX-License-Identifier: Apache-2.0
"""How agreements end, and what that cuts (node.md c, d)."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.pair.pair import Pair, play
from tests.pair.puppet import Puppet, stage
from tests.pair.test_transfer import asked
from tests.pair.using import (
    COR,
    USE,
    acts,
    entries,
    eventually,
    limit,
    limited,
    problem,
    reading,
)

from corridor.errors import Changed, Ended, FetchFailed, NotFound
from corridor.world import Request

BIG = 64 << 20


def of(p: Pair, name: str, agreement: Any) -> Any:
    role = "provider" if name == "provider" else "consumer"
    return getattr(p, name).store.of(name).agreements.get(agreement.agreement_id, role)


async def withdraw(p: Pair, agreement: Any, notice: timedelta = timedelta()) -> Any:
    return await p.provider.engine.endings.withdraw(
        p.home("provider"), agreement.agreement_id, reason="no more", notice=notice, person="ann"
    )


async def big(p: Pair, terms: dict[str, Any]) -> Any:
    """An agreement on 64 MiB, which do not fit into what the network holds."""
    path = p.file("big.bin", b"\0" * BIG)
    return await p.agree(terms, asset="big", source={"path": str(path)})


async def cut_off(p: Pair, it: Any, then: Any) -> int:
    """Begin to read, do something, read on: how much came before the connection broke."""
    headers = {"authorization": f"Bearer {it.token}"}
    request = Request(
        purpose="plane", method="GET", url=it.endpoint, headers=headers, answer_bytes_max=1 << 30
    )
    came = 0
    async with p.net.stream(request) as answer:
        assert answer.status == 200
        blocks = answer.blocks()
        came += len(await anext(blocks))
        await then()
        try:
            async for block in blocks:
                came += len(block)
        except FetchFailed:
            return came
    pytest.fail("the stream was never cut")


def test_a_withdrawal_cuts_a_running_stream(tmp_path: Path) -> None:
    async def story(p: Pair) -> None:
        agreement = await big(p, USE)
        it = await reading(p, agreement)
        came = await cut_off(p, it, lambda: withdraw(p, agreement))
        assert came < BIG / 2
        await p.net.settle()
        await it.both("TERMINATED")
        assert of(p, "provider", agreement).state == "withdrawn"
        gone = await eventually(
            lambda: it if (it := of(p, "consumer", agreement)).state == "withdrawn" else None
        )
        assert (gone.reason or "").startswith("agreement-withdrawn: no more")
        assert problem(await it.get())[0] == 401
        with pytest.raises(Ended, match="withdrawn"):
            await reading(p, gone)
        with pytest.raises(Changed):
            await withdraw(p, agreement)
        assert acts(p) == [("act.started", ""), ("receipt", "cut")]
        told = [entry["type"] for entry in entries(p)]
        await eventually(lambda: "session.closed" in [e["type"] for e in entries(p)])
        assert told.count("agreement.withdrawn") == 1
        assert [e["type"] for e in entries(p, "consumer")].count("agreement.withdrawn") == 1

    play(tmp_path, story)


@pytest.mark.parametrize("step", ["SUSPEND", "TERMINATE", "COMPLETE"])
def test_a_step_of_the_provider_cuts_a_running_stream(tmp_path: Path, step: str) -> None:
    async def story(p: Pair) -> None:
        it = await reading(p, await big(p, USE))
        await it.both("STARTED")
        assert await cut_off(p, it, lambda: it.say("provider", step)) < BIG / 2
        await p.net.settle()
        assert acts(p) == [("act.started", ""), ("receipt", "cut")]

    play(tmp_path, story)


def test_no_new_transfer_after_a_withdrawal(tmp_path: Path) -> None:
    async def story(p: Pair, puppet: Puppet) -> None:
        agreement = await puppet.finalize(await p.offer(USE))
        endings = p.provider.engine.endings
        told = {"reason": "", "notice": timedelta(), "person": ""}
        (negotiation,) = p.provider.store.of("provider").negotiations.page()
        await p.until("provider", "negotiations", negotiation.pid, ("FINALIZED",))
        await endings.withdraw(puppet.to, agreement, **told)
        answer = await puppet.post("/transfers/request", asked(agreement))
        assert (answer.status, answer.code) == (400, "agreement-withdrawn")
        with pytest.raises(NotFound):
            await endings.withdraw(puppet.to, "urn:uuid:nothing", **told)
        with pytest.raises(NotFound):
            await endings.give_back(puppet.to, agreement, reason="", person="")

    stage(tmp_path, story)


def test_notice_delays_a_withdrawal(tmp_path: Path) -> None:
    async def story(p: Pair) -> None:
        duty = {
            "action": f"{COR}giveNotice",
            "constraint": [limit("odrl:delayPeriod", "gteq", "P7D")],
        }
        agreement = await p.agree({**USE, "obligation": [duty], "profile": COR[:-1]})
        engine = p.provider.engine
        record = of(p, "provider", agreement)
        notice = engine.agreements.permit(p.home("provider"), record).notice
        assert notice == timedelta(days=7)
        it = await reading(p, agreement)
        assert (await withdraw(p, agreement, notice)).state == "live"
        assert (await it.get()).status == 200
        p.pass_time(6 * 86400)
        it = await reading(p, agreement)
        assert (await it.get()).status == 200
        assert of(p, "provider", agreement).state == "live"
        p.pass_time(86401)
        await eventually(lambda: of(p, "provider", agreement).state == "withdrawn")
        assert problem(await it.get())[0] == 401
        told = [e for e in entries(p) if e["type"] == "agreement.withdrawn"]
        assert len(told) == 2  # said, and done

    play(tmp_path, story)


def test_a_consumer_gives_it_back(tmp_path: Path) -> None:
    async def story(p: Pair) -> None:
        agreement = await p.agree(USE)
        it = await reading(p, agreement)
        told = {"reason": "done with it", "person": "bob"}
        back = await p.consumer.engine.endings.give_back(
            p.home("consumer"), agreement.agreement_id, **told
        )
        assert back.state == "returned"
        await it.both("TERMINATED")
        assert problem(await it.get())[0] == 401
        with pytest.raises(Ended):
            await reading(p, back)

    play(tmp_path, story)


def test_the_end_of_an_agreement_cuts(tmp_path: Path) -> None:
    async def story(p: Pair) -> None:
        until = (p.clock.now() + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        agreement = await big(p, limited(limit("odrl:dateTime", "lt", until)))
        assert agreement.ends_at is not None
        it = await reading(p, agreement)
        await it.both("STARTED")

        async def later() -> None:
            p.pass_time(3601)
            await eventually(lambda: of(p, "provider", agreement).state == "expired")

        assert await cut_off(p, it, later) < BIG / 2
        await p.net.settle()
        await it.both("TERMINATED")
        await eventually(lambda: of(p, "consumer", agreement).state == "expired")
        assert problem(await it.get())[0] == 401
        with pytest.raises(Ended):
            await reading(p, of(p, "consumer", agreement))

    play(tmp_path, story)


def test_a_stream_ends_with_the_agreement_also_where_nobody_wakes(tmp_path: Path) -> None:
    """The judge is asked again at the instant that its answer named."""

    async def story(p: Pair) -> None:
        until = (p.clock.now() + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        it = await reading(p, await big(p, limited(limit("odrl:dateTime", "lt", until))))
        await it.both("STARTED")
        await p.provider.engine.alarms.stop()

        async def later() -> None:
            p.clock.ahead_s += 3601

        assert await cut_off(p, it, later) < BIG / 2
        await p.net.settle()
        assert acts(p) == [("act.started", ""), ("receipt", "cut")]
        assert problem(await it.get())[0] == 401

    play(tmp_path, story)


def test_a_reader_that_goes_away_leaves_a_receipt(tmp_path: Path) -> None:
    async def story(p: Pair) -> None:
        it = await reading(p, await big(p, USE))
        headers = {"authorization": f"Bearer {it.token}"}
        request = Request(
            purpose="plane", method="GET", url=it.endpoint, headers=headers,
            answer_bytes_max=1 << 30,
        )  # fmt: skip
        async with p.net.stream(request) as answer:
            await anext(answer.blocks())
        await p.net.settle()
        assert acts(p) == [("act.started", ""), ("receipt", "broken")]
        last = next(e for e in entries(p) if e["type"] == "receipt")
        assert 0 < int(last["counts"]["bytes_out"]) < BIG

    play(tmp_path, story)


def test_many_streams_of_one_session(tmp_path: Path) -> None:
    async def story(p: Pair) -> None:
        it = await reading(p, await big(p, USE))
        headers = {"authorization": f"Bearer {it.token}"}
        request = Request(
            purpose="plane", method="GET", url=it.endpoint, headers=headers,
            answer_bytes_max=1 << 30,
        )  # fmt: skip
        async with p.net.stream(request) as one, p.net.stream(request) as two:
            assert (one.status, two.status) == (200, 200)
            assert problem(await it.get()) == (503, "try-again", "")
        await asyncio.wait_for(p.net.settle(), 5)
        assert (await it.get()).status == 200

    play(tmp_path, story, **{"limits.streams_per_session_max": 2})
