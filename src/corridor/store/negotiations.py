# SPDX-License-Identifier: Apache-2.0
"""Negotiations, and the approvals that people owe them (node.md b)."""

from __future__ import annotations

from corridor.store.rows import PAGE, Bound, Changing, Record
from corridor.store.unit import Write


class Negotiation(Record, frozen=True, kw_only=True):
    """One contract negotiation, as one of our participants sees it.

    `role` is ours; `pending` the step we said that is not acknowledged; `offer_raw` the offer that
    is on the table, as it crossed, and `offer_from` the role that made it; `wish_sha` the terms
    hash that we want; `messages` counts what was heard, `rounds` the counter-offers;
    `service` and `detail` say what the asset is, as its provider described it.
    """

    participant: str = ""
    pid: str
    role: str
    peer: str
    peer_pid: str | None = None
    state: str | None = None
    pending: str | None = None
    pending_sha: str | None = None
    intent: str | None = None
    offer_id: str | None = None
    offer_raw: bytes | None = None
    offer_from: str | None = None
    wish_sha: str | None = None
    terms_sha: str | None = None
    rounds: int = 0
    messages: int = 0
    asset: str | None = None
    service: str | None = None
    detail: bytes | None = None
    purpose: str | None = None
    callback: str | None = None
    agreement_id: str | None = None
    reason: str | None = None
    note: str | None = None
    actor: str | None = None
    created: int
    changed: int
    ver: int = 1


class Negotiations(Changing[Negotiation]):
    """A participant's negotiations."""

    def __init__(self, bound: Bound) -> None:
        super().__init__(bound, "negotiation", Negotiation)

    def get(self, pid: str) -> Negotiation | None:
        """By our pid."""
        return self._one("get", pid=pid)

    def by_peer_pid(self, role: str, peer: str, peer_pid: str) -> Negotiation | None:
        """By the peer's pid; `role` is ours."""
        return self._one("by-peer-pid", role=role, peer=peer, peer_pid=peer_pid)

    def page(
        self, after: int = 0, limit: int = PAGE, state: str | None = None
    ) -> list[Negotiation]:
        """Oldest first, behind row `after`; of one state, or of all."""
        if state is None:
            return self._list("page", after=after, limit=limit)
        return self._list("page-of-state", after=after, limit=limit, state=state)

    def open(self, after: int = 0, limit: int = PAGE) -> list[Negotiation]:
        """Those not in a final state."""
        return self._list("open", after=after, limit=limit)

    def stuck(self) -> list[Negotiation]:
        """Whose word is under way though nothing is to be sent: no unit of ours writes that."""
        return self._list("stuck")

    def count_open(self, peer: str | None = None) -> int:
        """How many are not in a final state, with one peer or with all."""
        if peer is None:
            return self._count("count-open")
        return self._count("count-open-of-peer", peer=peer)


class Approval(Record, frozen=True, kw_only=True):
    """A person's decision, asked and perhaps given. `facts` is what the person was shown."""

    participant: str = ""
    approval_id: str
    subject: str
    office: str
    rule: str
    facts: bytes
    asked: int
    expires: int
    state: str
    by: str | None = None
    reason: str | None = None
    leaf: str | None = None
    ver: int = 1


class Approvals(Changing[Approval]):
    """A participant's approvals."""

    def __init__(self, bound: Bound) -> None:
        super().__init__(bound, "approval", Approval)

    def get(self, approval_id: str) -> Approval | None:
        """By its id."""
        return self._one("get", approval_id=approval_id)

    def by_subject(self, subject: str) -> list[Approval]:
        """All that were asked for this negotiation or transfer."""
        return self._list("by-subject", subject=subject)

    def page(self, after: int = 0, limit: int = PAGE, state: str | None = None) -> list[Approval]:
        """Oldest first, behind row `after`; of one state, or of all."""
        if state is None:
            return self._list("page", after=after, limit=limit)
        return self._list("page-of-state", after=after, limit=limit, state=state)

    def count(self, state: str) -> int:
        """How many are in this state."""
        return self._count("count-of-state", state=state)

    def reopen(self, record: Approval, *, facts: bytes, asked: int, expires: int) -> Write:
        """Ask again for the same subject, rule and office."""
        return self.update(
            record, facts=facts, asked=asked, expires=expires, state="open", by=None, reason=None
        )
