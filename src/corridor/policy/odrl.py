# SPDX-License-Identifier: Apache-2.0
"""Policies of the wire: read into the typed model, written from it (terms.md 2).

Read: read, is_stub, agreement_hash, foreign. Write: write, stub, agreement.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from corridor.errors import CannotHonour
from corridor.limits import Limits
from corridor.policy import canonical, values
from corridor.policy.model import Constraint, Either, OdrlRule, Policy
from corridor.policy.profile import COR, DUTIES, FORBID_WORDS, ODRL, ORDER, PROFILE, iri
from corridor.policy.reading import (
    KINDS,
    Class,
    Reader,
    cannot,
    constraint,
    constraints,
    items,
    name,
    term_of,
)

_DEFAULT = Limits()
_NOT_OURS = ("conflict", "inheritFrom")
_RULES = ("permission", "prohibition", "obligation")


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreign:
    """What one constraint, or one other part, of a foreign policy is to us (terms.md 6)."""

    path: str
    term: str
    kind: Class
    because: str = ""


def read(
    policy: Mapping[str, Any], *, limits: Limits = _DEFAULT, ours: frozenset[str] = frozenset()
) -> Policy:
    """A peer's policy as a typed model; CannotHonour(path, term) at the first thing unknown.

    `ours`: our DID and other ids configured as ours, where we are the consumer of the offer; a
    constraint on the participant is then known if it names one of them.
    """
    _whole_policy(policy)
    reader = Reader(limits=limits, ours=ours)
    permissions, prohibitions, duties = (
        [
            read_rule(item, path, reader)
            for item, path in items(policy.get(part), part, limits.terms_rules_max)
        ]
        for part, read_rule in KINDS
    )
    return canonical.policy(permissions, prohibitions, duties)


def _whole_policy(policy: Mapping[str, Any]) -> None:
    if not isinstance(policy, Mapping):
        raise cannot("", "policy", "is no object")
    profile = policy.get("profile")
    for given in profile if isinstance(profile, list | tuple) else [profile]:
        if given not in (None, "") and name(given) != PROFILE:
            raise cannot("profile", name(given) or "profile", "another profile")
    for key in _NOT_OURS:
        if policy.get(key):
            raise cannot(key, key, "not known here")


def foreign(policy: Mapping[str, Any], *, limits: Limits = _DEFAULT) -> list[str]:
    """What we cannot honour in a peer's offer, each as `<IRI> <operator>`; empty: nothing."""
    unknown = [part.term for part in classes(policy, limits=limits) if part.kind is Class.UNKNOWN]
    return list(dict.fromkeys(unknown))


def classes(
    policy: Mapping[str, Any], *, limits: Limits = _DEFAULT, ours: frozenset[str] = frozenset()
) -> list[Foreign]:
    """The class of every constraint, and of whatever else is unknown. Never raises."""
    reader = Reader(limits=limits, ours=ours)
    found: list[Foreign] = []

    def unknown(error: CannotHonour) -> None:
        found.append(
            Foreign(path=error.path, term=error.term, kind=Class.UNKNOWN, because=error.what)
        )

    try:
        _whole_policy(policy)
    except CannotHonour as error:
        unknown(error)
    if not isinstance(policy, Mapping):
        return found
    for part, read_rule in KINDS:
        try:
            rules = items(policy.get(part), part, limits.terms_rules_max)
        except CannotHonour as error:
            unknown(error)
            continue
        for raw, path in rules:
            before = len(found)
            if part == "permission" and isinstance(raw, Mapping):
                found.extend(_constraint_classes(raw, path, reader))
            if any(one.kind is Class.UNKNOWN for one in found[before:]):
                continue
            try:
                read_rule(raw, path, reader)
            except CannotHonour as error:
                unknown(error)
    return found


def _constraint_classes(raw: Mapping[str, Any], path: str, reader: Reader) -> list[Foreign]:
    found = []
    try:
        for item, where in constraints(raw, path, reader):
            try:
                kind = constraint(item, where, reader)[0][1]
            except CannotHonour as error:
                found.append(
                    Foreign(
                        path=error.path, term=error.term, kind=Class.UNKNOWN, because=error.what
                    )
                )
            else:
                found.append(Foreign(path=where, term=term_of(item), kind=kind))
    except CannotHonour as error:
        found.append(
            Foreign(path=error.path, term=error.term, kind=Class.UNKNOWN, because=error.what)
        )
    return found


