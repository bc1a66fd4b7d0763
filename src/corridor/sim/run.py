# SPDX-License-Identifier: Apache-2.0
"""One run from one seed, many runs, and the smallest set of faults that still fails.

`corridor sim --seed S` replays a run; `SEEDS=… FROM=…` runs many. The last line counts them.
"""

from __future__ import annotations

import asyncio
import gc
import shutil
import tempfile
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from contextvars import Context
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from structlog.testing import capture_logs

from corridor.errors import CorridorError
from corridor.sim.checkers import check, unrest
from corridor.sim.conversations import CONVERSATIONS
from corridor.sim.crash import hold
from corridor.sim.exchange import Place
from corridor.sim.fate import Fates
from corridor.sim.hostile import HostilePeer
from corridor.sim.loop import Runaway, SimLoop, Stuck
from corridor.sim.net import SimNet
from corridor.sim.network import Network
from corridor.sim.people import TABLES, Wish, ask, settle, wishes
from corridor.sim.persona import Persona
from corridor.sim.record import Record
from corridor.sim.sloppy import SloppyPeer
from corridor.sim.town import Node, Raise, Town
from corridor.sim.trace import Event, Trace
from corridor.sim.world import draw

MEMORY = Path("/dev/shm")  # noqa: S108 - a file system in memory; another folder does as well
DAY_S = 86400.0
REST_S_MAX = 60 * DAY_S
CRASH = -1000  # crash n of a run is fault CRASH - n: shrinking takes it away like any other
MISCHIEF = -2000  # the same for what befalls node n's disk or clock
TRICKS = ("full", "broken", "clock")
PATIENCE = 2000
PEERS = ("corridor", "sloppy", "hostile")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run is made of. `removed`: faults left out. `wishes` None: drawn from the seed.

    `kind_net`: no network fault at all. `crash_at`: (node, point), instead of drawn crashes.
    `goals`: (table, state) that must be reached; people who have goals ask until they are heard.
    `early`: points are counted from the first start on, not from when all nodes are ready.
    """

    seed: int
    peer: str = "corridor"
    until: float | None = None
    removed: frozenset[int] = frozenset()
    wishes: tuple[Wish, ...] | None = None
    kind_net: bool = False
    crash_at: tuple[str, int] | None = None
    crashes: bool = True
    goals: tuple[tuple[str, str], ...] = ()
    early: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run ended. `problems` is empty where all is well."""

    plan: Plan
    problems: tuple[str, ...]
    digest: str
    seconds: float
    steps: int
    faults: tuple[int, ...]
    points: dict[str, int] = field(default_factory=dict)
    events: tuple[Event, ...] = ()


