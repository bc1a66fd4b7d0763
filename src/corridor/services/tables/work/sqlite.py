# SPDX-License-Identifier: Apache-2.0
"""A table of a SQLite file: its types found by its values, its rows as an Arrow reader.

DuckDB's own reader of SQLite is an extension that must be downloaded, so SQLite itself answers. It
types values, not columns: a look reads every value, and a column gets the narrowest type that holds
them all, text at last.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any
from urllib.parse import quote

import pyarrow as pa

from corridor.errors import Invalid, QueryRefused
from corridor.services.tables.work.sql import SQLite, count, quoted, statement

_ROWS = 8192
_TYPES: dict[str, tuple[pa.DataType, Callable[[Any], Any] | None]] = {
    "BIGINT": (pa.int64(), None),
    "DOUBLE": (pa.float64(), float),
    "BOOLEAN": (pa.bool_(), bool),
    "VARCHAR": (pa.string(), None),
    "BLOB": (pa.binary(), None),
    "DATE": (pa.date32(), date.fromisoformat),
    "TIMESTAMP": (pa.timestamp("us"), datetime.fromisoformat),
}


def look(source: Mapping[str, Any]) -> dict[str, Any]:
    """Names, types, number of rows. Invalid(source-unreadable, source-table)."""
    connection = _connect(source["path"])
    try:
        listed = connection.execute(
            "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')"
            " AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
        ).fetchall()
        table = choose([name for (name,) in listed], source["table"])
        declared = connection.execute(
            "SELECT name, type FROM pragma_table_info(?)", (table,)
        ).fetchall()
        types = [_type(connection, table, name, kind.upper()) for name, kind in declared]
        (rows,) = connection.execute(f"SELECT count(*) FROM {quoted(table)}").fetchone()  # noqa: S608  # quoted
    except sqlite3.Error:
        raise Invalid("this is no sqlite that can be read", code="source-unreadable") from None
    finally:
        connection.close()
    return {"names": [name for name, _ in declared], "types": types, "rows": rows, "table": table}


def reader(args: Mapping[str, Any]) -> pa.RecordBatchReader:
    """The rows that are asked for, read as they are taken. QueryRefused(rows) over the cap."""
    source, types = args["source"], args["types"]
    table, dialect = quoted(source["table"]), SQLite(types)
    connection = _connect(source["path"])
    if args["cap"] is not None and args["limit"] is None:
        text, bound = count(table, args, dialect, args["cap"] + 1)
        refuse_over(args["cap"], connection.execute(text, bound).fetchone()[0])
    text, bound = statement(table, args, dialect)
    found = [_TYPES[types[own]] for own, _ in args["columns"]]
    schema = pa.schema(
        [(offered, kind) for (_, offered), (kind, _) in zip(args["columns"], found, strict=True)]
    )
    cursor = connection.execute(text, bound)
    batches = _batches(cursor, [how for _, how in found], schema)
    return pa.RecordBatchReader.from_batches(schema, batches)


def refuse_over(cap: int, counted: int) -> None:
    """QueryRefused where an answer has more rows than the agreement lets out at once."""
    if counted > cap:
        raise QueryRefused(
            f"more than {cap} rows",
            rule="rows",
            would_pass=f"the same with a limit of at most {cap}, or with conditions",
        )


def choose(tables: Sequence[str], named: str) -> str:
    """The table that is named, or the only one; Invalid(source-table) with the list."""
    if named in tables:
        return named
    if not named and len(tables) == 1:
        return tables[0]
    listed = ", ".join(sorted(tables)[:20]) or "none"
    raise Invalid(f"name the table in the source; the file has: {listed}", code="source-table")


def _connect(path: str) -> sqlite3.Connection:
    # immutable: nothing beside the file is opened. The node has seen that no journal is there.
    connection = sqlite3.connect(f"file:{quote(path)}?mode=ro&immutable=1", uri=True)
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA query_only = ON")
    return connection


def _type(connection: sqlite3.Connection, table: str, name: str, declared: str) -> str:
    column = quoted(name)
    found, bits, dates, times = connection.execute(
        f"SELECT group_concat(DISTINCT typeof({column})),"  # noqa: S608  # quoted
        f" min({column} IN (0, 1)), min(date({column}) IS {column}),"
        f" min(strftime('%Y-%m-%d %H:%M:%S', {column}) IS replace({column}, 'T', ' '))"
        f" FROM {quoted(table)} WHERE {column} IS NOT NULL"
    ).fetchone()
    kinds = set((found or "").split(",")) - {""}
    if kinds == {"integer"}:
        return "BOOLEAN" if declared.startswith("BOOL") and bits else "BIGINT"
    if kinds and kinds <= {"integer", "real"}:
        return "DOUBLE"
    if kinds == {"blob"}:
        return "BLOB"
    if kinds == {"text"} and declared.startswith("DATE") and dates:
        return "DATE"
    if kinds == {"text"} and declared.startswith(("DATETIME", "TIMESTAMP")) and times:
        return "TIMESTAMP"
    if not kinds and "INT" in declared:
        return "BIGINT"
    return "VARCHAR"


def _batches(
    cursor: sqlite3.Cursor, how: Sequence[Callable[[Any], Any] | None], schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    while rows := cursor.fetchmany(_ROWS):
        columns = [
            pa.array(_converted(values, convert), field.type)
            for values, convert, field in zip(zip(*rows, strict=True), how, schema, strict=True)
        ]
        yield pa.record_batch(columns, schema=schema)


def _converted(values: Sequence[Any], how: Callable[[Any], Any] | None) -> Sequence[Any]:
    if how is None:
        return values
    return [None if value is None else how(value) for value in values]
