# SPDX-License-Identifier: Apache-2.0
"""Data-plane sessions, the acts begun under them, and revocations (node.md b and d)."""

from __future__ import annotations

from collections.abc import Sequence

from corridor.store.rows import PAGE, Bound, Changing, Record, Rows
from corridor.store.unit import Write


class Session(Record, frozen=True, kw_only=True):
    """One session. `transfer` is our pid of its transfer, `generation_at` when it last rose.

    States: opening, open, suspending, suspended, closing, closed. `detail` is canonical JSON.
    """

    participant: str = ""
    sid: str
    transfer: str
    agreement_id: str
    asset: str
    service: str
    permit_sha: str
    generation: int = 1
    generation_at: int
    purpose: str | None = None
    opened: int
    expires: int
    state: str
    detail: bytes = b"{}"
    reason: str | None = None
    ver: int = 1


class Sessions(Changing[Session]):
    """A participant's sessions."""

    def __init__(self, bound: Bound) -> None:
        super().__init__(bound, "session", Session)

    def get(self, sid: str) -> Session | None:
        """By its id."""
        return self._one("get", sid=sid)

    def by_transfer(self, transfer: str) -> Session | None:
        """By our pid of its transfer."""
        return self._one("by-transfer", transfer=transfer)

    def of_agreement(self, agreement_id: str) -> list[Session]:
        """All under an agreement, oldest first."""
        return self._list("of-agreement", agreement_id=agreement_id)

    def in_states(self, states: Sequence[str]) -> list[Session]:
        """All in one of these states, oldest first within each."""
        return [record for state in states for record in self._list("of-state", state=state)]

    def count_open(self, agreement_id: str) -> int:
        """How many under an agreement are not closed."""
        return self._count("count-open-of-agreement", agreement_id=agreement_id)

    def hold(self, sid: str) -> Write:
        """Guard that the session is open in this very unit: no receipt lands behind its end."""
        return self._write("hold", sid=sid)


class Act(Record, frozen=True, kw_only=True):
    """An act begun (`act.started` is in the ledger) whose receipt is written when it closes."""

    participant: str = ""
    act_id: str
    sid: str
    kind: str
    started: int
    state: str = "open"
    detail: bytes = b"{}"


class Acts(Changing[Act]):
    """A participant's acts."""

    def __init__(self, bound: Bound) -> None:
        super().__init__(bound, "act", Act)

    def get(self, act_id: str) -> Act | None:
        """By its id."""
        return self._one("get", act_id=act_id)

    def close(self, act_id: str) -> Write:
        """Close it; Conflict where it is closed already, so that it gets one receipt."""
        return self._write("close", act_id=act_id)

    def open_of_session(self, sid: str) -> list[Act]:
        """Those of a session that have no receipt yet."""
        return self._list("open-of-session", sid=sid)

    def open(self) -> list[Act]:
        """All that have no receipt yet: after a crash their outcome is unknown."""
        return self._list("open")


class Revocation(Record, frozen=True, kw_only=True):
    """What no longer holds from `at` on. `kind`: session, agreement, credential, token."""

    participant: str = ""
    kind: str
    subject: str
    at: int


class Revocations(Rows[Revocation]):
    """A participant's revocations; row numbers only grow, none is ever deleted."""

    def __init__(self, bound: Bound) -> None:
        super().__init__(bound, "revocation", Revocation)

    def of_subject(self, subject: str) -> list[Revocation]:
        """All about this session, agreement, credential or token."""
        return self._list("of-subject", subject=subject)


class NodeRevocations(Rows[Revocation]):
    """Revocations of all participants, for processes that watch them."""

    def __init__(self, bound: Bound) -> None:
        super().__init__(bound, "revocation", Revocation)

    def last(self) -> int:
        """The newest row number, 0 where there is none."""
        return self._count("node-last")

    def after(self, pk: int, limit: int = PAGE) -> list[Revocation]:
        """Those newer than this row number."""
        return self._list("node-after", after=pk, limit=limit)
