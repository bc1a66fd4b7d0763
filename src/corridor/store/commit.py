# SPDX-License-Identifier: Apache-2.0
"""Commits batches of units to an SQLite database; opens one, and sees to its revision.

node.md b. A batch is one transaction: the units in order, then the places of their ledger entries,
then one COMMIT. A unit whose guard misses is undone alone. What the file system refuses fails the
whole batch with StoreUnavailable, and the next batch tries again. Knows no thread and no loop.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from corridor.errors import CorridorError, Invalid, StoreUnavailable
from corridor.store.revision import HEAD, REVISIONS
from corridor.store.rows import Row
from corridor.store.sequence import Sequencer
from corridor.store.texts import schema, statements
from corridor.store.unit import Conflict, Leaf, Statement, Unit, Write
from corridor.world import Disk

DIALECT = "sqlite"
WAL_PAGES_MAX = 8192  # 32 MiB: a busy writer checkpoints by itself from there on

_AWAY = frozenset(
    {
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_NOTADB,
    }
)
_KEPT = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_TAKEN = frozenset({sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY})


def connect(disk: Disk, name: str, *, read_only: bool = False) -> sqlite3.Connection:
    """A connection with the disk's settings (WAL, FULL), without transactions of its own."""
    connection: sqlite3.Connection = disk.connect(name, read_only=read_only)
    connection.isolation_level = None
    return connection


def prepare(disk: Disk, name: str) -> None:
    """Make an empty database one of the newest revision; check the revision of any other.

    Then place the ledger entries that a crash left unplaced.
    """
    try:
        connection = connect(disk, name)
        try:
            _revise(connection)
        finally:
            connection.close()
        committer = Committer(disk, name, statements(DIALECT))
        committer.place()
        committer.close()
    except sqlite3.Error as error:
        raise unavailable(error) from error


def _revise(connection: sqlite3.Connection) -> None:
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
    if not tables:
        connection.execute("BEGIN IMMEDIATE")
        for sql in schema(DIALECT):
            connection.execute(sql)
        connection.execute("COMMIT")
        return
    if "alembic_version" not in tables:
        raise Invalid("this database is not one of Corridor", code="store-foreign")
    found = {row[0] for row in connection.execute("SELECT version_num FROM alembic_version")}
    if found == {HEAD}:
        return
    if found < set(REVISIONS):
        raise Invalid(f"the database is of revision {min(found, default='')}", code="store-older")
    raise Invalid("the database is of a newer version of Corridor", code="store-newer")


def away(error: sqlite3.Error) -> bool:
    """Whether the file or its system is at fault, and not the statement."""
    return (getattr(error, "sqlite_errorcode", 0) & 0xFF) in _AWAY


def unavailable(error: sqlite3.Error) -> StoreUnavailable:
    """What callers see of it; the engine's own words go to the log only."""
    return StoreUnavailable("the database cannot be used now", cause=str(error))


@dataclass(slots=True, eq=False)
class Job:
    """A unit on its way, and who waits for it."""

    unit: Unit
    size: int
    future: asyncio.Future[None]
    error: Exception | None = None


