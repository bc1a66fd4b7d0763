# SPDX-License-Identifier: Apache-2.0
"""Watches the event loop from beside it, and tells whoever started the node that it is ready.

A loop that does not turn can say nothing itself: a thread looks whether it does, and writes down
what stands in its way (node.md a: nothing on it may take 20 ms; from 100 ms on it is told).
"""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
import time
import traceback

import structlog

from corridor import telemetry

STALL_S = 0.1
FRAMES_MAX = 20
log = structlog.get_logger()


class LoopWatch:
    """Between `start` and `stop`, on the loop's own thread. `longest_s`: the worst so far."""

    def __init__(self, stall_s: float = STALL_S) -> None:
        self._stall_s = stall_s
        self._beat = time.monotonic()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._loop_thread = 0
        self.longest_s = 0.0

    def start(self) -> None:
        """Begin; the running loop is the one that is watched."""
        self._loop_thread = threading.get_ident()
        self._pulse()
        self._thread = threading.Thread(target=self._watch, name="loop-watch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Watch no more."""
        self._over.set()
        if self._timer is not None:
            self._timer.cancel()
        if self._thread is not None:
            self._thread.join()

    def _pulse(self) -> None:
        self._beat = time.monotonic()
        self._timer = asyncio.get_running_loop().call_later(self._stall_s / 2, self._pulse)

    def _watch(self) -> None:
        told = 0.0
        while not self._over.wait(self._stall_s / 2):
            beat = self._beat
            late_s = time.monotonic() - beat - self._stall_s / 2
            self.longest_s = max(self.longest_s, late_s)
            if late_s >= self._stall_s and beat != told:  # once for each stall
                told = beat
                self._tell(late_s)

    def _tell(self, late_s: float) -> None:
        frame = sys._current_frames().get(self._loop_thread)  # noqa: SLF001 - the only way to see it
        stack = traceback.extract_stack(frame)[-FRAMES_MAX:]
        where = [f"{it.filename}:{it.lineno} {it.name}" for it in stack]
        log.warning(telemetry.LOOP_STALLED, seconds=round(late_s, 3), where=where)


def notify(address: str, state: str) -> None:
    """Tell a supervisor (`sd_notify`: READY=1, STOPPING=1); nothing where there is none.

    `address` is a path, or the name of an abstract socket behind `@`. One that is gone is no fault.
    """
    if not address:
        return
    place = "\0" + address[1:] if address.startswith("@") else address
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to:
        try:
            to.connect(place)
            to.send(state.encode("ascii"))
        except OSError as error:
            log.warning(telemetry.NODE_STARTING, supervisor=address, why=str(error))
