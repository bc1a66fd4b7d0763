# SPDX-License-Identifier: Apache-2.0
"""Every error of Corridor: the tree, and the table of stable codes.

CorridorError
├── ProtocolError
│   ├── LocalProtocolError     we may not say that (a bug of ours)
│   └── RemoteProtocolError    the peer may not say that; 400
│       └── MalformedMessage   its bytes cannot be read
│           └── MalformedEvidence
├── Unauthenticated            no token, or one that does not verify; 401
├── PeerMustWait               try again: crossing, queue full, store away; 503
├── NotFound                   no such thing, or none that this caller may know of
├── Refused                    policy, gate or identity said no; final
│   ├── QueryRefused           the question is not allowed; `would_pass` says what is
│   └── BudgetSpent            a quota or budget is used up; `resets_at`
├── CannotHonour               terms that nobody here can enforce
├── Invalid                    what a person gave cannot be used; `problems` lists all of it
├── NotReachable               no answer from `side`
│   └── FetchFailed            one of the five failures of the guarded fetcher
├── NotSignedIn                no token for our own node
├── NotAllowed                 signed in, but not in the role for this
├── Pending                    waiting for a person or a peer
├── Ended                      the agreement or session is over
├── Changed                    somebody else changed it meanwhile
├── StoreUnavailable           disk full, file locked, server gone
├── EvidenceBroken             evidence that does not verify, at `step`
└── Unreadable                 our own node answered what we do not know: a bug

Each error carries a stable `code`; `CODES` gives its title, the exit status of the command line and
the HTTP status of the management API, and `docs/errors/<code>.md` explains it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from corridor.codes import CODES, Code, Exit

__all__ = [
    "CODES",
    "BudgetSpent",
    "CannotHonour",
    "Changed",
    "Code",
    "CorridorError",
    "Ended",
    "EvidenceBroken",
    "Exit",
    "FetchFailed",
    "Invalid",
    "LocalProtocolError",
    "MalformedEvidence",
    "MalformedMessage",
    "NotAllowed",
    "NotFound",
    "NotReachable",
    "NotSignedIn",
    "PeerMustWait",
    "Pending",
    "Problem",
    "ProtocolError",
    "QueryRefused",
    "Refused",
    "RemoteProtocolError",
    "StoreUnavailable",
    "Unauthenticated",
    "Unreadable",
]


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault in what a person gave: where, what, how to mend it."""

    path: str
    message: str
    code: str
    line: int = 0
    source: str = ""
    mend: str = ""

    def __str__(self) -> str:
        where = f"{self.source}:{self.line}  " if self.source else ""
        return f"{where}{self.path}: {self.message} [{self.code}]"


class CorridorError(Exception):
    """Anything that Corridor refuses or fails at. `what` is one sentence without a full stop."""

    code: str = "internal"

    def __init__(
        self,
        what: str = "",
        *,
        code: str | None = None,
        cause: str = "",
        mend: str = "",
        reference: str = "",
    ) -> None:
        """Keep what is told to people apart from what is told to peers (only code and what)."""
        super().__init__(what)
        self.what = what
        self.code = code or type(self).code
        self.cause = cause
        self.mend = mend or (CODES[self.code].mend if self.code in CODES else "")
        self.reference = reference
        self.help = f"corridor help {self.code}"


class ProtocolError(CorridorError):
    """A message that the protocol does not allow. Raise one of its two sides instead."""

    code = "illegal-transition"

    def __init__(self, what: str = "", **told: str) -> None:
        """Refuse to be built itself: whose fault it is decides everything that follows."""
        if type(self) is ProtocolError:
            raise TypeError("raise LocalProtocolError or RemoteProtocolError")
        super().__init__(what, **told)


class LocalProtocolError(ProtocolError):
    """We tried to say something we may not say. A bug here."""


class RemoteProtocolError(ProtocolError):
    """The peer said something it may not say."""


class MalformedMessage(RemoteProtocolError):
    """Bytes of a peer that cannot be read. Nothing else comes out of a reader."""

    code = "malformed"


