# SPDX-License-Identifier: Apache-2.0
"""Who waits for a change of something is told at once; nobody polls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Bells:
    """One bell a subject (a process id, an agreement id); ringing wakes whoever waits for it."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[asyncio.Future[None]]] = {}

    def ring(self, subject: str) -> None:
        """Wake all who wait for `subject`."""
        for future in self._waiting.pop(subject, ()):
            if not future.done():
                future.set_result(None)

    async def until(self, subject: str, look: Callable[[], T | None], seconds: float) -> T | None:
        """Look now and after each ring, until `look` finds something or the time is over."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while (found := look()) is None:
            left = deadline - loop.time()
            if left <= 0:
                return None
            future = loop.create_future()
            self._waiting.setdefault(subject, []).append(future)
            try:
                async with asyncio.timeout(left):
                    await future
            except TimeoutError:
                return look()
            finally:
                waiting = self._waiting.get(subject, [])
                if future in waiting:
                    waiting.remove(future)
                    if not waiting:
                        del self._waiting[subject]
        return found
