# SPDX-License-Identifier: Apache-2.0
"""Randomness of the operating system, and UUIDv7 (RFC 9562) that only grow."""

from __future__ import annotations

import os
import threading
import time
from typing import Final
from uuid import UUID

_RANDOM_BITS: Final = 74
_STEP_BITS: Final = 32


class SystemChance:
    """Chance from the operating system."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._millisecond = 0
        self._random = 0

    def bytes(self, count: int) -> bytes:
        """Unguessable bytes."""
        return os.urandom(count)

    def jitter(self) -> float:
        """A number in [0, 1)."""
        return int.from_bytes(os.urandom(7), "big") / (1 << 56)

    def uuid7(self) -> str:
        """A fresh UUIDv7: within this process each sorts behind those before it.

        In one millisecond (or while the clock is behind) the 74 random bits grow by an
        unguessable step (RFC 9562 6.2, method 2); when they run over, so does the millisecond.
        """
        fresh = int.from_bytes(os.urandom(10), "big") >> (80 - _RANDOM_BITS)
        with self._lock:
            now = time.time_ns() // 1_000_000
            if now > self._millisecond:
                self._millisecond, self._random = now, fresh
            else:
                self._random += 1 + fresh % (1 << _STEP_BITS)
                if self._random >> _RANDOM_BITS:
                    self._millisecond, self._random = self._millisecond + 1, fresh >> 1
            millisecond, chance = self._millisecond, self._random
        high, low = chance >> 62, chance & ((1 << 62) - 1)
        return str(UUID(int=millisecond << 80 | 7 << 76 | high << 64 | 2 << 62 | low))
