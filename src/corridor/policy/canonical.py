# SPDX-License-Identifier: Apache-2.0
"""Canonical bytes and hashes of meaning (terms.md 3.1).

RFC 8785 over a model whose leaves are all text: of its rules only sorting and string escapes are
left, and a test compares both with another implementation.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from corridor.policy.model import Constraint, Either, OdrlRule, Policy
from corridor.policy.profile import local

_encoder = msgspec.json.Encoder(order="sorted")


def jcs(value: Any) -> bytes:
    """RFC 8785 of dicts, lists and text without control characters; keys ASCII."""
    return _encoder.encode(value)


def digest(domain: str, value: Any) -> str:
    """SHA-256 in hex of the domain line and the canonical bytes."""
    return hashlib.sha256(domain.encode() + b"\n" + jcs(value)).hexdigest()


def in_order(values: Iterable[str]) -> tuple[str, ...]:
    """A set of text: sorted by canonical bytes, free of repeats."""
    return tuple(sorted(set(values), key=jcs))


def constraint_json(item: Constraint | Either) -> dict[str, Any]:
    """C of the specification."""
    if isinstance(item, Either):
        return {"or": [constraint_json(part) for part in item.constraints]}
    value = item.value if isinstance(item.value, str) else list(item.value)
    return {"leftOperand": item.operand, "operator": item.operator, "rightOperand": value}


def rule_json(rule: OdrlRule) -> dict[str, Any]:
    """R of the specification."""
    return {"action": rule.action, "constraint": [constraint_json(c) for c in rule.constraints]}


def either(parts: Iterable[Constraint]) -> Either | Constraint:
    """An `or`, its branches in order; a single branch stands alone."""
    ordered = sorted(set(parts), key=lambda part: jcs(constraint_json(part)))
    return ordered[0] if len(ordered) == 1 else Either(tuple(ordered))


def rule(action: str, constraints: Iterable[Constraint | Either]) -> OdrlRule:
    """A rule with its constraints in order, free of repeats."""
    return OdrlRule(
        action, tuple(sorted(set(constraints), key=lambda item: jcs(constraint_json(item))))
    )


def _rules(rules: Iterable[OdrlRule]) -> tuple[OdrlRule, ...]:
    return tuple(sorted(set(rules), key=lambda item: jcs(rule_json(item))))


def policy(
    permissions: Iterable[OdrlRule],
    prohibitions: Iterable[OdrlRule],
    duties: Iterable[OdrlRule],
) -> Policy:
    """A policy with everything in order, and its `terms` hash."""
    permissions, prohibitions, duties = _rules(permissions), _rules(prohibitions), _rules(duties)
    return Policy(
        permissions,
        prohibitions,
        duties,
        digest("corridor-terms-1", terms_json(permissions, prohibitions, duties)),
    )


def terms_json(
    permissions: Sequence[OdrlRule], prohibitions: Sequence[OdrlRule], duties: Sequence[OdrlRule]
) -> dict[str, Any]:
    """What the `terms` hash is made of."""
    return {
        "obligation": [rule_json(item) for item in duties],
        "permission": [rule_json(item) for item in permissions],
        "prohibition": [rule_json(item) for item in prohibitions],
    }


def rule_key(item: OdrlRule) -> str:
    """The name of a rule in counters, receipts and refusals; free of the order in the file."""
    return f"{local(item.action)}-{digest('corridor-rule-1', rule_json(item))[:8]}"


def limit_json(item: Constraint | Either) -> list[Any]:
    """One entry of `limits` in the permit's hash: operand's local name, operator, value."""
    if isinstance(item, Either):
        return ["or", "or", [limit_json(part) for part in item.constraints]]
    value = item.value if isinstance(item.value, str) else list(item.value)
    return [local(item.operand), item.operator, value]
