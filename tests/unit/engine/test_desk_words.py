# SPDX-License-Identifier: Apache-2.0
"""Whose turn it is, in every state of a negotiation and a transfer; terms to begin with."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from corridor.engine.desk import patterns, terms, words
from corridor.errors import Invalid
from corridor.policy import odrl
from corridor.policy import terms as grammar
from corridor.policy.terms import Shape
from corridor.protocol.machine import Role
from corridor.protocol.negotiation import State
from corridor.protocol.transfer import State as Flow
from corridor.services.files import Files
from corridor.services.tables import Tables
from corridor.store.agreements import Agreement
from corridor.store.negotiations import Negotiation
from corridor.store.transfers import Transfer

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def negotiation(**told) -> Negotiation:
    return Negotiation(pid="n", peer="did:web:stat.example", created=0, changed=0, **told)


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("role", list(Role))
def test_every_state_names_whom_it_waits_for_unless_it_is_over(role: Role, state: State) -> None:
    turn = words.of_negotiation(negotiation(role=role, state=state), "stat", dead=False)
    assert turn.next.endswith(".")
    assert (turn.whom == "") == (state in (State.FINALIZED, State.TERMINATED))


def test_what_is_under_way_waits_for_the_partner_and_what_is_dead_for_an_operator() -> None:
    it = negotiation(role=Role.CONSUMER, state=State.REQUESTED, pending="TERMINATE")
    assert words.of_negotiation(it, "stat", dead=False).whom == "the node of stat"
    assert words.of_negotiation(it, "stat", dead=True) is words.UNDELIVERED
    ours = negotiation(role=Role.CONSUMER, state=State.OFFERED)
    assert words.of_negotiation(ours, "stat", dead=False).whom == "you"
    over = negotiation(role=Role.CONSUMER, state=State.TERMINATED, reason="terms-wider")
    assert words.of_negotiation(over, "stat", dead=False).next.endswith("terms-wider")


@pytest.mark.parametrize("state", [None, *Flow])
def test_transfers_too(state: Flow | None) -> None:
    it = Transfer(
        pid="t", role=Role.CONSUMER, peer="p", agreement_id="a", format="f", state=state,
        created=0, changed=0,
    )  # fmt: skip
    turn = words.of_transfer(it, "stat", dead=False)
    assert (turn.whom == "the node of stat") == (state in (None, Flow.REQUESTED))


def test_an_agreement_says_what_to_do_with_it() -> None:
    it = Agreement(
        agreement_id="a", role=Role.CONSUMER, peer="p", provider="p", consumer="c", asset="survey",
        service="tables", raw=b"{}", sha256="", meaning="", terms_sha="", state="live", signed_at=0,
        created=0, changed=0,
    )  # fmt: skip
    told = words.of_agreement(it, ends="2027-01-01T00:00:00.000Z", leaving=None).next
    assert told == "Use it: corridor query survey. It holds until 2027-01-01 00:00 UTC."
    assert "withdrawn" in words.of_agreement(it, ends=None, leaving="soon").next


def test_entries_in_a_few_words() -> None:
    heard = {"type": "message.received", "message": "ContractOfferMessage"}
    assert words.of_entry(heard) == "made an offer"
    assert words.of_entry({**heard, "status": 400, "code": "pid-mismatch"}) == (
        "made an offer; refused: pid-mismatch"
    )
    assert words.of_entry({"type": "receipt", "act": "file", "outcome": "cut"}) == "file: cut"
    assert words.of_entry({"type": "something.new"}) == "something.new"


COLUMNS = ("year", "größe", "NO", "a_b")


@pytest.mark.parametrize("pattern", list(patterns.PATTERNS))
@pytest.mark.parametrize("columns", [None, COLUMNS])
def test_what_is_proposed_can_be_read(pattern: str, columns: tuple[str, ...] | None) -> None:
    service = "files" if columns is None else "tables"
    text = patterns.propose(
        pattern, asset="a: b #c", service=service, columns=columns, title='say "x"', now=NOW
    )
    read = grammar.read(
        text.encode(), source="t", shape=Shape("a: b #c", service, columns), now=NOW, floors={},
        purposes={}, enforced={"files": Files.operands, "tables": Tables.operands},
    )  # fmt: skip
    assert read.title == {"en": 'say "x"'}
    named = terms.columns_of(read.policy)
    assert named == (None if columns is None else sorted(COLUMNS, key=str.encode))
    assert terms.actions_of(read.policy) == ["use" if columns is None else "read"]
    again = odrl.read(odrl.write(read.policy, id="x", kind="Offer"))
    assert again.terms_hash == read.policy.terms_hash


def test_an_unknown_pattern_names_those_there_are() -> None:
    with pytest.raises(Invalid) as refused:
        patterns.propose("x", asset="a", service="files", columns=None, title="", now=NOW)
    assert "official-statistics" in refused.value.cause
