# SPDX-License-Identifier: Apache-2.0
"""The rooms of real life: a worker a piece of work, killed at its deadline.

Implements `world.Rooms`. What a caller may see of a worker's end: its frames and our own refusals,
`timeout`, `room-memory`, or `room-fault` (an incident for the operator, busy for the peer).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import structlog

from corridor.errors import CODES, FetchFailed, Invalid, PeerMustWait, QueryRefused, Refused
from corridor.limits import Limits
from corridor.rooms import frames, sandbox
from corridor.rooms.frames import Args, Credit, Data, End, Fault, Job
from corridor.rooms.nursery import Gone, Worker, Zygote
from corridor.telemetry import ROOM_DEGRADED, ROOM_KILLED

_log = structlog.get_logger()
_T = TypeVar("_T")
# A few bytes; the worker holds at most `room_blocks_ahead_max` of them unread.
_ONE_MORE = frames.encode(Credit(1))


class RealRooms:
    """Runs works of `modules` in sandboxed workers of one zygote, started at first use."""

    def __init__(
        self,
        *,
        modules: Sequence[str],
        limits: Limits,
        unsafe_room: bool = False,
        places: Sequence[str] = (),
        lacking: Callable[[], tuple[str, ...]] = sandbox.lacking,
    ) -> None:
        self.degraded = lacking()
        self._modules = tuple(modules)
        self._places = tuple(places)
        self._limits = limits
        self._unsafe_room = unsafe_room
        self._zygote: Zygote | None = None
        self._asking = asyncio.Lock()
        self._slots = asyncio.Semaphore(limits.workers_per_node_max)
        self._waiting = 0
        self._running: set[Worker] = set()
        self._closed = False
        if self.degraded:
            _log.warning(ROOM_DEGRADED, lacks=self.degraded, unsafe_room=unsafe_room)

    @asynccontextmanager
    async def run(
        self,
        work: str,
        args: Mapping[str, Any],
        *,
        reads: tuple[Path, ...] = (),
        seconds: float = 30.0,
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Run `work` ("module:function") in a fresh worker; yields the blocks that it sends.

        `reads`: the files that it may open, and nothing else. `seconds`: how long it may make us
        wait, all blocks together; time in which the caller holds the blocks is not counted, but no
        worker lives longer than `room_hold_s`.
        Raises Refused, QueryRefused, Invalid (the work's own words), FetchFailed(timeout),
        PeerMustWait (`rooms-full`, `room-fault`); Refused(room-unsafe) where walls are missing.
        """
        if self.degraded and not self._unsafe_room:
            raise Refused("this kernel cannot hold a room", code="room-unsafe")
        job = Job(
            work=work,
            reads=[str(path) for path in reads],
            cpu_s=int(seconds) * 2 + 2,  # two threads; behind the deadline, should the node hang
            memory_bytes=self._limits.room_memory_bytes_max,
            files_max=self._limits.room_files_max,
            credit=self._limits.room_blocks_ahead_max,
            lacks=list(self.degraded),
        )
        await self._enter()
        try:
            worker = await self._worker()
            self._running.add(worker)
            try:
                stay = _Stay(worker, work=work, seconds=seconds, limits=self._limits)
                async with aclosing(stay.blocks(job, Args(dict(args)))) as blocks:
                    yield blocks
            finally:
                self._running.discard(worker)
                worker.kill()
                await worker.gone(self._limits.room_kill_s)
                worker.close()
        finally:
            self._slots.release()

    async def close(self) -> None:
        """Kill the workers and the zygote, and reap them. Nothing can be run afterwards."""
        self._closed = True
        for worker in self._running:
            worker.kill()
        async with self._asking:
            if self._zygote is not None:
                await self._zygote.close()
                self._zygote = None

    async def _enter(self) -> None:
        """Take a slot, or a place in the queue for one."""
        if self._slots.locked() and self._waiting >= self._limits.workers_waiting_max:
            raise PeerMustWait("all rooms are taken", code="rooms-full", retry_after_s=5.0)
        self._waiting += 1
        try:
            async with asyncio.timeout(self._limits.room_wait_s):
                await self._slots.acquire()
        except TimeoutError:
            raise PeerMustWait(
                "all rooms are taken", code="rooms-full", retry_after_s=5.0
            ) from None
        finally:
            self._waiting -= 1

    async def _worker(self) -> Worker:
        """A fresh worker. A caller that gives up meanwhile leaves nothing behind."""
        asked = asyncio.ensure_future(self._ask())
        try:
            return await asyncio.shield(asked)
        except asyncio.CancelledError:
            # The zygote's answer is under way, and must not be taken for the next one's.
            asked.add_done_callback(_discard)
            raise

    async def _ask(self) -> Worker:
        """Ask the zygote; one that is gone is replaced once."""
        async with self._asking:
            for _ in range(2):
                if self._closed:
                    break
                if self._zygote is None:
                    self._zygote = await Zygote.start(
                        self._modules,
                        places=self._places,
                        within_s=self._limits.room_start_s,
                    )
                try:
                    async with asyncio.timeout(self._limits.room_start_s):
                        return await self._zygote.fork()
                except (Gone, TimeoutError):
                    lost, self._zygote = self._zygote, None
                    _log.warning(ROOM_KILLED, cause="zygote")
                    await lost.close()
        raise PeerMustWait("rooms cannot be made now", code="room-fault")


