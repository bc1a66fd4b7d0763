# SPDX-License-Identifier: Apache-2.0
"""What a use leaves behind, and what bounds it: receipts, quotas, purposes (evidence.md 3)."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from base64 import b64decode
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.pair.pair import Pair, play
from tests.pair.test_agreement_ends import big
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

from corridor.errors import BudgetSpent, EvidenceBroken, FetchFailed, Refused
from corridor.evidence import keys as statements
from corridor.evidence import receipt
from corridor.policy.judge import Facts
from corridor.world import Request, Response

PURPOSE = "https://w3id.org/dpv#AcademicResearch"


async def receipt_of(it: Any, answer: Response) -> dict[str, Any]:
    """The receipt that an answer names, as the node hands it out."""
    found = re.search(r"<(.*)>; rel", answer.headers["link"])
    assert found is not None
    assert answer.headers["corridor-receipt"].startswith(f'"{found[1].rpartition("/")[2]}"')
    headers = {"authorization": f"Bearer {it.token}"}
    request = Request(purpose="plane", method="GET", url=found[1], headers=headers)
    answered = await it.p.net.fetch(request)
    assert answered.status == 200, answered
    told: dict[str, Any] = json.loads(answered.body)
    return told


async def verified(p: Pair, told: dict[str, Any], **seen: Any) -> receipt.Verified:
    """Check a receipt by nothing but the provider's DID document."""
    document = await p.net.fetch(
        Request(purpose="did", method="GET", url=f"{p.home('provider').base_url}/did.json")
    )
    methods = json.loads(document.body)["verificationMethod"]
    stated = statements.verify_chain(
        told["keys"], did=told["provider"], did_keys=[it["publicKeyJwk"] for it in methods]
    )
    return receipt.verify(
        told["leaf"].encode(),
        told["proof"],
        vkeys=stated.vkeys,
        origin=stated.origin,
        salts={name: bytes.fromhex(salt) for name, salt in told["salts"].items()},
        **seen,
    )


def test_a_receipt_verifies(tmp_path: Path) -> None:
    async def story(p: Pair) -> None:
        agreement = await p.agree(USE)
        it = await reading(p, agreement)
        answer = await it.get(corridor_actor="pseudonym")
        await p.net.settle()
        told = await receipt_of(it, answer)
        digest = hashlib.sha256(answer.body).hexdigest()
        size = len(answer.body)
        record = f'{{"bytes":{size},"digest":"sha256:{digest}","size":{size}}}'.encode()
        proven = await verified(p, told, response=record)
        assert proven.response
        entry = proven.entry
        assert (entry["act"], entry["outcome"]) == ("file", "answered")
        assert entry["agreement"] == agreement.agreement_id
        assert entry["permit"] == agreement.permit_sha
        assert (entry["provider"], entry["consumer"]) == (
            p.home("provider").did,
            p.home("consumer").did,
        )
        assert entry["actor"] == "pseudonym"
        assert entry["counts"]["bytes_out"] == len(answer.body)
        salt = re.search(r"salt=:(.*):", answer.headers["corridor-receipt"])
        assert salt is not None
        assert b64decode(salt[1]).hex() == told["salts"]["response"]
        with pytest.raises(EvidenceBroken):
            await verified(p, told, response=record + b" ")
        other = {**told, "leaf": told["leaf"].replace('"answered"', '"broken"')}
        with pytest.raises(EvidenceBroken):
            await verified(p, other)

    play(tmp_path, story)


def test_each_short_act_is_one_receipt_in_the_ledger(tmp_path: Path) -> None:
    async def story(p: Pair) -> None:
        it = await reading(p, await p.agree(USE))
        for _ in range(3):
            assert (await it.get()).status == 200
        await p.net.settle()
        assert acts(p) == [("receipt", "answered")] * 3
        agreement = p.provider.store.of("provider").agreements.page()[0].agreement_id
        thread = p.provider.store.of("provider").ledger.thread(agreement)
        assert [entry.number for entry in thread] == list(range(1, len(thread) + 1))

    play(tmp_path, story)


