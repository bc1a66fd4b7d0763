# SPDX-License-Identifier: Apache-2.0
"""SQLite: one writer that commits units in groups, and read-only connections beside it.

node.md b. The writer takes what waits (at most 256 units or 8 MiB), commits it as one transaction,
and only then tells the loop, with one call a batch. When it has nothing to do it moves the log into
the database file. With `threads=False` (the simulator) the writer is a callback of the loop, and
all reads are inline.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue
from typing import Any

from corridor.errors import CorridorError, StoreUnavailable
from corridor.limits import Limits
from corridor.store.commit import DIALECT, Committer, Job, away, connect, unavailable
from corridor.store.rows import Row
from corridor.store.unit import Statement, Unit
from corridor.world import Clock, Disk

IDLE_S = 0.5
READERS = 2


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

    dialect = DIALECT

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
        self._idle: deque[sqlite3.Connection] = deque()
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
            if self._full(len(batch), size) or self._queue.empty():
                return batch, False
            job = self._queue.get_nowait()
        return batch, True

    def _full(self, units: int, size: int) -> bool:
        limits = self._limits
        return units >= limits.batch_units_max or size >= limits.batch_bytes_max

    def _turn(self) -> None:
        """The writer as a callback of the loop."""
        batch: list[Job] = []
        size = 0
        while self._inline and not self._full(len(batch), size):
            batch.append(self._inline.popleft())
            size += batch[-1].size
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
            if away(error) and self._reader is not None:
                self._reader.close()
                self._reader = None
            raise _unread(statement, error) from error

    async def scan(self, statement: Statement, params: Mapping[str, Any]) -> list[Row]:
        """Rows, read by another thread: for what looks at many."""
        if self._pool is None:
            return self.read(statement, params)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, self._scan, statement, params)

    def _scan(self, statement: Statement, params: Mapping[str, Any]) -> list[Row]:
        """On a reader thread: each has at most one connection, shared with nobody while it runs."""
        held: sqlite3.Connection | None = None
        try:
            held = (
                self._idle.pop() if self._idle else connect(self._disk, self._name, read_only=True)
            )
            return held.execute(statement.sql, params).fetchall()
        except sqlite3.Error as error:
            if away(error) and held is not None:
                held.close()
                held = None
            raise _unread(statement, error) from error
        finally:
            if held is not None:
                self._idle.append(held)

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
        while self._idle:
            self._idle.pop().close()
        if self._thread is not None:
            self._queue.put(None)
            await asyncio.get_running_loop().run_in_executor(None, self._thread.join)
        else:
            while self._inline:
                self._turn()
            self._committer.close()


def _unread(statement: Statement, error: sqlite3.Error) -> CorridorError:
    if away(error):
        return unavailable(error)
    return CorridorError(f"{statement.name} cannot be read", cause=str(error))


def _tell(batch: Sequence[Job], settle: Any) -> None:
    """One call into the loop for the whole batch. A loop that is gone has nobody waiting."""
    loop = batch[0].future.get_loop()
    if not loop.is_closed():
        loop.call_soon_threadsafe(settle, batch)
