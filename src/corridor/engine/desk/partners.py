# SPDX-License-Identifier: Apache-2.0
"""Whom we know: added by DID or address, shown, tested, forgotten."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from urllib.parse import urlsplit

from corridor.engine.desk import paging
from corridor.engine.desk.connection import Connection, Met
from corridor.engine.desk.means import Actor, Means, when, when_or_none
from corridor.engine.ground import Home, micros
from corridor.errors import Changed, Invalid, MalformedMessage, NotFound, NotReachable
from corridor.identity.did import to_url
from corridor.store.peers import Peer
from corridor.store.unit import Conflict, Unit
from corridor.wire.home import Page, PartnerAsk, PartnerTest, PartnerView
from corridor.wire.version import VERSION

HANDLE = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
PARTNERS_MAX = 10_000


class Partners:
    """The partners of a participant."""

    def __init__(self, means: Means, connection: Connection) -> None:
        self._means = means
        self._connection = connection

    async def add(self, home: Home, actor: Actor, ask: PartnerAsk) -> PartnerView:
        """Resolve a partner and write it down; adding it again refreshes its address."""
        if bool(ask.did) == bool(ask.url):
            raise Invalid("name the partner by its DID or by its address, one of the two")
        if ask.url and not ask.url.startswith(("https://", "http://")):
            raise Invalid(
                f"{ask.url[:100]} is neither a DID nor an address",
                mend="did:web:corridor.stat.example:stat, or https://corridor.stat.example/stat",
            )
        did = ask.did or await self._connection.did_at(ask.url)
        if did == home.did:
            raise Invalid("this is ourselves")
        met = await self._met(did)
        store = self._means.store(home).peers
        known = store.get(did)
        if known is None and store.count() >= PARTNERS_MAX:
            raise Invalid(f"a participant knows at most {PARTNERS_MAX} partners")
        handle = self._handle(home, did, ask.handle or (known.handle if known else ""))
        record = Peer(
            participant=home.slug,
            did=did,
            handle=handle,
            title=ask.title or (known.title if known else ""),
            address=met.base,
            version=VERSION,
            quirks=known.quirks if known else b"{}",
            callback_check=known.callback_check if known else None,
            last_seen=micros(self._means.ground.now()),
            detail=known.detail if known else b"{}",
            created=known.created if known else micros(self._means.ground.now()),
        )
        leaf = self._means.acted(home, actor, "partner.add", did)
        try:
            await self._means.ground.store.run(Unit((store.upsert(record),), (leaf,)))
        except Conflict as conflict:
            raise Changed("the handle was taken meanwhile") from conflict
        return await self.show(home, did)

    async def _met(self, did: str) -> Met:
        """Where a partner is; raises Invalid for what is no DID, NotReachable with what helps."""
        try:
            url = to_url(did, http_hosts=frozenset())
        except MalformedMessage as error:
            raise Invalid(
                f"{did[:100]} cannot be looked up",
                cause=error.what,
                mend="a DID is like did:web:corridor.stat.example:stat",
            ) from error
        try:
            return await self._connection.meet(did)
        except NotReachable as error:
            if urlsplit(url).hostname == "localhost":
                error.mend = (
                    "start it; its host and port stand in [net] http_hosts of this node's "
                    "corridor.toml"
                )
            raise

    def _handle(self, home: Home, did: str, wished: str) -> str:
        """The wished handle, or one made of the DID's last part that nobody has."""
        store = self._means.store(home).peers
        if wished:
            if not HANDLE.fullmatch(wished):
                raise Invalid("a handle has small letters, digits and -, at most 32")
            holder = store.by_handle(wished)
            if holder is not None and holder.did != did:
                raise Invalid(f"{wished} is {holder.did}", mend="choose another handle")
            return wished
        last = re.sub(r"[^a-z0-9]+", "-", did.rpartition(":")[2].lower()).strip("-")[:24]
        stem = last or "partner"
        for number in range(1, PARTNERS_MAX + 2):
            handle = stem if number == 1 else f"{stem}-{number}"
            holder = store.by_handle(handle)
            if holder is None or holder.did == did:
                return handle
        raise Invalid("no handle is free", mend="choose one: --handle")

    def find(self, home: Home, name: str) -> Peer:
        """By handle or DID; raises NotFound."""
        store = self._means.store(home).peers
        found = store.get(name) if name.startswith("did:") else store.by_handle(name)
        if found is None:
            raise NotFound(f"no partner {name[:100]}", mend="corridor partner list")
        return found

    async def page(self, home: Home, *, after: str, limit: int) -> Page[PartnerView]:
        """All of them, oldest first."""
        deals = await self._deals(home)
        return paging.page(
            self._means.store(home).peers.page,
            lambda it: self._view(it, deals[it.did]),
            after=after,
            limit=limit,
        )

    async def show(self, home: Home, name: str) -> PartnerView:
        """One of them."""
        peer = self.find(home, name)
        return self._view(peer, (await self._deals(home))[peer.did])

    async def test(self, home: Home, name: str) -> PartnerTest:
        """The six checks, now."""
        peer = self.find(home, name)
        checks = await self._connection.checks(home, peer)
        good = all(it.state in ("ok", "warning") for it in checks)
        return PartnerTest(partner=await self.show(home, name), ok=good, checks=checks)

    async def remove(self, home: Home, actor: Actor, name: str) -> None:
        """Forget one; deals with it stay as they are."""
        peer = self.find(home, name)
        leaf = self._means.acted(home, actor, "partner.remove", peer.did)
        write = self._means.store(home).peers.delete(peer)
        try:
            await self._means.ground.store.run(Unit((write,), (leaf,)))
        except Conflict as conflict:
            raise Changed("the partner was changed meanwhile") from conflict

    async def _deals(self, home: Home) -> Counter[str]:
        """Live agreements by partner."""
        counted: Counter[str] = Counter()
        after = 0
        while some := self._means.store(home).agreements.page(after, state="live"):
            counted.update(it.peer for it in some)
            after = some[-1].pk or after
            await asyncio.sleep(0)
        return counted

    def _view(self, peer: Peer, deals: int) -> PartnerView:
        return PartnerView(
            did=peer.did,
            handle=peer.handle,
            title=peer.title,
            address=peer.address,
            version=peer.version,
            last_seen=when_or_none(peer.last_seen),
            down=self._means.engine.deliver.down(peer.did),
            deals=deals,
            created=when(peer.created),
        )