class Run:
    """One run, from an empty folder to the verdict."""

    def __init__(self, plan: Plan, folder: Path, build: Raise) -> None:
        self.plan = plan
        self.loop = SimLoop(plan.seed, threads_inline=True)
        hold(self.loop)
        self.trace = Trace(self.loop)
        chance = draw(plan.seed, "plan")
        self.until = chance.choice((60.0, 600.0, 7200.0)) if plan.until is None else plan.until
        names = ("a",) if plan.peer == "sloppy" else ("a", "b")
        self.fates = Fates(seed=plan.seed, until=0.0, nodes=names, removed=plan.removed)
        self.network = Network(self.loop, self.fates, self.trace)
        self.town = Town(self.loop, plan.seed, self.network, build)
        self.crashes: list[int] = []
        for name in names:
            host = f"{name}.example"
            node = Node(
                name=name,
                slug=f"org-{name}",
                did=f"did:web:{host}:org-{name}",
                host=host,
                folder=folder / name,
                skew_s=chance.choice((0.0, 0.0, chance.uniform(-2.0, 2.0))),
                crash_at=self._crashes(name, chance),
            )
            self.town.add(node)
        self.peer = self._foreign(plan, build)
        self.problems: list[str] = []
        self.logs: list[MutableMapping[str, Any]] = []

    def _crashes(self, name: str, chance: Any) -> list[int]:
        if self.plan.crash_at is not None:
            return [self.plan.crash_at[1]] if self.plan.crash_at[0] == name else []
        drawn = [int(chance.expovariate(1 / 800.0)) + 1 for _ in range(chance.choice((0, 0, 1, 3)))]
        if not self.plan.crashes:
            return []
        kept = []
        for point in drawn:
            number = CRASH - len(self.crashes)
            self.crashes.append(number)
            if number not in self.plan.removed:
                kept.append(point)
        return kept

    def _foreign(self, plan: Plan, build: Raise) -> SloppyPeer | None:
        if plan.peer == "corridor":
            return None
        name = "s" if plan.peer == "sloppy" else "h"
        persona = Persona(self.loop, plan.seed, f"{name}.example", name)
        partners = {
            node.did: f"https://{node.host}/{node.slug}/dsp/2025-1"
            for node in self.town.nodes.values()
        }
        kind = SloppyPeer if plan.peer == "sloppy" else HostilePeer
        net = SimNet(self.network, name)
        peer = kind(self.loop, net, persona, partners, policy=build.policy)
        if isinstance(peer, HostilePeer):
            peer.trace = self.trace
        self.network.places[f"{name}.example"] = Place(name=name, peer=peer)
        return peer

    def go(self) -> Outcome:
        """Run to the end; everything that is wrong is in the outcome, nothing is raised."""
        with capture_logs() as self.logs:
            return self._go()

    def _go(self) -> Outcome:
        gc.disable()  # when cycles are collected would be a chance that no seed knows
        try:
            try:
                self.loop.run_until_complete(self._main())
            except (Runaway, Stuck) as error:
                self.problems.append(f"rest: {error}")
            self._judge()
            return self._outcome()
        finally:
            self.town.dispose()
            self.loop.close()
            gc.enable()

    async def _main(self) -> None:
        if self.plan.early:
            self.town.arm()
        for node in self.town.nodes.values():
            await self.town.start(node)
            for _ in range(PATIENCE if self.plan.early else 0):
                if node.up():
                    break
                await asyncio.sleep(1.0)
            if not node.up():
                why = [event.note for event in self.trace if event.kind == "refused"]
                self.problems.append(f"rest: {node.name} did not start: {why}")
                return
        begin = self.loop.time()
        if not self.plan.kind_net:
            self.fates.let_loose(begin, begin + self.until)
            self._beside(self._mischief(begin))
        if not self.plan.early:
            self.town.arm()
        if isinstance(self.peer, HostilePeer):
            self._beside(self.peer.attack(begin + self.until))
        if self.peer is not None:
            self._beside(self._foreigner(self.peer))
        await (self._patient_people() if self.plan.goals else self._people(begin))
        left = begin + self.until - self.loop.time()
        await asyncio.sleep(max(0.0, left))
        await self._rest()

    async def _mischief(self, begin: float) -> None:
        """Disks fill, disks break, clocks are set: at most once a node."""
        chance = draw(self.plan.seed, "mischief")
        planned = sorted(
            (chance.uniform(0.0, self.until), name, chance.choice(TRICKS), MISCHIEF - number)
            for number, name in enumerate(self.town.nodes)
            if chance.random() < 0.2
        )
        for at, name, trick, number in planned:
            await asyncio.sleep(max(0.0, begin + at - self.loop.time()))
            node, lasts = self.town.nodes[name], chance.uniform(1.0, 300.0)
            if number in self.plan.removed or node.disk is None or node.clock is None:
                continue
            self.fates.met.append(number)
            self.trace.add("fault", node=name, note=trick)
            if trick == "full":
                node.disk.full_until = self.loop.time() + lasts
            elif trick == "broken":
                node.disk.broken_until = self.loop.time() + lasts
            else:
                leap = chance.choice((-1.0, 1.0)) * lasts
                node.clock.jump(leap)
                # Set right again before a partner gives up on our tokens (ten minutes).
                self.loop.call_later(lasts, self._set_right, node, leap, context=Context())

    def _set_right(self, node: Node, leap: float) -> None:
        if node.clock is not None:
            node.clock.jump(-leap)

    def _beside(self, coro: Any) -> None:
        self.loop.create_task(coro, context=Context())

    async def _people(self, begin: float) -> None:
        names = list(self.town.nodes)
        wanted = self.plan.wishes
        if wanted is None:
            wanted = tuple(wishes(self.plan.seed, names, self.until))
        for wish in wanted:
            await asyncio.sleep(max(0.0, begin + wish.at - self.loop.time()))
            self._wish(self.town.nodes[wish.node], wish)

    async def _patient_people(self) -> None:
        """Each wish is wished until it comes true; the next one only then."""
        for wish in self.plan.wishes or ():
            node = self.town.nodes[wish.node]
            for _ in range(PATIENCE):
                await asyncio.sleep(2.0)
                task, life = self._wish(node, wish), node.life
                if task is None or life is None:
                    continue
                either: set[asyncio.Future[Any]] = {task, life.over}
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
                if task.done() and task.exception() is None and task.result():
                    break

    def _wish(self, node: Node, wish: Wish) -> asyncio.Task[bool] | None:
        """Let somebody wish; the task says whether it was granted."""
        providers = [other.did for other in self.town.nodes.values() if other is not node]
        if self.peer is not None:
            providers.append(self.peer.me.did)
        found = None
        if node.up():
            wish, found = settle(wish, self.town.record(node))

        async def work(person: Any) -> bool:
            granted = False
            try:
                note = await ask(person, wish, found, providers)
                granted = note != "nothing"
            except CorridorError as error:
                note = f"refused {error.code}"
            except Exception as error:  # noqa: BLE001 - a bug that the run is to tell of
                self.network.broken.append(f"{node.name} {wish.verb}: {error!r}")
                note = repr(error)
            self.trace.add("wish", node=node.name, note=f"{wish.number} {wish.verb} {note}")
            return granted

        task = self.town.do(node, work)
        if task is None:
            self.trace.add("wish", node=node.name, note=f"{wish.number} {wish.verb} node down")
        return task

    async def _foreigner(self, peer: SloppyPeer) -> None:
        """A foreign peer's own people: ask, use, pause or end."""
        chance = peer.me.chance
        for _ in range(chance.randint(1, 3)):
            await asyncio.sleep(chance.uniform(0.0, self.until / 3))
            did = chance.choice(sorted(peer.partners))
            agreed = await peer.request(did)
            await asyncio.sleep(chance.uniform(5.0, 60.0))
            if agreed is None or agreed.state != "FINALIZED":
                continue
            moved = await peer.transfer(agreed, self.town.build.format)
            await asyncio.sleep(chance.uniform(5.0, 60.0))
            if moved is None:
                continue
            for name in chance.sample(
                ("TransferSuspensionMessage", "TransferStartMessage", "TransferCompletionMessage"),
                k=3,
            ):
                await peer.say(moved, name, {})

    async def _rest(self) -> None:
        """Wait until nothing is due any more, at most sixty days."""
        end, pause = self.loop.time() + REST_S_MAX, 30.0
        while self.loop.time() < end:
            await asyncio.sleep(pause)
            if all(node.up() for node in self.town.nodes.values()) and not any(
                True for node in self.town.nodes.values() for _ in unrest(self.town.record(node))
            ):
                return
            pause = min(pause * 1.5, 6 * 3600.0)

    def _judge(self) -> None:
        if self.problems:
            return
        record = Record(
            events=self.trace.events,
            nodes={name: self.town.record(node) for name, node in self.town.nodes.items()},
            broken=self.network.broken,
            faults=[_fault(one) for one in self.loop.faults],
            logs=[_told(one) for one in self.logs],
        )
        self.problems.extend(check(record))
        for table, state in self.plan.goals:
            for name, node in record.nodes.items():
                if state not in [row["state"] for row in node.rows(TABLES[table])]:
                    self.problems.append(f"goal: no {table} of {name} became {state}")

    def _outcome(self) -> Outcome:
        return Outcome(
            plan=self.plan,
            problems=tuple(self.problems),
            digest=self.loop.digest(),
            seconds=self.loop.time(),
            steps=self.loop.steps,
            faults=tuple(self.fates.met + [n for n in self.crashes if n not in self.plan.removed]),
            points={
                name: sum(life.points for life in node.lives)
                for name, node in self.town.nodes.items()
            },
            events=tuple(self.trace.events),
        )


