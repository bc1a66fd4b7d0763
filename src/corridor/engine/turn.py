# SPDX-License-Identifier: Apache-2.0
"""One conversation, one turn at a time: a first-in first-out lock for each process.

node.md c: held for checks and commit, never across a call to a peer. It orders the work inside one
node process; between node processes the version guard of the store decides.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from corridor.errors import PeerMustWait
from corridor.limits import Limits


class Turns:
    """The locks, one for each key that somebody holds or waits for, and no others."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._locks: dict[str, asyncio.Lock] = {}
        self._waiting: dict[str, int] = {}

    @asynccontextmanager
    async def take(self, key: str) -> AsyncIterator[None]:
        """Hold the turn of `key`.

        Raises:
            PeerMustWait: `turn_waiters_max` wait already, or the wait took `turn_wait_s`.
        """
        waiting = self._waiting.get(key, 0)
        if waiting > self._limits.turn_waiters_max:
            raise PeerMustWait("too much is said at once in this process")
        lock = self._locks.setdefault(key, asyncio.Lock())
        self._waiting[key] = waiting + 1
        try:
            if lock.locked():
                await self._wait(lock)
            else:
                await lock.acquire()
            try:
                yield
            finally:
                lock.release()
        finally:
            self._waiting[key] -= 1
            if not self._waiting[key]:
                del self._waiting[key], self._locks[key]

    async def _wait(self, lock: asyncio.Lock) -> None:
        try:
            async with asyncio.timeout(self._limits.turn_wait_s):
                await lock.acquire()
        except TimeoutError as error:
            raise PeerMustWait("this process is busy") from error
