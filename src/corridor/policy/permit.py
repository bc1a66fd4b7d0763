# SPDX-License-Identifier: Apache-2.0
"""The permit: an agreement compiled, once, into typed limits (terms.md 4.1)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from corridor.policy.bounds import AnyLimits
from corridor.policy.model import Constraint, Either


@dataclass(frozen=True, slots=True, kw_only=True)
class Who:
    """Whom a rule speaks of. None or empty: no such condition."""

    recipients: frozenset[str] | None = None
    countries: frozenset[str] | None = None
    not_recipients: frozenset[str] = frozenset()
    not_countries: frozenset[str] = frozenset()
    credentials: frozenset[tuple[str, str | None]] = frozenset()
    claims: frozenset[tuple[str, str, str]] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class When:
    """Half open: begins <= now < ends. `for` is folded in from the agreement's timestamp."""

    begins: datetime | None = None
    ends: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """A cap in a calendar window. `scope`: `rule`, or `asset` where all agreements share it."""

    name: str
    operand: str
    unit: str
    window: str
    cap: Decimal
    scope: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """One branch of a foreign policy's `or`."""

    who: Who
    when: When
    purposes: frozenset[str] | None
    not_purposes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One permission, compiled. `either`: in each group at least one branch must hold."""

    key: str
    action: str
    who: Who
    when: When
    purposes: frozenset[str] | None
    approvals: frozenset[str]
    quotas: tuple[Quota, ...]
    limits: AnyLimits
    not_purposes: frozenset[str] = frozenset()
    either: tuple[tuple[Alternative, ...], ...] = ()
    constraints: tuple[Constraint | Either, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """What no machine can hold: its word (`re-identify`, `attribute`) and the text to hand over."""

    name: str
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty:
    """A tracked duty: `kind` delete, report or notify; from which event, and within how long."""

    kind: str
    event: str
    within: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    """What one agreement allows its consumer. `ends` is the last end of any rule, or None."""

    agreement: str
    agreement_hash: str
    terms_hash: str
    permit_hash: str
    asset: str
    provider: str
    consumer: str
    service: str
    agreed: datetime | None
    rules: tuple[Rule, ...]
    forbid: frozenset[str]
    promises: tuple[Promise, ...]
    duties: tuple[Duty, ...]
    notice: timedelta

    @property
    def ends(self) -> datetime | None:
        """When the last rule ends; None where one has no end."""
        ends = [rule.when.ends for rule in self.rules]
        return None if None in ends else max(end for end in ends if end is not None)
