# SPDX-License-Identifier: Apache-2.0
"""Transfer processes (node.md b)."""

from __future__ import annotations

from corridor.store.rows import PAGE, Bound, Changing, Record


class Transfer(Record, frozen=True, kw_only=True):
    """One transfer process, as one of our participants sees it.

    `data_address` (heard or given) and `sink` (where to push) are sealed. `sid` is the session that
    serves it. `resume_asked` is 1 while a start from STARTED is ours to expect.
    """

    participant: str = ""
    pid: str
    role: str
    peer: str
    peer_pid: str | None = None
    agreement_id: str
    format: str
    state: str | None = None
    pending: str | None = None
    pending_sha: str | None = None
    intent: str | None = None
    callback: str | None = None
    data_address: bytes | None = None
    sink: bytes | None = None
    sid: str | None = None
    resume_asked: int = 0
    messages: int = 0
    purpose: str | None = None
    reason: str | None = None
    note: str | None = None
    actor: str | None = None
    created: int
    changed: int
    ver: int = 1


class Transfers(Changing[Transfer]):
    """A participant's transfers."""

    def __init__(self, bound: Bound) -> None:
        super().__init__(bound, "transfer", Transfer)

    def get(self, pid: str) -> Transfer | None:
        """By our pid."""
        return self._one("get", pid=pid)

    def by_peer_pid(self, role: str, peer: str, peer_pid: str) -> Transfer | None:
        """By the peer's pid; `role` is ours."""
        return self._one("by-peer-pid", role=role, peer=peer, peer_pid=peer_pid)

    def of_agreement(self, agreement_id: str) -> list[Transfer]:
        """All under an agreement, oldest first."""
        return self._list("of-agreement", agreement_id=agreement_id)

    def page(self, after: int = 0, limit: int = PAGE, state: str | None = None) -> list[Transfer]:
        """Oldest first, behind row `after`; of one state, or of all."""
        if state is None:
            return self._list("page", after=after, limit=limit)
        return self._list("page-of-state", after=after, limit=limit, state=state)

    def open(self, after: int = 0, limit: int = PAGE) -> list[Transfer]:
        """Those not in a final state."""
        return self._list("open", after=after, limit=limit)

    def stuck(self) -> list[Transfer]:
        """Whose word is under way though nothing is to be sent: no unit of ours writes that."""
        return self._list("stuck")

    def count_open(self, peer: str | None = None) -> int:
        """How many are not in a final state, with one peer or with all."""
        if peer is None:
            return self._count("count-open")
        return self._count("count-open-of-peer", peer=peer)
