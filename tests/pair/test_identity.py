# SPDX-License-Identifier: Apache-2.0
"""Who speaks: tokens of every wrong kind, replays, and keys that change while nodes talk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.pair.pair import Pair, play
from tests.pair.puppet import DID, Puppet, said, stage
from tests.pair.test_repeats import Silent
from tests.pair.using import USE, eventually, reading

CATALOG = "/catalog/request"


def body(message: Any) -> bytes:
    return json.dumps(message).encode()


def wrong_tokens(puppet: Puppet, raw: bytes) -> dict[str, str | None]:
    """One of each wrong kind, for a message of these bytes."""
    right = puppet.token(raw)
    head, claims, signature = right.split(".")
    return {
        "none": None,
        "empty": " ",
        "garbage": "Bearer garbage",
        "no bearer": right.removeprefix("Bearer "),
        "basic": "Basic cHVwcGV0OnB1cHBldA==",
        "of EDC": '{"clientId":"puppet"}',
        "another audience": puppet.token(raw, audience="did:web:other.example"),
        "expired": puppet.token(raw, age_s=400),
        "not yet": puppet.token(raw, age_s=-60),
        "lives too long": puppet.token(raw, life_s=3600.0),
        "other body": puppet.token(raw + b" "),
        "other issuer": puppet.token(raw, did="did:web:localhost%3A7102:consumer", kid="x"),
        "unknown issuer": puppet.token(raw, did="did:web:nobody.example", kid="x"),
        "unknown key": puppet.token(raw, kid=f"{DID}#two"),
        "cut": right[:-10],
        "other signature": f"{head}.{claims}.{signature[::-1]}",
        "not signed": f"{head}.{claims}.",
        "other claims": f"{head}.{claims[:-4]}AAAA.{signature}",
        "long": "Bearer " + "a" * 40_000,
    }


def test_wrong_tokens(tmp_path: Path) -> None:
    async def story(p: Pair, puppet: Puppet) -> None:
        offer = await p.offer(USE)
        for path, message, kind in (
            (CATALOG, said("CatalogRequestMessage"), "CatalogError"),
            ("/negotiations/request", puppet.first(offer), "ContractNegotiationError"),
            ("/transfers/request", {"x": 1}, "TransferError"),
        ):
            raw = body(message)
            for name, token in wrong_tokens(puppet, raw).items():
                answer = await puppet.post(path, raw, authorization=token)
                assert (answer.status, answer.code) == (401, "unauthenticated"), name
                assert answer.value["@type"] == kind
        assert not p.provider.store.of("provider").negotiations.page()
        assert (await puppet.post(CATALOG, said("CatalogRequestMessage"))).status == 200

    stage(tmp_path, story, **{"limits.address_requests_burst": 1000})


def test_too_many_wrong_tokens_must_wait(tmp_path: Path) -> None:
    """503, never 429: some peers take every 4xx as the end."""

    async def story(p: Pair, puppet: Puppet) -> None:
        told = [
            (await puppet.post(CATALOG, b"{}", authorization="Bearer x")).status for _ in range(12)
        ]
        assert told == [401] * 10 + [503] * 2
        answer = await puppet.post(CATALOG, b"{}", authorization="Bearer x")
        assert answer.headers["retry-after"].isdecimal()
        assert (await puppet.post(CATALOG, said("CatalogRequestMessage"))).status == 200

    stage(
        tmp_path, story, **{"limits.address_requests_burst": 10, "limits.address_requests_per_s": 1}
    )


def test_a_replayed_token(tmp_path: Path) -> None:
    """A token serves one request: the same again is a repeat, another one is refused."""

    async def story(p: Pair, puppet: Puppet) -> None:
        theirs = await puppet.begin(await p.offer(USE))
        pids = {"consumerPid": "pc-1", "providerPid": theirs}
        for path in (f"/negotiations/{theirs}", "/catalog/datasets/greeting"):
            token = puppet.token(None)
            assert (await puppet.get(path, authorization=token)).status == 200
            assert (await puppet.get(path, authorization=token)).status == 401
        raw = body(said("CatalogRequestMessage"))
        token = puppet.token(raw)
        assert (await puppet.post(CATALOG, raw, authorization=token)).status == 200
        assert (await puppet.post(CATALOG, raw, authorization=token)).status == 401
        # A peer whose tokens are not bound to their body (the claim is ours).
        token = puppet.token(None)
        first = await puppet.post(
            "/negotiations/request", puppet.first(await p.offer(USE), "pc-2"), authorization=token
        )
        assert first.status == 201
        ended = said("ContractNegotiationTerminationMessage", **pids)
        again = await puppet.post(f"/negotiations/{theirs}/termination", ended, authorization=token)
        assert (again.status, again.code) == (401, "unauthenticated")
        assert p.provider.store.of("provider").negotiations.get(theirs).state == "REQUESTED"

    stage(tmp_path, story, seams={"provider": Silent})


@pytest.mark.parametrize("creation", [False, True])
def test_a_refusal_uses_the_token_up(tmp_path: Path, creation: bool) -> None:
    async def story(p: Pair, puppet: Puppet) -> None:
        offer = await p.offer(USE)
        theirs = await puppet.begin(offer)
        token = puppet.token(None)
        if creation:
            path, wrong = "/negotiations/request", puppet.first({**offer, "@id": "x"}, "pc-2")
        else:
            path = f"/negotiations/{theirs}/agreement/verification"
            told = {"consumerPid": "pc-1", "providerPid": theirs}
            wrong = said("ContractAgreementVerificationMessage", **told)
        assert (await puppet.post(path, wrong, authorization=token)).status == 400
        last = p.provider.store.of("provider").ledger.entries(0)[-1]
        assert (last.type, json.loads(last.body)["status"]) == ("message.received", 400)
        first = puppet.first(offer, "pc-3")
        answer = await puppet.post("/negotiations/request", first, authorization=token)
        assert answer.status == 401

    stage(tmp_path, story, seams={"provider": Silent})


def test_refusals_do_not_fill_the_ledger(tmp_path: Path) -> None:
    async def story(p: Pair, puppet: Puppet) -> None:
        offer = await p.offer(USE)
        size = len(p.provider.store.of("provider").ledger.entries(0))
        for number in range(5):
            wrong = puppet.first({**offer, "@id": "x"}, f"pc-{number}")
            assert (await puppet.post("/negotiations/request", wrong)).status == 400
        assert len(p.provider.store.of("provider").ledger.entries(0)) == size + 3

    stage(tmp_path, story, **{"limits.refusals_noted_per_peer_per_minute": 3})


def test_a_replay_after_a_restart(tmp_path: Path) -> None:
    """What was used is written down with what it did."""
    token: list[str] = []
    raw = body(said("CatalogRequestMessage"))

    async def before(p: Pair, puppet: Puppet) -> None:
        token.append(puppet.token(raw))
        assert (await puppet.post(CATALOG, raw, authorization=token[0])).status == 200

    async def after(p: Pair, puppet: Puppet) -> None:
        puppet.document = kept[0]
        answer = await puppet.post(CATALOG, raw, authorization=token[0])
        assert answer.status == 401
        assert "used" in answer.value["reason"][0]

    kept: list[bytes] = []

    async def keeping(p: Pair, puppet: Puppet) -> None:
        kept.append(puppet.document)
        await before(p, puppet)

    stage(tmp_path, keeping)
    stage(tmp_path, after)


def test_a_key_that_the_peer_changed(tmp_path: Path) -> None:
    """An unknown key makes us ask for the document again, but not for each wrong token."""

    async def story(p: Pair, puppet: Puppet) -> None:
        assert (await puppet.post(CATALOG, said("CatalogRequestMessage"))).status == 200
        puppet.add_key("two")
        p.clock.ahead_s += 11
        assert (await puppet.post(CATALOG, said("CatalogRequestMessage"))).status == 200
        asked = [it.url for it in p.net.sent if it.purpose == "did"]
        for _ in range(5):
            raw = body(said("CatalogRequestMessage"))
            wrong = puppet.token(raw, kid=f"{DID}#three")
            assert (await puppet.post(CATALOG, raw, authorization=wrong)).status == 401
        again = [it.url for it in p.net.sent if it.purpose == "did"]
        assert len(again) - len(asked) <= 1

    stage(tmp_path, story)


def test_our_own_key_changes_while_nodes_talk(tmp_path: Path) -> None:
    """Published first, used after the caches ran out, gone when nothing it signed still holds."""

    async def story(p: Pair) -> None:
        agreement = await p.agree(USE)
        for name in ("provider", "consumer"):
            engine, home = getattr(p, name).engine, p.home(name)
            old = engine.keyring.active(name, "dsp")
            await engine.keyring.rotate(home)
            await engine.keyring.rotate(home)  # once is enough
            keys = getattr(p, name).store.of(name).keys.list("dsp")
            assert sorted(key.state for key in keys) == ["active", "next"]
            assert engine.keyring.active(name, "dsp") == old
            assert len(json.loads(engine.keyring.document(home))["verificationMethod"]) == 2
        assert (await (await reading(p, agreement)).get()).status == 200
        p.pass_time(601)
        for name in ("provider", "consumer"):
            keyring, slug = getattr(p, name).engine.keyring, name
            await eventually(
                lambda k=keyring, s=slug: (
                    [it["state"] for it in k.list(p.home(s)) if it["use"] == "dsp"]
                    == ["old", "active"]
                )
            )
        assert (await (await reading(p, agreement)).get()).status == 200
        done = await p.request(await p.offer(USE))
        assert done.state == "FINALIZED"
        p.pass_time(901)
        for name in ("provider", "consumer"):
            engine, home = getattr(p, name).engine, p.home(name)
            await eventually(
                lambda e=engine, h=home: (
                    len(json.loads(e.keyring.document(h))["verificationMethod"]) == 1
                )
            )
        assert (await (await reading(p, agreement)).get()).status == 200

    play(tmp_path, story)


def test_a_key_that_is_old_is_followed_by_another(tmp_path: Path) -> None:
    async def story(p: Pair) -> None:
        await p.agree(USE)
        keyring, home = p.provider.engine.keyring, p.home("provider")
        store = p.provider.store.of("provider").keys

        def states() -> list[str]:
            return sorted(key.state for key in store.list("dsp"))

        p.pass_time(364 * 86400)
        await keyring.rotate_old(home)
        assert states() == ["active"]
        p.pass_time(2 * 86400)
        await keyring.rotate_old(home)
        await keyring.rotate_old(home)
        assert states() == ["active", "next"]
        done = await p.request(await p.offer(USE))
        assert done.state == "FINALIZED"

    play(tmp_path, story)
