# SPDX-License-Identifier: Apache-2.0
"""Limits of whole nodes: what fits at the limit does not one above it (node.md h)."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.pair.pair import Pair, play
from tests.pair.people import OPEN, Two, played
from tests.pair.puppet import Puppet, stage
from tests.pair.using import COR, USE, eventually, limit, limited, reading

from corridor.engine.deliver import _retry_after
from corridor.errors import FetchFailed


@pytest.mark.parametrize("name", ["processes_per_peer_max", "processes_per_participant_max"])
def test_open_processes(tmp_path: Path, name: str) -> None:
    async def story(p: Pair, puppet: Puppet) -> None:
        offer = await p.offer(USE)
        path = "/negotiations/request"
        answers = [await puppet.post(path, puppet.first(offer, f"pc-{n}")) for n in range(3)]
        assert [it.status for it in answers] == [201, 201, 503]

    stage(tmp_path, story, **{f"limits.{name}": 2})


def test_checkpoints_of_a_second(tmp_path: Path) -> None:
    async def story(p: Pair) -> None:
        slept: list[float] = []

        async def sleep(seconds: float) -> None:
            slept.append(seconds)

        await p.agree(USE)
        p.clock.sleep = sleep  # type: ignore[method-assign]
        notary, home = p.provider.engine.notary, p.home("provider")
        await notary.checkpoint(home)
        slept.clear()
        await p.agree(USE, asset="other")
        await notary.checkpoint(home)
        assert any(0.5 < it <= 1 for it in slept)
        slept.clear()
        await notary.checkpoint(home)  # nothing has grown: nothing to wait for
        assert not slept

    play(tmp_path, story, **{"limits.checkpoints_per_s_max": 1})


def test_a_service_that_does_not_let_go(tmp_path: Path) -> None:
    async def story(p: Pair) -> None:
        it = await reading(p, await p.agree(USE))
        files = p.provider.engine.ground.services["files"]
        never = asyncio.Event()
        files.close = lambda _: never.wait()
        await it.say("consumer", "COMPLETE")
        await it.both("COMPLETED")
        sessions = p.provider.store.of("provider").sessions
        await eventually(lambda: sessions.by_transfer(it.theirs).state == "closed")

    play(tmp_path, story, **{"limits.service_close_s": 0.05})


def test_a_service_that_does_not_open(tmp_path: Path) -> None:
    async def story(p: Pair) -> None:
        agreement = await p.agree(USE)
        files = p.provider.engine.ground.services["files"]
        asked: list[str] = []

        async def away(sid: str, *_: Any) -> Any:
            asked.append(sid)
            raise FetchFailed("not now")

        async def sleep(_: float) -> None:
            await asyncio.sleep(0)

        files.open = away
        p.clock.sleep = sleep  # type: ignore[method-assign]
        begun = await p.consumer.engine.reception.transfer(
            p.home("consumer"),
            agreement_id=agreement.agreement_id,
            peer=p.home("provider").did,
            base=p.home("provider").dsp_url,
            format_="HttpData-PULL",
        )
        ended = await p.until("consumer", "transfers", begun.pid, ("TERMINATED",))
        assert ended.reason.startswith("not-opened")
        assert len(asked) == 2

    play(tmp_path, story, **{"limits.service_open_retries_max": 1})


def test_bytes_held_ahead(tmp_path: Path) -> None:
    async def story(p: Pair) -> None:
        terms = limited(limit(f"{COR}bytesPerDay", "lteq", "1000000"))
        it = await reading(p, await p.agree(terms))
        assert (await it.get()).status == 200

    play(tmp_path, story, **{"limits.stream_ahead_bytes": 1024})


@pytest.mark.parametrize(
    ("said", "seconds"), [("59", 59.0), ("60", 60.0), ("61", 60.0), ("-1", 0.0), ("soon", 0.0)]
)
def test_how_long_a_peer_may_make_us_wait(said: str, seconds: float) -> None:
    assert _retry_after({"retry-after": said}, 60.0) == seconds


offers_of_one = partial(played, **{"limits.offers_per_participant_max": 1})


@offers_of_one
async def test_offers(two: Two) -> None:
    await two.offer()
    with pytest.raises(AssertionError, match="as many offers"):
        await two.offer(OPEN.replace("title: {en: Population}", "title: {en: Other words}"))


@partial(played, **{"limits.list_page_max": 2})
async def test_a_page(two: Two) -> None:
    assert (await two.lab.ask("GET", "peers?limit=2")).status == 200
    assert (await two.lab.ask("GET", "peers?limit=3")).status == 400


@partial(played, **{"limits.tokens_per_user_max": 2})
async def test_tokens_of_a_user(two: Two) -> None:
    asked = {"name": "Noor", "roles": ["auditor"], "participant": "consumer"}
    got = [(await two.lab.ask("POST", "/api/v1/tokens", asked)).status for _ in range(3)]
    assert got == [201, 201, 400]


@partial(played, **{"limits.idempotency_key_chars_max": 4})
async def test_a_key(two: Two) -> None:
    asked = {"partner": "nobody", "asset": "a"}
    for key, status in (("abcd", 404), ("abcde", 400)):
        got = await two.lab.ask("POST", "negotiations", asked, headers={"idempotency-key": key})
        assert got.status == status
