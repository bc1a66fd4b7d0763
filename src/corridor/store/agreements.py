# SPDX-License-Identifier: Apache-2.0
"""Agreements and the duties that come with them (node.md b)."""

from __future__ import annotations

from corridor.store.rows import PAGE, Bound, Changing, Record


class Agreement(Record, frozen=True, kw_only=True):
    """One agreement, from one side. `raw` is the object as it crossed, `sha256` its digest.

    `meaning` is the agreement hash of terms.md 3; `permit` may be derived again from `raw`.
    `detail` is canonical JSON: what the service said about the data's shape. `negotiation` is our
    pid of the negotiation that made it. States: draft (not yet live), live, withdrawn, returned,
    expired, broken.
    """

    participant: str = ""
    agreement_id: str
    role: str
    peer: str
    provider: str
    consumer: str
    asset: str
    service: str
    raw: bytes
    sha256: str
    meaning: str
    terms_sha: str
    permit: bytes = b""
    permit_sha: str = ""
    purpose: str | None = None
    detail: bytes = b"{}"
    negotiation: str | None = None
    state: str
    signed_at: int
    ends_at: int | None = None
    reason: str | None = None
    created: int
    changed: int
    ver: int = 1


class Agreements(Changing[Agreement]):
    """A participant's agreements, as provider and as consumer."""

    def __init__(self, bound: Bound) -> None:
        super().__init__(bound, "agreement", Agreement)

    def get(self, agreement_id: str, role: str | None = None) -> Agreement | None:
        """By its id; with `role` where both sides may be ours, else the first there is."""
        if role is not None:
            return self._one("get", agreement_id=agreement_id, role=role)
        return self._one("by-id", agreement_id=agreement_id)

    def page(self, after: int = 0, limit: int = PAGE, state: str | None = None) -> list[Agreement]:
        """Oldest first, behind row `after`; of one state, or of all."""
        if state is None:
            return self._list("page", after=after, limit=limit)
        return self._list("page-of-state", after=after, limit=limit, state=state)

    def live_of_asset(self, asset: str, peer: str, role: str) -> list[Agreement]:
        """Live ones about this asset with this peer, oldest first; `role` is ours."""
        return self._list("live-of-asset", asset=asset, peer=peer, role=role)

    def ending_before(self, before: int, limit: int = PAGE) -> list[Agreement]:
        """Live or withdrawn ones that end before this instant, the first to end first."""
        return self._list("ending-before", before=before, limit=limit)


class Duty(Record, frozen=True, kw_only=True):
    """What one side owes by `due`. States: terms.md 7."""

    participant: str = ""
    agreement_id: str
    kind: str
    due: int
    state: str
    leaf: str | None = None
    detail: bytes = b"{}"
    ver: int = 1


class Duties(Changing[Duty]):
    """A participant's duties."""

    def __init__(self, bound: Bound) -> None:
        super().__init__(bound, "duty", Duty)

    def get(self, agreement_id: str, kind: str, due: int) -> Duty | None:
        """The one of this kind that is due then."""
        return self._one("get", agreement_id=agreement_id, kind=kind, due=due)

    def of_agreement(self, agreement_id: str) -> list[Duty]:
        """All of an agreement, oldest first."""
        return self._list("of-agreement", agreement_id=agreement_id)

    def page(self, after: int = 0, limit: int = PAGE, state: str | None = None) -> list[Duty]:
        """Oldest first, behind row `after`; of one state, or of all."""
        if state is None:
            return self._list("page", after=after, limit=limit)
        return self._list("page-of-state", after=after, limit=limit, state=state)
