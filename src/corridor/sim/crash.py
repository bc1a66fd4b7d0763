# SPDX-License-Identifier: Apache-2.0
"""A node that dies between any two lines, as kill -9 kills: nothing of it runs again.

A `Life` is one incarnation of a node. Each call of its world, each SQL statement and each loop
step passes a numbered point; at the chosen number the life ends. Its callbacks are dropped, its
tasks are kept in the graveyard to the end of the run (to drop them would run their `finally`
blocks, which kill -9 does not), its connections are closed without commit. node.md i.

Where the end comes inside a plain call there is no way but to raise: `Crashed` unwinds the one
running task; whatever its `finally` blocks touch raises again, since the world is dead.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Coroutine, Iterable
from contextvars import Context, ContextVar, copy_context
from typing import Any, Literal, TypeVar

from corridor.sim.loop import Crashed, SimLoop

T = TypeVar("T")

LIFE: ContextVar[Life | None] = ContextVar("life", default=None)

DiskFault = Callable[[str], "sqlite3.Error | None"]


class Life:
    """One incarnation of a node, from its start to its crash or the end of the run.

    `crash_at`: the number of the point at which it dies (counted from `arm()`), None for never.
    `on_crash` is called once, outside of the dead node's context.
    """

    def __init__(
        self,
        loop: SimLoop,
        node: str,
        number: int,
        *,
        on_crash: Callable[[Life], None] | None = None,
    ) -> None:
        self.loop = loop
        self.node = node
        self.number = number
        self.frozen = False
        self.points = 0
        self.crash_at: int | None = None
        self.crashed_at = ""
        self._armed = False
        self._on_crash = on_crash
        self._graveyard: list[asyncio.Handle] = []
        self._tasks: list[asyncio.Task[Any]] = []
        self._tasks_kept = 64
        self._connections: list[SimConnection] = []
        self.over: asyncio.Future[None] = loop.create_future()
        self._never: asyncio.Future[None] = loop.create_future()
        self._context = copy_context()
        self._context.run(LIFE.set, self)

    def __repr__(self) -> str:
        return f"Life({self.node}#{self.number})"

    def arm(self, crash_at: int | None) -> None:
        """Count points from here on, and die at that one."""
        self.points = 0
        self._armed = True
        self.crash_at = crash_at

    def spawn(self, coro: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run it as a part of this node."""
        return self.loop.create_task(coro, context=self._context.copy())

    def call_soon(self, callback: Callable[..., object], *args: Any) -> None:
        """Run a callback as a part of this node."""
        self.loop.call_soon(callback, *args, context=self._context.copy())

    def passes(self, name: str) -> bool:
        """Pass a point; False where the node is dead or dies here."""
        if self.frozen:
            return False
        self.points += 1
        if self._armed and self.points == self.crash_at:
            self.die(name)
            return False
        return True

    def point(self, name: str) -> None:
        """Pass a point inside a plain call; raises Crashed."""
        if not self.passes(name):
            raise Crashed(f"{self!r} at {name}")

    async def cross(self, name: str) -> None:
        """Pass a point inside a coroutine; never returns where the node is dead."""
        if not self.passes(name):
            await self._never

    def die(self, where: str) -> None:
        """End here: freeze, and lose what was not committed."""
        if self.frozen:
            return
        self.frozen = True
        self.crashed_at = where
        self.loop.note(f"crash {self!r} point {self.points} {where}")
        for connection in self._connections:
            connection.drop()
        self._connections.clear()
        if not self.over.done():
            self.over.set_result(None)
        if self._on_crash is not None:
            self.loop.call_soon(self._on_crash, self, context=Context())

    def adopt(self, connection: SimConnection) -> None:
        """Close it without commit when the node dies."""
        self._connections.append(connection)

    def keep_task(self, task: asyncio.Task[Any]) -> None:
        """Hold a task that nobody may drop."""
        if len(self._tasks) >= self._tasks_kept:
            self._tasks = [one for one in self._tasks if not one.done()]
            self._tasks_kept = max(64, 2 * len(self._tasks))
        self._tasks.append(task)

    def bury(self, handle: asyncio.Handle) -> None:
        """Keep a callback that will never run."""
        self._graveyard.append(handle)

    def waiting(self) -> list[str]:
        """The tasks that are not done, by the names of their coroutines."""
        return sorted(
            str(getattr(task.get_coro(), "__qualname__", "task"))
            for task in self._tasks
            if not task.done()
        )

    def dispose(self) -> None:
        """After the run: let go of everything without a word."""
        self.die("end of the run")
        for task in self._tasks:
            if task.done():
                continue
            task._log_destroy_pending = False  # type: ignore[attr-defined] # noqa: SLF001 - dead on purpose
            coro = task.get_coro()
            if coro is not None:
                with contextlib.suppress(BaseException):
                    coro.close()
        self._tasks.clear()
        self._graveyard.clear()
        self._never.cancel()