def write(
    policy: Policy,
    *,
    id: str,  # noqa: A002 - ODRL's word
    kind: str = "Offer",
    target: str | None = None,
) -> dict[str, Any]:
    """The policy as we write it: `kind` Offer or Agreement, rules in the order of their keys.

    In a catalogue an offer has no target; in messages it has.
    """
    written: dict[str, Any] = {"@id": id, "@type": kind}
    if target is not None:
        written["target"] = target
    parts = dict(zip(_RULES, (policy.permissions, policy.prohibitions, policy.duties), strict=True))
    if any(_is_ours(rule) for rules in parts.values() for rule in rules):
        written["profile"] = PROFILE
    for part, rules in parts.items():
        if rules:
            place = canonical.rule_key if part == "permission" else _place
            written[part] = [_rule(rule) for rule in sorted(rules, key=place)]
    return written


_LISTED = {action: place for place, action in enumerate([*FORBID_WORDS, *DUTIES])}


def _place(rule: OdrlRule) -> tuple[int, str]:
    return _LISTED.get(rule.action, len(_LISTED)), canonical.rule_key(rule)


def _is_ours(rule: OdrlRule) -> bool:
    atoms = [
        atom
        for item in rule.constraints
        for atom in (item.constraints if isinstance(item, Either) else (item,))
    ]
    texts = [rule.action, *(atom.operand for atom in atoms)]
    texts += [value for atom in atoms for value in atom.values]
    return any(text.startswith(COR) for text in texts)


def _short(whole: str) -> str:
    return "odrl:" + whole[len(ODRL) :] if whole.startswith(ODRL) else whole


def _rule(rule: OdrlRule) -> dict[str, Any]:
    action = "use" if rule.action == iri("odrl:use") else _short(rule.action)
    if not rule.constraints:
        return {"action": action}
    ordered = sorted(rule.constraints, key=_constraint_place)
    return {"action": action, "constraint": [_constraint(item) for item in ordered]}


def _constraint_place(item: Constraint | Either) -> int:
    if isinstance(item, Either):
        return len(ORDER)
    form = {"gt": -2, "lteq": -1}.get(item.operator, 0)
    return ORDER.get((item.operand, item.operator), form)


def _constraint(item: Constraint | Either) -> dict[str, Any]:
    if isinstance(item, Either):
        return {"or": [_constraint(part) for part in item.constraints]}
    value = item.value if isinstance(item.value, str) else list(item.value)
    return {
        "leftOperand": _short(item.operand),
        "operator": item.operator,
        "rightOperand": value,
    }


def stub(offer_id: str, target: str) -> dict[str, Any]:
    """What a minimal consumer sends: the offer's id, and leave to use."""
    return {
        "@id": offer_id,
        "@type": "Offer",
        "target": target,
        "permission": [{"action": "use"}],
    }


_STUB = canonical.policy([OdrlRule(iri("odrl:use"))], (), ()).terms_hash


def is_stub(policy: Mapping[str, Any]) -> bool:
    """Whether it says no more than `permission:[{"action":"use"}]` (terms.md 4.3)."""
    try:
        return read(policy).terms_hash == _STUB
    except CannotHonour:
        return False


def agreement(
    offer: Mapping[str, Any],
    *,
    id: str,  # noqa: A002 - ODRL's word
    target: str,
    assigner: str,
    assignee: str,
    timestamp: str,
) -> dict[str, Any]:
    """An agreement on an offer, whose rules are repeated literal for literal (terms.md 2.4)."""
    written: dict[str, Any] = {
        "@id": id,
        "@type": "Agreement",
        "target": target,
        "assigner": assigner,
        "assignee": assignee,
        "timestamp": timestamp,
    }
    written.update((part, offer[part]) for part in ("profile", *_RULES) if offer.get(part))
    return written


def agreement_hash(
    agreement: Mapping[str, Any], *, limits: Limits = _DEFAULT, ours: frozenset[str] = frozenset()
) -> str:
    """The `agreement` hash (terms.md 3.1). CannotHonour where terms, parties or time are wrong."""
    return hash_of(agreement, read(agreement, limits=limits, ours=ours))


def hash_of(agreement: Mapping[str, Any], policy: Policy) -> str:
    """The `agreement` hash, where its policy was read already."""
    meant = {"agreement": "@id"} | {
        key: key for key in ("assignee", "assigner", "target", "timestamp")
    }
    named = {key: agreement.get(where) for key, where in meant.items()}
    for key, value in named.items():
        if not isinstance(value, str) or not value or not value.isprintable():
            raise cannot(meant[key], meant[key], "is missing or no text")
    try:
        named["timestamp"] = values.instant_text(values.stamped(str(named["timestamp"])))
    except ValueError as error:
        raise cannot("timestamp", "timestamp", str(error)) from error
    return canonical.digest("corridor-agreement-1", {**named, "terms": policy.terms_hash})
