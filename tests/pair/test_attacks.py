# SPDX-License-Identifier: Apache-2.0
"""Attacks by peers, by partners that serve us, and by people of our own who hold some token."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.pair.pair import Pair
from tests.pair.people import Person, Two, played
from tests.pair.puppet import BASE, Puppet, said, stage
from tests.pair.using import USE, entries, eventually, reading

from corridor.policy import odrl
from corridor.world import Request

TWO_OF_THEM = {
    "participant": [
        {"id": "provider", "title": {"en": "One"}, "country": "RS"},
        {"id": "consumer", "title": {"en": "Two"}, "country": "RS"},
    ]
}


def of(who: Person, **changes: Any) -> Person:
    return Person(**{**vars(who), **changes})


async def token(who: Person, *roles: str, participant: str = "") -> Person:
    """Somebody with a token of these roles, for one participant or for all."""
    asked = {"name": "Mallory", "roles": roles, "participant": participant}
    made = await who.ask("POST", "/api/v1/tokens", asked)
    assert made.status == 201, made.body
    return of(who, token=made.json["secret"])


# two participants on one node


@pytest.mark.parametrize("role", ["operator", "steward", "analyst", "auditor"])
def test_a_token_of_one_participant_is_nothing_elsewhere(tmp_path: Path, role: str) -> None:
    async def story(two: Two) -> None:
        other = await token(two.stat, "auditor", participant="consumer")
        mallory = await token(two.stat, role, participant="provider")
        (theirs,) = [
            it
            for it in (await two.stat.ask("GET", "/api/v1/tokens")).json["items"]
            if it["participant"] == "consumer"
        ]
        assert (await mallory.ask("GET", "/api/v1/p/consumer/agreements")).status == 404
        assert (await mallory.ask("GET", "/api/v1/p/consumer/ledger/entries")).status == 404
        assert (await mallory.ask("GET", "/api/v1/tokens")).status == 403
        assert (await mallory.ask("DELETE", f"/api/v1/tokens/{theirs['id']}")).status == 403
        asked = {"name": "x", "roles": [role], "participant": "consumer"}
        assert (await mallory.ask("POST", "/api/v1/tokens", asked)).status == 403
        assert (await other.ask("GET", "/api/v1/me")).status == 200

    played(story, **TWO_OF_THEM)(tmp_path=tmp_path)


# what a peer sends


LONG = "x" * 30_000
MEANT = {"@id": "urn:x", "@type": "Offer", **USE}


@pytest.mark.parametrize("where", ["pid", "slashes"])
def test_a_long_name_is_refused_and_nothing_is_left(tmp_path: Path, where: str) -> None:
    async def story(p: Pair, puppet: Puppet) -> None:
        offer = await p.offer(USE)
        path = "/negotiations/request" + ("/" * 20_000 if where == "slashes" else "")
        changes = {"asking": {"@id": "urn:uuid:nobody"}} if where == "slashes" else {}
        pid = LONG if where == "pid" else "pc-1"
        answer = await puppet.post(path, puppet.first(offer, pid, **changes))
        assert answer.status in (400, 404), answer
        assert not p.provider.store.of("provider").negotiations.page()

    stage(tmp_path, story)


def test_a_long_pid_in_an_acknowledgement(tmp_path: Path) -> None:
    async def story(p: Pair, puppet: Puppet) -> None:
        told = said("ContractNegotiation", providerPid=LONG, consumerPid="x", state="REQUESTED")
        puppet.answers["ContractRequestMessage"] = (200, told)
        begun = await p.consumer.engine.reception.request(
            p.home("consumer"), peer=puppet.did, base=BASE, asset="a",
            offer={"@id": "urn:x", "@type": "Offer", **USE}, wish_sha=None, service="files",
        )  # fmt: skip
        await puppet.hears("ContractRequestMessage")
        store = p.consumer.store.of("consumer").negotiations
        found = await eventually(lambda: (it := store.get(begun.pid)).state and it)
        assert len(found.peer_pid or "") < 2000

    stage(tmp_path, story, against="consumer")


def test_a_long_agreement_id(tmp_path: Path) -> None:
    async def story(p: Pair, puppet: Puppet) -> None:
        begun = await p.consumer.engine.reception.request(
            p.home("consumer"), peer=puppet.did, base=BASE, asset="a",
            offer={"@id": "urn:x", "@type": "Offer", **USE},
            wish_sha=odrl.read(MEANT).terms_hash, service="files",
        )  # fmt: skip
        heard = await puppet.hears("ContractRequestMessage")
        agreement = {
            "@id": LONG, "@type": "Agreement", "target": "a", "assigner": puppet.did,
            "assignee": p.home("consumer").did, "timestamp": "2026-01-01T00:00:00Z", **USE,
        }  # fmt: skip
        pids = {"consumerPid": heard.message["consumerPid"], "providerPid": "pp-1"}
        answer = await puppet.post(
            f"/negotiations/{begun.pid}/agreement",
            said("ContractAgreementMessage", **pids, agreement=agreement),
        )
        assert answer.status == 400, answer

    stage(tmp_path, story, against="consumer")


@pytest.mark.parametrize("actor", ["a" * 20_000, "\x80\xff", "a\tb", "x" * 300])
def test_an_actor_that_is_no_pseudonym(tmp_path: Path, actor: str) -> None:
    async def story(p: Pair, _: Puppet) -> None:
        it = await reading(p, await p.agree(USE))
        answer = await it.get(corridor_actor=actor)
        assert answer.status in (200, 400), answer
        assert all(len(str(each.get("actor", ""))) <= 128 for each in entries(p))

    stage(tmp_path, story)


def test_somebody_elses_agreement_is_not_settled_by_who_knows_its_id(tmp_path: Path) -> None:
    async def story(p: Pair, puppet: Puppet) -> None:
        puppet.answers["ContractNegotiationEventMessage"] = (503, {})
        agreement = await puppet.finalize(await p.offer(USE))
        store = p.provider.store.of("provider")
        before = store.negotiations.page()[0]
        assert before.pending == "FINALIZE"
        begun = await p.consumer.engine.reception.transfer(
            p.home("consumer"), agreement_id=agreement, peer=p.home("provider").did,
            base=p.home("provider").dsp_url, format_="HttpData-PULL",
        )  # fmt: skip
        ended = await p.until("consumer", "transfers", begun.pid, ("TERMINATED",))
        assert ended.reason.startswith("unknown-agreement")
        assert store.negotiations.page()[0].pending == "FINALIZE"
        assert store.agreements.get(agreement, "provider").state == "draft"

    stage(tmp_path, story)


# at the limit, and one above


def test_parallel_beginnings_stay_within_the_limit(tmp_path: Path) -> None:
    async def story(p: Pair, puppet: Puppet) -> None:
        offer = await p.offer(USE)

        async def check(url: str, purpose: str) -> None:
            await asyncio.sleep(0.01)

        p.net.check = check  # type: ignore[method-assign]  # a slow name server
        asked = [puppet.first(offer, f"pc-{at}") for at in range(12)]
        got = await asyncio.gather(
            *(puppet.post("/negotiations/request", each) for each in asked)
        )
        made = sorted(it.status for it in got).count(201)
        assert 1 <= made <= 5
        assert len(p.provider.store.of("provider").negotiations.page()) == made

    stage(tmp_path, story, **{"limits.processes_per_peer_max": 5})


def test_parallel_streams_stay_within_the_limit(tmp_path: Path) -> None:
    async def story(p: Pair, _: Puppet) -> None:
        p.file("big.bin", b"x" * (4 << 20))
        source = {"path": str(p.folder / "provider" / "assets" / "big.bin")}
        it = await reading(p, await p.agree(USE, source=source))
        request = Request(
            purpose="plane", method="GET", url=it.endpoint,
            headers={"authorization": f"Bearer {it.token}"},
        )  # fmt: skip
        gate = asyncio.Event()
        found: list[int] = []

        async def one() -> None:
            async with p.net.stream(request) as answer:
                found.append(answer.status)
                await gate.wait()

        tasks = [asyncio.create_task(one()) for _ in range(9)]
        await eventually(lambda: len(found) == 9)
        gate.set()
        await asyncio.gather(*tasks)
        assert sorted(found) == [200] * 3 + [503] * 6
        await p.net.settle()
        assert (await it.get()).status == 200

    stage(tmp_path, story, **{"limits.streams_per_session_max": 3})


# a partner that serves us


class Plane:
    """A partner's plane that answers what a test wants."""

    def __init__(self, status: int, headers: dict[str, bytes], body: bytes) -> None:
        self.told = (status, headers, body)

    async def asgi_peer(self, scope: Any, receive: Any, send: Any) -> None:
        status, headers, body = self.told
        told = [(name.encode(), value) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": told})
        await send({"type": "http.response.body", "body": body})


DEEP = b'{"a":' + b"[" * 30_000


@pytest.mark.parametrize(
    ("status", "body"),
    [(403, DEEP), (400, b'{"code":"\xff"}'), (429, b"[]"), (500, b'{"code":[1]}'), (418, b"x" * 99)],
)
def test_a_refusal_that_cannot_be_read(tmp_path: Path, status: int, body: bytes) -> None:
    async def story(two: Two) -> None:
        await two.offer()
        await two.know()
        deal = await two.deal()
        assert (await two.lab.ask("GET", f"agreements/{deal['id']}/files/")).status == 200
        two.pair.net.apps["localhost:7101"] = Plane(status, {}, body)
        got = await two.lab.ask("GET", f"agreements/{deal['id']}/files/")
        assert 400 <= got.status < 600 and got.status != 500, got
        assert got.json["code"] != "internal"

    played(story)(tmp_path=tmp_path)
