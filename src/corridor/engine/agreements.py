# SPDX-License-Identifier: Apache-2.0
"""Agreements: made, taken, concluded, ended (terms.md 2.4, 4; node.md c).

An agreement is a `draft` from the message that carries it to FINALIZED, then `live`; it ends
`withdrawn` (by the provider), `returned` (by the consumer), `expired`, or `void` (its negotiation
ended before it was concluded).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec
import structlog

from corridor import telemetry
from corridor.engine.clerk import Clerk
from corridor.engine.draft import Draft
from corridor.engine.ground import Ground, Home, micros, moment, stamp
from corridor.engine.library import Library
from corridor.errors import CannotHonour, RemoteProtocolError
from corridor.policy import odrl
from corridor.policy.permit import Permit
from corridor.protocol.machine import Role
from corridor.store.agreements import Agreement
from corridor.store.negotiations import Negotiation
from corridor.store.unit import Unit, Write

log = structlog.get_logger()


class Agreements:
    """What is agreed, on either side."""

    def __init__(self, ground: Ground, library: Library) -> None:
        self._ground = ground
        self._library = library

    def make(self, draft: Draft, it: Negotiation) -> dict[str, Any]:
        """The agreement that we, the provider, send: the last offer's rules, literal for literal.

        Raises CannotHonour where it does not compile; then nothing is agreed.
        """
        offer = msgspec.json.decode(it.offer_raw or b"{}")
        agreement = odrl.agreement(
            offer,
            id=f"urn:uuid:{self._ground.world.chance.uuid7()}",
            target=it.asset or "",
            assigner=draft.home.did,
            assignee=it.peer,
            timestamp=stamp(self._ground.now()),
        )
        draft.writes.append(self._insert(draft.home, it, agreement))
        draft.set(agreement_id=agreement["@id"])
        return agreement

    def take(self, home: Home, it: Negotiation, agreement: Mapping[str, Any]) -> Write:
        """The agreement that a provider sent us: parties, target and terms as they must be.

        Raises RemoteProtocolError `agreement-differs`.
        """
        wrong = self._wrong(home, it, agreement)
        if wrong:
            raise RemoteProtocolError(f"the agreement differs: {wrong}", code="agreement-differs")
        return self._insert(home, it, agreement)

    def _wrong(self, home: Home, it: Negotiation, agreement: Mapping[str, Any]) -> str:
        expected = {"assigner": it.peer, "assignee": home.did, "target": it.asset}
        for name, value in expected.items():
            if agreement.get(name) != value:
                return name
        timestamp = agreement.get("timestamp")
        if not isinstance(timestamp, str) or not _zoned(timestamp):
            return "timestamp"
        store = self._ground.store.of(home.slug)
        for role in Role:  # an id of the other role is one of ours: nobody gives it again
            held = store.agreements.get(str(agreement["@id"]), role)
            if held is not None and (role == it.role or it.peer != home.did):
                return "@id"
        try:
            terms = odrl.read(agreement, limits=self._ground.limits).terms_hash
        except CannotHonour:
            return "terms"
        return "" if terms == self._expected(it) else "terms"

    def _expected(self, it: Negotiation) -> str | None:
        """The terms that we meant: of the last offer, or the catalogue's where we sent a stub."""
        offer = msgspec.json.decode(it.offer_raw or b"{}")
        stub = it.offer_from == Role.CONSUMER and odrl.is_stub(offer)
        return it.wish_sha if stub else it.terms_sha

    def _insert(self, home: Home, it: Negotiation, agreement: Mapping[str, Any]) -> Write:
        raw = msgspec.json.encode(agreement)
        service = it.service or "files"
        permit = self._library.compile(agreement, service)
        now = micros(self._ground.now())
        record = Agreement(
            participant=home.slug,
            agreement_id=str(agreement["@id"]),
            role=it.role,
            peer=it.peer,
            provider=permit.provider,
            consumer=permit.consumer,
            asset=permit.asset,
            service=service,
            raw=raw,
            sha256=hashlib.sha256(raw).hexdigest(),
            meaning=permit.agreement_hash,
            terms_sha=permit.terms_hash,
            permit=b"",
            permit_sha=permit.permit_hash,
            purpose=it.purpose,
            detail=it.detail or b"{}",
            negotiation=it.pid,
            state="draft",
            signed_at=now if permit.agreed is None else micros(permit.agreed),
            ends_at=None if permit.ends is None else micros(permit.ends),
            reason=None,
            created=now,
            changed=now,
        )
        return self._ground.store.of(home.slug).agreements.insert(record)

    def conclude(self, draft: Draft, it: Negotiation) -> None:
        """FINALIZED: the agreement is live, and both ledgers say what was agreed."""
        store = self._ground.store.of(draft.home.slug)
        record = store.agreements.get(it.agreement_id or "", it.role)
        if record is None or record.state != "draft":
            return
        draft.writes.append(
            store.agreements.update(record, state="live", changed=micros(self._ground.now()))
        )
        if record.ends_at is not None:
            draft.writes.append(store.wakes.put("agreement", record.agreement_id, record.ends_at))
        draft.leaf(
            "agreement.concluded",
            agreement=record.agreement_id,
            process=None,
            provider=record.provider,
            consumer=record.consumer,
            digest=record.sha256,
            meaning=record.meaning,
            terms=record.terms_sha,
            permit=record.permit_sha,
            ends="" if record.ends_at is None else stamp(moment(record.ends_at)),
            negotiation={"process": it.pid, "entries": self._entries(draft, it)},
            payloads={"agreement": record.raw},
        )
        bells = self._ground.bells
        draft.after.append(lambda: bells.ring(record.agreement_id))

    def _entries(self, draft: Draft, it: Negotiation) -> int:
        """How many entries the negotiation's thread has, those of this unit included."""
        ledger = self._ground.store.of(draft.home.slug).ledger
        last, count = 0, 0
        while page := ledger.thread(it.pid, after=last):
            last = count = page[-1].number or 0
        return count + sum(leaf.thread == it.pid for leaf in draft.leaves)

    def void(self, draft: Draft, it: Negotiation) -> None:
        """The negotiation ended before the agreement was concluded."""
        store = self._ground.store.of(draft.home.slug)
        record = store.agreements.get(it.agreement_id or "", it.role)
        if record is not None and record.state == "draft":
            now = micros(self._ground.now())
            draft.writes.append(store.agreements.update(record, state="void", changed=now))

    async def check(self, home: Home, clerk: Clerk) -> None:
        """At a start: what this node cannot enforce any more serves nobody, until it can again.

        terms.md 4.1 c. Settings or a version may have taken a service away.
        """
        store = self._ground.store.of(home.slug)
        for state, other in (("live", "broken"), ("broken", "live")):
            after = 0
            while page := store.agreements.page(after, state=state):
                for record in page:
                    after = record.pk or after
                    why = self._unfit(home, record)
                    if bool(why) == (state == "broken"):
                        continue
                    now = micros(self._ground.now())
                    changed = store.agreements.update(record, state=other, reason=why, changed=now)
                    leaf = clerk.leaf(
                        home,
                        "decision",
                        agreement=record.agreement_id,
                        subject=record.agreement_id,
                        outcome="denied" if why else "allowed",
                        rule="unsupported",
                        permit=record.permit_sha,
                        payloads={"because": why.encode()} if why else None,
                    )
                    await self._ground.store.run(Unit((changed,), (leaf,)))
                    log.warning(telemetry.AGREEMENT_BROKEN, state=other, why=why)

    def _unfit(self, home: Home, record: Agreement) -> str | None:
        if record.role == Role.PROVIDER and record.service not in self._ground.services:
            return f"this node has no service {record.service}"
        try:
            self._library.permit(home, record)
        except CannotHonour as cannot:
            return cannot.what[:1000]
        return None

    def permit(self, home: Home, record: Agreement) -> Permit:
        """The compiled permit of an agreement."""
        return self._library.permit(home, record)


def _zoned(timestamp: str) -> bool:
    return timestamp.endswith("Z") or timestamp[-6:-5] in ("+", "-")


def is_provider(record: Agreement) -> bool:
    """Whether we provide under this agreement."""
    return record.role == Role.PROVIDER
