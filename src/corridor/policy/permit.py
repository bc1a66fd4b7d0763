# SPDX-License-Identifier: Apache-2.0
"""The permit: an agreement compiled, once, into typed limits (terms.md 4.1).

`compile` takes an agreement, `draft` terms that nobody agreed yet. Both are pure and total, and
raise CannotHonour(path, term) at the first thing unknown, doubled or ill-typed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from corridor.limits import Limits
from corridor.policy import canonical, odrl, profile, values
from corridor.policy.model import Constraint, OdrlRule, Policy
from corridor.policy.reading import cannot
from corridor.policy.rules import (
    Alternative,
    Compiler,
    Duty,
    Promise,
    Quota,
    Rule,
    When,
    Who,
)

__all__ = [
    "Alternative",
    "Duty",
    "Permit",
    "Promise",
    "Quota",
    "Rule",
    "When",
    "Who",
    "compile",
    "draft",
    "outline",
]


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
    def obligations(self) -> tuple[str, ...]:
        """The promises in words, as each `Allowed` carries them."""
        return tuple(f"{one.name}: {one.text}" if one.text else one.name for one in self.promises)

    @property
    def ends(self) -> datetime | None:
        """When the last rule ends; None where one has no end."""
        ends = [rule.when.ends for rule in self.rules]
        return None if None in ends else max(end for end in ends if end is not None)


_DEFAULT = Limits()


def compile(  # noqa: A001 - the word of the specification
    agreement: Mapping[str, Any],
    *,
    service: str,
    operands: Iterable[str],
    shape: str | None = None,
    ours: frozenset[str] = frozenset(),
    limits: Limits = _DEFAULT,
) -> Permit:
    """The permit of an agreement, on an asset of `service`, which enforces `operands`.

    `shape`: the digest of the asset's declared shape, where it has one. `ours`: our own ids, where
    we are the consumer of a foreign offer.
    """
    policy = odrl.read(agreement, limits=limits, ours=ours)
    return _permit(
        policy,
        service=service,
        operands=profile.registered(operands),
        shape=shape,
        ours=ours,
        agreement_hash=odrl.hash_of(agreement, policy),
        agreement=agreement["@id"],
        asset=agreement["target"],
        provider=agreement["assigner"],
        consumer=agreement["assignee"],
        agreed=values.stamped(agreement["timestamp"]),
    )


def draft(
    policy: Policy, *, service: str, operands: Iterable[str], asset: str = "", provider: str = ""
) -> Permit:
    """Terms as they would be compiled: no consumer, no hashes, and `for` has not begun to run."""
    return _permit(
        policy,
        service=service,
        operands=profile.registered(operands),
        asset=asset,
        provider=provider,
    )


@lru_cache(maxsize=1024)
def outline(policy: Policy) -> Permit:
    """Who, when and approvals of terms on an asset whose service is not looked at.

    For the catalogue and for negotiations: it has no limits, so it can allow no request.
    """
    rules = tuple(
        Compiler("", profile.OPERANDS, None, f"permission[{at}]", frozenset()).outline(rule)
        for at, rule in enumerate(policy.permissions)
    )
    return Permit(
        agreement="",
        agreement_hash="",
        terms_hash=policy.terms_hash,
        permit_hash="",
        asset="",
        provider="",
        consumer="",
        service="",
        agreed=None,
        rules=rules,
        forbid=frozenset(_word(rule.action) for rule in policy.prohibitions),
        promises=(),
        duties=(),
        notice=timedelta(),
    )


def _permit(
    policy: Policy,
    *,
    service: str,
    operands: frozenset[str],
    shape: str | None = None,
    ours: frozenset[str] = frozenset(),
    agreement: str = "",
    agreement_hash: str = "",
    asset: str = "",
    provider: str = "",
    consumer: str = "",
    agreed: datetime | None = None,
) -> Permit:
    if service not in profile.SERVICES:
        raise cannot("", service, "no such service here")
    if not policy.permissions:
        raise cannot("permission", "permission", "nothing is permitted")
    enforced = operands | profile.OF_THE_JUDGE
    rules = tuple(
        Compiler(service, enforced, agreed, f"permission[{at}]", ours).rule(rule)
        for at, rule in enumerate(policy.permissions)
    )
    duties, promised, notice = _duties(policy.duties)
    words = {_word(rule.action) for rule in policy.prohibitions}
    promises = tuple(Promise(name=word) for word in profile.FORBID if word in words)
    return Permit(
        agreement=agreement,
        agreement_hash=agreement_hash,
        terms_hash=policy.terms_hash,
        permit_hash=_hash(policy, rules, service, agreement_hash, shape) if agreement_hash else "",
        asset=asset,
        provider=provider,
        consumer=consumer,
        service=service,
        agreed=agreed,
        rules=rules,
        forbid=frozenset(words),
        promises=promises + promised,
        duties=duties,
        notice=notice,
    )


def _word(action: str) -> str:
    return profile.FORBID_WORDS.get(action) or profile.BY_IRI[action].word


def _hash(
    policy: Policy, rules: tuple[Rule, ...], service: str, agreement_hash: str, shape: str | None
) -> str:
    """The `permit` hash (terms.md 3.1); rules and all else in the order of `terms`."""
    model: dict[str, Any] = {
        "agreement": agreement_hash,
        "duties": [canonical.rule_json(duty) for duty in policy.duties],
        "forbid": [rule.action for rule in policy.prohibitions],
        "profile": profile.VERSION,
        "rules": [
            {
                "action": rule.action,
                "key": rule.key,
                "limits": [canonical.limit_json(item) for item in rule.constraints],
            }
            for rule in rules
        ],
        "service": service,
    }
    if shape is not None:
        model["shape"] = shape
    return canonical.digest("corridor-permit-1", model)


def _duties(
    duties: tuple[OdrlRule, ...],
) -> tuple[tuple[Duty, ...], tuple[Promise, ...], timedelta]:
    tracked: list[Duty] = []
    promised: list[Promise] = []
    notice = timedelta()
    seen = set()
    for at, duty in enumerate(duties):
        given = {
            item.operand: "".join(item.values)
            for item in duty.constraints
            if isinstance(item, Constraint)
        }
        event = profile.local(given.get(profile.EVENT, ""))
        if (duty.action, event) in seen:
            raise cannot(f"obligation[{at}]", duty.action, "stands twice")
        seen.add((duty.action, event))
        kind = profile.DUTIES[duty.action].word
        if duty.action == profile.ATTRIBUTE:
            promised.append(Promise(name=kind, text=given[profile.ATTRIBUTION]))
        elif duty.action == profile.NOTICE:
            notice = values.span(given[profile.DELAY])
        else:
            within = given.get(profile.ELAPSED) or given[profile.INTERVAL]
            tracked.append(Duty(kind=kind, event=event, within=values.span(within)))
    return tuple(tracked), tuple(promised), notice
