# SPDX-License-Identifier: Apache-2.0
"""Transfers, sessions and counters: nothing is used beyond what fits, and what ended stays so."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corridor.store import Conflict, counters
from corridor.store.counters import Reservation
from corridor.store.sessions import Act, Revocation, Session
from corridor.store.transfers import Transfer


def test_transfers(write, stat):
    record = Transfer(
        pid="t",
        role="provider",
        peer="did:web:b",
        peer_pid="x",
        agreement_id="a",
        format="HttpData-PULL",
        created=1,
        changed=1,
    )
    write(stat.transfers.insert(record), stat.transfers.update(record, state="STARTED", sid="s"))
    assert stat.transfers.get("t").sid == "s"
    assert stat.transfers.by_peer_pid("provider", "did:web:b", "x").pid == "t"
    assert (stat.transfers.count_open(), stat.transfers.count_open("did:web:c")) == (1, 0)
    assert [it.pid for it in stat.transfers.of_agreement("a")] == ["t"]
    assert [it.pid for it in stat.transfers.page(state="STARTED")] == ["t"]
    write(stat.transfers.update(stat.transfers.get("t"), state="COMPLETED"))
    assert stat.transfers.open() == []


def test_sessions_and_their_acts(write, store, stat):
    first, second = _session(1), _session(2, state="opening")
    write(stat.sessions.insert(first), stat.sessions.insert(second))
    assert stat.sessions.by_transfer("transfer-1").sid == "sid-1"
    assert [it.sid for it in stat.sessions.in_states(["opening", "open"])] == ["sid-2", "sid-1"]
    assert stat.sessions.count_open("agreement") == 2
    act = Act(act_id="act", sid="sid-1", kind="query", started=1)
    write(stat.sessions.hold("sid-1"), stat.acts.insert(act))
    with pytest.raises(Conflict):
        write(stat.sessions.hold("sid-2"))
    write(stat.sessions.update(stat.sessions.get("sid-1"), state="closing"))
    with pytest.raises(Conflict):
        write(stat.sessions.hold("sid-1"))
    assert [it.act_id for it in stat.acts.open_of_session("sid-1")] == ["act"]
    write(stat.acts.close("act"))
    with pytest.raises(Conflict):
        write(stat.acts.close("act"))
    assert (stat.acts.open(), stat.acts.get("act").state) == ([], "closed")
    write(stat.sessions.update(stat.sessions.get("sid-1"), state="closed"))
    assert stat.sessions.count_open("agreement") == 1
    assert len(stat.sessions.of_agreement("agreement")) == 2


def _session(number, **told):
    told = {
        "sid": f"sid-{number}",
        "transfer": f"transfer-{number}",
        "agreement_id": "agreement",
        "asset": "grid",
        "service": "tables",
        "permit_sha": "11",
        "generation_at": 1,
        "opened": 1,
        "expires": 9,
        "state": "open",
    } | told
    return Session(**told)


def test_revocations_only_grow(write, store, stat, bank):
    assert store.node.revocations.last() == 0
    write(stat.revocations.insert(Revocation(kind="session", subject="s", at=1)))
    write(bank.revocations.insert(Revocation(kind="agreement", subject="s", at=2)))
    assert [it.kind for it in store.node.revocations.after(1)] == ["agreement"]
    assert store.node.revocations.last() == 2
    assert [it.kind for it in stat.revocations.of_subject("s")] == ["session"]


def test_a_counter_is_never_charged_above_its_cap(write, stat, bank):
    charge = stat.counters.charge
    write(charge("a", "count", 0, 3, 10), charge("a", "count", 0, 7, 10))
    with pytest.raises(Conflict):
        write(charge("a", "count", 0, 1, 10))
    assert stat.counters.get("a", "count", 0).spent == 10
    write(charge("a", "count", 0, 1, 11), charge("a", "count", 60, 1, 1))
    with pytest.raises(Conflict):
        write(charge("a", "count", 0, 1, 11), charge("a", "count", 60, 0, 1))
    with pytest.raises(Conflict):
        write(charge("b", "count", 0, 2, 1))
    assert stat.counters.get("b", "count", 0) is None
    assert bank.counters.of_scope("a") == []
    assert [it.window_start for it in stat.counters.of_scope("a")] == [0, 60]


def test_what_is_held_counts_until_it_is_settled(write, stat):
    table = stat.counters
    write(table.reserve("a", "bytes", 0, 80, 100))
    with pytest.raises(Conflict):
        write(table.charge("a", "bytes", 0, 21, 100))
    write(table.settle("a", "bytes", 0, held=80, used=30))
    found = table.get("a", "bytes", 0)
    assert (found.held, found.used) == (0, 30)
    with pytest.raises(Conflict):
        write(table.settle("a", "bytes", 0, held=1, used=1))
    write(table.reserve("a", "bytes", 0, 70, 100), table.settle("a", "bytes", 0, held=70, used=999))
    assert table.get("a", "bytes", 0).spent == 100


def test_a_privacy_budget_keeps_its_fractions(write, stat):
    table = stat.counters
    for _ in range(8):
        write(table.charge("a", "epsilon", 0, Decimal("0.5"), Decimal(4)))
    with pytest.raises(Conflict):
        write(table.charge("a", "epsilon", 0, Decimal("0.000000001"), Decimal(4)))
    assert table.get("a", "epsilon", 0).spent == Decimal(4)


@given(st.decimals(0, 10**12, allow_nan=False), st.sampled_from(["count", "epsilon"]))
def test_rounding_lets_nothing_through(amount, operand):
    assert counters.amount(operand, counters.units(operand, amount)) >= min(
        amount, counters.amount(operand, counters.MOST)
    )


def test_reservations_are_finished_once(write, stat):
    record = Reservation(
        request_id="r", scope="a", operand="rows", window_start=0, amount=5, owner="me", at=1
    )
    write(stat.reservations.insert(record))
    assert [it.request_id for it in stat.reservations.held()] == ["r"]
    write(stat.reservations.finish(record, "spent"))
    with pytest.raises(Conflict):
        write(stat.reservations.finish(record, "released"))
    with pytest.raises(Conflict):
        write(stat.reservations.insert(record))
    assert [it.state for it in stat.reservations.of_request("r")] == ["spent"]
