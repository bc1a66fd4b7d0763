# SPDX-License-Identifier: Apache-2.0
"""What the judge is told and what it says, as values (terms.md 5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum


class Point(StrEnum):
    """Where the judge is asked."""

    CATALOG = "catalog"
    NEGOTIATION = "negotiation"
    SESSION = "session"
    REQUEST = "request"
    ANSWER = "answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a request is, as its service states it. None is a missing fact, and denies where due.

    `columns`: column to its uses, of `return filter order group measure count join`. `rows` and
    `bytes`: asked for, at the answer those that would leave. `rule`: at the answer, the key of the
    rule that allowed the request; no other can allow its answer.
    """

    action: str = ""
    purpose: str | None = None
    columns: Mapping[str, frozenset[str]] | None = None
    functions: frozenset[str] | None = None
    joins: frozenset[str] = frozenset()
    rows: int | None = None
    bytes: int | None = None
    request_bytes: int | None = None
    path: str | None = None
    method: str | None = None
    operation: str | None = None
    tlp: str | None = None
    kind: str | None = None
    model: str | None = None
    parties: frozenset[str] | None = None
    image: str | None = None
    cpu: int | None = None
    memory: int | None = None
    disk: int | None = None
    seconds: int | None = None
    epsilon: Decimal | None = None
    rule: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A credential that verified: of a trusted issuer, its holder the caller.

    `has_status`: its issuer may revoke it, so a status must have been read lately.
    """

    type: str
    issuer: str
    claims: Mapping[str, str] = field(default_factory=dict)
    valid_until: datetime | None = None
    status_checked_at: datetime | None = None
    has_status: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Who:
    """The caller: DID, verified credentials, and the country a trusted one of them claims."""

    did: str
    credentials: tuple[Credential, ...] = ()
    country: str | None = None


Counters = Mapping[tuple[str, str], Decimal]
"""(rule key, quota name such as `requests.day`) to what is used in the window that holds `now`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How an agreement stands. `state` is live or anything else; `overdue` holds duties' kinds."""

    state: str = "live"
    overdue: frozenset[str] = frozenset()
    approvals: frozenset[str] = frozenset()
    permit_hash: str = ""
    clock_floor: datetime | None = None
    receipts_outstanding: bool = False
    ledger_unwitnessed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """What to reserve before the service runs. `scope` as in the permit's quota."""

    rule_key: str
    quota: str
    operand: str
    window: str
    window_start: datetime
    amount: Decimal
    cap: Decimal
    scope: str = "rule"


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """Yes, by `rule`. After `until` it is stale and must be asked again."""

    rule: str
    obligations: tuple[str, ...] = ()
    charges: tuple[Charge, ...] = ()
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Denied:
    """No. `rule` is the public name, `because` for our own people, `bound` from the agreement."""

    rule: str
    because: str = ""
    bound: str = ""
    resets_at: datetime | None = None
