# SPDX-License-Identifier: Apache-2.0
"""The ledger says what evidence.md 2.2 wants said: row by row of its table."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.pair.pair import Pair, play
from tests.pair.people import Person, Two, played
from tests.pair.puppet import DID, Puppet, stage
from tests.pair.using import USE, entries, eventually, limit, limited, reading

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def of(found: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [it for it in found if it["type"] == kind]


def test_a_deal_and_its_use(tmp_path: Path) -> None:
    async def story(p: Pair) -> None:
        agreement = await p.agree(limited(limit("dateTime", "lt", "2100-01-01T00:00:00Z")))
        it = await reading(p, agreement)
        session = p.provider.store.of("provider").sessions.by_transfer(it.theirs)
        await it.say("consumer", "COMPLETE")
        await it.both("COMPLETED")
        await eventually(lambda: of(entries(p), "session.closed"))
        provider, consumer = entries(p), entries(p, "consumer")
        for found in (provider, consumer):
            assert [it["type"] for it in found[:2]] == ["ledger.opened", "key.stated"]
            assert all(TIME.fullmatch(it["time"]) for it in found)
            (concluded,) = of(found, "agreement.concluded")
            assert TIME.fullmatch(concluded["ends"])
            assert concluded["digest"] == hashlib.sha256(agreement.raw).hexdigest()
            # Messages of a use belong to the agreement: its thread has no gap.
            used = [it for it in found if it.get("message", "").startswith("Transfer")]
            assert used
            assert {it.get("agreement") for it in used} == {agreement.agreement_id}
        (agreed, begun) = of(provider, "decision")
        assert (agreed["outcome"], agreed["process"]) == ("allowed", agreed["subject"])
        assert (begun["outcome"], begun["subject"]) == ("allowed", session.sid)
        assert begun["permit"] == agreement.permit_sha
        assert of(provider, "session.opened")[0]["format"] == "HttpData-PULL"
        assert of(provider, "message.received")[0]["status"] == 201

    play(tmp_path, story)


@pytest.mark.parametrize("by", ["withdraw", "give_back"])
def test_the_end_of_an_agreement_stands_in_both(tmp_path: Path, by: str) -> None:
    async def story(p: Pair) -> None:
        agreement = await p.agree(USE)
        await (await reading(p, agreement)).get()
        told = {"reason": "no more", "person": "ann"}
        if by == "withdraw":
            await p.provider.engine.endings.withdraw(
                p.home("provider"), agreement.agreement_id, notice=timedelta(), **told
            )
        else:
            await p.consumer.engine.endings.give_back(
                p.home("consumer"), agreement.agreement_id, **told
            )
        kind = "agreement.withdrawn" if by == "withdraw" else "agreement.returned"
        for name in ("provider", "consumer"):
            (ended,) = await eventually(lambda n=name: of(entries(p, n), kind))
            assert ended["agreement"] == agreement.agreement_id
            assert "reason" in ended["payloads"]

    play(tmp_path, story)


def test_what_is_refused_is_decided(tmp_path: Path) -> None:
    async def story(p: Pair) -> None:
        offer = await p.offer(limited(limit("count", "lteq", 5)))
        wider = {**offer, **limited(limit("count", "lteq", 9))}
        begun = await p.ask(wider)
        await p.until("consumer", "negotiations", begun.pid, ("OFFERED", "FINALIZED"))
        (countered,) = of(entries(p), "decision")
        assert countered["outcome"] == "countered"

    play(tmp_path, story)


def test_denials_of_a_minute_are_counted(tmp_path: Path) -> None:
    async def story(p: Pair) -> None:
        it = await reading(p, await p.agree(limited(limit("odrl:count", "lteq", "1"))))
        assert [(await it.get()).status for _ in range(5)] == [200, 429, 429, 429, 429]
        p.pass_time(61)
        assert (await it.get()).status == 429
        denied = [it for it in of(entries(p), "decision") if it["outcome"] == "denied"]
        assert [it.get("times") for it in denied] == [None, 3, None]

    play(tmp_path, story)


def test_a_peer_s_document_is_kept_each_time_it_is_another(tmp_path: Path) -> None:
    async def story(p: Pair, puppet: Puppet) -> None:
        offer = await p.offer(USE)
        await puppet.begin(offer, "pc-a")
        await puppet.begin(offer, "pc-b")
        (first,) = of(entries(p), "identity.seen")
        assert first["did"] == DID
        puppet.add_key("two")
        p.clock.ahead_s += 301
        await puppet.begin(offer, "pc-c")
        _, second = of(entries(p), "identity.seen")
        assert second["digest"] != first["digest"]
        store = p.provider.store.of("provider").ledger
        (kept,) = store.payloads(second["id"])
        _, plain = p.provider.engine.clerk.open(p.home("provider"), kept.digest, kept.sealed)
        assert json.loads(plain)["id"] == DID

    stage(tmp_path, story)


@pytest.mark.parametrize(("seconds", "told"), [(-6, True), (-4, False), (61, True), (50, False)])
def test_a_clock_that_was_set(tmp_path: Path, seconds: int, *, told: bool) -> None:
    async def story(p: Pair) -> None:
        await p.agree(USE)
        notary = p.provider.engine.notary
        await notary._clock()
        assert not of(entries(p), "clock.jumped")
        wall = p.clock.now
        p.clock.now = lambda: wall() + timedelta(seconds=seconds)  # type: ignore[method-assign]
        if seconds > 0:  # ahead, and nothing written there: it may still be set right
            await notary._clock()
            assert not of(entries(p), "clock.jumped")
            await p.agree(USE, asset="other")
        await notary._clock()
        await notary._clock()  # once
        jumped = of(entries(p), "clock.jumped")
        assert len(jumped) == int(told)
        if told:
            assert (jumped[0]["from"] > jumped[0]["to"]) == (seconds < 0)

    play(tmp_path, story)


@played
async def test_what_people_change(two: Two) -> None:
    await two.offer()
    await two.know()
    asked = {"name": "Noor", "roles": ["auditor"], "participant": "consumer"}
    made = await two.lab.ask("POST", "/api/v1/tokens", asked)
    await two.lab.ask("DELETE", f"/api/v1/tokens/{made.json['id']}")
    everywhere = {"name": "Rui", "roles": ["auditor"]}
    made = await two.lab.ask("POST", "/api/v1/tokens", everywhere)
    rui = Person(**{**vars(two.lab), "token": made.json["secret"]})
    assert (await rui.ask("GET", "/api/v1/me")).json["roles"] == {"consumer": ["auditor"]}
    await two.lab.ask("POST", "keys/rotate", {"use": "dsp"})
    told = [
        it["entry"]
        for person in (two.lab, two.stat)
        for it in (await person.ask("GET", "ledger/entries?kind=admin.acted&limit=100")).json[
            "items"
        ]
    ]
    actions = [it["action"] for it in told]
    assert sorted(set(actions)) == sorted(
        [
            "asset.upload",
            "key.rotate",
            "offer.published",
            "partner.add",
            "token.add",
            "token.revoke",
        ]
    )
    assert actions.count("key.rotate") == 1
    assert all({"target", "outcome"} <= set(it) and "person" in it["payloads"] for it in told)