def test_receipts_are_for_the_holder_of_the_token(tmp_path: Path) -> None:
    async def story(p: Pair) -> None:
        agreement = await p.agree(USE)
        one, two = await reading(p, agreement), await reading(p, agreement)
        answer = await one.get()
        await p.net.settle()
        told = re.search(r"/receipts/([^>]*)>", answer.headers["link"])
        assert told is not None
        assert (await one.get(f"receipts/{told[1]}")).status == 200
        assert problem(await two.get(f"receipts/{told[1]}"))[0] == 404
        assert problem(await one.get(f"receipts/{told[1]}", token="x"))[0] == 401
        assert problem(await one.get("receipts/nothing"))[0] == 404
        await one.say("consumer", "COMPLETE")
        await one.both("COMPLETED")
        assert problem(await one.get())[0] == 401
        assert (await one.get(f"receipts/{told[1]}")).status == 200  # also after its end

    play(tmp_path, story)


def test_a_receipt_that_is_asked_for_before_it_is_written(tmp_path: Path) -> None:
    """The name is there with the first byte, the receipt behind the last: the route waits."""

    async def story(p: Pair) -> None:
        path = p.file("big.bin", b"\0" * (32 << 20))
        agreement = await p.agree(USE, asset="big", source={"path": str(path)})
        it = await reading(p, agreement)
        headers = {"authorization": f"Bearer {it.token}"}
        request = Request(
            purpose="plane", method="GET", url=it.endpoint, headers=headers,
            answer_bytes_max=1 << 30,
        )  # fmt: skip
        async with p.net.stream(request) as answer:
            blocks = answer.blocks()
            await anext(blocks)
            told = re.search(r"/receipts/([^>]*)>", answer.headers["link"])
            assert told is not None
            asking = asyncio.create_task(it.get(f"receipts/{told[1]}"))
            await asyncio.sleep(0)
            async for _ in blocks:
                pass
        assert (await asking).status == 200

    play(tmp_path, story)


def test_acts_that_a_crash_left_open_get_their_receipt(tmp_path: Path) -> None:
    async def story(p: Pair) -> None:
        it = await reading(p, await p.agree(USE))
        engine = p.provider.engine
        sid = it.token.split(".")[1]
        admitted = engine.sessions.admit(p.home("provider"), sid, it.token)
        visit = engine.acts.visit(admitted, purpose=None, actor=None)
        await visit.begin("file", Facts(action="read"), request=b"{}", hashed=False)
        for _ in range(2):  # as each start does
            await engine.acts.recover()
        assert acts(p) == [("act.started", ""), ("receipt", "unknown")]

    play(tmp_path, story)


def test_requests_of_a_day(tmp_path: Path) -> None:
    async def story(p: Pair) -> None:
        it = await reading(p, await p.agree(limited(limit(f"{COR}requestsPerDay", "lteq", "2"))))
        assert [(await it.get()).status for _ in range(2)] == [200, 200]
        answer = await it.get()
        assert problem(answer) == (429, "budget-spent", "quota.requests.day")
        told = json.loads(answer.body)
        tomorrow = (p.clock.now() + timedelta(days=1)).strftime("%Y-%m-%dT00:00:00")
        assert told["resets_at"].startswith(tomorrow)
        assert told["bound"]
        assert "retry-after" in answer.headers
        with pytest.raises(Refused) as refused:  # a quota is the agreement's, not the session's
            await reading(p, p.consumer.store.of("consumer").agreements.page()[0])
        assert refused.value.rule == "quota.requests.day"
        denied = [entry for entry in entries(p) if entry.get("outcome") == "denied"]
        assert len(denied) == 2  # requests once a minute, and the session that was not begun
        assert {entry["rule"] for entry in denied} == {"quota.requests.day"}
        assert told["reference"] == denied[0]["id"]
        with pytest.raises(BudgetSpent) as spent:
            async with p.consumer.engine.reach.request(
                p.home("consumer"), p.consumer.store.of("consumer").agreements.page()[0],
                method="GET", path="/", headers={},
            ):  # fmt: skip
                pass
        assert spent.value.resets_at == told["resets_at"]
        p.pass_time(86400)
        again = await reading(p, p.consumer.store.of("consumer").agreements.page()[0])
        assert (await again.get()).status == 200

    play(tmp_path, story)


def test_requests_at_once_stay_within_the_quota(tmp_path: Path) -> None:
    async def story(p: Pair) -> None:
        it = await reading(p, await p.agree(limited(limit("odrl:count", "lteq", "5"))))
        answers = await asyncio.gather(*(it.get() for _ in range(12)))
        told = sorted(answer.status for answer in answers)
        assert told.count(200) <= 5
        assert set(told) <= {200, 429, 503}
        rest = [(await it.get()).status for _ in range(6)]
        assert told.count(200) + rest.count(200) == 5

    play(tmp_path, story)


