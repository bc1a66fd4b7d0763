# SPDX-License-Identifier: Apache-2.0
"""Progress of a download: on a terminal only, after a second; else a line at start and end."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from corridor.cli.talk import Talk, size

AFTER_S = 1.0
EVERY_S = 0.1
BAR = 24


class Progress:
    """A callback for `fetch`: name, bar, amount, rate, time left, all on stderr."""

    def __init__(self, talk: Talk, name: str, *, after_s: float = AFTER_S) -> None:
        self._talk = talk
        self._name = name
        self._after_s = after_s
        self._begin = time.monotonic()
        self._shown = 0.0
        self._drawn = False
        self.live = talk.err.isatty() and not talk.options.quiet and not talk.options.json

    def __enter__(self) -> Self:
        if not self.live:
            self._talk.say(f"{self._name}: begins")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._drawn:
            self._talk.err.write("\r\x1b[K")
            self._talk.err.flush()

    def __call__(self, done: int, total: int | None) -> None:
        """So much is there."""
        now = time.monotonic()
        if not self.live or now - self._begin < self._after_s or now - self._shown < EVERY_S:
            return
        self._shown = now
        self._drawn = True
        self._talk.err.write(f"\r\x1b[K{line(self._name, done, total, now - self._begin)}")
        self._talk.err.flush()

    def end(self, told: str) -> None:
        """The last line, where no bar was drawn."""
        if not self.live:
            self._talk.say(f"{self._name}: {told}")


def line(name: str, done: int, total: int | None, seconds: float) -> str:
    """One state of the bar."""
    rate = done / max(seconds, 0.001)
    told = f"{name}  {bar(done, total)}{size(done)}"
    if total:
        told += f" of {size(total)}"
    told += f"  {size(int(rate))}/s"
    if total and rate > 0:
        told += f"  {(total - done) / rate:.0f} s left"
    return told


def bar(done: int, total: int | None) -> str:
    """`████░░░░ `, empty where the whole is not known."""
    if not total:
        return ""
    full = min(BAR, round(BAR * done / total))
    return "█" * full + "░" * (BAR - full) + "  "
