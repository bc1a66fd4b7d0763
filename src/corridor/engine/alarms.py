# SPDX-License-Identifier: Apache-2.0
"""Wakes what is due; a timer that finds its process elsewhere does nothing.

node.md c, "Wake".
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

from corridor import telemetry
from corridor.engine.ground import Ground, Home, micros
from corridor.errors import CorridorError, StoreUnavailable
from corridor.store.unit import Unit
from corridor.store.wakes import Wake

Waking = Callable[[Home, str], Awaitable[None]]
LONGEST_S = 3600.0
BROKEN_AGAIN_US = 60_000_000
log = structlog.get_logger()


class Alarms:
    """Looks at the next wake of the store, sleeps until it is due or another is set."""

    def __init__(self, ground: Ground, wakings: Mapping[str, Waking]) -> None:
        self._ground = ground
        self._wakings = wakings
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin with what the store holds."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Wake nobody more; the rows stay."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            try:
                wait = await self._round()
            except StoreUnavailable as away:
                log.warning(telemetry.STORE_UNAVAILABLE, cause=away.cause)
                wait = 1.0
            await self._ground.bells.until("wake", _Once().look, wait)

    async def _round(self) -> float:
        """Wake what is due; how long until the next, at most."""
        for wake in self._ground.store.node.wakes.due(micros(self._ground.now())):
            await self._ring(wake)
        following = self._ground.store.node.wakes.first()
        if following is None:
            return LONGEST_S
        left = (following.at - micros(self._ground.now())) / 1e6
        return min(max(0.05, left), LONGEST_S)

    async def _ring(self, wake: Wake) -> None:
        home = self._ground.homes.get(wake.participant)
        waking = self._wakings.get(wake.kind)
        if home is None or waking is None:
            log.error(telemetry.INVARIANT_BROKEN, wake=wake.kind, participant=wake.participant)
            return
        wakes = self._ground.store.of(wake.participant).wakes
        try:
            await waking(home, wake.subject)
            left = wakes.get(wake.kind, wake.subject)
            if left is not None and left.at == wake.at:
                delete = wakes.delete(wake.kind, wake.subject, expect=None)
                await self._ground.store.run(Unit((delete,)))
        except CorridorError as error:
            later = micros(self._ground.now()) + 1_000_000
            log.warning(telemetry.DSP_RETRY, wake=wake.kind, subject=wake.subject, code=error.code)
            await self._later(wake, later)
        except Exception:  # one that cannot be woken must not keep all others asleep
            log.exception(telemetry.INVARIANT_BROKEN, wake=wake.kind, subject=wake.subject)
            await self._later(wake, micros(self._ground.now()) + BROKEN_AGAIN_US)

    async def _later(self, wake: Wake, at: int) -> None:
        wakes = self._ground.store.of(wake.participant).wakes
        try:
            await self._ground.store.run(Unit((wakes.put(wake.kind, wake.subject, at),)))
        except CorridorError:
            await self._ground.world.clock.sleep(1.0)


class _Once:
    """Looks twice: nothing at first, then something, so that one ring wakes."""

    def __init__(self) -> None:
        self._looked = False

    def look(self) -> bool | None:
        looked, self._looked = self._looked, True
        return True if looked else None