def test_bytes_of_a_day(tmp_path: Path) -> None:
    """What does not fit is refused before it begins; what was held and not used is given back."""

    async def story(p: Pair) -> None:
        most = 20 << 20
        it = await reading(p, await big(p, limited(limit(f"{COR}bytesPerDay", "lteq", str(most)))))
        assert problem(await it.get()) == (429, "budget-spent", "quota.bytes.day")
        for first, last, status in (
            (0, 15 << 20, 206),
            (0, 6 << 20, 429),
            (0, (5 << 20) - 2, 206),
            (0, 0, 429),
        ):
            answer = await it.get(range=f"bytes={first}-{last}")
            assert answer.status == status, (first, last)
            await p.net.settle()
        told = [entry for entry in entries(p) if entry["type"] == "receipt"]
        assert sum(entry["counts"]["bytes_out"] for entry in told) == most

    play(tmp_path, story)


def test_streams_at_once_are_cut_where_the_bytes_end(tmp_path: Path) -> None:
    async def story(p: Pair) -> None:
        most = 20 << 20
        it = await reading(p, await big(p, limited(limit(f"{COR}bytesPerDay", "lteq", str(most)))))

        async def read() -> int:
            headers = {"authorization": f"Bearer {it.token}", "range": f"bytes=0-{(15 << 20) - 1}"}
            request = Request(
                purpose="plane", method="GET", url=it.endpoint, headers=headers,
                answer_bytes_max=1 << 30,
            )  # fmt: skip
            came = 0
            async with p.net.stream(request) as answer:
                if answer.status != 206:
                    return 0
                try:
                    async for block in answer.blocks():
                        came += len(block)
                except FetchFailed:
                    return came
            return came

        came = await asyncio.gather(read(), read(), read())
        assert 0 < sum(came) <= most
        await p.net.settle()
        told = [entry for entry in entries(p) if entry["type"] == "receipt"]
        assert sum(entry["counts"]["bytes_out"] for entry in told) <= most
        assert "cut" in {entry["outcome"] for entry in told}

    play(tmp_path, story)


def purposes(*named: str) -> dict[str, Any]:
    return limited(limit("odrl:purpose", "isAnyOf", list(named)))


def test_a_single_purpose_is_bound_to_the_session(tmp_path: Path) -> None:
    async def story(p: Pair) -> None:
        agreement = await p.agree(purposes(PURPOSE))
        it = await reading(p, agreement)
        assert (await it.get()).status == 200
        other = await it.get(corridor_purpose="https://w3id.org/dpv#Marketing")
        assert problem(other) == (403, "refused", "purpose")
        await p.net.settle()
        (told,) = [entry for entry in entries(p) if entry["type"] == "receipt"]
        assert told["purpose"] == PURPOSE

    play(tmp_path, story)


def test_one_of_several_purposes_must_be_named(tmp_path: Path) -> None:
    async def story(p: Pair) -> None:
        second = "https://w3id.org/dpv#NonCommercialResearch"
        it = await reading(p, await p.agree(purposes(PURPOSE, second)))
        assert problem(await it.get()) == (403, "refused", "purpose")
        for named in (PURPOSE, second):
            assert (await it.get(corridor_purpose=named)).status == 200
        wrong = await it.get(corridor_purpose="https://w3id.org/dpv#Marketing")
        assert problem(wrong)[0] == 403
        await p.net.settle()
        told = [entry["purpose"] for entry in entries(p) if entry["type"] == "receipt"]
        assert told == [PURPOSE, second]

    play(tmp_path, story)


def test_the_first_checkpoint_covers_a_receipt_at_once(tmp_path: Path) -> None:
    """Nobody waits for the next second: asking for a receipt signs what there is."""

    async def story(p: Pair) -> None:
        it = await reading(p, await p.agree(USE))
        answer = await it.get()
        await eventually(lambda: len(acts(p)) == 1)
        told = await receipt_of(it, answer)
        proven = await verified(p, told)
        assert proven.size > proven.index

    play(tmp_path, story, **{"limits.checkpoint_every_s": 3600.0})
