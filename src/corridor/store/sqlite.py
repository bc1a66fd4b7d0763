# SPDX-License-Identifier: Apache-2.0
"""SQLite: one writer that commits units in groups, and read-only connections beside it.

node.md b. The writer takes what waits (at most 256 units or 8 MiB), runs each unit in a savepoint
of one transaction, places the new ledger entries, commits once, and only then tells the loop, with
one call a batch. A unit whose guard misses is rolled back alone. What the file system refuses fails
the whole batch with StoreUnavailable, and the next batch tries again.

With `threads=False` (the simulator) the writer is a callback of the loop, and all reads are inline.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any

from corridor.errors import CorridorError, EvidenceBroken, Invalid, StoreUnavailable
from corridor.limits import Limits
from corridor.store.revision import HEAD, REVISIONS
from corridor.store.sequence import Sequencer
from corridor.store.texts import schema, statements
from corridor.store.unit import Conflict, Leaf, Statement, Unit
from corridor.world import Clock, Disk

Row = tuple[Any, ...]

IDLE_S = 0.5
READERS = 2
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
    """A connection without transactions of its own, that refuses what a hostile file could hold."""
    connection: sqlite3.Connection = disk.connect(name, read_only=read_only)
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA busy_timeout = 5000")
    return connection


def prepare(disk: Disk, name: str) -> None:
    """Make an empty database one of the newest revision; check the revision of any other.

    Then place the ledger entries that a crash left unplaced.
    """
    try:
        connection = connect(disk, name)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            _revise(connection)
        finally:
            connection.close()
        committer = Committer(disk, name, statements(Sqlite.dialect))
        committer.place()
        committer.close()
    except sqlite3.Error as error:
        raise unavailable(error) from error


def _revise(connection: sqlite3.Connection) -> None:
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
    if not tables:
        connection.execute("BEGIN IMMEDIATE")
        for sql in schema(Sqlite.dialect):
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
            self._held.execute("PRAGMA journal_mode = WAL")
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
            connection.execute("BEGIN IMMEDIATE")
            if self._run(connection, jobs):
                self._sequencer.place(Transaction(connection))
            connection.execute("COMMIT")
        except (sqlite3.Error, EvidenceBroken) as error:
            self._give_up(error)
            told = error if isinstance(error, sqlite3.Error) else sqlite3.Error(error.what)
            for job in jobs:
                job.error = unavailable(told)

    def _run(self, connection: sqlite3.Connection, jobs: Sequence[Job]) -> bool:
        """Each unit whole or not at all; whether there are ledger entries to place."""
        run = Transaction(connection)
        leaves = False
        for job in jobs:
            connection.execute("SAVEPOINT unit")
            try:
                self._apply(run, job.unit)
            except sqlite3.Error as error:
                if away(error):
                    raise
                job.error = CorridorError(
                    "the store was given what it cannot run", cause=str(error)
                )
            except CorridorError as error:
                job.error = error
            if job.error is not None:
                connection.execute("ROLLBACK TO unit")
            elif job.unit.leaves:
                leaves = True
            connection.execute("RELEASE unit")
        return leaves

    def _apply(self, run: Transaction, unit: Unit) -> None:
        for write in unit.writes:
            try:
                touched = run.change(write.statement, write.params)
            except sqlite3.IntegrityError as error:
                if error.sqlite_errorcode in _TAKEN:
                    raise Conflict(write) from error
                raise
            if write.expect is not None and touched != write.expect:
                raise Conflict(write)
        for leaf in unit.leaves:
            self._append(run, leaf)

    def _append(self, run: Transaction, leaf: Leaf) -> None:
        row = {
            "participant": leaf.participant,
            "id": leaf.id,
            "type": leaf.type,
            "thread": leaf.thread,
            "time": leaf.time,
            "body": leaf.body,
        }
        if run.change(self._t["ledger_entry.append"], row) != 1:
            raise StoreUnavailable("the ledger takes no entries", code="ledger-fenced")
        for payload in leaf.payloads:
            beside = {
                "participant": leaf.participant,
                "entry": leaf.id,
                "slot": payload.slot,
                "digest": payload.digest,
                "sealed": payload.sealed,
            }
            run.change(self._t["ledger_payload.append"], beside)

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


def _size(unit: Unit) -> int:
    """About how many bytes a unit writes."""
    total = 0
    for write in unit.writes:
        for value in write.params.values():
            if isinstance(value, str | bytes):
                total += len(value)
    for leaf in unit.leaves:
        total += len(leaf.body) + sum(len(payload.sealed) for payload in leaf.payloads)
    return total


class Sqlite:
    """A database file: `run`, `read`, `scan`. Used from one event loop."""

    dialect = "sqlite"

    def __init__(
        self,
        disk: Disk,
        clock: Clock,
        name: str,
        *,
        texts: Mapping[str, Statement],
        limits: Limits,
        threads: bool,
    ) -> None:
        self._disk, self._clock, self._name, self._limits = disk, clock, name, limits
        self._committer = Committer(disk, name, texts)
        self._waiting = 0
        self._closed = False
        self.last_commit = clock.monotonic()
        self._reader: sqlite3.Connection | None = None
        self._scanning = threading.local()
        self._queue: SimpleQueue[Job | None] = SimpleQueue()
        self._inline: deque[Job] = deque()
        self._thread: threading.Thread | None = None
        self._pool: ThreadPoolExecutor | None = None
        if threads:
            self._pool = ThreadPoolExecutor(READERS, thread_name_prefix="store-read")
            self._thread = threading.Thread(target=self._write, name="store-write", daemon=True)
            self._thread.start()

    async def run(self, unit: Unit) -> None:
        """Durable when it returns. Conflict, StoreUnavailable; `too-large` for a huge one.

        A caller that is cancelled meanwhile does not learn whether the unit was written.
        """
        size = self._measure(unit)
        if self._closed:
            raise StoreUnavailable("the store is closed")
        if self._waiting >= self._limits.writer_queue_units_max:
            raise StoreUnavailable("too many units wait to be written", code="try-again")
        loop = asyncio.get_running_loop()
        job = Job(unit, size, loop.create_future())
        self._waiting += 1
        if self._thread is not None:
            self._queue.put(job)
        else:
            self._inline.append(job)
            if len(self._inline) == 1:
                loop.call_soon(self._turn)
        await job.future

    def _measure(self, unit: Unit) -> int:
        limits = self._limits
        size = _size(unit)
        fits = len(unit.writes) <= limits.unit_writes_max and size <= limits.unit_bytes_max
        if not fits or any(len(leaf.body) > limits.entry_bytes_max for leaf in unit.leaves):
            raise CorridorError("this is more than one unit may hold", code="too-large")
        return size

    # the writer

    def _write(self) -> None:
        """The writer thread: take what waits, commit, tell the loop once; rest, checkpoint."""
        dirty = False
        while True:
            try:
                first = self._queue.get(timeout=IDLE_S if dirty else None)
            except Empty:
                self._committer.checkpoint()
                dirty = False
                continue
            batch, last = self._gather(first)
            if batch:
                self._committer.commit(batch)
                dirty = True
                _tell(batch, self._settle)
            if last:
                self._committer.close()
                return

    def _gather(self, first: Job | None) -> tuple[list[Job], bool]:
        """What waits now, up to the batch's limits; and whether this is the end."""
        batch: list[Job] = []
        size = 0
        job = first
        while job is not None:
            batch.append(job)
            size += job.size
            full = (
                len(batch) >= self._limits.batch_units_max or size >= self._limits.batch_bytes_max
            )
            if full or self._queue.empty():
                return batch, False
            job = self._queue.get_nowait()
        return batch, True

    def _turn(self) -> None:
        """The writer as a callback of the loop."""
        batch: list[Job] = []
        while self._inline and len(batch) < self._limits.batch_units_max:
            batch.append(self._inline.popleft())
        if self._inline:
            asyncio.get_running_loop().call_soon(self._turn)
        if batch:
            self._committer.commit(batch)
            self._settle(batch)

    def _settle(self, batch: Sequence[Job]) -> None:
        """On the loop: wake everyone whose unit is durable, or was not written."""
        self._waiting -= len(batch)
        if not isinstance(batch[0].error, StoreUnavailable):
            self.last_commit = self._clock.monotonic()
        for job in batch:
            if job.future.done():
                continue
            if job.error is None:
                job.future.set_result(None)
            else:
                job.future.set_exception(job.error)

    # readers

    def read(self, statement: Statement, params: Mapping[str, Any]) -> list[Row]:
        """Rows, at once, on the caller's thread: for point reads and short pages."""
        try:
            if self._reader is None:
                self._reader = connect(self._disk, self._name, read_only=True)
            return self._reader.execute(statement.sql, params).fetchall()
        except sqlite3.Error as error:
            if not away(error):
                raise CorridorError(f"{statement.name} cannot be read", cause=str(error)) from error
            self._reader = None
            raise unavailable(error) from error

    async def scan(self, statement: Statement, params: Mapping[str, Any]) -> list[Row]:
        """Rows, read by another thread: for what looks at many."""
        if self._pool is None:
            return self.read(statement, params)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, self._scan, statement, params)

    def _scan(self, statement: Statement, params: Mapping[str, Any]) -> list[Row]:
        held: sqlite3.Connection | None = getattr(self._scanning, "connection", None)
        try:
            if held is None:
                held = connect(self._disk, self._name, read_only=True)
                self._scanning.connection = held
            return held.execute(statement.sql, params).fetchall()
        except sqlite3.Error as error:
            if not away(error):
                raise CorridorError(f"{statement.name} cannot be read", cause=str(error)) from error
            self._scanning.connection = None
            raise unavailable(error) from error

    async def close(self) -> None:
        """Write what waits, truncate the log, close. Later units get StoreUnavailable."""
        if self._closed:
            return
        self._closed = True
        if self._reader is not None:
            self._reader.close()
            self._reader = None
        if self._pool is not None:
            self._pool.shutdown(wait=True)
        if self._thread is not None:
            self._queue.put(None)
            await asyncio.get_running_loop().run_in_executor(None, self._thread.join)
        else:
            while self._inline:
                self._turn()
            self._committer.close()


def _tell(batch: Sequence[Job], settle: Any) -> None:
    """One call into the loop for the whole batch. A loop that is gone has nobody waiting."""
    loop = batch[0].future.get_loop()
    if not loop.is_closed():
        loop.call_soon_threadsafe(settle, batch)
