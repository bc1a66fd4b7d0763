# SPDX-License-Identifier: Apache-2.0
"""A write is a value: the engine builds units, the store runs each whole or not at all.

node.md b. A `Unit` is one transaction: its writes in order, each with the number of rows it must
touch, and the ledger entries that belong to it. A guard is a write whose `expect` fails.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from corridor.errors import CorridorError


class Conflict(CorridorError):
    """A guard found another number of rows than expected; nothing of the unit was written."""

    code = "changed"

    def __init__(self, write: Write) -> None:
        super().__init__(f"{write.statement.name} found the row changed")
        self.write = write


@dataclass(frozen=True, slots=True)
class Statement:
    """One SQL statement with named parameters (`:name`); its `name` is for logs and tests."""

    name: str
    sql: str


@dataclass(frozen=True, slots=True)
class Write:
    """A statement to run. `expect`: the rows it must touch, None where any number is right."""

    statement: Statement
    params: Mapping[str, Any]
    expect: int | None = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """Bytes beside an entry: sealed (salt ‖ bytes), named by the salted digest in the entry."""

    slot: str
    digest: str
    sealed: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """A ledger entry to append: its canonical body, and the thread that it is counted in."""

    participant: str
    id: str
    type: str
    thread: str | None
    time: int
    body: bytes
    payloads: tuple[Payload, ...] = ()


@dataclass(frozen=True, slots=True)
class Unit:
    """What happens together. Durable when `Store.run` returns."""

    writes: tuple[Write, ...] = ()
    leaves: tuple[Leaf, ...] = field(default=())

    def __add__(self, other: Unit) -> Unit:
        """Both, in this order."""
        return Unit(self.writes + other.writes, self.leaves + other.leaves)