def _discard(asked: asyncio.Future[Worker]) -> None:
    if not asked.cancelled() and asked.exception() is None:
        asked.result().kill()
        asked.result().close()


class _Stay:
    """One worker's life, seen from the node."""

    def __init__(self, worker: Worker, *, work: str, seconds: float, limits: Limits) -> None:
        self._worker = worker
        self._work = work
        self._loop = asyncio.get_running_loop()
        self._left_s = seconds
        self._until = self._loop.time() + limits.room_hold_s

    async def blocks(self, job: Job, args: Args) -> AsyncGenerator[bytes, None]:
        """Give the job, then yield block after block, each paid for with a credit."""
        await self._within(self._say(job, args))
        while True:
            match await self._within(self._hear()):
                case Data(content=content):
                    yield content
                    with suppress(ConnectionError):  # it has said its last and hung up already
                        self._worker.socket.send(_ONE_MORE)
                case End():
                    return
                case Fault() as fault:
                    raise self._raised(fault)

    async def _within(self, step: Coroutine[Any, Any, _T]) -> _T:
        """Do a step in the time that is left; a worker that breaks off is a fault."""
        began = self._loop.time()
        left_s = min(self._left_s, self._until - began)
        if left_s <= 0:  # a step that finds its bytes waiting would never time out
            step.close()
            raise self._late()
        try:
            async with asyncio.timeout(left_s):
                return await step
        except TimeoutError:
            raise self._late() from None
        except (EOFError, ConnectionError, ValueError, msgspec.MsgspecError):
            raise self._raised(Fault("fault")) from None
        finally:
            self._left_s -= self._loop.time() - began

    def _late(self) -> FetchFailed:
        self._worker.kill()
        _log.warning(ROOM_KILLED, cause="time", work=self._work)
        return FetchFailed("the work took too long", code="timeout", side="home")

    async def _say(self, *said: frames.FromNode) -> None:
        for frame in said:
            await self._loop.sock_sendall(self._worker.socket, frames.encode(frame))

    async def _hear(self) -> frames.FromWorker:
        size = frames.length(await self._exactly(frames.HEADER.size))
        frame: frames.FromWorker = frames.from_worker.decode(await self._exactly(size))
        return frame

    async def _exactly(self, count: int) -> bytearray:
        whole = bytearray(count)
        left = memoryview(whole)
        while left:
            got = await self._loop.sock_recv_into(self._worker.socket, left)
            if got == 0:
                raise EOFError
            left = left[got:]
        return whole

    def _raised(self, fault: Fault) -> Exception:
        """The error that a worker's last word becomes; a code that we do not know is a fault."""
        known = fault.code in CODES
        match fault.kind:
            case "query" if known:
                return QueryRefused(
                    fault.what, code=fault.code, rule=fault.rule, would_pass=fault.would_pass
                )
            case "refused" if known:
                return Refused(fault.what, code=fault.code, rule=fault.rule)
            case "invalid" if known:
                return Invalid(fault.what, code=fault.code)
            case "memory":
                _log.warning(ROOM_KILLED, cause="memory", work=self._work)
                return Refused("the work needs more memory than it may have", code="room-memory")
            case _:
                _log.error(ROOM_KILLED, cause="fault", work=self._work)
                return PeerMustWait("the work broke off", code="room-fault", retry_after_s=5.0)
