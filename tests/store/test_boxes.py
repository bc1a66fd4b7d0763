# SPDX-License-Identifier: Apache-2.0
"""What is to be said, was heard, or is to be done later; the node alone sees it over all."""

from __future__ import annotations

import pytest

from corridor.store import Conflict, after
from corridor.store.wakes import Job


def test_one_message_of_a_process_is_under_way(write, stat, make):
    box = stat.outbox
    first, second = make.queued(1), make.queued(2, process="pid-1")
    write(box.insert(first))
    with pytest.raises(Conflict):
        write(box.insert(second))
    write(box.supersede(first), box.insert(second))
    assert [it.message_id for it in box.of_process("pid-1")] == [second.message_id]
    write(box.claim(second, "me", 77))
    assert box.get(second.message_id).state == "sending"
    write(box.retry(second, attempts=1, next_at=88, error="timeout"))
    row = box.get(second.message_id)
    assert (row.state, row.attempts, row.next_at, row.claim) == ("queued", 1, 88, None)
    write(box.done(second))
    for late in (box.done(second), box.retry(second, 2, 99, "x"), box.bury(second, "x")):
        with pytest.raises(Conflict):
            write(late)
    assert box.of_process("pid-1") == []


def test_a_dead_letter_may_be_revived(write, store, stat, make):
    box = stat.outbox
    row = make.queued(1)
    write(box.insert(row), box.bury(row, "unreachable"))
    assert (box.count("did:web:b"), [it.error for it in box.dead()]) == (0, ["unreachable"])
    write(box.revive(row, 5))
    assert [it.next_at for it in store.node.outbox.pending()] == [5]
    with pytest.raises(Conflict):
        write(box.revive(row, 5))


def test_the_node_sees_what_is_due_over_all(write, store, stat, bank, make):
    write(stat.outbox.insert(make.queued(5)), bank.outbox.insert(make.queued(1)))
    write(stat.outbox.insert(make.queued(3)), stat.outbox.done(make.queued(5)))
    due = [(it.participant, it.process) for it in store.node.outbox.pending()]
    assert due == [("bank", "pid-1"), ("stat", "pid-3")]
    assert store.node.outbox.counts() == {"queued": 2, "done": 1}
    assert (stat.outbox.count("did:web:b"), stat.outbox.count("did:web:c")) == (1, 0)
    write(stat.outbox.purge("done", make.now + 1, 10))
    assert store.node.outbox.counts() == {"queued": 2}
    with pytest.raises(AssertionError):
        stat.outbox.purge("queued", 1, 1)


def test_the_inbox_remembers(write, stat, bank, make):
    write(stat.inbox.insert(make.heard(1)), stat.inbox.insert(make.heard(2, process="pid-1")))
    write(stat.inbox.insert(make.heard(3, process="pid-1", message_id=None)))
    assert [it.sha256 for it in stat.inbox.seen("pid-1", "urn:heard:1")] == [f"{1:064x}"]
    assert stat.inbox.seen("pid-2", "urn:heard:1") == []
    assert bank.inbox.seen("pid-1", "urn:heard:1") == []
    assert stat.inbox.seen_digest("pid-1", f"{3:064x}").message_id is None
    assert stat.inbox.count("pid-1") == 3
    write(stat.inbox.purge(make.now + 3, 1))
    assert stat.inbox.count("pid-1") == 2
    write(stat.inbox.purge_process("pid-1"))
    assert stat.inbox.count("pid-1") == 0


def test_wakes_are_put_moved_and_taken_once(write, store, stat, bank):
    write(stat.wakes.put("timeout", "pid-1", 50), bank.wakes.put("timeout", "pid-1", 10))
    write(stat.wakes.put("timeout", "pid-1", 5), stat.wakes.put("approval", "pid-1", 7))
    found = [(it.participant, it.kind, it.at) for it in store.node.wakes.all()]
    assert found == [("stat", "timeout", 5), ("stat", "approval", 7), ("bank", "timeout", 10)]
    assert [it.at for it in store.node.wakes.due(7)] == [5, 7]
    assert [it.at for it in store.node.wakes.due(99, limit=1)] == [5]
    assert store.node.wakes.first().at == 5
    write(stat.wakes.delete("timeout", "pid-1"))
    with pytest.raises(Conflict):
        write(stat.wakes.delete("timeout", "pid-1"))
    write(stat.wakes.delete("timeout", "pid-1", expect=None))
    write(stat.wakes.delete_of("pid-1"))
    assert [it.participant for it in store.node.wakes.all()] == ["bank"]
    assert bank.wakes.get("timeout", "pid-1").at == 10
    assert stat.wakes.of_subject("pid-1") == []


def test_jobs(write, store, stat):
    job = Job(kind="push", subject="sid")
    write(stat.jobs.insert(job), stat.jobs.update(job, state="running", attempts=1))
    assert [it.attempts for it in store.node.jobs.open()] == [1]
    assert stat.jobs.page("queued") == []
    write(stat.jobs.update(after(job), state="done"))
    assert store.node.jobs.open() == []
    assert stat.jobs.get("push", "sid").state == "done"
