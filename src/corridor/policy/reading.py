# SPDX-License-Identifier: Apache-2.0
"""Tolerant reading of ODRL rules and constraints, and what a foreign term means (terms.md 2.1, 6).

Types come from the profile, never from the wire. Whatever is not known word for word raises
CannotHonour with the path and the term; nothing is skipped.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from corridor.errors import CannotHonour
from corridor.limits import Limits
from corridor.policy import canonical, values
from corridor.policy.model import Constraint, Either, OdrlRule
from corridor.policy.profile import (
    BY_IRI,
    BY_KEY,
    BY_TERM,
    DUTIES,
    FORBID_WORDS,
    ODRL,
    OPERANDS,
    Row,
    iri,
)

EDC = "https://w3id.org/edc/v0.0.1/ns/"
IN_FORCE = EDC + "inForceDate"
OPERATORS = frozenset(
    {"eq", "gt", "gteq", "lt", "lteq", "neq", "hasPart", "isA", "isAllOf", "isAnyOf", "isNoneOf",
     "isPartOf"}
)  # fmt: skip

# Foreign words for a moment, and for the consumer itself (terms.md 6).
_MOMENTS = ("POLICY_EVALUATION_TIME", "https://w3id.org/idsa/code/POLICY_EVALUATION_TIME")
_OURSELVES = ("participantId", "REFERRING_CONNECTOR", "BusinessPartnerNumber")
_MEMBERSHIPS = {
    "MembershipCredential": "MembershipCredential",
    "Membership": "MembershipCredential",
}
_CATENA = re.compile(r"(?:https://w3id\.org/catenax(?:/\d{4}/\d{1,2})?/policy/|cx-policy:)(\w+)\Z")
_RELATIVE = re.compile(r"contractAgreement([+-])([0-9]{1,9})([smhd])\Z")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

_DATE_TIME = iri("odrl:dateTime")
_ONE_OF = {BY_KEY[key].operand: BY_KEY[key] for key in ("spatial", "recipient", "purpose")}
_IN_AN_OR = frozenset(
    BY_KEY[key].operand
    for key in (
        "purpose", "from", "for", "spatial", "recipient", "require.credentials", "require.claims",
    )
) | {IN_FORCE}  # fmt: skip
_TYPES = frozenset(
    prefix + name
    for prefix in ("", "odrl:", ODRL)
    for name in (
        "Constraint", "AtomicConstraint", "LogicalConstraint", "Permission", "Prohibition", "Duty",
    )
)  # fmt: skip
_EMPTY_ONLY = ("duty", "remedy", "consequence", "refinement")


class Class(StrEnum):
    """What a foreign constraint is to us."""

    KNOWN = "known"
    ABOUT_US = "about-us"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """How to read: `ours` are our own ids, given only where we are the consumer of an offer."""

    limits: Limits
    ours: frozenset[str] = frozenset()


def cannot(path: str, term: str, why: str) -> CannotHonour:
    """The one error that comes out of reading."""
    return CannotHonour(f"{values.quoted(term)}: {why}", path=path, term=term)


def term_of(raw: Any) -> str:
    """A foreign operand and operator in words, however wrong they are."""
    if not isinstance(raw, Mapping):
        return values.quoted(str(type(raw).__name__))
    for logical in ("or", "xone", "andSequence", "and"):
        if raw.get(logical):
            return logical
    parts = (name(raw.get("leftOperand")), name(raw.get("operator")))
    return " ".join(_whole(part) if at == 0 else part for at, part in enumerate(parts) if part)


def name(raw: Any) -> str:
    """A bare name, a prefixed one, an IRI or `{"@id"}` as text; empty where it is none of them."""
    if isinstance(raw, Mapping) and raw.keys() == {"@id"}:
        raw = raw["@id"]
    return raw if isinstance(raw, str) and len(raw) <= 500 else ""


def _whole(given: str) -> str:
    if given.startswith("odrl:"):
        return ODRL + given[5:]
    if given.startswith("edc:"):
        return EDC + given[4:]
    if ":" not in given and ODRL + given in OPERANDS | _DUTY_OPERANDS:
        return ODRL + given
    return given


_DUTY_OPERANDS = frozenset(
    operand for form in DUTIES.values() for operand, _, _ in form.constraints
)


def items(raw: Any, path: str, most: int) -> list[tuple[Any, str]]:
    """A list, one object alone, or nothing, as (item, path) pairs."""
    if raw is None:
        return []
    if isinstance(raw, Mapping) and raw.keys() == {"@list"}:
        raw = raw["@list"]
    given = list(raw) if isinstance(raw, list | tuple) else [raw]
    if len(given) > most:
        raise cannot(path, path.rpartition(".")[2], f"more than {most}")
    return [(item, f"{path}[{at}]") for at, item in enumerate(given)]


def _object(raw: Any, path: str, keys: frozenset[str], what: str) -> Mapping[str, Any]:
    if not isinstance(raw, Mapping):
        raise cannot(path, what, "is no object")
    for key, value in raw.items():
        if key in keys or (key in _EMPTY_ONLY and not value):
            continue
        if key == "@type" and value in _TYPES:
            continue
        raise cannot(path, values.quoted(str(key))[1:-1], f"unknown in a {what}")
    return raw


_RULE_KEYS = frozenset({"action", "constraint"})
_ATOM_KEYS = frozenset({"leftOperand", "operator", "rightOperand"})
_LOGICAL = frozenset({"and", "or"})


def action(raw: Any, path: str, known: Mapping[str, Any]) -> str:
    """The IRI of an action that is known here."""
    given = name(raw)
    whole = ODRL + given[5:] if given.startswith("odrl:") else given
    if ":" not in whole:
        whole = ODRL + whole
    catena = _CATENA.match(given)
    if catena and catena[1] == "access":
        whole = iri("odrl:read")
    if whole not in known:
        raise cannot(f"{path}.action", whole if given else "action", "no such action here")
    return whole


def permission(raw: Any, path: str, reader: Reader) -> OdrlRule:
    """A permission with all of its constraints known."""
    given = _object(raw, path, _RULE_KEYS, "permission")
    whole = action(given.get("action"), path, BY_IRI)
    found: list[Constraint | Either] = []
    for item, where in constraints(given, path, reader):
        found.extend(part for part, _ in constraint(item, where, reader))
    return _once(canonical.rule(whole, found), path)


def constraints(
    raw: Mapping[str, Any], path: str, reader: Reader
) -> Iterator[tuple[Mapping[str, Any], str]]:
    """The constraints of a rule with every `and` flattened, one at a time."""
    most = reader.limits.terms_constraints_max
    waiting = items(raw.get("constraint"), f"{path}.constraint", most)
    waiting.reverse()
    seen = 0
    while waiting:
        item, where = waiting.pop()
        seen += 1
        if seen > most:
            raise cannot(where, "constraint", f"more than {most}")
        if isinstance(item, Mapping) and item.get("and"):
            given = _object(item, where, frozenset({"and"}), "logical constraint")
            waiting.extend(reversed(items(given["and"], f"{where}.and", most)))
        else:
            yield item, where


def _once(rule: OdrlRule, path: str) -> OdrlRule:
    """One left operand with one operator at most once (terms.md 2.3)."""
    seen = set()
    for item in rule.constraints:
        if isinstance(item, Constraint):
            if (item.operand, item.operator) in seen:
                raise cannot(path, f"{item.operand} {item.operator}", "stands twice")
            seen.add((item.operand, item.operator))
    return rule


def constraint(raw: Any, path: str, reader: Reader) -> list[tuple[Constraint | Either, Class]]:
    """One constraint, with its class; a list, since an empty logical one says nothing."""
    if isinstance(raw, Mapping) and raw.get("or"):
        given = _object(raw, path, frozenset({"or"}), "logical constraint")
        most = reader.limits.terms_values_max
        parts = [
            atom(item, where, reader) for item, where in items(given["or"], f"{path}.or", most)
        ]
        for part, _ in parts:
            if part.operand not in _IN_AN_OR:
                raise cannot(path, f"{part.operand} {part.operator}", "cannot stand in an or")
        about = any(kind is Class.ABOUT_US for _, kind in parts)
        kind = Class.ABOUT_US if about else Class.KNOWN
        return [(canonical.either(part for part, _ in parts), kind)]
    return [atom(raw, path, reader)]


def atom(raw: Any, path: str, reader: Reader) -> tuple[Constraint, Class]:
    """A constraint of operand, operator and value."""
    given = _object(raw, path, _ATOM_KEYS, "constraint")
    operand, operator = _whole(name(given.get("leftOperand"))), _operator(given.get("operator"))
    term = f"{operand} {operator}".strip() or "constraint"
    right = given.get("rightOperand")
    most = reader.limits.terms_values_max
    try:
        foreign = _foreign(operand, operator, right, reader)
        if foreign:
            return foreign
        row = _row(operand, operator)
        value = _value(row.leaf, row.is_set, right, most, row)
    except ValueError as error:
        raise cannot(path, term, str(error)) from error
    return Constraint(operand, operator, value), Class.KNOWN


def _operator(raw: Any) -> str:
    given = name(raw)
    bare = given.removeprefix("odrl:").removeprefix(ODRL)
    return bare if bare in OPERATORS else given


def _row(operand: str, operator: str) -> Row:
    """The row by which a value is typed, also for operators that only peers write."""
    row = BY_TERM.get((operand, operator))
    if row:
        return row
    if operand == _DATE_TIME and operator in {"gt", "lteq"}:
        return BY_KEY["from"]
    if operand in _ONE_OF:
        if operator == "isNoneOf":
            return _ONE_OF[operand]
        if operator in {"eq", "isA", "isPartOf"}:
            return _ONE_OF[operand]._replace(type=_ONE_OF[operand].leaf)
    if operand in OPERANDS:
        raise ValueError("this operator is unknown for it")
    raise ValueError("nobody here can enforce it")


def _foreign(
    operand: str, operator: str, right: Any, reader: Reader
) -> tuple[Constraint, Class] | None:
    """What other dataspaces' words mean (terms.md 6), or None where they are not foreign."""
    bare = operand.removeprefix(EDC)
    catena = _CATENA.match(operand)
    if catena:
        bare = catena[1]
    if operand in {IN_FORCE, "inForceDate", *_MOMENTS}:
        if operator not in {"gt", "gteq", "lt", "lteq"}:
            raise ValueError("this operator is unknown for it")
        given = _one(right)
        relative = _RELATIVE.match(given)
        if relative and operand not in _MOMENTS:
            length = timedelta(seconds=int(relative[2]) * _SECONDS[relative[3]])
            canon = f"{relative[1]}{values.duration(f'PT{int(length.total_seconds())}S')}"
            return Constraint(IN_FORCE, operator, canon), Class.KNOWN
        return Constraint(_DATE_TIME, operator, values.canonical("instant", given)), Class.KNOWN
    if bare in _OURSELVES and (operator in {"eq", "isAnyOf"}):
        named = _scalars(right, reader.limits.terms_values_max)
        if not reader.ours.intersection(named):
            raise ValueError("does not name us")
        texts = canonical.in_order(values.canonical("text", one) for one in named)
        return Constraint(operand, operator, texts), Class.ABOUT_US
    if bare in _MEMBERSHIPS and reader.ours:
        if operator != "eq" or _one(right) != "active":
            raise ValueError("only eq active is known for it")
        row = BY_KEY["require.credentials"]
        return Constraint(row.operand, row.operator, (_MEMBERSHIPS[bare],)), Class.ABOUT_US
    return None


