# SPDX-License-Identifier: Apache-2.0
"""Where a table lies and what it looks like: the source a steward names, checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corridor.errors import Invalid, Problem
from corridor.limits import Limits
from corridor.policy import values
from corridor.rooms import places
from corridor.services.tables import question

KINDS = {
    ".csv": "csv", ".tsv": "csv", ".parquet": "parquet", ".pq": "parquet",
    ".duckdb": "duckdb", ".ddb": "duckdb",
    ".sqlite": "sqlite", ".sqlite3": "sqlite", ".db": "sqlite",
}  # fmt: skip
_KEYS = frozenset({"path", "format", "table", "columns"})
_GLOB = frozenset("*?[]{}")  # DuckDB would look for other files
_JOURNALS = {"duckdb": ".wal", "sqlite": "-wal"}


@dataclass(frozen=True, slots=True)
class Source:
    """A checked source. `aliases`: the table's own name to the name that is offered."""

    path: Path
    format: str
    table: str
    aliases: Mapping[str, str]
    state: places.State

    def told(self) -> dict[str, Any]:
        """As the work in the room gets it."""
        return {"path": str(self.path), "format": self.format, "table": self.table}


@dataclass(frozen=True, slots=True)
class Column:
    """A column: the name that is offered, the table's own, the engine's type."""

    name: str
    own: str
    type: str

    @property
    def kind(self) -> str:
        """What its values are to a question."""
        return question.kind_of(self.type)


@dataclass(frozen=True, slots=True)
class Shape:
    """What was found in a table at `state`."""

    state: places.State
    columns: tuple[Column, ...]
    rows: int
    table: str

    def column(self, name: str) -> Column | None:
        """The column that is offered under this name."""
        return next((column for column in self.columns if column.name == name), None)


def source(given: Mapping[str, Any], roots: Sequence[Path]) -> Source:
    """Check a source: `{path, format?, table?, columns?: {new: old}}`. Blocking.

    Raises Invalid: source-keys, source-path, source-missing, source-outside, source-format,
    source-alias, source-busy (a writer's journal stands beside the file).
    """
    unknown = given.keys() - _KEYS
    if unknown:
        raise Invalid(f"a table's source has {', '.join(sorted(_KEYS))}", code="source-keys")
    path = places.resolve(given.get("path"), roots)
    if not path.is_file() or _GLOB & set(str(path)):
        raise Invalid("a table's source is one file, without * ? [ ] { }", code="source-path")
    form = given.get("format", KINDS.get(path.suffix.lower()))
    if form not in KINDS.values():
        raise Invalid("name the format: csv, parquet, duckdb or sqlite", code="source-format")
    journal = path.with_name(path.name + _JOURNALS[form]) if form in _JOURNALS else None
    if journal is not None and journal.exists() and journal.stat().st_size > 0:
        raise Invalid(
            "somebody writes to this database; close it, so that its journal is gone",
            code="source-busy",
        )
    table = given.get("table", "")
    if not isinstance(table, str) or (table and form not in _JOURNALS):
        raise Invalid("only a DuckDB or SQLite file has named tables", code="source-format")
    return Source(path, form, table, _aliases(given.get("columns", {})), places.state(path))


def _aliases(given: object) -> dict[str, str]:
    if not isinstance(given, Mapping):
        raise Invalid('aliases are {"new": "old"}', code="source-alias")
    aliases: dict[str, str] = {}
    for new, old in given.items():
        if not isinstance(new, str) or not isinstance(old, str) or old in aliases:
            raise Invalid('aliases are {"new": "old"}, each old name once', code="source-alias")
        aliases[old] = new
    return aliases


def shape(found: Mapping[str, Any], of: Source, limits: Limits) -> Shape:
    """What the room found, checked: every name must be one that terms can hold."""
    columns = [
        Column(of.aliases.get(own, own), own, engine_type)
        for own, engine_type in zip(found["names"], found["types"], strict=True)
    ]
    problems = list(_problems(columns, of, limits))
    if problems:
        raise Invalid("not every column can be offered", code="column-name", problems=problems)
    return Shape(of.state, tuple(columns), found["rows"], found["table"])


def _problems(columns: Sequence[Column], of: Source, limits: Limits) -> list[Problem]:
    found: list[Problem] = []
    if not 1 <= len(columns) <= limits.terms_columns_max:
        message = f"a table has 1 to {limits.terms_columns_max} columns"
        found.append(Problem("columns", message, "column-count"))
    missing = of.aliases.keys() - {column.own for column in columns}
    found += [
        Problem(f"columns.{of.aliases[old]}", "the table has no such column", "column-missing")
        for old in sorted(missing)
    ]
    seen: set[str] = set()
    for column in columns:
        try:
            plain = values.column(column.name)
        except ValueError:
            plain = ""
        if plain != column.name:
            hint = f'give it an alias in the source: {{"columns": {{"new_name": {column.own!r}}}}}'
            found.append(Problem(f"columns.{column.own[:63]}", hint, "column-name"))
        elif column.name in seen:
            found.append(
                Problem(f"columns.{column.name}", "two columns by one name", "column-twice")
            )
        seen.add(column.name)
    return found
