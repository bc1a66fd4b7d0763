# SPDX-License-Identifier: Apache-2.0
"""How a table is written down: its columns, its key, whose rows it holds, what people page through.

Times are integer microseconds UTC, JSON is canonical bytes, flags are 0 or 1, ids are text. `pk` is
the row's number, `ver` counts its changes.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

METADATA = MetaData()

Number = BigInteger().with_variant(Integer, "sqlite")


def fixed(name: str, kind: Any = Text, *, null: bool = False) -> Column[Any]:
    """A column that never changes after the insert."""
    return Column(name, kind, nullable=null, info={"fixed": True})


def free(name: str, kind: Any = Text, *, null: bool = False) -> Column[Any]:
    """A column that may change and is never NULL."""
    return Column(name, kind, nullable=null)


def maybe(name: str, kind: Any = Text) -> Column[Any]:
    """A column that may change and may be NULL."""
    return Column(name, kind, nullable=True)


def table(name: str, *rest: Any, one_of: str = "") -> Table:
    """A table with `pk`; `one_of` names the columns of its key, in the key's order."""
    keys = tuple(one_of.split())
    constraints = (UniqueConstraint(*keys, name=f"{name}_key"),) if keys else ()
    return Table(
        name,
        METADATA,
        Column("pk", Number, primary_key=True, autoincrement=True),
        *rest,
        *constraints,
        info={"key": keys},
        sqlite_strict=True,
    )


def owned(name: str, *rest: Any, one_of: str = "", paged: bool = False) -> Table:
    """A table whose rows belong to a participant; `paged`: people leaf through it."""
    keys = f"participant {one_of}" if one_of else ""
    pages = (Index(f"{name}_page", "participant", "pk"),) if paged else ()
    return table(name, fixed("participant"), *rest, *pages, one_of=keys)


def version() -> Column[Any]:
    """How often the row was changed, counted from 1."""
    return Column("ver", Number, nullable=False)