def _scalar(raw: Any) -> str:
    if isinstance(raw, Mapping):
        if raw.keys() == {"@id"}:
            raw = raw["@id"]
        elif "@value" in raw and raw.keys() <= {"@value", "@type"}:
            raw = raw["@value"]
    if isinstance(raw, str):
        return unicodedata.normalize("NFC", raw)
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        raise ValueError("its value cannot be read")  # noqa: TRY004 - one error comes out
    if isinstance(raw, int):
        if raw.bit_length() > 64:
            raise ValueError("its value is too large")
        return str(raw)
    if raw != raw or raw in (float("inf"), float("-inf")):  # noqa: PLR0124 - this is what NaN is
        raise ValueError("its value is no number")
    # The shortest text of the double is what the peer wrote, as far as JSON lets us know.
    return values.signed(format(Decimal(repr(raw)), "f"))


def _scalars(raw: Any, most: int) -> tuple[str, ...]:
    if isinstance(raw, Mapping) and raw.keys() == {"@list"}:
        raw = raw["@list"]
    given = raw if isinstance(raw, list | tuple) else [raw]
    if not 0 < len(given) <= most:
        raise ValueError(f"it needs 1 to {most} values")
    return tuple(_scalar(item) for item in given)


def _one(raw: Any) -> str:
    given = _scalars(raw, 1)
    return given[0]


