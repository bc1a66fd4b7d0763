# SPDX-License-Identifier: Apache-2.0
"""SQLite: one writer that commits units in groups, and read-only connections beside it.

node.md b. What waits (at most 256 units or 8 MiB) is one transaction. Its statements run on the
loop, a few milliseconds at a time: none of them waits for the disk, and a thread that ran them
would fight the loop for the interpreter at each one (measured: 870 µs a unit instead of 95). The
writer thread does what may wait: letting another writer finish, COMMIT, and moving the log into the
database file when there is nothing else to do. Nobody is told before the COMMIT.
With `threads=False` (the simulator) all of it is a callback of the loop, and all reads are inline.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

from corridor.errors import CorridorError, StoreUnavailable
from corridor.limits import Limits
from corridor.store.commit import DIALECT, Committer, Job, away, connect, unavailable
from corridor.store.rows import Row
from corridor.store.unit import Statement, Unit
from corridor.world import Clock, Disk

IDLE_S = 0.5
SLICE_S = 0.005
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
        self._queue: SimpleQueue[_Task | None] = SimpleQueue()
        self._jobs: deque[Job] = deque()
        self._at_work = False
        self._rest: asyncio.TimerHandle | None = None
        self._rested: asyncio.Future[None] | None = None
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
        self._jobs.append(job)
        if not self._at_work:
            self._at_work = True
            loop.call_soon(self._begin)
        await job.future

    def _measure(self, unit: Unit) -> int:
        limits = self._limits
        size = _size(unit)
        fits = len(unit.writes) <= limits.unit_writes_max and size <= limits.unit_bytes_max
        if not fits or any(len(leaf.body) > limits.entry_bytes_max for leaf in unit.leaves):
            raise CorridorError("this is more than one unit may hold", code="too-large")
        return size

    # the writer: one batch at a time, `_at_work` from its beginning to its end

    def _begin(self) -> None:
        """Take what waits and write it."""
        batch = self._gather()
        if self._thread is None:
            self._committer.commit(batch)
            self._settle(batch)
        elif self._committer.begin_now():
            self._fill(batch, self._committer.fill(batch))
        else:
            self._give(self._committer.commit, batch)

    def _gather(self) -> list[Job]:
        """What waits now, up to the batch's limits."""
        limits = self._limits
        batch: list[Job] = []
        size = 0
        while self._jobs and len(batch) < limits.batch_units_max and size < limits.batch_bytes_max:
            batch.append(self._jobs.popleft())
            size += batch[-1].size
        return batch

    def _fill(self, batch: list[Job], units: Iterator[None]) -> None:
        """Run the units of an open transaction, with a breath for the loop now and then."""
        until = self._clock.monotonic() + SLICE_S
        for _ in units:
            if self._clock.monotonic() >= until:
                asyncio.get_running_loop().call_soon(self._fill, batch, units)
                return
        faulty = sum(job.error is not None for job in batch)
        if not faulty:
            self._give(self._committer.end, batch)
        elif faulty == len(batch):
            self._settle(batch)
        else:
            self._give(self._committer.apart, batch)

    def _give(self, work: Callable[[list[Job]], None], batch: list[Job]) -> None:
        """Let the thread do what may wait; `_settle` follows on the loop."""
        self._queue.put(_Task(work, batch, asyncio.get_running_loop()))

    def _write(self) -> None:
        """The writer thread."""
        while (task := self._queue.get()) is not None:
            task.work(task.batch)
            if not task.loop.is_closed():  # else nobody waits
                task.loop.call_soon_threadsafe(self._settle, task.batch)
        self._committer.close()

    def _settle(self, batch: Sequence[Job]) -> None:
        """On the loop: wake everyone whose unit is durable, or was not written; go on."""
        self._waiting -= len(batch)
        if batch and not isinstance(batch[0].error, StoreUnavailable):
            self.last_commit = self._clock.monotonic()
        for job in batch:
            if job.future.done():
                continue
            if job.error is None:
                job.future.set_result(None)
            else:
                job.future.set_exception(job.error)
        self._go_on(dirty=bool(batch))

    def _go_on(self, *, dirty: bool) -> None:
        """The next batch; where there is none, rest, and tidy up after a while."""
        loop = asyncio.get_running_loop()
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None
        if self._jobs:
            loop.call_soon(self._begin)
            return
        self._at_work = False
        if self._rested is not None and not self._rested.done():
            self._rested.set_result(None)
        if dirty and self._thread is not None and not self._closed:
            self._rest = loop.call_later(IDLE_S, self._tidy)

    def _tidy(self) -> None:
        """Nothing was written for a while: move the log into the database file."""
        self._rest = None
        if not self._at_work and not self._closed:
            self._at_work = True
            self._give(lambda _: self._committer.checkpoint(), [])

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
        if self._rest is not None:
            self._rest.cancel()
        if self._at_work:
            self._rested = asyncio.get_running_loop().create_future()
            await self._rested
        if self._thread is None:
            self._committer.close()
        else:
            self._queue.put(None)
            await asyncio.get_running_loop().run_in_executor(None, self._thread.join)


@dataclass(frozen=True, slots=True)
class _Task:
    """What the thread is to do with a batch, and whom to tell."""

    work: Callable[[list[Job]], None]
    batch: list[Job]
    loop: asyncio.AbstractEventLoop


def _unread(statement: Statement, error: sqlite3.Error) -> CorridorError:
    if away(error):
        return unavailable(error)
    return CorridorError(f"{statement.name} cannot be read", cause=str(error))
