# SPDX-License-Identifier: Apache-2.0
"""Errors as people and their programs get them: problem+json, one table of statuses (node.md g)."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from corridor.codes import CODES
from corridor.errors import (
    BudgetSpent,
    CorridorError,
    Ended,
    EvidenceBroken,
    Invalid,
    NotReachable,
    NotSignedIn,
    PeerMustWait,
    Pending,
    QueryRefused,
    Refused,
    StoreUnavailable,
)
from corridor.wire.home import Fault, ProblemBody

# Where the code's own status is not it: a class stands for whatever code it carries.
STATUS: Mapping[type[CorridorError], int] = {
    NotSignedIn: 401,
    PeerMustWait: 503,
    StoreUnavailable: 503,
    BudgetSpent: 429,
}


def status_of(error: CorridorError) -> int:
    """The HTTP status of an error on the home face."""
    for kind, status in STATUS.items():
        if isinstance(error, kind):
            return status
    known = CODES.get(error.code)
    return known.status if known is not None else 500


def headers_of(error: CorridorError, status: int) -> dict[str, str]:
    """Headers that go with it."""
    if status == 401:
        return {"www-authenticate": "Bearer"}
    if isinstance(error, PeerMustWait):
        return {"retry-after": str(max(1, round(error.retry_after_s)))}
    if status == 503:
        return {"retry-after": "1"}
    if status in (408, 413):
        return {"connection": "close"}
    return {}


def body_of(error: CorridorError, status: int) -> bytes:
    """The body: nothing but what the error was made to tell."""
    known = CODES.get(error.code)
    told: dict[str, object] = {
        "type": f"/errors/{error.code}",
        "title": known.title if known else "refused",
        "status": status,
        "detail": error.what,
        "code": error.code,
        "cause": error.cause,
        "mend": error.mend,
        "reference": error.reference,
        "instance": f"urn:corridor:ref:{error.reference}" if error.reference else "",
    }
    match error:
        case Refused():
            told["rule"] = error.rule
            if isinstance(error, QueryRefused):
                told["would_pass"] = error.would_pass
            if isinstance(error, BudgetSpent):
                told["resets_at"] = error.resets_at
        case Invalid():
            told["errors"] = [
                Fault(
                    path=it.path,
                    message=it.message,
                    code=it.code,
                    line=it.line,
                    source=it.source,
                    mend=it.mend,
                )
                for it in error.problems
            ]
        case NotReachable():
            told["side"] = error.side
        case Pending():
            told |= {"waiting_for": error.waiting_for, "since": error.since}
        case Ended():
            told |= {"why": error.why, "at": error.at}
        case EvidenceBroken():
            told["step"] = error.step
        case _:
            pass
    body = msgspec.convert(told, ProblemBody)
    plain = msgspec.to_builtins(body)
    return msgspec.json.encode(
        {name: value for name, value in plain.items() if value not in ("", [], 0)}
    )


def words(code: str, what: str) -> bytes:
    """The body of an error that is no more than its code: unknown paths, bugs."""
    error = CorridorError(what, code=code)
    return body_of(error, CODES[code].status)
