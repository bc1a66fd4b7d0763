# SPDX-License-Identifier: Apache-2.0
"""Whether one policy asks for no more than another gives (terms.md 4.3).

A partial order on normal forms: what A allows, B allows. `NARROWER` says asked ⊑ offered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum

from corridor.policy import profile, values
from corridor.policy.model import Constraint, Either, OdrlRule, Policy, Value
from corridor.policy.profile import BY_IRI, BY_TERM, DUTIES, NOTICE, ODRL, SINGLE, Row
from corridor.policy.windows import LIFE


class Relation(StrEnum):
    """What the asked policy is to the offered one."""

    EQUAL = "equal"
    NARROWER = "narrower"
    WIDER = "wider"
    INCOMPARABLE = "incomparable"


def compare(
    asked: Policy, offered: Policy, *, service: str = ""
) -> tuple[Relation, tuple[str, ...]]:
    """The relation, and the public names of what goes beyond the offer (empty where nothing does).

    Both must compile (permit.draft); that is the caller's to see. `service` says which one action
    a `use` of the offer covers; without it, `use` covers only itself.
    """
    if asked.terms_hash == offered.terms_hash:
        return Relation.EQUAL, ()
    beyond = _beyond(asked, offered, service)
    if not beyond:
        return Relation.NARROWER, ()
    relation = Relation.INCOMPARABLE if _beyond(offered, asked, service) else Relation.WIDER
    return relation, tuple(sorted(beyond))


def _beyond(a: Policy, b: Policy, service: str) -> set[str]:
    """Public names of what in A goes beyond B; empty iff A ⊑ B."""
    names = _permissions(a.permissions, b.permissions, service)
    asked = {rule.action for rule in a.prohibitions}
    if any(rule.action not in asked for rule in b.prohibitions):
        names.add("prohibited")
    return names | _duties(a, b)


def _permissions(a: tuple[OdrlRule, ...], b: tuple[OdrlRule, ...], service: str) -> set[str]:
    """(1) An injective map from A's permissions to B's, each to one at least as wide."""
    wider = [[_rule(rule, other, service) for other in b] for rule in a]
    fits = [[at for at, names in enumerate(row) if not names] for row in wider]
    held: dict[int, int] = {}
    if all(_place(at, fits, held, set()) for at in range(len(a))):
        return set()
    # No such map: told is, for each rule without a place of its own, what its nearest one lacks.
    names: set[str] = set()
    for row in wider:
        nearest = min(row, key=len, default={"action"})
        names |= nearest
    return names or {"action"}


def _place(at: int, fits: list[list[int]], held: dict[int, int], seen: set[int]) -> bool:
    """An augmenting path of a bipartite matching; rules are at most 32."""
    for place in fits[at]:
        if place not in seen:
            seen.add(place)
            if place not in held or _place(held[place], fits, held, seen):
                held[place] = at
                return True
    return False


def _rule(a: OdrlRule, b: OdrlRule, service: str) -> set[str]:
    """Public names of what rule `a` asks beyond rule `b`."""
    if a.action != b.action and not _covers(b.action, a.action, service):
        return {"action"}
    mine = {(c.operand, c.operator): c for c in a.constraints if isinstance(c, Constraint)}
    theirs = {(c.operand, c.operator): c for c in b.constraints if isinstance(c, Constraint)}
    names = set()
    for term, constraint in theirs.items():
        held = mine.get(term)
        if held is None or not _tighter(term, held.value, constraint.value):
            names.add(_public(term, b))
    for term in mine.keys() - theirs.keys():
        row = BY_TERM.get(term)
        if row is None or row.tighter == "promised":
            names.add(_public(term, a))
    ors_a = {item for item in a.constraints if isinstance(item, Either)}
    ors_b = {item for item in b.constraints if isinstance(item, Either)}
    if ors_a != ors_b:
        # Another `or` is a further condition, but not of the profile.
        names.add("unsupported")
    return names


def _covers(wide: str, one: str, service: str) -> bool:
    concrete = SINGLE.get(service)
    return wide == ODRL + "use" and concrete is not None and one == profile.BY_WORD[concrete].iri


def _public(term: tuple[str, str], rule: OdrlRule) -> str:
    row = BY_TERM.get(term)
    if row is None:
        return "unsupported"
    return row.public.replace("NOUN", BY_IRI[rule.action].noun)


def _tighter(term: tuple[str, str], a: Value, b: Value) -> bool:
    """Whether a ⊑ b by the profile's last column; without a row only the same value will do."""
    row = BY_TERM.get(term)
    return a == b or (row is not None and _TIGHTER[row.tighter](row, _texts(a), _texts(b)))