class Transaction:
    """One connection's open transaction, as the sequencer sees it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._execute = connection.execute

    def rows(self, statement: Statement, params: Mapping[str, Any]) -> list[Row]:
        """What a query gives."""
        return self._execute(statement.sql, params).fetchall()

    def change(self, statement: Statement, params: Mapping[str, Any]) -> int:
        """How many rows a write touched."""
        return self._execute(statement.sql, params).rowcount


class Committer:
    """Runs batches of units on one connection. Knows no thread and no loop."""

    def __init__(self, disk: Disk, name: str, texts: Mapping[str, Statement]) -> None:
        self._disk = disk
        self._name = name
        self._t = texts
        self._sequencer = Sequencer(texts)
        self._held: sqlite3.Connection | None = None

    def connection(self) -> sqlite3.Connection:
        """The connection, opened anew where it was given up."""
        if self._held is None:
            self._held = connect(self._disk, self._name)
            self._held.execute(f"PRAGMA wal_autocheckpoint = {WAL_PAGES_MAX}")
        return self._held

    def place(self) -> int:
        """Place what a crash left without an index."""
        connection = self.connection()
        connection.execute("BEGIN IMMEDIATE")
        placed = self._sequencer.place(Transaction(connection))
        connection.execute("COMMIT")
        return placed

    def commit(self, jobs: Sequence[Job]) -> None:
        """Run the units in order, as one transaction. Each job's `error` says what became of it."""
        try:
            connection = self.connection()
            if not self._together(connection, jobs):
                self._apart(connection, jobs)
        except Exception as error:  # noqa: BLE001 - whatever it is, the writer must go on
            self._fail(jobs, error)

    def _fail(self, jobs: Sequence[Job], error: Exception) -> None:
        """Nothing of the batch is written."""
        self._give_up(error)
        told: CorridorError = CorridorError("the writer failed", cause=str(error))
        if isinstance(error, sqlite3.Error):
            told = unavailable(error)
        for job in jobs:
            job.error = told

    # the same in three parts: a caller may run the units where it likes, and wait for the disk
    # elsewhere

    def begin_now(self) -> bool:
        """Open the transaction if nobody else writes; False: `commit` is to do all of it."""
        held = self._held
        if held is None:
            return False
        try:
            ((patience,),) = held.execute("PRAGMA busy_timeout").fetchall()
            held.execute("PRAGMA busy_timeout = 0")
            try:
                held.execute("BEGIN IMMEDIATE")
            finally:
                held.execute(f"PRAGMA busy_timeout = {int(patience)}")
        except sqlite3.Error:
            return False  # `commit` meets it again, and waits or says so
        return True

    def fill(self, jobs: Sequence[Job]) -> Iterator[None]:
        """Run the units in the open transaction; the caller may rest after each.

        Where all have no `error` afterwards `end` is to follow; else nothing was written. If some
        of several have one, `apart` finds out which may stand.
        """
        held = self._held
        assert held is not None
        run = Transaction(held)
        try:
            for job in jobs:
                job.error = self._try(run, job.unit)
                if job.error is not None:
                    held.execute("ROLLBACK")
                    return
                yield
            if any(job.unit.leaves for job in jobs):
                self._sequencer.place(run)
        except Exception as error:  # noqa: BLE001 - whatever it is, the writer must go on
            self._fail(jobs, error)

    def end(self, jobs: Sequence[Job]) -> None:
        """Make what was filled durable: waits for the disk."""
        try:
            self.connection().execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - whatever it is, the writer must go on
            self._fail(jobs, error)

    def apart(self, jobs: Sequence[Job]) -> None:
        """Run each unit for itself, all in one transaction: what fails is undone alone."""
        try:
            self._apart(self.connection(), jobs)
        except Exception as error:  # noqa: BLE001 - whatever it is, the writer must go on
            self._fail(jobs, error)

    def _together(self, connection: sqlite3.Connection, jobs: Sequence[Job]) -> bool:
        """All units in one go; where one fails, none is written and the answer is False."""
        connection.execute("BEGIN IMMEDIATE")
        run = Transaction(connection)
        for job in jobs:
            if (error := self._try(run, job.unit)) is not None:
                connection.execute("ROLLBACK")
                job.error = error
                return len(jobs) == 1
        self._end(connection, jobs)
        return True

    def _apart(self, connection: sqlite3.Connection, jobs: Sequence[Job]) -> None:
        """Each unit in a savepoint, so that what fails is undone alone.

        The second try: savepoints cost a quarter more, and hardly ever does a unit fail.
        """
        connection.execute("BEGIN IMMEDIATE")
        run = Transaction(connection)
        for job in jobs:
            connection.execute("SAVEPOINT unit")
            job.error = self._try(run, job.unit)
            if job.error is not None:
                connection.execute("ROLLBACK TO unit")
            connection.execute("RELEASE unit")
        self._end(connection, jobs)

    def _end(self, connection: sqlite3.Connection, jobs: Sequence[Job]) -> None:
        """Place the new ledger entries in the same transaction, then make all of it durable."""
        if any(job.unit.leaves for job in jobs if job.error is None):
            self._sequencer.place(Transaction(connection))
        connection.execute("COMMIT")

    def _try(self, run: Transaction, unit: Unit) -> CorridorError | None:
        """Why the unit cannot be written; raises where nothing can be written."""
        try:
            self._apply(run, unit)
        except CorridorError as error:
            return error
        except (sqlite3.Error, OverflowError) as error:
            if isinstance(error, sqlite3.Error) and away(error):
                raise
            return CorridorError("the store was given what it cannot run", cause=str(error))
        return None

    def _apply(self, run: Transaction, unit: Unit) -> None:
        for write in unit.writes:
            touched = self._change(run, write)
            if write.expect is not None and touched != write.expect:
                raise Conflict(write)
        for leaf in unit.leaves:
            self._append(run, leaf)

    def _change(self, run: Transaction, write: Write) -> int:
        try:
            return run.change(write.statement, write.params)
        except sqlite3.IntegrityError as error:
            if error.sqlite_errorcode in _TAKEN:
                raise Conflict(write) from error
            raise

    def _append(self, run: Transaction, leaf: Leaf) -> None:
        """The entry and what lies beside it; it has no index before the batch ends."""
        row = {
            "participant": leaf.participant,
            "id": leaf.id,
            "type": leaf.type,
            "thread": leaf.thread,
            "time": leaf.time,
            "body": leaf.body,
        }
        if self._change(run, Write(self._t["ledger_entry.append"], row)) != 1:
            raise StoreUnavailable("the ledger takes no entries", code="ledger-fenced")
        for payload in leaf.payloads:
            beside = {
                "participant": leaf.participant,
                "entry": leaf.id,
                "slot": payload.slot,
                "digest": payload.digest,
                "sealed": payload.sealed,
            }
            self._change(run, Write(self._t["ledger_payload.append"], beside))

    def _give_up(self, error: Exception) -> None:
        """Roll back; drop a connection that may be broken, so that the next batch opens one."""
        held = self._held
        if held is None:
            return
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_BUSY) & 0xFF
        try:
            if held.in_transaction:
                held.execute("ROLLBACK")
        except sqlite3.Error:
            code = sqlite3.SQLITE_IOERR
        if code not in _KEPT:
            self._held = None
            held.close()

    def checkpoint(self, *, truncate: bool = False) -> None:
        """Move the log into the database file. Failing is harmless: the log stays."""
        if self._held is not None:
            mode = "TRUNCATE" if truncate else "PASSIVE"
            try:
                self._held.execute(f"PRAGMA wal_checkpoint({mode})").fetchall()
            except sqlite3.Error as error:
                self._give_up(error)

    def close(self) -> None:
        """Truncate the log and close."""
        self.checkpoint(truncate=True)
        if self._held is not None:
            self._held.close()
            self._held = None
