# SPDX-License-Identifier: Apache-2.0
"""Who decides: the one seam at which each automatic step is asked for (node.md c).

Whenever a process enters a state, the seam is asked what to say now. Production answers from
terms and settings (`ByTerms`); a test may answer from a table of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from corridor.engine.ground import Home
from corridor.engine.library import Library
from corridor.policy.judge import Denied
from corridor.protocol import negotiation as n
from corridor.protocol import transfer as t
from corridor.protocol.machine import Role
from corridor.store.negotiations import Negotiation
from corridor.store.transfers import Transfer


@dataclass(frozen=True, slots=True)
class Rest:
    """Say nothing: it is somebody else's turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speak:
    """Say this step. `offer` is the policy of an OFFER or of a counter REQUEST."""

    step: str
    code: str = ""
    reasons: tuple[str, ...] = ()
    offer: Mapping[str, Any] = field(default_factory=dict)


class Decide(Protocol):
    """What to say on entering a state. Asked with the record as it then is."""

    def negotiation(self, home: Home, it: Negotiation) -> Rest | Speak:
        """The next step of a negotiation."""
        ...

    def transfer(self, home: Home, it: Transfer) -> Rest | Speak:
        """The next step of a transfer."""
        ...


class ByTerms:
    """Production: what the published terms and the agreement say."""

    def __init__(self, library: Library) -> None:
        self._library = library

    def negotiation(self, home: Home, it: Negotiation) -> Rest | Speak:
        """Agree to what is no more than was offered; verify and finalize what was agreed."""
        if it.role == Role.CONSUMER:
            if it.state == n.State.OFFERED and it.terms_sha == it.wish_sha:
                return Speak(step=n.Step.ACCEPT)
            return Speak(step=n.Step.VERIFY) if it.state == n.State.AGREED else Rest()
        if it.state == n.State.VERIFIED:
            return Speak(step=n.Step.FINALIZE)
        if it.state in (n.State.REQUESTED, n.State.ACCEPTED):
            return self._answer(home, it)
        return Rest()

    def _answer(self, home: Home, it: Negotiation) -> Rest | Speak:
        offered = self._library.offered(home, it.offer_id or "")
        if offered is None:
            return Speak(step=n.Step.TERMINATE, code="unknown-offer")
        if it.state == n.State.REQUESTED:
            wider = self._library.wider(home, it, offered)
            if wider and it.rounds <= 1:  # our own offer, once
                return Speak(step=n.Step.OFFER, offer=offered.policy)
            if wider:
                return Speak(step=n.Step.TERMINATE, code="terms-wider", reasons=wider)
        verdict = self._library.may_agree(home, it)
        if isinstance(verdict, Denied):
            return Speak(step=n.Step.TERMINATE, code=verdict.rule, reasons=(verdict.rule,))
        return Speak(step=n.Step.AGREE)

    def transfer(self, home: Home, it: Transfer) -> Rest | Speak:
        """Open a session for whoever asks under a live agreement, and again on a resume."""
        del home
        if it.role == Role.PROVIDER and it.state == t.State.REQUESTED:
            return Speak(step=t.Step.START)
        if it.role == Role.PROVIDER and it.state == t.State.STARTED and it.resume_asked:
            return Speak(step=t.Step.START)
        return Rest()
