# SPDX-License-Identifier: Apache-2.0
"""A unit is written whole or not at all, and is durable when `run` returns."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace

import pytest

from corridor.errors import CorridorError, StoreUnavailable
from corridor.limits import Limits
from corridor.store import Conflict, Statement, Unit, Write, after
from corridor.store.events import Event
from corridor.store.keys import SeenToken


def test_what_was_run_is_there_after_opening_again(reopen, run, make):
    store = reopen()
    run(store.run(Unit((store.of("stat").negotiations.insert(make.negotiation(1)),))))
    found = reopen().of("stat").negotiations.get("pid-1")
    assert found is not None
    assert found == make.negotiation(1, participant="stat", pk=found.pk)


def test_a_missed_guard_leaves_nothing_of_its_unit(store, run, make):
    stat = store.of("stat")
    record = make.negotiation(1)
    run(store.run(Unit((stat.negotiations.insert(record),))))
    run(store.run(Unit((stat.negotiations.update(record, state="REQUESTED"),))))
    stale = stat.negotiations.update(record, state="OFFERED")
    unit = Unit((stat.outbox.insert(make.queued(1)), stale), (make.leaf(1),))
    with pytest.raises(Conflict) as told:
        run(store.run(unit))
    assert told.value.write is stale
    assert stat.negotiations.get("pid-1").state == "REQUESTED"
    assert stat.outbox.get("urn:message:1") is None
    assert stat.ledger.size_root()[0] == 0


def test_a_record_just_inserted_changes_without_being_read(store, run, make):
    table = store.of("stat").negotiations
    first = make.negotiation(1)
    second = after(first, state="REQUESTED")
    writes = (
        table.insert(first),
        table.update(first, state="REQUESTED"),
        table.update(second, state="AGREED"),
    )
    run(store.run(Unit(writes)))
    assert (table.get("pid-1").state, table.get("pid-1").ver) == ("AGREED", 3)


def test_a_taken_key_is_a_conflict(store, run, make):
    stat = store.of("stat")
    token = SeenToken(issuer="did:web:b", jti="1", expires=make.now)
    unit = Unit((stat.negotiations.insert(make.negotiation(1)), stat.tokens.insert(token)))
    run(store.run(unit))
    replayed = Unit((stat.negotiations.insert(make.negotiation(2)), stat.tokens.insert(token)))
    with pytest.raises(Conflict):
        run(store.run(replayed))
    assert stat.negotiations.get("pid-2") is None
    run(store.run(Unit((store.of("bank").tokens.insert(token),))))


def test_one_that_fails_does_not_harm_its_neighbours(store, run, make):
    table = store.of("stat").negotiations
    broken = Write(Statement("broken", "INSERT INTO nowhere VALUES (:x)"), {"x": 1})
    huge = table.insert(make.negotiation(4, rounds=1 << 70))

    async def all_at_once():
        units = [
            Unit((table.insert(make.negotiation(1)),), (make.leaf(1),)),
            Unit((table.insert(make.negotiation(1)),), (make.leaf(2),)),
            Unit((table.insert(make.negotiation(3)), broken), (make.leaf(3),)),
            Unit((huge,), (make.leaf(4),)),
            Unit((table.insert(make.negotiation(5)),), (make.leaf(5),)),
        ]
        return await asyncio.gather(*map(store.run, units), return_exceptions=True)

    first, taken, bad, big, last = run(all_at_once())
    assert (first, last) == (None, None)
    assert isinstance(taken, Conflict)
    assert [type(it) for it in (bad, big)] == [CorridorError, CorridorError]
    assert [it.pid for it in table.page()] == ["pid-1", "pid-5"]
    assert [it.id for it in store.of("stat").ledger.entries(0)] == ["stat-1", "stat-5"]


def test_64_writers_who_change_one_row_each_win_once(store, run, make):
    table = store.of("stat").negotiations
    run(store.run(Unit((table.insert(make.negotiation(1)),))))

    async def writer():
        while True:
            record = table.get("pid-1")
            with contextlib.suppress(Conflict):
                await store.run(Unit((table.update(record, rounds=record.rounds + 1),)))
                return

    async def all_of_them():
        await asyncio.gather(*(writer() for _ in range(64)))

    run(all_of_them())
    assert (table.get("pid-1").rounds, table.get("pid-1").ver) == (64, 65)


def test_units_are_committed_in_the_order_they_came(store, run, make):
    events = store.of("stat").events

    async def many():
        units = (Unit((events.insert(_event(make, n)),)) for n in range(1000))
        await asyncio.gather(*map(store.run, units))

    run(many())
    found, last = [], 0
    while page := events.after(last):
        found += [int(it.subject) for it in page]
        last = page[-1].pk
    assert found == list(range(1000))


def test_a_full_disk_fails_the_unit_and_heals_by_itself(store, disk, run, make):
    events = store.of("stat").events
    disk.shrink(spare=4)
    big = replace_data(_event(make, 1), b"x" * 100_000)
    with pytest.raises(StoreUnavailable):
        run(store.run(Unit((events.insert(big),), (make.leaf(1),))))
    assert events.after(0) == []
    run(store.run(Unit((events.insert(_event(make, 2)),))))
    disk.shrink(spare=None)
    run(store.run(Unit((events.insert(big),), (make.leaf(1),))))
    assert [it.subject for it in events.after(0)] == ["2", "1"]
    assert store.of("stat").ledger.size_root()[0] == 1


def test_a_locked_file_is_store_unavailable(store, disk, run, make):
    events = store.of("stat").events
    other = disk.connect("corridor.db")
    run(store.run(Unit((events.insert(_event(make, 1)),))))
    writer = disk.writers[-2]
    writer.execute("PRAGMA busy_timeout = 1")
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable):
        run(store.run(Unit((events.insert(_event(make, 2)),))))
    other.execute("ROLLBACK")
    other.close()
    run(store.run(Unit((events.insert(_event(make, 2)),))))
    assert len(events.after(0)) == 2


@pytest.mark.parametrize("more", [0, 1])
def test_limits_of_a_unit(reopen, run, make, more):
    store = reopen(replace(Limits(), unit_writes_max=3, unit_bytes_max=5000, entry_bytes_max=400))
    stat = store.of("stat")
    run(store.run(Unit((stat.ledger.open(epoch=1, origin="x"),))))
    leaf = make.leaf(1)
    leaf = replace(leaf, body=leaf.body[:-1] + b" " * (400 - len(leaf.body) + more) + b"}")
    fixed = sum(len(x) for x in ("stat", "k", "1"))
    writes = Unit(tuple(stat.events.insert(_event(make, n)) for n in range(3 + more)))
    sized = replace_data(_event(make, 1), b"x" * (5000 - fixed + more))
    for unit in (writes, Unit((stat.events.insert(sized),)), Unit((), (leaf,))):
        if more:
            with pytest.raises(CorridorError) as told:
                run(store.run(unit))
            assert told.value.code == "too-large"
        else:
            run(store.run(unit))


def test_limit_of_the_queue(reopen, run, make):
    store = reopen(replace(Limits(), writer_queue_units_max=5))
    events = store.of("stat").events

    async def six():
        units = [Unit((events.insert(_event(make, n)),)) for n in range(6)]
        return await asyncio.gather(*map(store.run, units), return_exceptions=True)

    told = run(six())
    assert told[:5] == [None] * 5
    assert isinstance(told[5], StoreUnavailable)
    assert told[5].code == "try-again"
    assert run(six())[0] is None


def test_a_batch_holds_no_more_than_its_limits(reopen, run, make):
    store = reopen(replace(Limits(), batch_units_max=2, batch_bytes_max=150))
    events = store.of("stat").events

    async def seven():
        data = replace_data(_event(make, 0), b"x" * 100)
        await asyncio.gather(*(store.run(Unit((events.insert(data),))) for _ in range(7)))

    run(seven())
    assert len(events.after(0)) == 7


def test_one_who_is_cancelled_does_not_stop_the_writer(store, run, make):
    events = store.of("stat").events

    async def give_up():
        task = asyncio.ensure_future(store.run(Unit((events.insert(_event(make, 1)),))))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await store.run(Unit((events.insert(_event(make, 2)),)))

    run(give_up())
    assert [it.subject for it in events.after(0)] == ["1", "2"]


def test_closing_writes_what_waits_and_takes_no_more(reopen, run, make):
    store = reopen()
    events = store.of("stat").events

    async def leave():
        waiting = [
            asyncio.ensure_future(store.run(Unit((events.insert(_event(make, n)),))))
            for n in range(20)
        ]
        await asyncio.sleep(0)
        await store.close()
        await asyncio.gather(*waiting)
        with pytest.raises(StoreUnavailable):
            await store.run(Unit((events.insert(_event(make, 99)),)))

    run(leave())
    assert len(reopen().of("stat").events.after(0)) == 20


def test_last_commit_grows_with_commits_only(store, run, make):
    events = store.of("stat").events
    run(store.run(Unit((events.insert(_event(make, 1)),))))
    before = store.last_commit
    run(store.run(Unit((events.insert(_event(make, 2)),))))
    assert store.last_commit > before


def test_scans_read_what_was_committed(store, run, make):
    stat = store.of("stat")
    run(store.run(Unit((stat.events.insert(_event(make, 1)),))))
    count = Statement("count", "SELECT count(*) FROM event WHERE participant = :participant")
    assert run(store.scan(count, {"participant": "stat"})) == [(1,)]
    assert store.read(count, {"participant": "bank"}) == [(0,)]


def test_readers_cannot_write(store, run):
    write = Statement("write", "DELETE FROM event")
    with pytest.raises(StoreUnavailable):
        store.read(write, {})
    with pytest.raises(StoreUnavailable):
        run(store.scan(write, {}))
    assert store.read(Statement("one", "SELECT 1"), {}) == [(1,)]


def _event(make, number: int) -> Event:
    return Event(kind="k", subject=str(number), data=b"", at=make.now + number)


def replace_data(event: Event, data: bytes) -> Event:
    return Event(kind=event.kind, subject=event.subject, data=data, at=event.at)
