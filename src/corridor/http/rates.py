# SPDX-License-Identifier: Apache-2.0
"""How fast one caller may ask: a bucket of tokens for each, in bounded memory."""

from __future__ import annotations

from collections import OrderedDict

from corridor.errors import PeerMustWait
from corridor.world import Clock

KEPT_MAX = 10_000


class Buckets:
    """One bucket a key: `burst` at once, `per_s` in the long run."""

    def __init__(self, clock: Clock, *, per_s: float, burst: float) -> None:
        self._clock = clock
        self._per_s = per_s
        self._burst = burst
        self._held: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str) -> None:
        """Take a token; raises PeerMustWait where there is none."""
        left = self._left(key)
        if left < 1.0:
            raise PeerMustWait("too many requests", retry_after_s=(1.0 - left) / self._per_s)
        self._keep(key, left - 1.0)

    def spend(self, key: str, tokens: float) -> None:
        """Take tokens for what was done already; there may be less than none afterwards."""
        self._keep(key, self._left(key) - tokens)

    def _left(self, key: str) -> float:
        now = self._clock.monotonic()
        left, at = self._held.get(key, (self._burst, now))
        return min(self._burst, left + (now - at) * self._per_s)

    def _keep(self, key: str, left: float) -> None:
        self._held[key] = (left, self._clock.monotonic())
        self._held.move_to_end(key)
        if len(self._held) > KEPT_MAX:
            self._held.popitem(last=False)
