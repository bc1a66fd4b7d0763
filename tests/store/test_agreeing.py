# SPDX-License-Identifier: Apache-2.0
"""Negotiations, agreements, offers: what each remembers and guards, participant by participant."""

from __future__ import annotations

import pytest

from corridor.store import Conflict
from corridor.store.agreements import Agreement, Duty
from corridor.store.negotiations import Approval
from corridor.store.offers import Asset, Offer, TermsText


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
