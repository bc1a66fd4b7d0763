# SPDX-License-Identifier: Apache-2.0
"""A policy as it is inside: typed, canonical, no peer's JSON (terms.md 2, 3.1).

Names of operands and actions are whole IRIs; every leaf is text in the canonical form of its
operand's type (terms.md 1.1). Lists are sorted by their own canonical bytes and free of repeats,
so two policies of equal meaning are equal values.
"""

from __future__ import annotations

from dataclasses import dataclass

Value = str | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Constraint:
    """An ODRL constraint: `operand` an IRI, `operator` bare, `value` canonical."""

    operand: str
    operator: str
    value: Value

    @property
    def values(self) -> tuple[str, ...]:
        """The value as a tuple, also where it stands alone."""
        return (self.value,) if isinstance(self.value, str) else self.value


@dataclass(frozen=True, slots=True)
class Either:
    """ODRL's `or` over constraints of who, when and purpose; never nested."""

    constraints: tuple[Constraint, ...]


@dataclass(frozen=True, slots=True)
class OdrlRule:
    """A permission, prohibition or duty: an action's IRI and constraints that must all hold."""

    action: str
    constraints: tuple[Constraint | Either, ...] = ()


@dataclass(frozen=True, slots=True)
class Policy:
    """What an offer or an agreement says, without parties, ids and times."""

    permissions: tuple[OdrlRule, ...] = ()
    prohibitions: tuple[OdrlRule, ...] = ()
    duties: tuple[OdrlRule, ...] = ()
    terms_hash: str = ""
