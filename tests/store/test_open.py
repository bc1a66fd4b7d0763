# SPDX-License-Identifier: Apache-2.0
"""Opening: an empty file, one of ours, one that is not; and the way from revision to revision."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from corridor.errors import CODES, Exit, Invalid, StoreUnavailable
from corridor.limits import Limits
from corridor.outside.clock import RealClock
from corridor.store import Unit, open_store, upgrade
from corridor.store.revision import HEAD
from corridor.store.tables import METADATA


def _open(disk, url="sqlite:///corridor.db"):
    return open_store(disk, RealClock(), url=url, limits=Limits())


def _shape(path) -> list:
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute(
            "SELECT type, name, tbl_name, replace(replace(sql, char(9), ''), char(10), ' ')"
            " FROM sqlite_master ORDER BY 1, 2"
        ).fetchall()
    return [
        (*row[:3], row[3] and "".join(row[3].split()))
        for row in rows
        if "sqlite_stat" not in row[1]
    ]


def test_upgrading_nothing_gives_what_a_fresh_database_is(disk, run):
    run(_open(disk).close())
    upgrade.upgrade(disk.path("upgraded.db"))
    assert _shape(disk.path("upgraded.db")) == _shape(disk.path("corridor.db"))
    assert upgrade.revision(disk.path("upgraded.db")) == HEAD
    run(_open(disk, "sqlite:///upgraded.db").close())


def test_the_schema_has_not_drifted_from_the_revisions(disk):
    upgrade.upgrade(disk.path("upgraded.db"))
    engine = create_engine(f"sqlite:///{disk.path('upgraded.db')}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, METADATA) == []
    engine.dispose()


def test_upgrade_runs_in_a_child_and_again_does_nothing(disk):
    path = disk.path("upgraded.db")
    for _ in range(2):
        child = [sys.executable, "-m", "corridor.store.upgrade", str(path)]
        assert subprocess.run(child, check=False).returncode == 0
    assert upgrade.upgrade(path) is None


@pytest.mark.parametrize(
    ("found", "code"),
    [(["9999"], "store-newer"), ([HEAD, "9999"], "store-newer"), ([], "store-older")],
)
def test_another_revision_is_refused(disk, run, found, code):
    run(_open(disk).close())
    other = disk.connect("corridor.db")
    other.execute("DELETE FROM alembic_version")
    other.executemany("INSERT INTO alembic_version VALUES (?)", [(it,) for it in found])
    other.close()
    with pytest.raises(Invalid) as told:
        _open(disk)
    assert told.value.code == code
    assert CODES[code].exit == Exit.CONFIGURATION


def test_a_database_of_something_else_is_refused(disk):
    other = disk.connect("corridor.db")
    other.execute("CREATE TABLE x (y)")
    other.close()
    for opened in (lambda: _open(disk), lambda: upgrade.upgrade(disk.path("corridor.db"))):
        with pytest.raises(Invalid) as told:
            opened()
        assert told.value.code == "store-foreign"


def test_a_file_that_is_no_database_is_unavailable(disk):
    disk.write_atomic("corridor.db", b"not a database" * 1000)
    with pytest.raises(StoreUnavailable):
        _open(disk)


def test_closing_leaves_nothing_in_the_log(store, disk, run, make):
    run(store.run(Unit((store.of("stat").outbox.insert(make.queued(1)),))))
    log = disk.path("corridor.db-wal")
    assert log.stat().st_size > 0
    run(store.close())
    assert not log.exists() or log.stat().st_size == 0


@pytest.mark.parametrize("url", ["postgresql://x/y", "sqlite://corridor.db", "sqlite:///", "x"])
def test_other_databases_are_refused(disk, url):
    with pytest.raises(Invalid) as told:
        _open(disk, url)
    assert told.value.problems[0].path == "database.url"


def test_the_copy_before_an_upgrade_is_whole(disk, run):
    run(_open(disk).close())
    path = disk.path("corridor.db")
    shutil.copy(path, disk.path("same.db"))
    kept = upgrade.copy(path, "0000")
    assert kept.name == "corridor.db.before-0000"
    assert _shape(kept) == _shape(disk.path("same.db"))
    assert upgrade.copy(path, "0000") == kept
