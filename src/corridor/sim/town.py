# SPDX-License-Identifier: Apache-2.0
"""The nodes of a run: each a folder, a clock and a place, and one life after another.

`Raise` builds an app in a world; `join` gives the one that builds Corridor.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from contextvars import Context
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from corridor.errors import CorridorError
from corridor.sim.crash import Life
from corridor.sim.exchange import Asgi, Place
from corridor.sim.loop import SimLoop
from corridor.sim.net import SimNet
from corridor.sim.network import Network
from corridor.sim.people import Person
from corridor.sim.record import NodeRecord
from corridor.sim.world import SimChance, SimClock, SimDisk, SimKeys, SimRooms, draw
from corridor.world import World

T = TypeVar("T")

RESTARTS_MAX = 20


class App(Protocol):
    """A node as `corridor.app.build` makes it."""

    asgi_peer: Asgi

    async def start(self) -> None:
        """Recover, then be ready."""
        ...

    async def stop(self) -> None:
        """Drain and close."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Raised:
    """A node in a world: its app, and whoever sits before it."""

    app: App
    person: Person


class Raise(Protocol):
    """Builds a node. `policy` and `format`: what foreign peers offer and ask for."""

    database: str
    policy: Mapping[str, Any]
    format: str

    def __call__(self, node: Node, world: World) -> Raised:
        """Put together; nothing is started."""
        ...


@dataclass(slots=True, kw_only=True)
class Node:
    """One node over all its lives. `crash_at`: points at which its lives end, one a life."""

    name: str
    slug: str
    did: str
    host: str
    folder: Path
    skew_s: float = 0.0
    crash_at: list[int] = field(default_factory=list)
    life: Life | None = None
    raised: Raised | None = None
    clock: SimClock | None = None
    disk: SimDisk | None = None
    keys: SimKeys | None = None
    rooms: SimRooms | None = None
    lives: list[Life] = field(default_factory=list)
    ready: bool = False
    record: NodeRecord | None = None

    def up(self) -> bool:
        """Whether it runs and has started."""
        return self.ready and self.life is not None and not self.life.frozen


class Town:
    """All nodes of a run."""

    def __init__(self, loop: SimLoop, seed: object, network: Network, build: Raise) -> None:
        self.loop = loop
        self.seed = seed
        self.network = network
        self.build = build
        self.nodes: dict[str, Node] = {}
        self._places: dict[str, Place] = {}
        self._restarts = draw(seed, "restarts")
        self.armed = False

    def add(self, node: Node) -> None:
        """Give it a place; it does not run yet."""
        self.nodes[node.name] = node
        self._places[node.name] = self.network.places[node.host] = Place(name=node.name)

    async def start(self, node: Node) -> None:
        """A new life from the folder. A life whose start is refused ends, and another follows."""
        task = self._raise(node)
        life = node.life
        if life is None:
            return
        await asyncio.wait({task, life.over}, return_when=asyncio.FIRST_COMPLETED)
        error = task.exception() if task.done() and not task.cancelled() else None
        if error is None or life.frozen:
            return
        self.network.trace.add("refused", node=node.name, note=repr(error))
        if not isinstance(error, (CorridorError, sqlite3.Error, OSError)):
            self.network.broken.append(f"{node.name} does not start: {error!r}")
        life.die("start refused")

    def _raise(self, node: Node) -> asyncio.Task[None]:
        life = Life(self.loop, node.name, len(node.lives) + 1, on_crash=self._on_crash)
        node.lives.append(life)
        node.life, node.ready = life, False
        if self.armed:
            life.arm(node.crash_at.pop(0) if node.crash_at else None)
        skew = node.clock.skew_s if node.clock else node.skew_s
        node.clock = SimClock(life, skew_s=skew)
        old_disk = node.disk
        node.disk = SimDisk(life, node.folder)
        if old_disk is not None:
            node.disk.full_until = old_disk.full_until
            node.disk.broken_until = old_disk.broken_until
        node.keys = SimKeys(life, self.seed)
        table = node.rooms.table if node.rooms else {}
        node.rooms = SimRooms(life, self.seed, table)
        world = World(
            clock=node.clock,
            chance=SimChance(life, self.seed, node.clock),
            net=SimNet(self.network, node.name, life),
            keys=node.keys,
            disk=node.disk,
            rooms=node.rooms,
        )
        self.network.trace.add("start", node=node.name, note=str(life.number))
        return life.spawn(self._live(node, life, world))

    async def _live(self, node: Node, life: Life, world: World) -> None:
        """In the node's own context."""
        node.raised = self.build(node, world)
        await node.raised.app.start()
        place = self._places[node.name]
        place.life, place.app, place.clock = life, node.raised.app.asgi_peer, node.clock
        node.ready = True

    def _on_crash(self, life: Life) -> None:
        """Outside of any node: the place is empty until a new life begins."""
        node = self.nodes[life.node]
        self.network.trace.add("crash", node=life.node, note=f"{life.points} {life.crashed_at}")
        self._places[node.name].down()
        self.network.hang_up(node.name)
        node.ready = False
        if len(node.lives) <= RESTARTS_MAX and life.crashed_at != "end of the run":
            pause = self._restarts.uniform(0.0, 300.0)
            self.loop.call_later(pause, self._again, node, context=Context())

    def _again(self, node: Node) -> None:
        self.loop.create_task(self.start(node), context=Context())

    def arm(self) -> None:
        """From here on lives count their points and may end."""
        self.armed = True
        for node in self.nodes.values():
            if node.life is not None:
                node.life.arm(node.crash_at.pop(0) if node.crash_at else None)

    def do(self, node: Node, work: Callable[[Person], Awaitable[T]]) -> asyncio.Task[T] | None:
        """Let somebody at a node do something; None while it is down."""
        if not node.up() or node.raised is None or node.life is None:
            return None
        person = node.raised.person

        async def run() -> T:
            return await work(person)

        return node.life.spawn(run())

    def record(self, node: Node) -> NodeRecord:
        """The node as checkers see it."""
        if node.record is None:
            node.record = NodeRecord(
                name=node.name,
                did=node.did,
                database=node.folder / self.build.database,
                unseal=lambda context, data: node.keys.peek(context, data) if node.keys else b"",
            )
        return node.record

    def dispose(self) -> None:
        """After the run: nothing may stay."""
        for node in self.nodes.values():
            for life in node.lives:
                life.dispose()
            if node.record is not None:
                node.record.close()