def hold(loop: SimLoop) -> None:
    """Let lives rule over their callbacks and tasks on this loop."""

    def gate(handle: asyncio.Handle) -> bool:
        context: Context = handle._context  # type: ignore[attr-defined] # noqa: SLF001 - whose it is
        life = context.get(LIFE)
        if life is None or life.passes("loop"):
            return True
        life.bury(handle)
        return False

    def born(task: asyncio.Task[Any], context: Context | None) -> None:
        life = LIFE.get() if context is None else context.get(LIFE)
        if life is not None:
            life.keep_task(task)

    loop.gate = gate
    loop.watch_tasks(born)


class SimCursor(sqlite3.Cursor):
    """A cursor whose statements are points."""

    connection: SimConnection

    def execute(self, sql: str, parameters: Any = (), /) -> SimCursor:
        """One statement, a point before and one behind it."""
        with self.connection.statement(sql):
            super().execute(sql, parameters)
        return self

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> SimCursor:
        """Statement by statement: a crash may lie between two of them."""
        for row in parameters:
            self.execute(sql, row)
        return self

    def executescript(self, script: str, /) -> SimCursor:
        """One point before, one behind: scripts only set up."""
        with self.connection.statement(script):
            super().executescript(script)
        return self


class SimConnection(sqlite3.Connection):
    """A connection whose statements are points, and that dies with its node."""

    life: Life | None = None
    fault: DiskFault | None = None

    @contextlib.contextmanager
    def statement(self, sql: str) -> Any:
        """Before and behind one statement: crash, or fail as a disk fails."""
        word = sql.lstrip()[:9].split(None, 1)[0].upper() if sql.strip() else ""
        if self.life is not None:
            self.life.point(f"sql:{word}")
        if self.fault is not None:
            error = self.fault(word)
            if error is not None:
                raise error
        yield
        if self.life is not None:
            self.life.point(f"sql:{word}:done")

    def cursor(self, factory: Any = SimCursor) -> Any:
        """A cursor of ours, whoever asks."""
        return super().cursor(SimCursor if factory is sqlite3.Cursor else factory)

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """As the base does, through a cursor of ours."""
        cursor: sqlite3.Cursor = self.cursor().execute(sql, parameters)
        return cursor

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> sqlite3.Cursor:
        """As the base does, through a cursor of ours."""
        cursor: sqlite3.Cursor = self.cursor().executemany(sql, parameters)
        return cursor

    def executescript(self, script: str, /) -> sqlite3.Cursor:
        """As the base does, through a cursor of ours."""
        cursor: sqlite3.Cursor = self.cursor().executescript(script)
        return cursor

    def commit(self) -> None:
        """A point before and behind."""
        with self.statement("COMMIT"):
            super().commit()

    def rollback(self) -> None:
        """A point before and behind."""
        with self.statement("ROLLBACK"):
            super().rollback()

    def __exit__(self, kind: Any, value: Any, trace: Any) -> Literal[False]:
        """Commit or roll back through our own methods, which count."""
        if kind is None:
            self.commit()
        else:
            self.rollback()
        return False

    def drop(self) -> None:
        """Close without commit, as the end of a process does."""
        with contextlib.suppress(sqlite3.Error):
            if self.in_transaction:
                super().rollback()
        with contextlib.suppress(sqlite3.Error):
            super().close()