class MalformedEvidence(MalformedMessage):
    """A note, proof, entry or key statement that cannot be read."""

    code = "malformed-evidence"


class Unauthenticated(CorridorError):
    """No token, or one that does not verify."""

    code = "unauthenticated"


class PeerMustWait(CorridorError):
    """The peer's message is fine, but not now; it may come again after `retry_after_s`."""

    code = "try-again"

    def __init__(self, what: str = "", *, retry_after_s: float = 1.0, **told: str) -> None:
        super().__init__(what, **told)
        self.retry_after_s = retry_after_s


class NotFound(CorridorError):
    """No such thing, or none that this caller may know of."""

    code = "not-found"


class Refused(CorridorError):
    """Policy, gate or identity said no. `rule` is the rule's public name."""

    code = "refused"

    def __init__(self, what: str = "", *, rule: str = "", **told: str) -> None:
        super().__init__(what, **told)
        self.rule = rule


class QueryRefused(Refused):
    """The agreement does not allow this question."""

    code = "query-refused"

    def __init__(
        self, what: str = "", *, rule: str = "", would_pass: str = "", **told: str
    ) -> None:
        super().__init__(what, rule=rule, **told)
        self.would_pass = would_pass


class BudgetSpent(Refused):
    """A quota or budget is used up until `resets_at` (UTC, ISO 8601; empty: for good)."""

    code = "budget-spent"

    def __init__(self, what: str = "", *, rule: str = "", resets_at: str = "", **told: str) -> None:
        super().__init__(what, rule=rule, **told)
        self.resets_at = resets_at


class CannotHonour(CorridorError):
    """Terms that hold something unknown, doubled or ill-typed at `path`."""

    code = "terms-unknown"

    def __init__(self, what: str = "", *, path: str = "", term: str = "", **told: str) -> None:
        super().__init__(what, **told)
        self.path = path
        self.term = term


class Invalid(CorridorError):
    """What a person gave cannot be used. All faults are in `problems`, none was stored."""

    code = "invalid"

    def __init__(self, what: str = "", *, problems: Sequence[Problem] = (), **told: str) -> None:
        super().__init__(what, **told)
        self.problems = tuple(problems)


class NotReachable(CorridorError):
    """No answer from `side`: our own node (`home`) or the partner's (`partner`)."""

    code = "partner-unreachable"

    def __init__(self, what: str = "", *, side: str = "partner", **told: str) -> None:
        super().__init__(what, **told)
        self.side = side


class FetchFailed(NotReachable):
    """The guarded fetcher failed: refused-address, unreachable, timeout, too-large or bad-tls."""

    code = "unreachable"


class NotSignedIn(CorridorError):
    """Our own node wants a token and got none that holds."""

    code = "not-signed-in"


class NotAllowed(CorridorError):
    """Signed in, but not in the role that this needs."""

    code = "not-allowed"


class Pending(CorridorError):
    """Not yet: somebody else's turn. `waiting_for` says whose, `since` since when."""

    code = "waiting"

    def __init__(
        self, what: str = "", *, waiting_for: str = "", since: str = "", **told: str
    ) -> None:
        super().__init__(what, **told)
        self.waiting_for = waiting_for
        self.since = since


class Ended(CorridorError):
    """The agreement or session is over: `why` and `at`."""

    code = "agreement-ended"

    def __init__(self, what: str = "", *, why: str = "", at: str = "", **told: str) -> None:
        super().__init__(what, **told)
        self.why = why
        self.at = at


class Changed(CorridorError):
    """The thing was changed by somebody else meanwhile; look again."""

    code = "changed"


class StoreUnavailable(CorridorError):
    """The store cannot take or give anything now: disk full, file locked, server gone."""

    code = "store-unavailable"


class EvidenceBroken(CorridorError):
    """Evidence that does not verify; `step` is the number of the failing step."""

    code = "evidence-broken"

    def __init__(self, what: str = "", *, step: int = 0, **told: str) -> None:
        super().__init__(what, **told)
        self.step = step


class Unreadable(CorridorError):
    """Our own node answered something this client does not know."""

    code = "unreadable"
