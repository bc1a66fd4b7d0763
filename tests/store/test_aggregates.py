# SPDX-License-Identifier: Apache-2.0
"""What each aggregate remembers, guards and forgets; nothing of one participant shows in another."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corridor.store import Conflict, Unit, after, counters, instant, micros
from corridor.store.agreements import Agreement, Duty
from corridor.store.counters import Reservation
from corridor.store.events import Event
from corridor.store.keys import SeenToken, SigningKey
from corridor.store.negotiations import Approval
from corridor.store.node import NodeProcess, ParticipantRow
from corridor.store.offers import Asset, Offer, TermsText
from corridor.store.peers import Peer
from corridor.store.people import Answered, ApiToken, Grant, User
from corridor.store.sessions import Act, Revocation, Session
from corridor.store.transfers import Transfer
from corridor.store.wakes import Job


@pytest.fixture
def write(store, run):
    return lambda *writes: run(store.run(Unit(writes)))


@pytest.fixture
def stat(store):
    return store.of("stat")


@pytest.fixture
def bank(store):
    return store.of("bank")


@given(st.datetimes(timezones=st.just(UTC)))
def test_times_go_to_microseconds_and_back(time):
    assert instant(micros(time)) == time
    assert micros(time + timedelta(microseconds=1)) == micros(time) + 1


def test_times_are_counted_from_1970():
    assert micros(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)) == 1_000_000


def test_negotiations_are_found_by_either_pid(write, stat, bank, make):
    write(stat.negotiations.insert(make.negotiation(1)))
    record = stat.negotiations.by_peer_pid("provider", "did:web:b", "theirs-1")
    assert record == stat.negotiations.get("pid-1")
    assert stat.negotiations.by_peer_pid("consumer", "did:web:b", "theirs-1") is None
    assert bank.negotiations.get("pid-1") is None
    with pytest.raises(Conflict):
        write(stat.negotiations.insert(make.negotiation(2, peer_pid="theirs-1")))
    write(
        stat.negotiations.insert(make.negotiation(3, peer_pid=None)),
        stat.negotiations.insert(make.negotiation(4, peer_pid=None)),
        bank.negotiations.insert(make.negotiation(1)),
    )
    with pytest.raises(AssertionError):
        stat.negotiations.update(record, peer="did:web:c")


def test_open_processes_are_counted(write, stat, make):
    states = [None, "REQUESTED", "FINALIZED", "TERMINATED", "VERIFIED"]
    for number, state in enumerate(states):
        peer = "did:web:b" if number else "did:web:c"
        write(stat.negotiations.insert(make.negotiation(number, state=state, peer=peer)))
    assert (stat.negotiations.count_open(), stat.negotiations.count_open("did:web:b")) == (3, 2)
    assert [it.state for it in stat.negotiations.open()] == [None, "REQUESTED", "VERIFIED"]
    assert [it.pid for it in stat.negotiations.page(state="FINALIZED")] == ["pid-2"]


def test_pages_follow_each_other(write, stat, bank, make):
    for number in range(7):
        write(
            stat.negotiations.insert(make.negotiation(number)),
            bank.negotiations.insert(make.negotiation(number)),
        )
    found, last = [], 0
    while page := stat.negotiations.page(after=last, limit=3):
        assert len(page) <= 3
        found += [(it.participant, it.pid) for it in page]
        last = page[-1].pk
    assert found == [("stat", f"pid-{number}") for number in range(7)]


def test_agreements_may_be_held_from_both_sides(write, stat, make):
    table = stat.agreements
    provider, consumer = _agreement(make, 1), _agreement(make, 1, role="consumer", peer="did:web:c")
    write(table.insert(provider), table.insert(consumer))
    assert table.get(provider.agreement_id, "consumer").peer == "did:web:c"
    assert table.get(provider.agreement_id).role == "provider"
    with pytest.raises(Conflict):
        write(table.insert(provider))
    assert [it.role for it in table.live_of_asset("grid", "did:web:c", "consumer")] == ["consumer"]
    write(table.update(provider, state="withdrawn", reason="asked"))
    assert table.live_of_asset("grid", "did:web:b", "provider") == []
    assert [it.reason for it in table.page(state="withdrawn")] == ["asked"]


def test_agreements_that_end_are_found(write, stat, bank, make):
    table = stat.agreements
    for number, ends in enumerate([30, 10, None, 20, 99]):
        write(table.insert(_agreement(make, number, ends_at=ends)))
    write(bank.agreements.insert(_agreement(make, 7, ends_at=1)))
    assert [it.ends_at for it in table.ending_before(31)] == [10, 20, 30]
    assert [it.ends_at for it in table.ending_before(30)] == [10, 20]


def test_duties_and_approvals(write, stat, make):
    duty = Duty(agreement_id="a", kind="delete", due=5, state="due")
    write(stat.duties.insert(duty), stat.duties.update(duty, state="fulfilled", leaf="e1"))
    assert [it.state for it in stat.duties.of_agreement("a")] == ["fulfilled"]
    assert stat.duties.page(state="due") == []
    asked = Approval(
        approval_id="1",
        subject="pid-1",
        office="dpo",
        rule="use-1",
        facts=b"{}",
        asked=1,
        expires=9,
        state="open",
    )
    write(stat.approvals.insert(asked))
    assert stat.approvals.count("open") == 1
    write(stat.approvals.update(asked, state="refused", by="ana"))
    with pytest.raises(Conflict):
        write(stat.approvals.update(asked, state="granted", by="bo"))
    refused = stat.approvals.get("1")
    write(stat.approvals.reopen(refused, facts=b"[]", asked=2, expires=10))
    assert [(it.state, it.by) for it in stat.approvals.by_subject("pid-1")] == [("open", None)]


def test_offers_are_shown_when_published(write, stat, bank, make):
    for number in range(3):
        state = "draft" if number == 1 else "published"
        write(stat.offers.insert(_offer(make, number, state=state)))
    assert [it.offer_id for it in stat.offers.page_published()] == ["offer-0", "offer-2"]
    first = stat.offers.page_published(limit=1)[0]
    assert [it.offer_id for it in stat.offers.page_published(first.pk)] == ["offer-2"]
    write(stat.offers.update(first, state="hidden"))
    assert [it.offer_id for it in stat.offers.page_published()] == ["offer-2"]
    assert (stat.offers.count(), bank.offers.count()) == (3, 0)
    assert len(stat.offers.by_asset("grid")) == 3
    text = TermsText(terms_id="1", yaml="a: b", odrl=b"{}", sha256="11", created=1)
    write(stat.terms.insert(text))
    assert stat.terms.by_sha256("11") == stat.terms.get("1")
    with pytest.raises(Conflict):
        write(stat.terms.insert(TermsText(terms_id="2", yaml="", odrl=b"", sha256="11", created=1)))
    asset = Asset(
        asset_id="grid", service="tables", title="Grid", source=b"s", created=1, changed=1
    )
    write(stat.assets.insert(asset), stat.assets.update(asset, title="Grid load", changed=2))
    assert (stat.assets.get("grid").title, stat.assets.count()) == ("Grid load", 1)
    assert [it.asset_id for it in stat.assets.page()] == ["grid"]


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


def test_revocations_only_grow(write, store, stat, bank):
    assert store.node.revocations.last() == 0
    write(stat.revocations.insert(Revocation(kind="session", subject="s", at=1)))
    write(bank.revocations.insert(Revocation(kind="agreement", subject="s", at=2)))
    assert [it.kind for it in store.node.revocations.after(1)] == ["agreement"]
    assert store.node.revocations.last() == 2
    assert [it.kind for it in stat.revocations.of_subject("s")] == ["session"]


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


def test_peers_are_known_by_did_and_handle(write, stat, bank):
    peer = Peer(did="did:web:b", handle="bank-b", created=1)
    write(stat.peers.upsert(peer))
    write(stat.peers.upsert(Peer(did="did:web:b", handle="bee", failures=2, created=9)))
    found = stat.peers.by_handle("bee")
    assert (found.failures, found.created, found.ver) == (2, 1, 2)
    assert stat.peers.by_handle("bank-b") is None
    assert (stat.peers.list(), bank.peers.list(), stat.peers.count()) == ([found], [], 1)
    with pytest.raises(Conflict):
        write(stat.peers.insert(Peer(did="did:web:c", handle="bee", created=1)))
    with pytest.raises(Conflict):
        write(stat.peers.delete(peer))
    write(stat.peers.delete(found))
    assert stat.peers.get("did:web:b") is None


def test_a_token_is_good_once(write, stat):
    for number in range(5):
        write(stat.tokens.insert(SeenToken(issuer="did:web:b", jti=str(number), expires=number)))
    with pytest.raises(Conflict):
        write(stat.tokens.insert(SeenToken(issuer="did:web:b", jti="1", expires=99)))
    write(stat.tokens.purge(before=4, limit=3))
    assert [bool(stat.tokens.get("did:web:b", str(n))) for n in range(5)] == [False] * 3 + [
        True
    ] * 2


def test_keys(write, stat, bank):
    key = SigningKey(kid="did:web:a#1", use="did", alg="ES256", public=b"p", created=1)
    write(stat.keys.insert(key), stat.keys.update(key, state="old", valid_until=5))
    assert stat.keys.get("did:web:a#1").state == "old"
    assert ([it.kid for it in stat.keys.list("did")], stat.keys.list("log")) == ([key.kid], [])
    assert bank.keys.list() == []


def test_events_keep_their_newest(write, stat, bank):
    for number in range(4):
        write(stat.events.insert(Event(kind="k", subject="s", at=number)))
    write(bank.events.insert(Event(kind="k", subject="s", at=0)))
    last = stat.events.last()
    write(stat.events.purge(before=99, limit=100), bank.events.purge(before=99, limit=100))
    assert stat.events.after(0) == []
    assert bank.events.last() == last + 1
    write(stat.events.insert(Event(kind="k", subject="s", at=9)))
    assert stat.events.last() > last
    assert [it.at for it in stat.events.of_subject("s")] == [9]


def test_people(write, store, stat, bank):
    users, tokens = store.node.users, store.node.api_tokens
    ana = User(user_id="1", login="ana", oidc_iss="i", oidc_sub="s", created=1)
    write(users.insert(ana), users.update(ana, name="Ana"))
    assert users.by_login("ana").name == "Ana"
    assert (users.by_oidc("i", "s").user_id, users.get("2"), users.count()) == ("1", None, 1)
    assert [it.login for it in users.page()] == ["ana"]
    with pytest.raises(Conflict):
        write(users.insert(User(user_id="2", login="ana", created=1)))
    grant = Grant(user_id="1", name="steward", created=1)
    write(stat.grants.put(grant), stat.grants.put(grant), bank.grants.put(grant))
    assert [it.participant for it in store.node.grants.of_user("1")] == ["stat", "bank"]
    write(bank.grants.delete("1", "role", "steward"))
    assert (len(stat.grants.of_user("1")), bank.grants.of_user("1")) == (1, [])
    write(store.node.grants.delete_of_user("1"))
    assert stat.grants.of_user("1") == []
    token = ApiToken(token_id="t", user_id="1", prefix="ab", sha256="11", created=1, expires=5)
    write(tokens.insert(token), tokens.used("t", 3))
    assert tokens.by_sha256("11").last_used == 3
    assert (tokens.get("t").token_id, len(tokens.of_user("1"))) == ("t", 1)
    write(tokens.delete("t"))
    with pytest.raises(Conflict):
        write(tokens.delete("t"))
    write(tokens.insert(token), tokens.purge(before=5, limit=9))
    assert tokens.by_sha256("11") is not None
    write(tokens.purge(before=6, limit=9), tokens.delete_of_user("1"))
    assert tokens.by_sha256("11") is None


def test_a_request_with_a_key_is_answered_once(write, stat, bank):
    table = stat.idempotency
    asked = Answered(user_id="1", key="k", request_sha="11", expires=5)
    write(table.insert(asked))
    with pytest.raises(Conflict):
        write(table.insert(asked))
    assert table.get("1", "k").status is None
    write(table.finish("1", "k", 201, b"{}"))
    with pytest.raises(Conflict):
        write(table.finish("1", "k", 500, b""))
    write(table.delete("1", "k"), bank.idempotency.purge(9, 9))
    assert (table.get("1", "k").status, table.get("1", "k").answer) == (201, b"{}")
    write(table.purge(9, 9))
    assert table.get("1", "k") is None


def test_the_node_itself(write, store):
    node = store.node
    write(node.meta.put("epoch", "1"), node.meta.put("epoch", "2"))
    assert (node.meta.get("epoch"), node.meta.get("none")) == ("2", None)
    row = ParticipantRow(slug="stat", did="did:web:a", created=1)
    write(node.participants.insert(row), node.participants.update(row, title="Stat"))
    assert node.participants.by_did("did:web:a") == node.participants.get("stat")
    assert [it.title for it in node.participants.list()] == ["Stat"]
    process = NodeProcess(process_id="1", started=1, beat=1, version="1", host="h")
    write(node.processes.insert(process), node.processes.update(process, beat=2))
    write(node.processes.delete("1"))


def _agreement(make, number, **told):
    told = {
        "agreement_id": f"urn:uuid:{number}",
        "role": "provider",
        "peer": "did:web:b",
        "provider": "did:web:a",
        "consumer": "did:web:b",
        "asset": "grid",
        "service": "tables",
        "raw": b"{}",
        "sha256": "11",
        "meaning": "22",
        "terms_sha": "33",
        "state": "live",
        "signed_at": make.now,
        "created": make.now,
        "changed": make.now,
    } | told
    return Agreement(**told)


def _offer(make, number, **told):
    told = {
        "offer_id": f"offer-{number}",
        "asset": "grid",
        "terms": "1",
        "terms_sha": "11",
        "created": make.now,
        "changed": make.now,
    } | told
    return Offer(**told)


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