def _texts(value: Value) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else value


Texts = tuple[str, ...]


def _subset(_: Row, a: Texts, b: Texts) -> bool:
    return set(a) <= set(b)


def _superset(_: Row, a: Texts, b: Texts) -> bool:
    return set(a) >= set(b)


def _smaller(row: Row, a: Texts, b: Texts) -> bool:
    return _number(row, a) <= _number(row, b)


def _larger(row: Row, a: Texts, b: Texts) -> bool:
    return _number(row, a) >= _number(row, b)


def _number(row: Row, value: Texts) -> Decimal:
    match row.type:
        case "instant":
            return Decimal((values.moment(value[0]) - LIFE) // timedelta(microseconds=1))
        case "duration":
            return Decimal(values.span(value[0]).total_seconds())
        case _:
            return Decimal(value[0])


def _multiple(_: Row, a: Texts, b: Texts) -> bool:
    return int(a[0]) % int(b[0]) == 0


def _interval(_: Row, a: Texts, b: Texts) -> bool:
    wide = dict(values.measure_parts(one) for one in b)
    for name, inner in map(values.measure_parts, a):
        if name not in wide:
            return False
        outer = wide[name]
        if outer is None:
            continue
        if inner is None or inner[0] < outer[0] or inner[1] > outer[1]:
            return False
    return True


def _paths(_: Row, a: Texts, b: Texts) -> bool:
    return all(any(_under(one, other) for other in b) for one in a)


def _under(one: str, other: str) -> bool:
    if not other.endswith("*"):
        return one == other
    return one.removesuffix("*").startswith(other[:-1])


def _never(_: Row, a: Texts, b: Texts) -> bool:
    return a == b


_TIGHTER: dict[str, Callable[[Row, Texts, Texts], bool]] = {
    "subset": _subset,
    "superset": _superset,
    "smaller": _smaller,
    "shorter": _smaller,
    "earlier": _smaller,
    "promised": _smaller,
    "larger": _larger,
    "later": _larger,
    "multiple": _multiple,
    "interval": _interval,
    "paths": _paths,
    "equal": _never,
    "network": lambda _, a, __: a == ("none",),
    "outputs": lambda _, a, __: a == ("review",),
}


def _duties(a: Policy, b: Policy) -> set[str]:
    """(2) Every duty of B on the consumer is in A, at least as strict; notice at most as long."""
    names = set()
    mine = dict(_terms(a.duties))
    for key, length in _terms(b.duties):
        held = mine.get(key)
        if key[0] == NOTICE:
            continue
        if held is None or held > length:
            names.add(f"duty.{DUTIES[key[0]].word}")
    offered = dict(_terms(b.duties))
    for key, length in mine.items():
        if key[0] == NOTICE and length > offered.get(key, Decimal(0)):
            names.add("duty.giveNotice")
    return names


def _terms(duties: tuple[OdrlRule, ...]) -> Iterator[tuple[tuple[str, str], Decimal]]:
    """Each duty as ((action, event or text), seconds)."""
    for duty in duties:
        what, seconds = "", Decimal(0)
        for item in duty.constraints:
            if isinstance(item, Constraint):
                if item.operand in {profile.EVENT, profile.ATTRIBUTION}:
                    what = str(item.value)
                else:
                    seconds = Decimal(values.span(str(item.value)).total_seconds())
        yield (duty.action, what), seconds


__all__ = ["Relation", "compare"]
