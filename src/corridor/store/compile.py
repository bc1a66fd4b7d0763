# SPDX-License-Identifier: Apache-2.0
"""Writes the schema and the statements down as SQL, so that a node needs no SQLAlchemy to run.

`python -m corridor.store.compile` rewrites `sql/`; a test compares it with what is committed.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from sqlalchemy import Dialect
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from corridor.store import schema_ledger
from corridor.store.revision import HEAD
from corridor.store.statements import Insert, build
from corridor.store.tables import METADATA

FOLDER = Path(__file__).parent / "sql"

# as Alembic itself would make it
_VERSION_TABLE = """\
CREATE TABLE alembic_version (
version_num VARCHAR(32) NOT NULL,
CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
)"""

_HEAD = """\
-- SPDX-License-Identifier: Apache-2.0
-- Written by corridor.store.compile from schema.py and statements.py. Do not edit.
"""


def _plain(sql: str) -> str:
    """One line a clause, no blanks at the ends, no OFFSET that skips nothing."""
    lines = [" ".join(line.split()) for line in sql.strip().splitlines()]
    return re.sub(r" OFFSET 0\b", "", "\n".join(line for line in lines if line))


def _dialect(name: str) -> Dialect:
    if name == "sqlite":
        return sqlite.dialect(paramstyle="named")
    made: Dialect = postgresql.dialect(paramstyle="pyformat")  # type: ignore[no-untyped-call]  # theirs
    return made


def statements(dialect: str) -> dict[str, str]:
    """Every statement as text with parameters written `:name` (PostgreSQL: `%(name)s`)."""
    insert: Insert = sqlite.insert if dialect == "sqlite" else postgresql.insert
    writer = _dialect(dialect)
    made: dict[str, str] = {}
    for name, core in sorted(build(insert).items()):
        text = core.compile(dialect=writer, compile_kwargs={"render_postcompile": True})
        fixed = [key for key, bind in text.binds.items() if not bind.required]
        assert not fixed, f"{name} has values of its own: {sorted(fixed)}"
        made[name] = _plain(str(text))
    return made


def ddl(dialect: str) -> str:
    """What makes an empty database one of the newest revision."""
    writer = _dialect(dialect)
    parts: list[str] = []
    for table in METADATA.sorted_tables:
        parts.append(_plain(str(CreateTable(table).compile(dialect=writer))))
        indexes = sorted(table.indexes, key=lambda index: str(index.name))
        parts += [_plain(str(CreateIndex(index).compile(dialect=writer))) for index in indexes]
    parts += schema_ledger.TRIGGERS[dialect]
    parts.append(_VERSION_TABLE)
    parts.append(f"INSERT INTO alembic_version VALUES ('{HEAD}')")  # noqa: S608 - our own word
    return _HEAD + "\n" + ";\n\n".join(parts) + ";\n"


def written(dialect: str) -> dict[str, str]:
    """The files of a dialect by name."""
    texts = [f"-- {name}\n{sql};\n" for name, sql in statements(dialect).items()]
    return {
        f"schema.{dialect}.sql": ddl(dialect),
        f"statements.{dialect}.sql": _HEAD + "\n" + "\n".join(texts),
    }


def main() -> int:
    """Rewrite the files."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in written("sqlite").items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