def _told(entry: MutableMapping[str, Any]) -> str:
    return " ".join(f"{key}={value}" for key, value in sorted(entry.items()))


def _fault(context: dict[str, Any]) -> str:
    return f"{context.get('message')}: {context.get('exception')!r}"


def perform(plan: Plan, build: Callable[[], Raise]) -> Outcome:
    """Do one run in a folder of its own, which is gone afterwards."""
    root = MEMORY if MEMORY.is_dir() else None
    folder = Path(tempfile.mkdtemp(prefix="corridor-sim-", dir=root))
    try:
        return Run(plan, folder, build()).go()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def shrink(failed: Outcome, build: Callable[[], Raise], *, runs_max: int = 200) -> Outcome:
    """Take faults away one at a time, as long as the run still fails."""
    smallest, runs = failed, 0
    left = list(failed.faults)
    while left and runs < runs_max:
        fault = left.pop()
        plan = smallest.plan
        runs += 1
        tried = perform(replace(plan, removed=plan.removed | {fault}), build)
        if tried.problems:
            smallest = tried
            left = [one for one in left if one in tried.faults]
    return smallest


def conversation(name: str, *, early: bool = False) -> Plan:
    """A canonical conversation as a plan: a kind network, and nobody dies."""
    it = CONVERSATIONS[name]
    return Plan(
        seed=1,
        until=10.0,
        wishes=it.wishes,
        goals=it.goals,
        kind_net=True,
        crashes=False,
        early=early,
    )


def sweep(
    name: str,
    build: Callable[[], Raise],
    *,
    every: int = 1,
    nodes: Sequence[str] = ("a", "b"),
    early: bool = False,
) -> Iterator[Outcome]:
    """Count a conversation's points once, then run it once for each, each node dying there."""
    plan = conversation(name, early=early)
    whole = perform(plan, build)
    yield whole
    for node in nodes:
        for point in range(1, whole.points.get(node, 0) + 1, every):
            yield perform(replace(plan, crash_at=(node, point)), build)
