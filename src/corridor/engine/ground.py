# SPDX-License-Identifier: Apache-2.0
"""What every part of the engine stands on: the store, the world, who lives here, and the rules.

A value handed down by `app.build`; it holds no logic. A `Home` is one participant of this node.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

from corridor.engine.bell import Bells
from corridor.engine.turn import Turns
from corridor.identity.token import Caller
from corridor.limits import Limits
from corridor.services import Service
from corridor.store import Store
from corridor.world import World

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def micros(moment: datetime) -> int:
    """A moment as the store keeps it: whole microseconds since 1970, UTC."""
    return (moment - EPOCH) // _MICROSECOND


def moment(micros_: int) -> datetime:
    """The inverse of `micros`."""
    return EPOCH + timedelta(microseconds=micros_)


def stamp(moment_: datetime) -> str:
    """ISO 8601 with milliseconds and Z, as people and peers read it."""
    return moment_.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment_.microsecond // 1000:03d}Z"


class Identify(Protocol):
    """How a participant learns who calls (node.md e: the mode)."""

    async def caller(
        self, authorization: str | None, *, audience: str, body: bytes | None, source: str
    ) -> Caller:
        """Who sent this; raises Unauthenticated."""
        ...

    async def authorize(self, *, slug: str, did: str, audience: str, body: bytes | None) -> str:
        """The Authorization header of one request of ours, fresh for each attempt."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """One participant of this node. `base_url` has no trailing slash."""

    slug: str
    did: str
    title: Mapping[str, str]
    country: str
    base_url: str
    identify: Identify
    purposes: Mapping[str, str] = field(default_factory=dict)
    unsolicited: bool = False

    @property
    def dsp_url(self) -> str:
        """The base of its Dataspace Protocol endpoints, and its callback address."""
        return f"{self.base_url}/dsp/2025-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What the engine's parts share."""

    store: Store
    world: World
    limits: Limits
    homes: Mapping[str, Home]
    services: Mapping[str, Service]
    turns: Turns
    bells: Bells = field(default_factory=Bells)

    def now(self) -> datetime:
        """Wall clock, UTC."""
        return self.world.clock.now()

    def home_of(self, did: str) -> Home | None:
        """The participant with this DID, if it lives here."""
        return next((home for home in self.homes.values() if home.did == did), None)
