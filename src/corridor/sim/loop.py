# SPDX-License-Identifier: Apache-2.0
"""An event loop without the world: virtual time, seeded order, no sockets, no threads.

Which ready callback runs next is drawn from the seed; when none is ready, time jumps to the next
timer. Everything that happened goes into one running hash, so two runs of one seed can be compared
by 64 characters. node.md i.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import heapq
import random
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, NoReturn, TypeVar

T = TypeVar("T")

STEPS_MAX = 5_000_000


class Crashed(BaseException):
    """The node that runs this line is dead."""


class NotSimulated(RuntimeError):
    """Code asked the loop for something of the real world: a socket, a thread, a process."""


class Runaway(RuntimeError):
    """More steps than any run may take: something runs in circles."""


class Stuck(RuntimeError):
    """Somebody waits, and nothing is left that could wake him."""


def _say_no(what: str) -> Callable[..., NoReturn]:
    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise NotSimulated(f"the simulated loop has no {what}")

    return refuse


def name_of(callback: Any) -> str:
    """What a callback is, without any address in memory: the same in every run."""
    while isinstance(callback, functools.partial):
        callback = callback.func
    owner = getattr(callback, "__self__", None)
    if isinstance(owner, asyncio.Task):
        return str(getattr(owner.get_coro(), "__qualname__", "task"))
    return str(getattr(callback, "__qualname__", type(callback).__name__))


class SimLoop(asyncio.BaseEventLoop):
    """`seed` decides the order; `gate` may drop a callback (that of a node that crashed)."""

    # Of BaseEventLoop, where the type stubs do not name them.
    _ready: deque[asyncio.Handle]
    _scheduled: list[asyncio.TimerHandle]
    _stopping: bool
    _timer_cancelled_count: int
    _asyncgens: Any

    def __init__(
        self, seed: int | str, *, steps_max: int = STEPS_MAX, threads_inline: bool = False
    ) -> None:
        """`threads_inline`: what is given to a thread runs here, whole, as a later callback."""
        super().__init__()
        self._threads_inline = threads_inline
        self._order = random.Random(f"{seed}/order")  # noqa: S311 - replayable on purpose
        self._time = 0.0
        self._hash = hashlib.sha256()
        self._owner = threading.get_ident()
        self._born: Callable[[asyncio.Task[Any], Context | None], None] | None = None
        self.gate: Callable[[asyncio.Handle], bool] | None = None
        self.steps = 0
        self.steps_max = steps_max
        self.faults: list[dict[str, Any]] = []
        self.set_exception_handler(self._fault)

    def _fault(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if not isinstance(context.get("exception"), Crashed):
            self.faults.append(context)

    def watch_tasks(self, born: Callable[[asyncio.Task[Any], Context | None], None]) -> None:
        """Tell `born` of every task: the loop itself only keeps weak references."""
        self._born = born

    def create_task(  # type: ignore[override] # later Pythons add keywords that we pass on
        self,
        coro: Coroutine[Any, Any, T],
        *,
        name: str | None = None,
        context: Context | None = None,
        **more: Any,
    ) -> asyncio.Task[T]:
        """As the base does; eager starts are left out, the order being the seed's."""
        more.pop("eager_start", None)
        task = super().create_task(coro, name=name, context=context, **more)
        if self._born is not None:
            self._born(task, context)
        return task

    def time(self) -> float:
        """Virtual seconds since the start."""
        return self._time

    def note(self, text: str) -> None:
        """Let something be part of the hash."""
        self._hash.update(text.encode())
        self._hash.update(b"\n")

    def digest(self) -> str:
        """The hash of all that happened so far, 64 hex characters."""
        return self._hash.hexdigest()

    def _run_once(self) -> None:
        if not self._ready and not self._stopping:
            self._jump()
        if not self._ready:
            return
        self.steps += 1
        if self.steps > self.steps_max:
            raise Runaway(f"{self.steps} steps at {self._time:.3f} s")
        count = len(self._ready)
        index = int(self._order.random() * count) if count > 1 else 0
        self._ready.rotate(-index)
        handle = self._ready.popleft()
        self._ready.rotate(index)
        if handle.cancelled():
            return
        callback = getattr(handle, "_callback", None)
        self.note(f"{self._time:.6f} {index}/{count} {name_of(callback)}")
        if self.gate is None or self.gate(handle):
            handle._run()  # noqa: SLF001 - what the base loop does

    def _jump(self) -> None:
        """To the next timer; timers of the same moment become ready together."""
        while self._scheduled and self._scheduled[0].cancelled():
            heapq.heappop(self._scheduled)._scheduled = False  # type: ignore[attr-defined] # noqa: SLF001
            self._timer_cancelled_count -= 1
        if not self._scheduled:
            raise Stuck(f"nothing left to do at {self._time:.3f} s")
        self._time = max(self._time, self._scheduled[0].when())
        while self._scheduled and self._scheduled[0].when() <= self._time:
            timer = heapq.heappop(self._scheduled)
            timer._scheduled = False  # type: ignore[attr-defined] # noqa: SLF001 - as the base
            if timer.cancelled():
                self._timer_cancelled_count -= 1
            else:
                self._ready.append(timer)

    def call_soon_threadsafe(  # type: ignore[override] # the stub's type variables say no more
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """From this thread only; another one would bring in an order that no seed knows."""
        if threading.get_ident() != self._owner:
            raise NotSimulated("the simulated loop has no other threads")
        return self.call_soon(callback, *args, context=context)

    def _write_to_self(self) -> None:
        """Nobody sleeps in a selector here."""

    def _process_events(self, event_list: Any) -> None:
        """There are none."""

    def run_in_executor(  # type: ignore[override] # the stub's type variables say no more
        self, executor: Any, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """No thread: refused, or with `threads_inline` one callback a little later."""
        del executor
        if not self._threads_inline:
            raise NotSimulated("the simulated loop has no threads")
        future: asyncio.Future[T] = self.create_future()

        def work() -> None:
            try:
                result = func(*args)
            except Exception as error:  # noqa: BLE001 - handed on to whoever waits
                if not future.done():
                    future.set_exception(error)
            else:
                if not future.done():
                    future.set_result(result)

        self.call_later(self._order.random() * 0.01, work)
        return future

    set_default_executor = _say_no("threads")
    getaddrinfo = _say_no("resolver")
    getnameinfo = _say_no("resolver")
    create_connection = _say_no("sockets")
    create_server = _say_no("sockets")
    create_unix_connection = _say_no("sockets")
    create_unix_server = _say_no("sockets")
    create_datagram_endpoint = _say_no("sockets")
    connect_accepted_socket = _say_no("sockets")
    start_tls = _say_no("sockets")
    sendfile = _say_no("sockets")
    sock_recv = _say_no("sockets")
    sock_recv_into = _say_no("sockets")
    sock_recvfrom = _say_no("sockets")
    sock_sendall = _say_no("sockets")
    sock_sendto = _say_no("sockets")
    sock_connect = _say_no("sockets")
    sock_accept = _say_no("sockets")
    add_reader = _say_no("sockets")  # type: ignore[assignment] # refuses anything
    add_writer = _say_no("sockets")  # type: ignore[assignment] # refuses anything
    connect_read_pipe = _say_no("pipes")
    connect_write_pipe = _say_no("pipes")
    subprocess_exec = _say_no("processes")
    subprocess_shell = _say_no("processes")
    add_signal_handler = _say_no("signals")  # type: ignore[assignment] # refuses anything
