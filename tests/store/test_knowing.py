# SPDX-License-Identifier: Apache-2.0
"""Peers, tokens, keys, people and the node itself: what is known, and what is forgotten in time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corridor.store import Conflict, instant, micros
from corridor.store.events import Event
from corridor.store.keys import SeenToken, SigningKey
from corridor.store.node import NodeProcess, ParticipantRow
from corridor.store.peers import Peer
from corridor.store.people import Answered, ApiToken, Grant, User


@given(st.datetimes(timezones=st.just(UTC)))
def test_times_go_to_microseconds_and_back(time):
    assert instant(micros(time)) == time
    assert micros(time + timedelta(microseconds=1)) == micros(time) + 1


def test_times_are_counted_from_1970():
    assert micros(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)) == 1_000_000


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
