# SPDX-License-Identifier: Apache-2.0
"""Brings a database to the newest revision, after a copy of it was made (node.md a, Start 4).

Meant for a child process, `python -m corridor.store.upgrade FILE`: a running node never loads
Alembic. Forward only.
"""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from alembic import command
from alembic.config import Config

from corridor.errors import Invalid
from corridor.store.revision import HEAD

MIGRATIONS = Path(__file__).parent / "migrations"


def config(path: Path) -> Config:
    """Alembic's settings for the database file at `path`."""
    made = Config()
    made.set_main_option("script_location", str(MIGRATIONS))
    made.attributes["path"] = path
    return made


def revision(path: Path) -> str | None:
    """The revision of a database file; None for an empty one. Invalid: it is something else."""
    with closing(sqlite3.connect(path)) as connection:
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
        if not tables:
            return None
        if "alembic_version" not in tables:
            raise Invalid("this database is not one of Corridor", code="store-foreign")
        found = connection.execute("SELECT version_num FROM alembic_version").fetchall()
        return str(found[0][0]) if found else None


def copy(path: Path, old: str) -> Path:
    """Write the whole database to `<name>.before-<revision>`, replacing an older copy."""
    beside = path.with_name(f"{path.name}.before-{old}")
    beside.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("VACUUM INTO ?", (str(beside),))
    return beside


def upgrade(path: Path) -> Path | None:
    """Upgrade the database at `path`, which nobody uses meanwhile; where its copy lies, if any."""
    old = revision(path)
    if old == HEAD:
        return None
    kept = copy(path, old) if old else None
    command.upgrade(config(path), "head")
    return kept


if __name__ == "__main__":
    upgrade(Path(sys.argv[1]))
