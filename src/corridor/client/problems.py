# SPDX-License-Identifier: Apache-2.0
"""What our own node's refusals mean: problem+json in, an error of the tree out (node.md g)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec

from corridor.errors import (
    CODES,
    BudgetSpent,
    Changed,
    CorridorError,
    Ended,
    EvidenceBroken,
    Exit,
    Invalid,
    NotAllowed,
    NotFound,
    NotReachable,
    NotSignedIn,
    Pending,
    Problem,
    QueryRefused,
    Refused,
    Unreadable,
)

REFERENCE = "urn:corridor:ref:"
PROBLEMS_MAX = 1000
Told = Mapping[str, Any]
Make = Callable[[str, Told, dict[str, str]], CorridorError]


class Answered(Protocol):
    """An answer with a body."""

    @property
    def status(self) -> int:
        """The HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Names in lower case."""
        ...

    @property
    def body(self) -> bytes:
        """All of it."""
        ...


def _text(told: Told, name: str) -> str:
    value = told.get(name, "")
    return value if isinstance(value, str) else ""


def _not_reachable(what: str, told: Told, rest: dict[str, str]) -> CorridorError:
    side = _text(told, "side") or ("home" if told.get("code") == "home-unreachable" else "partner")
    return NotReachable(what, side=side, **rest)


def _invalid(what: str, told: Told, rest: dict[str, str]) -> CorridorError:
    return Invalid(what, problems=_problems(told), **rest)


def _refused(what: str, told: Told, rest: dict[str, str]) -> CorridorError:
    return Refused(what, rule=_text(told, "rule"), **rest)


def _query_refused(what: str, told: Told, rest: dict[str, str]) -> CorridorError:
    return QueryRefused(
        what, rule=_text(told, "rule"), would_pass=_text(told, "would_pass"), **rest
    )


def _spent(what: str, told: Told, rest: dict[str, str]) -> CorridorError:
    return BudgetSpent(what, rule=_text(told, "rule"), resets_at=_text(told, "resets_at"), **rest)


def _pending(what: str, told: Told, rest: dict[str, str]) -> CorridorError:
    return Pending(what, waiting_for=_text(told, "waiting_for"), since=_text(told, "since"), **rest)


def _ended(what: str, told: Told, rest: dict[str, str]) -> CorridorError:
    return Ended(what, why=_text(told, "why"), at=_text(told, "at"), **rest)


def _plain(kind: type[CorridorError]) -> Make:
    def make(what: str, _: Told, rest: dict[str, str]) -> CorridorError:
        return kind(what, **rest)

    return make


# Some codes have an error of their own; for the others their exit status decides.
BY_CODE: Mapping[str, Make] = {
    "not-signed-in": _plain(NotSignedIn),
    "unauthenticated": _plain(NotSignedIn),
    "query-refused": _query_refused,
    "unsupported": _query_refused,
    "budget-spent": _spent,
    "agreement-withdrawn": _ended,
    "agreement-ended": _ended,
    "unreadable": _plain(Unreadable),
}
BY_EXIT: Mapping[Exit, Make] = {
    Exit.USAGE: _invalid,
    Exit.CONFIGURATION: _invalid,
    Exit.REFUSED: _refused,
    Exit.NOT_ALLOWED: _plain(NotAllowed),
    Exit.WAITING: _pending,
    Exit.NOT_FOUND: _plain(NotFound),
    Exit.UNREACHABLE: _not_reachable,
    Exit.CHANGED: _plain(Changed),
    Exit.NOT_VERIFIED: _plain(EvidenceBroken),
    Exit.SPENT: _spent,
}


def error_of(got: Answered) -> CorridorError:
    """The error that an answer of 400 and above stands for; never raises itself."""
    try:
        told = msgspec.json.decode(got.body)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        told = None
    code = told.get("code") if isinstance(told, dict) else None
    if not isinstance(told, dict) or not isinstance(code, str) or code not in CODES:
        return _unknown(got)
    what = _text(told, "detail") or _text(told, "title") or CODES[code].title
    rest = {"code": code}
    for name in ("cause", "mend"):
        if text := _text(told, name):
            rest[name] = text
    reference = _text(told, "reference") or _text(told, "instance").removeprefix(REFERENCE)
    if reference:
        rest["reference"] = reference
    make = BY_CODE.get(code) or BY_EXIT.get(CODES[code].exit, _plain(CorridorError))
    return make(what, told, rest)


def _unknown(got: Answered) -> CorridorError:
    """No problem of ours: another program answers there, or another version."""
    if got.status == 401:
        return NotSignedIn("the node wants a token")
    if got.status in (502, 503, 504):
        return NotReachable(f"the node answered {got.status}", side="home", code="home-unreachable")
    return Unreadable(f"the node answered {got.status} in words that are not known here")


def _problems(told: Told) -> list[Problem]:
    listed = told.get("errors")
    found = []
    for it in listed[:PROBLEMS_MAX] if isinstance(listed, list) else ():
        if isinstance(it, dict):
            line = it.get("line", 0)
            found.append(
                Problem(
                    _text(it, "path"),
                    _text(it, "message"),
                    _text(it, "code") or _text(told, "code"),
                    line=line if isinstance(line, int) else 0,
                    source=_text(it, "source"),
                    mend=_text(it, "mend"),
                )
            )
    return found