def _value(kind: str, is_set: bool, raw: Any, most: int, row: Row | None) -> str | tuple[str, ...]:  # noqa: FBT001 - one of two shapes of a value
    def one(given: str) -> str:
        canon = values.canonical(kind, given)
        return values.within(canon, row.low, row.high) if row and (row.low or row.high) else canon

    if not is_set:
        return one(_one(raw))
    return canonical.in_order(one(given) for given in _scalars(raw, most))


def prohibition(raw: Any, path: str, reader: Reader) -> OdrlRule:
    """A prohibition of a known action, without conditions."""
    given = _object(raw, path, _RULE_KEYS, "prohibition")
    whole = action(given.get("action"), path, {**FORBID_WORDS, **BY_IRI})
    if next(constraints(given, path, reader), None):
        raise cannot(f"{path}.constraint", whole, "a prohibition with a condition")
    return OdrlRule(whole)


def duty(raw: Any, path: str, reader: Reader) -> OdrlRule:
    """A duty with exactly the constraints of its form."""
    given = _object(raw, path, _RULE_KEYS, "duty")
    whole = action(given.get("action"), path, DUTIES)
    form = DUTIES[whole]
    types = {(operand, operator): kind for operand, operator, kind in form.constraints}
    found: list[Constraint | Either] = []
    for item, where in constraints(given, path, reader):
        plain = _object(item, where, _ATOM_KEYS, "constraint")
        operand, operator = _whole(name(plain.get("leftOperand"))), _operator(plain.get("operator"))
        term = f"{operand} {operator}".strip() or "constraint"
        kind = types.pop((operand, operator), None)
        if kind is None:
            raise cannot(where, term, "unknown for this duty")
        try:
            value = _value(kind, False, plain.get("rightOperand"), 1, None)
            if kind == "iri" and value not in {iri(f"cor:{event}") for event in form.events}:
                raise ValueError("no such event here")  # noqa: TRY301 - one error comes out
        except ValueError as error:
            raise cannot(where, term, str(error)) from error
        found.append(Constraint(operand, operator, value))
    if types:
        missing = " ".join(next(iter(types)))
        raise cannot(path, f"{whole} {missing}", "the duty lacks it")
    return canonical.rule(whole, found)


KINDS: tuple[tuple[str, Callable[[Any, str, Reader], OdrlRule]], ...] = (
    ("permission", permission),
    ("prohibition", prohibition),
    ("obligation", duty),
)
