# SPDX-License-Identifier: Apache-2.0
"""Signs the ledgers' heads and proves entries against them (evidence.md 2.5, 3.3); purges.

Both follow from growth: while no ledger grows, nothing is signed and nothing is to be forgotten.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import msgspec

from corridor.engine.clerk import Clerk
from corridor.engine.ground import Ground, Home, micros, stamp
from corridor.engine.keyring import Keyring
from corridor.errors import NotFound, StoreUnavailable
from corridor.evidence import note, receipt, tree
from corridor.store.ledger import Checkpoint, Entry
from corridor.store.unit import Conflict, Unit

PURGE_EVERY_S = 3600.0
PURGE_ROWS = 5000
BACK_S = 5.0
LEAP_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Proven:
    """An entry with what proves it; salts by slot, hex."""

    leaf: bytes
    proof: str
    salts: dict[str, str]
    statements: list[str]


class Notary:
    """One for the node; a checkpoint of a participant is signed by one task at a time."""

    def __init__(self, ground: Ground, clerk: Clerk, keyring: Keyring) -> None:
        self._ground = ground
        self._clerk = clerk
        self._keyring = keyring
        self._locks: dict[str, asyncio.Lock] = {}
        self._signed: dict[str, int] = {}
        self._signed_at: dict[str, float] = {}
        self._task: asyncio.Task[None] | None = None
        self._grown = asyncio.Event()
        self._grown.set()
        self._purged: dict[str, float] = {}
        self._set_at = (ground.now(), ground.world.clock.monotonic())

    async def start(self) -> None:
        """Sign what has grown, once a second while anything does; an idle node does nothing."""
        self._ground.store.grown = self._grown.set
        self._task = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        """Sign once more, then rest.

        A node whose start was refused (an old store, a wrong clock) signs nothing: a checkpoint
        would move the very mark that refused it.
        """
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        for home in self._ground.homes.values():
            try:
                await self.checkpoint(home)
            except (StoreUnavailable, NotFound):
                continue

    async def _watch(self) -> None:
        every = self._ground.limits.checkpoint_every_s
        while True:
            await self._grown.wait()
            self._grown.clear()
            await self._ground.world.clock.sleep(every)
            try:
                await self._clock()
            except StoreUnavailable:
                self._grown.set()
                continue
            for home in self._ground.homes.values():
                try:
                    await self.checkpoint(home)
                    await self._purge(home)
                except StoreUnavailable:
                    self._grown.set()
                except NotFound:
                    continue

    async def _clock(self) -> None:
        """Say in each ledger that the wall clock was set, where it was, while it grew."""
        now, monotonic = self._ground.now(), self._ground.world.clock.monotonic()
        then, before = self._set_at
        expected = then + timedelta(seconds=monotonic - before)
        off_s = (now - expected).total_seconds()
        self._set_at = (now, monotonic)
        if -BACK_S <= off_s <= LEAP_S:
            return
        # A leap under which nothing was written may be mended before anything is: to write it
        # down would itself carry the ledger's time ahead, and every act would be refused.
        heads = [self._ground.store.of(it).ledger.head() for it in self._ground.homes]
        if off_s > 0 and all(it is None or it.last_time <= micros(expected) for it in heads):
            self._set_at = (then, before)
            return
        told: dict[str, Any] = {"from": stamp(expected), "to": stamp(now)}
        leaves = tuple(
            self._clerk.leaf(home, "clock.jumped", **told)
            for home in self._ground.homes.values()
            if self._ground.store.of(home.slug).ledger.head() is not None
        )
        try:
            await self._ground.store.run(Unit((), leaves))
        except StoreUnavailable:
            self._set_at = (then, before)
            raise

    async def _purge(self, home: Home) -> None:
        """Forget what is kept only for a time, at most once an hour, a bounded piece at once."""
        now_s = self._ground.world.clock.monotonic()
        if now_s - self._purged.get(home.slug, 0.0) < PURGE_EVERY_S:
            return
        self._purged[home.slug] = now_s
        now, limits = micros(self._ground.now()), self._ground.limits
        store = self._ground.store.of(home.slug)
        week = now - int(limits.events_kept_s * 1e6)
        leeway = int(limits.token_leeway_s * 1e6)
        writes = (
            store.tokens.purge(now - leeway, PURGE_ROWS),
            store.events.purge(week, PURGE_ROWS),
            store.idempotency.purge(now, PURGE_ROWS),
            store.inbox.purge(now - int(limits.inbox_kept_s * 1e6), PURGE_ROWS),
            store.outbox.purge("done", week, PURGE_ROWS),
            store.outbox.purge("superseded", week, PURGE_ROWS),
        )
        await self._ground.store.run(Unit(writes))
        await self._keyring.rotate_old(home)

    async def checkpoint(self, home: Home, *, at_least: int = 0) -> Checkpoint | None:
        """A signed checkpoint of the committed size; None where the ledger is empty."""
        store = self._ground.store.of(home.slug)
        async with self._locks.setdefault(home.slug, asyncio.Lock()):
            size, root = store.ledger.size_root()
            known = self._signed.get(home.slug)
            if size == 0:
                return None
            if known == size or (at_least and known is not None and known >= at_least):
                return store.ledger.checkpoint(at_least or size)
            await self._pace(home)
            size, root = store.ledger.size_root()
            head = store.ledger.head()
            assert head is not None
            text = self._sign(home, head.origin, size, root)
            now = micros(self._ground.now())
            try:
                write = store.ledger.put_checkpoint(size, text.encode(), now)
                await self._ground.store.run(Unit((write,)))
            except Conflict:
                pass  # a start after a crash signs the same size again: the first note stands
            self._signed[home.slug] = size
            self._guard(home, head.origin, size, root)
            return store.ledger.checkpoint(size)

    async def _pace(self, home: Home) -> None:
        """So many checkpoints of a ledger a second: who comes meanwhile shares the next."""
        clock = self._ground.world.clock
        since = clock.monotonic() - self._signed_at.get(home.slug, -1.0)
        rest = 1.0 / self._ground.limits.checkpoints_per_s_max - since
        if rest > 0:
            await clock.sleep(rest)
        self._signed_at[home.slug] = clock.monotonic()

    def _sign(self, home: Home, origin: str, size: int, root: bytes) -> str:
        text = note.checkpoint(origin, size, root)
        lines: list[str] = []
        seconds = int(self._ground.now().timestamp())
        for kid, alg, public in self._keyring.vkeys(home):
            kind = note.ALGORITHMS[alg]
            name = note.key_id(origin, kind, public)
            if alg == "Ed25519":
                signature = self._ground.world.keys.sign(kid, text.encode())
            else:
                message = note.cosigned_message(origin, seconds, origin, size, root)
                raw = self._ground.world.keys.sign(kid, message)
                signature = note.timestamped(seconds, raw)
            lines.append(note.signature_line(origin, name, signature))
        return note.note(text, lines)

    def _guard(self, home: Home, origin: str, size: int, root: bytes) -> None:
        """Remember outside the database how far the ledger was (evidence.md 7, Fence)."""
        guard = {"origin": origin, "size": size, "root": root.hex()}
        name = f"high-water/{home.slug}.json"
        self._ground.world.disk.write_atomic(name, msgspec.json.encode(guard, order="sorted"))

    async def prove(self, home: Home, entry_id: str) -> Proven:
        """An entry with its proof, as soon as a checkpoint covers it."""
        store = self._ground.store.of(home.slug)
        entry = store.ledger.by_id(entry_id)
        if entry is None:
            raise NotFound("no such entry")
        if entry.index is None:
            raise NotFound("not placed yet")
        signed = await self.checkpoint(home, at_least=entry.index + 1)
        if signed is None:
            raise NotFound("no checkpoint covers it yet")
        hashes = tree.inclusion(store.ledger.tile, entry.index, signed.size)
        return Proven(
            leaf=entry.leaf_bytes(),
            proof=receipt.proof(entry.index, hashes, bytes(signed.note).decode()),
            salts=self._salts(home, entry),
            statements=self._keyring.statements(home),
        )

    def _salts(self, home: Home, entry: Entry) -> dict[str, str]:
        salts: dict[str, str] = {}
        ledger = self._ground.store.of(home.slug).ledger
        begun = msgspec.json.decode(entry.body).get("started_as")
        of = [*(ledger.payloads(begun) if begun else ()), *ledger.payloads(entry.id)]
        for payload in of:
            if payload.sealed is not None:
                salt, _ = self._clerk.open(home, payload.digest, payload.sealed)
                salts[payload.slot] = salt.hex()
        return salts
