# SPDX-License-Identifier: Apache-2.0
"""Tokens of sessions are made new before their life is over, by whom they belong to alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.pair.pair import Pair, play
from tests.pair.puppet import Puppet, stage
from tests.pair.using import USE, entries, eventually, limit, limited, problem, reading

from corridor.store.unit import Unit

DAY = 86400


async def used(p: Pair, agreement: Any) -> int:
    """The status of one request as people make it, through the consumer's node."""
    async with p.consumer.engine.reach.request(
        p.home("consumer"), agreement, method="GET", path="/", headers={}
    ) as answer:
        return int(answer.status)


def renewals(p: Pair) -> int:
    return len([it for it in p.net.sent if it.url.endswith("/renew")])


def test_a_token_is_renewed_at_four_fifths_of_its_life(tmp_path: Path) -> None:
    async def story(p: Pair) -> None:
        agreement = await p.agree(USE)
        it = await reading(p, agreement)
        p.pass_time(0.79 * DAY)
        assert await used(p, agreement) == 200
        assert renewals(p) == 0
        p.pass_time(0.02 * DAY)
        assert await used(p, agreement) == 200
        assert await used(p, agreement) == 200
        assert renewals(p) == 1
        after = it.again()
        assert after.token != it.token
        assert (await it.get()).status == 200  # the overlap
        p.pass_time(61)
        assert problem(await it.get())[0] == 401
        assert (await after.get()).status == 200
        p.pass_time(0.7 * DAY)
        assert (await after.get()).status == 200  # a whole new life
        told = [each for each in entries(p) if each.get("outcome") == "renewed"]
        session = p.provider.store.of("provider").sessions.by_transfer(it.theirs)
        assert [each["subject"] for each in told] == [session.sid]
        assert len(p.consumer.store.of("consumer").transfers.page()) == 1

    play(tmp_path, story)


def test_after_a_long_absence_too(tmp_path: Path) -> None:
    async def story(p: Pair) -> None:
        agreement = await p.agree(USE)
        await reading(p, agreement)
        p.pass_time(20 * DAY)
        assert await used(p, agreement) == 200
        assert len(p.consumer.store.of("consumer").transfers.page()) == 1

    play(tmp_path, story)


def test_never_past_the_agreement(tmp_path: Path) -> None:
    async def story(p: Pair) -> None:
        later = p.clock.now().replace(microsecond=0)
        ends = later.replace(year=later.year + 1).strftime("%Y-%m-%dT%H:%M:%SZ")
        agreement = await p.agree(limited(limit("dateTime", "lt", ends)))
        it = await reading(p, agreement)
        p.pass_time(364.5 * DAY)
        assert await used(p, agreement) == 200
        session = p.provider.store.of("provider").sessions.by_transfer(it.theirs)
        assert session.expires == agreement.ends_at

    play(tmp_path, story)


@pytest.mark.parametrize(
    ("why", "status"),
    [
        ("another session", 404),
        ("replayed", 401),
        ("the session's own token", 401),
        ("suspended", 403),
        ("another body", 401),
        ("another consumer's", 404),
    ],
)
def test_who_may_not(tmp_path: Path, why: str, status: int) -> None:
    async def story(p: Pair, puppet: Puppet) -> None:
        agreed = await puppet.finalize(await p.offer(USE))
        plane = await puppet.started(agreed)
        store, home = p.provider.store.of("provider"), p.home("provider")
        session = store.sessions.by_transfer(plane.theirs)
        base = f"{home.base_url}/data/{session.sid}"
        shown = ""
        if why == "another session":
            base = base.replace(session.sid, "a" * 16)
        elif why == "replayed":
            shown = puppet.token(b"{}")
            assert (
                await puppet.post("/renew", b"{}", base=base, authorization=shown)
            ).status == 200
        elif why == "the session's own token":
            shown = "Bearer " + p.provider.engine.sessions.token(home, session)
        elif why == "suspended":
            # its START is acknowledged first: that would open a suspended session again
            await p.until("provider", "transfers", plane.theirs, ("STARTED",))
            session = store.sessions.by_transfer(plane.theirs)
            write = store.sessions.update(session, state="suspended")
            await p.provider.store.run(Unit((write,)))
        elif why == "another body":
            shown = puppet.token(b'{"other":1}')
        else:
            it = await reading(p, await p.agree(USE, asset="theirs"))
            sid = store.sessions.by_transfer(it.theirs).sid
            base = base.replace(session.sid, sid)
        answer = await puppet.post("/renew", b"{}", base=base, authorization=shown)
        assert answer.status == status

    stage(tmp_path, story)


def test_a_transfer_whose_token_is_good_no_more_is_completed(tmp_path: Path) -> None:
    """It would hold a session of the agreement for ever."""

    async def story(p: Pair) -> None:
        agreement = await p.agree(USE)
        it = await reading(p, agreement)
        sessions = p.provider.store.of("provider").sessions
        session = sessions.by_transfer(it.theirs)
        write = sessions.update(session, generation=session.generation + 2)
        await p.provider.store.run(Unit((write,)))
        assert await used(p, agreement) == 200
        await it.both("COMPLETED")
        await eventually(lambda: sessions.get(session.sid).state == "closed")

    play(tmp_path, story)
