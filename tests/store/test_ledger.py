# SPDX-License-Identifier: Apache-2.0
"""Entries are placed once, in the order of their commits, and can be computed again."""

from __future__ import annotations

import asyncio
import sqlite3

import pytest

from corridor.errors import EvidenceBroken, NotFound, StoreUnavailable
from corridor.evidence import entry, tree
from corridor.store import Conflict, Unit
from corridor.store.events import Event


async def _verify(ledger):
    return [step async for step in ledger.verify()]


def test_an_empty_ledger_has_the_empty_root(store, run):
    ledger = store.of("stat").ledger
    assert ledger.size_root() == (0, tree.EMPTY)
    assert run(_verify(ledger)) == []
    with pytest.raises(NotFound):
        store.of("nobody").ledger.size_root()


def test_entries_stand_in_the_order_of_their_commits(store, run, make):
    stat = store.of("stat")

    async def writer(worker):
        for step in range(20):
            number = worker * 100 + step
            event = Event(kind="k", subject=str(number), data=b"", at=make.now)
            await store.run(Unit((stat.events.insert(event),), (make.leaf(number),)))

    async def all_of_them():
        await asyncio.gather(*(writer(worker) for worker in range(32)))

    run(all_of_them())
    told, last = [], 0
    while page := stat.events.after(last):
        told += [f"stat-{it.subject}" for it in page]
        last = page[-1].pk
    placed = []
    while page := stat.ledger.entries(len(placed)):
        placed += [it.id for it in page]
    assert placed == told
    assert len(set(placed)) == 640
    assert store.node.ledgers.unplaced() == 0
    assert run(_verify(stat.ledger))[-1] == (640, 640)


def test_tiles_prove_every_entry(store, run, make):
    ledger = store.of("stat").ledger
    for start in range(0, 600, 60):
        run(store.run(Unit((), tuple(make.leaf(n) for n in range(start, start + 60)))))
    size, root = ledger.size_root()
    assert size == 600
    assert tree.root(ledger.tile, size) == root
    for index in (0, 255, 256, 511, 599):
        found = ledger.entry(index)
        assert found.leaf == tree.leaf_hash(found.leaf_bytes())
        proof = tree.inclusion(ledger.tile, index, size)
        tree.verify_inclusion(found.leaf, index, size, proof, root)
    older = tree.root(ledger.tile, 300)
    tree.verify_consistency(300, size, older, root, tree.consistency(ledger.tile, 300, size))


def test_threads_are_chained(store, run, make):
    ledger = store.of("stat").ledger
    run(store.run(Unit((), (make.leaf(1, thread="a"), make.leaf(2), make.leaf(3, thread="b")))))
    run(store.run(Unit((), (make.leaf(4, thread="a"), make.leaf(5, thread="a")))))
    first, second, third = ledger.thread("a")
    assert [it.number for it in (first, second, third)] == [1, 2, 3]
    assert (first.prior, second.prior, third.prior) == (None, first.leaf, second.leaf)
    assert [it.index for it in ledger.thread("a", after=1)] == [3, 4]
    assert ledger.entry(1).number is None
    assert (ledger.thread_length("a"), ledger.thread_length("none")) == (3, 0)
    read = entry.read_leaf(second.leaf_bytes())
    assert (read.index, read.number, read.prior) == (3, 2, first.leaf)


def test_ledgers_of_two_participants_do_not_meet(store, run, make):
    leaves = [make.leaf(n, participant=("stat", "bank")[n % 2], thread="same") for n in range(10)]
    run(store.run(Unit((), tuple(leaves))))
    for slug in ("stat", "bank"):
        ledger = store.of(slug).ledger
        assert ledger.size_root()[0] == 5
        assert [it.number for it in ledger.thread("same")] == [1, 2, 3, 4, 5]
        assert all(it.id.startswith(slug) for it in ledger.entries(0))
        assert run(_verify(ledger))[-1] == (5, 5)
    assert store.of("stat").ledger.by_id("bank-1") is None


def test_an_entry_is_taken_once(store, run, make):
    run(store.run(Unit((), (make.leaf(1),))))
    with pytest.raises(Conflict):
        run(store.run(Unit((), (make.leaf(1),))))
    assert store.of("stat").ledger.size_root()[0] == 1


@pytest.mark.parametrize("state", ["fenced", "closed"])
def test_a_fenced_ledger_takes_nothing_and_stops_its_units(store, run, make, state):
    stat = store.of("stat")
    run(store.run(Unit((), (make.leaf(1),))))
    run(store.run(Unit((stat.ledger.set_state(1, old="open", state=state),))))
    unit = Unit((stat.negotiations.insert(make.negotiation(1)),), (make.leaf(2),))
    with pytest.raises(StoreUnavailable) as told:
        run(store.run(unit))
    assert told.value.code == "ledger-fenced"
    assert stat.negotiations.get("pid-1") is None
    run(store.run(Unit((), (make.leaf(1, participant="bank"),))))
    with pytest.raises(Conflict):
        run(store.run(Unit((stat.ledger.set_state(1, old="open", state="closed"),))))


