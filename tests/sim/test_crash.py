# SPDX-License-Identifier: Apache-2.0
"""A toy node that moves money in one transaction dies at each of its points in turn."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from corridor.sim.crash import LIFE, Life, hold
from corridor.sim.loop import Crashed, SimLoop
from corridor.sim.world import SimChance, SimClock, SimDisk


class Toy:
    """Writes two rows in one transaction; notes in a list what a kill must not let it do."""

    def __init__(self, life: Life, folder: Path, deeds: list[str], *, torn: bool = False) -> None:
        self.clock = SimClock(life)
        self.disk = SimDisk(life, folder)
        self.deeds = deeds
        self.torn = torn

    async def run(self) -> None:
        store = self.disk.connect("toy.db")
        store.execute("CREATE TABLE IF NOT EXISTS account (name TEXT PRIMARY KEY, sum INTEGER)")
        store.execute("INSERT OR IGNORE INTO account VALUES ('one', 10), ('two', 0)")
        try:
            await self.clock.sleep(1)
            (left,) = store.execute("SELECT sum FROM account WHERE name = 'one'").fetchone()
            if left:
                if not self.torn:
                    store.execute("BEGIN IMMEDIATE")
                store.execute("UPDATE account SET sum = 0 WHERE name = 'one'")
                store.execute("UPDATE account SET sum = 10 WHERE name = 'two'")
                if not self.torn:
                    store.execute("COMMIT")
            self.deeds.append("done")
        finally:
            self.deeds.append("finally")
            self.clock.now()
            self.deeds.append("after the end")


def total(folder: Path) -> int:
    store = sqlite3.connect(folder / "toy.db")
    try:
        sums = [row[0] for row in store.execute("SELECT sum FROM account")]
        return sum(sums) if sums else 10
    except sqlite3.OperationalError:
        return 10  # not even the table was made
    finally:
        store.close()


def crash_at(
    number: int | None, folder: Path, *, torn: bool = False
) -> tuple[Life, list[str], list[int]]:
    loop = SimLoop(7)
    hold(loop)
    died: list[int] = []
    life = Life(loop, "a", 1, on_crash=lambda it: died.append(it.points))
    life.arm(number)
    deeds: list[str] = []

    async def main() -> None:
        life.spawn(Toy(life, folder, deeds, torn=torn).run())
        await asyncio.sleep(60)

    loop.run_until_complete(main())
    before = list(deeds)
    life.dispose()
    loop.close()
    assert loop.faults == []
    return life, before, died


def test_it_survives_a_crash_at_each_of_its_points(tmp_path: Path) -> None:
    whole, deeds, _ = crash_at(None, tmp_path / "whole")
    assert deeds == ["done", "finally", "after the end"]
    points = whole.points
    assert points > 15
    for number in range(1, points + 1):
        folder = tmp_path / str(number)
        folder.mkdir()
        life, deeds, died = crash_at(number, folder)
        assert died == [number], life.crashed_at
        assert "after the end" not in deeds
        assert total(folder) == 10, f"point {number} at {life.crashed_at}"
        again, deeds, _ = crash_at(None, folder)
        assert total(folder) == 10
        assert deeds[0] == "done", again


def test_a_store_without_transactions_is_caught(tmp_path: Path) -> None:
    """The sweep would be worth nothing if it did not find a torn write."""
    whole, _, _ = crash_at(None, tmp_path / "whole", torn=True)
    sums = set()
    for number in range(1, whole.points + 1):
        folder = tmp_path / str(number)
        folder.mkdir()
        crash_at(number, folder, torn=True)
        sums.add(total(folder))
    assert sums == {10, 0}


def test_a_frozen_node_never_runs_again() -> None:
    loop = SimLoop(3)
    hold(loop)
    life = Life(loop, "a", 1)
    beats: list[float] = []

    async def beat() -> None:
        try:
            while True:
                await asyncio.sleep(1)
                beats.append(loop.time())
        finally:
            beats.append(-1.0)

    async def main() -> None:
        life.spawn(beat())
        await asyncio.sleep(5.5)
        assert LIFE.get() is None
        life.die("test")
        await asyncio.sleep(100)

    loop.run_until_complete(main())
    assert beats == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert life.waiting() == [beat.__qualname__]
    with pytest.raises(Crashed):
        SimClock(life).now()
    life.dispose()
    loop.close()


def test_ids_differ_from_life_to_life_and_sort() -> None:
    loop = SimLoop(3)
    ids: list[str] = []
    for number in (1, 2):
        life = Life(loop, "a", number)
        clock = SimClock(life)
        chance = SimChance(life, 3, clock)
        mine = [chance.uuid7()]
        clock.jump(-3600)
        mine += [chance.uuid7() for _ in range(5000)]
        assert mine == sorted(mine)
        ids += mine
        life.dispose()
    assert len(set(ids)) == len(ids)
    assert all(len(one) == 36 and one[14] == "7" for one in ids)
    loop.close()
