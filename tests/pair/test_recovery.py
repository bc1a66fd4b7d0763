# SPDX-License-Identifier: Apache-2.0
"""What a start finds and what it does about it, row by row (node.md a, Recovery).

Rows that kill -9 makes are in `tests/fault`; here are those that can be put there by hand.
"""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

from tests.pair.pair import Pair, play
from tests.pair.people import Two, played
from tests.pair.using import USE, entries, eventually, problem, reading

from corridor.store.unit import Unit


def test_a_process_that_cannot_be_is_told_and_not_guessed(tmp_path: Path) -> None:
    async def story(p: Pair) -> None:
        offer = await p.offer(USE)
        p.net.down.add("localhost:7101")
        begun = await p.ask(offer)
        engine = p.consumer.engine
        assert list(engine._broken()) == []
        with sqlite3.connect(p.folder / "consumer" / "corridor.db") as database:
            database.execute("DELETE FROM outbox WHERE process = ?", (begun.pid,))
        database.close()
        assert list(engine._broken()) == [begun.pid]
        record = engine.negotiations.find(p.home("consumer"), begun.pid)
        assert (record.state, record.pending) == (None, "REQUEST")

    play(tmp_path, story)


@played
async def test_what_is_broken_is_shown(two: Two) -> None:
    engine = two.pair.provider.engine
    engine.broken = ("pid-1",)
    told = json.loads((await two.stat.ask("GET", "/readyz?verbose=1")).body)
    assert told["broken"] == ["pid-1"]


def test_sessions_that_were_opening_and_closing(tmp_path: Path) -> None:
    async def story(p: Pair) -> None:
        agreement = await p.agree(USE)
        it, other = await reading(p, agreement), await reading(p, agreement)
        sessions = p.provider.store.of("provider").sessions
        with sqlite3.connect(p.folder / "provider" / "corridor.db") as database:
            for pid, state in ((it.theirs, "opening"), (other.theirs, "closing")):
                database.execute("UPDATE session SET state = ? WHERE transfer = ?", (state, pid))
        database.close()
        assert (await it.get()).status == 401
        await p.provider.engine.sessions.recover()
        await eventually(lambda: sessions.by_transfer(it.theirs).state == "open")
        await eventually(lambda: sessions.by_transfer(other.theirs).state == "closed")
        assert (await it.get()).status == 200  # the same token
        assert (await other.get()).status == 401

    play(tmp_path, story)


def test_uploads_that_a_crash_broke_off(tmp_path: Path) -> None:
    async def story(p: Pair) -> None:
        left = p.file("population/.0123456789abcdef.part", b"half")
        mine = left.with_name("whole.part")
        mine.write_bytes(b"whole")
        folder = p.folder / "provider" / "assets" / "provider" / "population"
        folder.mkdir(parents=True)
        for path in (left, mine):
            path.rename(folder / path.name)
        p.provider.desk.start()
        assert [path.name for path in folder.iterdir()] == ["whole.part"]

    play(tmp_path, story)


def test_what_cannot_be_enforced_any_more_serves_nobody(tmp_path: Path) -> None:
    async def story(p: Pair) -> None:
        agreement = await p.agree(USE)
        it = await reading(p, agreement)
        engine, home = p.provider.engine, p.home("provider")
        services = dict(engine.ground.services)
        engine.ground.services.clear()  # type: ignore[attr-defined]  # as if settings left it out
        await engine.agreements.check(home, engine.clerk)
        agreements = p.provider.store.of("provider").agreements
        broken = agreements.get(agreement.agreement_id, "provider")
        assert (broken.state, "no service files" in broken.reason) == ("broken", True)
        assert problem(await it.get())[::2] == (403, "agreement")
        engine.ground.services.update(services)  # type: ignore[attr-defined]
        await engine.agreements.check(home, engine.clerk)
        assert agreements.get(agreement.agreement_id, "provider").state == "live"
        assert (await it.get()).status == 200
        told = [each["outcome"] for each in entries(p) if each.get("rule") == "unsupported"]
        assert told == ["denied", "allowed"]

    play(tmp_path, story)


@played
async def test_a_broken_agreement_is_shown(two: Two) -> None:
    await two.offer()
    await two.know()
    deal = await two.deal()
    store = two.pair.provider.store.of("provider")
    record = store.agreements.get(deal["id"], "provider")
    write = store.agreements.update(record, state="broken", reason="no service files")
    await two.pair.provider.store.run(Unit((write,)))
    shown = await two.stat.ask("GET", f"agreements/{deal['id']}")
    assert (shown.status, shown.json["state"]) == (200, "broken")