def test_a_new_epoch_begins_at_nothing(store, run, make):
    ledger = store.of("stat").ledger
    run(store.run(Unit((), (make.leaf(1, thread="a"),))))
    with pytest.raises(Conflict):
        run(store.run(Unit((ledger.open(epoch=2, origin="x/2"),))))
    close = ledger.set_state(1, old="open", state="closed")
    run(store.run(Unit((close, ledger.open(epoch=2, origin="x/2")), (make.leaf(2, thread="a"),))))
    assert ledger.head().epoch == 2
    assert [it.id for it in ledger.entries(0)] == ["stat-2"]
    assert ledger.entry(0).number == 1
    assert [it.size for it in store.node.ledgers.all() if it.participant == "stat"] == [1, 1]


def test_what_a_crash_left_unplaced_is_placed_when_opened(store, disk, reopen, run, make):
    ledger = store.of("stat").ledger
    run(store.run(Unit((), (make.leaf(1, thread="a"),))))
    number = ledger.head().pk
    later = [make.leaf(n, thread="a") for n in (2, 3)]
    other = disk.connect("corridor.db")
    for leaf in later:
        row = (number, leaf.id, leaf.type, leaf.thread, leaf.time, leaf.body)
        other.execute(
            "INSERT INTO ledger_entry (ledger, id, type, thread, time, body) VALUES (?,?,?,?,?,?)",
            row,
        )
    other.close()
    assert store.node.ledgers.unplaced() == 2
    assert ledger.thread_length("a") == 3
    again = reopen()
    ledger = again.of("stat").ledger
    assert again.node.ledgers.unplaced() == 0
    assert [it.id for it in ledger.thread("a")] == ["stat-1", "stat-2", "stat-3"]
    assert run(_verify(ledger))[-1] == (3, 3)


def test_what_is_placed_never_changes(store, disk, run, make):
    run(store.run(Unit((), (make.leaf(1),))))
    other = disk.connect("corridor.db")
    for sql in (
        'UPDATE ledger_entry SET "index" = 7',
        "UPDATE ledger_entry SET body = x'00'",
        "DELETE FROM ledger_entry",
    ):
        with pytest.raises(sqlite3.IntegrityError):
            other.execute(sql)
    other.close()


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE ledger_entry SET body = CAST(body || ' ' AS BLOB) WHERE \"index\" = 300",
        'UPDATE ledger_entry SET number = 999 WHERE "index" = 300',
        'UPDATE ledger_entry SET prior = zeroblob(32) WHERE "index" = 301',
        'DELETE FROM ledger_entry WHERE "index" = 300',
        "UPDATE ledger_tile SET hashes = zeroblob(8192) WHERE level = 0 AND n = 0",
        "UPDATE ledger_tile SET hashes = zeroblob(length(hashes)) WHERE level = 1",
        "UPDATE ledger SET root = zeroblob(32)",
    ],
)
def test_verify_finds_every_harm(store, disk, run, make, harm):
    ledger = store.of("stat").ledger
    for start in range(0, 400, 50):
        leaves = (make.leaf(n, thread="a") for n in range(start, start + 50))
        run(store.run(Unit((), tuple(leaves))))
    assert run(_verify(ledger))[-1] == (400, 400)
    other = disk.connect("corridor.db")
    other.execute("DROP TRIGGER ledger_entry_placed")
    other.execute("DROP TRIGGER ledger_entry_kept")
    assert other.execute(harm).rowcount >= 1
    other.close()
    with pytest.raises(EvidenceBroken):
        run(_verify(ledger))


def test_payloads_are_found_and_erased_once(store, run, make):
    ledger = store.of("stat").ledger
    run(store.run(Unit((), (make.leaf(1, payload=b"sealed"), make.leaf(2)))))
    found = ledger.payload("digest-stat-1")
    assert (found.entry, found.slot, found.sealed, found.erased) == (
        "stat-1",
        "body",
        b"sealed",
        None,
    )
    assert ledger.payloads("stat-1") == [found]
    assert store.of("bank").ledger.payload("digest-stat-1") is None
    run(store.run(Unit((ledger.erase("digest-stat-1", make.now),))))
    assert ledger.payload("digest-stat-1").sealed is None
    assert ledger.payload("digest-stat-1").erased == make.now
    with pytest.raises(Conflict):
        run(store.run(Unit((ledger.erase("digest-stat-1", make.now),))))


def test_two_checkpoints_of_one_size_cannot_be_kept(store, run, make):
    ledger = store.of("stat").ledger
    assert ledger.checkpoint() is None
    for size in (5, 9):
        run(store.run(Unit((ledger.put_checkpoint(size, b"note %d" % size, make.now),))))
    with pytest.raises(Conflict):
        run(store.run(Unit((ledger.put_checkpoint(9, b"another", make.now),))))
    assert ledger.checkpoint().note == b"note 9"
    assert [ledger.checkpoint(n).size for n in (1, 5, 6)] == [5, 5, 9]
    assert ledger.checkpoint(10) is None
