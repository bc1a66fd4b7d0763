# SPDX-License-Identifier: Apache-2.0
"""SQL made from a checked structure: quoted names, bound values, a fixed shape. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_CASTS = {
    "date": "DATE",
    "time": "TIME",
    "timestamp": "TIMESTAMP",
    "instant": "TIMESTAMP WITH TIME ZONE",
    "uuid": "UUID",
}
_OPERATORS = frozenset({"=", "!=", "<", "<=", ">", ">="})


def quoted(name: str) -> str:
    """A name as an identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Our own text as a literal, where nothing can be bound."""
    return "'" + text.replace("'", "''") + "'"


class DuckDB:
    """How DuckDB writes a column and takes a value of a kind."""

    def column(self, own: str) -> str:
        """A column as an expression."""
        return quoted(own)

    def place(self, kind: str, value: Any) -> tuple[str, Any]:
        """Where a value is bound, and what is bound."""
        if kind == "decimal":
            # As many places as the value has: a fixed scale would round it before it is compared.
            places = len(str(value).partition(".")[2])
            return f"CAST(? AS DECIMAL(38, {places}))", value
        if kind == "integer" and isinstance(value, str):
            return "CAST(? AS HUGEINT)", value
        if kind == "text":
            return "CAST(? AS VARCHAR)", value
        return (f"CAST(? AS {_CASTS[kind]})" if kind in _CASTS else "?"), value


class SQLite:
    """How SQLite does, by the types that a look found: days and times are text there."""

    def __init__(self, types: Mapping[str, str]) -> None:
        self._types = types

    def column(self, own: str) -> str:
        """A column as an expression."""
        match self._types[own]:
            case "VARCHAR":
                return f"CAST({quoted(own)} AS TEXT)"
            case "TIMESTAMP":
                return f"replace({quoted(own)}, 'T', ' ')"
            case _:
                return quoted(own)

    def place(self, kind: str, value: Any) -> tuple[str, Any]:
        """Where a value is bound, and what is bound."""
        if kind == "timestamp":
            return "?", value.replace("T", " ")
        if kind == "integer" and isinstance(value, str):
            return "?", float(value)  # beyond every integer that SQLite has; compared exactly
        return "?", value


def statement(
    table: str, args: Mapping[str, Any], dialect: DuckDB | SQLite
) -> tuple[str, list[Any]]:
    """The SELECT and its values. `columns`: [own, offered]; `order`: [own, descending]."""
    names = ", ".join(
        f"{dialect.column(own)} AS {quoted(offered)}" for own, offered in args["columns"]
    )
    condition, bound = where(args["where"], dialect)
    text = f"SELECT {names} FROM {table}{condition}"  # noqa: S608  # made of checked parts only
    order = [
        f"{dialect.column(own)} {'DESC' if down else 'ASC'} NULLS LAST"
        for own, down in args["order"]
    ]
    if order:
        text += f" ORDER BY {', '.join(order)}"
    if args["limit"] is not None:
        text += f" LIMIT {int(args['limit'])}"
    return text, bound


def count(
    table: str, args: Mapping[str, Any], dialect: DuckDB | SQLite, most: int
) -> tuple[str, list[Any]]:
    """The number of rows that would come, counted no further than `most`."""
    condition, bound = where(args["where"], dialect)
    inner = f"SELECT 1 FROM {table}{condition} LIMIT {int(most)}"  # noqa: S608  # checked parts
    return f"SELECT count(*) FROM ({inner}) AS counted", bound  # noqa: S608  # the same


def where(conditions: Sequence[Sequence[Any]], dialect: DuckDB | SQLite) -> tuple[str, list[Any]]:
    """` WHERE …` (or nothing) and its values. A condition is [own, kind, op, values]."""
    parts: list[str] = []
    bound: list[Any] = []
    for own, kind, op, values in conditions:
        column = dialect.column(own)
        if values == [None]:
            parts.append(f"{column} IS {'NOT ' if op == '!=' else ''}NULL")
            continue
        places = [dialect.place(kind, value) for value in values]
        bound += [value for _, value in places]
        if op == "in":
            parts.append(f"{column} IN ({', '.join(place for place, _ in places)})")
        elif op in _OPERATORS:
            parts.append(f"{column} {op} {places[0][0]}")
        else:
            raise ValueError(op)
    return (f" WHERE {' AND '.join(parts)}" if parts else ""), bound
