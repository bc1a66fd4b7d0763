# SPDX-License-Identifier: Apache-2.0
"""The node's end of the zygote: start it, ask it for workers, notice that it is gone."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import corridor
from corridor.errors import PeerMustWait, Refused
from corridor.rooms import frames

# Named, not imported: what is run as a program must not have been loaded as a module before.
_ZYGOTE = "corridor.rooms.zygote"
_SOCKET_BYTES = 1 << 21
_SOURCE = str(Path(corridor.__file__).parent.parent)
# All that a zygote and its workers have in their environment: no secret can be in it.
_ENVIRONMENT = {
    "LC_ALL": "C.UTF-8",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OMP_THREAD_LIMIT": "1",
    # Arrow's own pool reserves 1 GiB of addresses, a thread's arena 64 MiB; RLIMIT_AS counts both.
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),  # blocks are used again, not mapped anew: 1.7 x
    "MALLOC_TRIM_THRESHOLD_": str(256 << 20),
    "JE_ARROW_MALLOC_CONF": "background_thread:false",  # pyarrow 26 starts one at import
}


class Gone(Exception):
    """The zygote has hung up."""


@dataclass(frozen=True, slots=True)
class Worker:
    """A forked process: the socket to it, and a handle that can never name another process."""

    socket: socket.socket
    pidfd: int

    def kill(self) -> None:
        """SIGKILL; nothing where it is over."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)

    async def gone(self, within_s: float) -> None:
        """Wait until the process is over, at most so long."""
        loop = asyncio.get_running_loop()
        over = asyncio.Event()
        # A copy, so that the loop watches a descriptor that nobody else closes.
        watched = os.dup(self.pidfd)
        loop.add_reader(watched, over.set)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(within_s):
                    await over.wait()
        finally:
            loop.remove_reader(watched)
            os.close(watched)

    def close(self) -> None:
        """Close both descriptors."""
        self.socket.close()
        os.close(self.pidfd)


class Zygote:
    """One zygote process. `start` and `fork` are called one at a time, by the same loop."""

    def __init__(self, process: subprocess.Popen[bytes], control: socket.socket) -> None:
        self._process = process
        self._control = control

    @classmethod
    async def start(
        cls, modules: Sequence[str], *, places: Sequence[str] = (), within_s: float
    ) -> Zygote:
        """Exec a fresh one and wait until it has imported everything.

        `places`: folders beside this package's own in which modules are looked for.

        Raises Refused(room-unavailable) where a module is missing, PeerMustWait(room-fault) else.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        with theirs:
            # On the loop's thread: the death signal follows the thread that started a process.
            process = subprocess.Popen(  # noqa: S603, ASYNC220  # our own module; a millisecond
                [sys.executable, "-s", "-m", _ZYGOTE, *modules],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**_ENVIRONMENT, "PYTHONPATH": os.pathsep.join([_SOURCE, *places])},
                cwd="/",
            )
        it = cls(process, ours)
        try:
            async with asyncio.timeout(within_s):
                word, _ = await it._heard()
        except (TimeoutError, Gone):
            word = b""
        except BaseException:
            await it.close()
            raise
        if word == frames.READY:
            return it
        await it.close()
        if word == frames.MISSING:
            raise Refused("a library that this service needs is missing", code="room-unavailable")
        raise PeerMustWait("rooms cannot be made now", code="room-fault")

    async def fork(self) -> Worker:
        """A new worker. Raises Gone where the zygote has ended, PeerMustWait where it cannot."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with theirs:
                ours.setblocking(False)
                for end in (ours, theirs):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BYTES)
                theirs.setblocking(True)  # the worker reads and writes plainly
                try:
                    socket.send_fds(self._control, [b"fork"], [theirs.fileno()])
                except OSError:
                    raise Gone from None
            word, descriptors = await self._heard()
        except BaseException:
            ours.close()
            raise
        if word != frames.FORKED or len(descriptors) != 1:
            ours.close()
            raise PeerMustWait("rooms cannot be made now", code="room-fault")
        return Worker(ours, descriptors[0])

    async def _heard(self) -> tuple[bytes, list[int]]:
        """The zygote's next packet, with the descriptors that came along."""
        loop = asyncio.get_running_loop()
        heard = asyncio.Event()
        loop.add_reader(self._control, heard.set)
        try:
            await heard.wait()
        finally:
            loop.remove_reader(self._control)
        try:
            word, descriptors, _, _ = socket.recv_fds(self._control, 64, 1)
        except OSError:
            raise Gone from None
        if not word:
            raise Gone
        return word, descriptors

    async def close(self) -> None:
        """End it, and with it (by their death signal) all its workers; reap it."""
        self._control.close()
        self._process.kill()
        await asyncio.to_thread(self._process.wait)
