# SPDX-License-Identifier: Apache-2.0
"""Describe a table, read rows of it, with an engine that can reach one file and nothing else.

SQL is made here and only from the checked structure that the node sends: names are quoted, values
bound. No text of a consumer reaches an engine, no text of an engine leaves (`rooms.inside`).

Frames of `look`: one, JSON `{names, types, rows, table}`. Frames of `read`: four bytes, big-endian,
how many rows begin in this frame; then a piece of the Arrow IPC stream. A batch's rows stand in its
first frame, so that they are counted before any of them leaves.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import duckdb
import msgspec
import pyarrow as pa

from corridor.errors import Invalid
from corridor.services.tables.work import sqlite
from corridor.services.tables.work.sql import DuckDB, count, literal, quoted, statement

ROWS = struct.Struct(">I")
BLOCK_BYTES = (1 << 20) - ROWS.size
BATCH_ROWS = 65_536

Send = Callable[[bytes], None]

_LOCKED = {
    "temp_directory": "",
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "allow_unsigned_extensions": False,
    "allow_persistent_secrets": False,
    "python_enable_replacements": False,
    "max_expression_depth": 250,
}


def look(args: dict[str, Any], send: Send) -> None:
    """Names, types and the number of rows. Reads all of it, so that each row is known to fit."""
    source = args["source"]
    try:
        if source["format"] == "sqlite":
            found = sqlite.look(source)
        else:
            connection, source = _connect(args, types=None)
            text, params = f"FROM {_from(source)}", _params(source)
            relation = connection.sql(f"SELECT * {text}", params=params)
            counted = connection.sql(f"SELECT count(*) {text}", params=params)
            found = {
                "names": relation.columns,
                "types": [str(it) for it in relation.types],
                "rows": counted.fetchall()[0][0],
                "table": source["table"],
            }
    except (duckdb.OutOfMemoryException, pa.ArrowMemoryError):
        raise MemoryError from None
    except (duckdb.Error, pa.ArrowException):
        raise Invalid(
            f"this is no {source['format']} that can be read", code="source-unreadable"
        ) from None
    send(msgspec.json.encode(found))


def read(args: dict[str, Any], send: Send) -> None:
    """Rows as an Arrow IPC stream. Raises QueryRefused(rows) where there are more than `cap`."""
    try:
        _stream(sqlite.reader(args) if args["source"]["format"] == "sqlite" else _rows(args), send)
    except (duckdb.OutOfMemoryException, pa.ArrowMemoryError):
        raise MemoryError from None


def _connect(
    args: Mapping[str, Any], types: Mapping[str, str] | None
) -> tuple[duckdb.DuckDBPyConnection, dict[str, Any]]:
    """An engine that can reach the one file and nothing else, its settings locked."""
    source = dict(args["source"])
    path, form = source["path"], source["format"]
    config = {
        **_LOCKED,
        "memory_limit": f"{args['memory_bytes']}B",
        "threads": args["threads"],
    }
    if form == "duckdb":
        connection = duckdb.connect(path, read_only=True, config=config)
        source["table"] = _table(connection, source["table"])
    else:
        connection = duckdb.connect(":memory:", config=config)
    connection.execute("SET TimeZone='UTC'")
    if form in {"csv", "parquet"}:
        # Such a file is opened when it is scanned, so its file system must stay: one path of it.
        connection.execute(f"SET allowed_paths=[{literal(path)}]")
    connection.execute("SET enable_external_access=false")
    if form == "duckdb":
        connection.execute("SET disabled_filesystems='LocalFileSystem'")
    connection.execute("SET lock_configuration=true")
    _test(connection, path if form == "duckdb" else "/proc/self/cgroup")
    source["types"] = types
    return connection, source


def _test(connection: duckdb.DuckDBPyConnection, path: str) -> None:
    """The lock holds: a file that the process may read, the engine may not."""
    try:
        connection.sql("SELECT size FROM read_blob(?)", params=[path]).fetchall()
    except duckdb.PermissionException:
        return
    raise RuntimeError("the engine reads files that it should not reach")


def _table(connection: duckdb.DuckDBPyConnection, named: str) -> str:
    """The table that is named, or the only one there is."""
    rows = connection.sql(
        "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'main' AND NOT internal"
        " UNION ALL"
        " SELECT view_name FROM duckdb_views() WHERE schema_name = 'main' AND NOT internal"
    ).fetchall()
    return sqlite.choose([name for (name,) in rows], named)


def _from(source: Mapping[str, Any]) -> str:
    match source["format"]:
        case "parquet":
            return "read_parquet(?)"
        case "csv":
            # The first look reads every line to find the types; later ones are told.
            how = "sample_size = -1"
            if source["types"] is not None:
                pairs = [f"{literal(own)}: {literal(it)}" for own, it in source["types"].items()]
                how = f"types = {{{', '.join(pairs)}}}"
            return f"read_csv(?, header = true, {how})"
        case _:
            return f'"main".{quoted(source["table"])}'


def _params(source: Mapping[str, Any]) -> list[Any]:
    return [source["path"]] if source["format"] in {"csv", "parquet"} else []


def _rows(args: Mapping[str, Any]) -> pa.RecordBatchReader:
    connection, source = _connect(args, types=args["types"])
    table, params, dialect, cap = _from(source), _params(source), DuckDB(), args["cap"]
    if cap is not None and args["limit"] is None:
        text, bound = count(table, args, dialect, cap + 1)
        counted = connection.sql(text, params=[*params, *bound]).fetchall()[0][0]
        sqlite.refuse_over(cap, counted)
    text, bound = statement(table, args, dialect)
    return connection.sql(text, params=[*params, *bound]).to_arrow_reader(BATCH_ROWS)


def _stream(reader: pa.RecordBatchReader, send: Send) -> None:
    sink = _Sink(send)
    with pa.ipc.new_stream(sink, reader.schema) as writer:
        sink.flush(0)
        for batch in reader:
            for piece in _pieces(batch):
                writer.write_batch(piece)
                sink.flush(piece.num_rows)
    sink.flush(0)


def _pieces(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """The batch in pieces of about a block, so that no long wait lies between two sends."""
    count = max(1, -(-batch.nbytes // BLOCK_BYTES))
    rows = max(1, batch.num_rows // count)
    for start in range(0, batch.num_rows, rows):
        yield batch.slice(start, rows)


class _Sink:
    """What an Arrow writer writes to; collects until it is flushed."""

    closed = False

    def __init__(self, send: Send) -> None:
        self._send = send
        self._parts: list[bytes] = []

    def write(self, data: Any) -> int:
        """Take bytes, copied: the writer's buffer is its own."""
        part = bytes(data)
        self._parts.append(part)
        return len(part)

    def flush(self, rows: int = 0) -> None:
        """Send what was collected; `rows` leave with it."""
        whole = memoryview(b"".join(self._parts))
        self._parts = []
        for start in range(0, len(whole), BLOCK_BYTES):
            self._send(b"".join((ROWS.pack(rows), whole[start : start + BLOCK_BYTES])))
            rows = 0
